"""How vendors' tokens begin: what has a rule of its own is not named again by the rules for any assignment."""

import re2

from sentra.confirm import Hit, confirm

_HEX, _B62, _URL = "[0-9a-f]", "[0-9A-Za-z]", "[0-9A-Za-z_-]"

SHAPES: tuple[str, ...] = (
    rf"(?:gh[pousr]|npm|dckr_[po]at|hf|r8|gsk|lin_(?:api|oauth)|ntn|pscale_\w+?|jina|apify_api|tf[pk]\w*?)_{_URL}{{30}}",
    rf"(?:github_pat|rubygems|do[opr]_v1|sntry[sua]|nf[pcoub]|vc[piark]|pn[ub]|rnd|phx|napi|xau|sbp|sb_secret)_{_URL}{{20}}",
    rf"(?:rdme|api_org|secret|squ|sqp|sqa|bk(?:ua|at|pt)|CCI(?:PAT|PRJ)|CLOJARS|clojars|lsv2_\w\w|pcsk|fw|glsa|glc)_{_URL}{{20}}",
    rf"(?:sk|rk)_(?:live|test|prod)_{_B62}{{10}}|sk_{_HEX}{{48}}|whsec_{_URL}{{24}}|shp(?:at|ca|pa|ss|ua|tka)_{_HEX}{{32}}",
    rf"xox[a-z]{{1,2}}[-.]{_URL}{{14}}|xapp-\d-|gl[a-z]{{2,5}}-{_URL}{{18}}|GR1348941|AT(?:ATT|CTT)3xFfG|ATBB{_B62}{{20}}",
    rf"sk-(?:ant|proj|svcacct|admin|None|or|lf)-{_URL}{{32}}|sk-{_B62}{{32}}|(?:xai|pplx|tvly|csk|nvapi|fc|ico|pa)-{_URL}{{28}}",
    rf"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{{16}}|ABSK{_B62}|bedrock-api-key-|da2-|amzn\.mws\.|AKID{_B62}{{32}}|LTAI{_B62}{{12}}",
    rf"AIza{_URL}{{35}}|GOCSPX-|ya29\.|1//0|AAAA{_URL}{{7}}:|AQVN{_URL}{{35}}|t1\.[A-Z0-9]|YC{_URL}{{38}}|y0_{_URL}{{50}}",
    rf"ey[A-Z]{_URL}{{14,}}|pypi-AgE|oy2[a-z2-7]{{43}}|cio{_B62}{{32}}|AKCp{_B62}{{20}}|cmVmd{_B62}{{40}}|LS0tLS1CRUdJTi",
    rf"SG\.{_URL}{{16}}|SK{_HEX}{{32}}|key-{_HEX}{{32}}|{_HEX}{{32}}-us\d|{_HEX}{{32}}-{_HEX}{{8}}-|md-{_URL}{{22}}|x\w+sib-",
    rf"re_{_B62}{{6,10}}_{_B62}{{20}}|mlsn\.|pk_{_HEX}{{34}}|pk_\d+_[0-9A-Z]{{32}}|sec-c-|00D{_B62}{{12,15}}!|5Aep861|3MVG9",
    rf"pat-\w{{2}}\d-|pat{_B62}{{14}}\.|[ps]at\.{_URL}{{22}}\.|[0-2]/\d{{13}}|fig[dou]_{_URL}{{38}}|sl\.(?:u\.)?{_URL}{{100}}|fio-u-",
    rf"CFPAT-|tfp_|sk\.ey|EZ[AT]K{_B62}{{54}}|duffel_|shippo_|s-s4t2|EAA{_B62}{{60}}|EAAA{_URL}|\d{{15,17}}\||A{{21}}",
    rf"NR[A-Z]{{2}}-{_URL}{{26}}|{_HEX}{{36}}\w{{0,4}}NRAL|dt0[a-z]\d\d\.|(?:sdk|api)-{_HEX}{{8}}-|dapi{_HEX}{{32}}|dose{_HEX}{{32}}",
    rf"HRKU-AA|fo1_|fm[12][ar]?_|vercel_blob|v1\.0-{_HEX}{{24}}|akab-\w{{16}}-\w{{16}}|tskey-|secret-(?:live|test)-|sk_(?:live_)?a2V5",
    rf"hv[sbr]\.{_URL}{{20}}|[sbr]\.{_B62}{{24}}|{_B62}{{14}}\.atlasv1\.|dp\.\w{{2,5}}\.|ops_ey|A3-[A-Z0-9]{{6}}-|pul-{_HEX}{{40}}",
    rf"PMAK-|API-[A-Z0-9]{{26}}|4b1d{_B62}{{38}}|sha256~|AGE-SECRET-KEY-|-----BEGIN|token-\w{{5}}:|\$ANSIBLE|otpauth:",
    rf"sq0\w{{3}}-|access_token\$|access-(?:sandbox|development|production)-|AQE[a-z]|FLWSECK|rzp_(?:live|test)_{_B62}{{14}}\W",
    rf"[xyzt]prv{_B62}{{100}}|S[A-Z2-7]{{55}}|sEd{_B62}{{26}}|\d{{8,10}}:AA{_URL}{{32}}|[MNO]{_URL}{{22,27}}\.{_URL}{{6}}\.{_URL}{{27}}",
    r"[\w~.-]{3}(?:7Q~[\w~.-]{31}|8Q~[\w~.-]{34})|[0-9A-Za-z]{52}JQQJ9|[0-9A-Za-z+/]{76}(?:\+ASt|\+ABa|ACDb|\+AMC|APIM)",
    r"[0-9A-Za-z+/]{33}(?:\+ASb|\+AEh|\+ARm|AIoT|AzCa|AZEG)|[0-9A-Za-z+/]{42}(?:\+ACR|AzSe|AZEG|\+SQL)|[\w-]{44}AzFu",
)
"""Patterns of the beginnings of tokens, long enough that a rule for the vendor finds what follows."""

_VENDOR = re2.compile("|".join(SHAPES))


def is_vendor_token(value: str) -> bool:
    """``value`` begins like a token that a vendor's rule finds.

    >>> is_vendor_token("hunter2-and-more"), is_vendor_token("AKIAQ5RT2YWXK3LM7PNB")
    (False, True)
    """
    return _VENDOR.match(value) is not None


@confirm
def vendor_token(hit: Hit) -> bool:
    """The value has the prefix and the length of a vendor's token, which a rule of its own names."""
    return is_vendor_token(hit.value + hit.after(64))
