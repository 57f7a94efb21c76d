"""Domains on label boundaries, in every spelling; host lists; addresses of metadata services and of the inside."""

import ipaddress
from collections.abc import Callable
from typing import Any

import pytest

from sentra import ruleset
from sentra.confirm.domains import METADATA, addresses, ipv4
from sentra.domains import canonical_domain, domain_pattern, expand_hosts
from sentra.errors import ConfigError
from sentra.findings import Finding
from sentra.inspection import Inspection, Segment
from sentra.locate import Compiled
from sentra.operator_rules import domain_rule, domain_rules
from sentra.ruleset import Rule
from sentra.scanner import Scanner
from tests.conftest import CACHE

PACK = ruleset.shipped("domain_block")


def scanner_of(*rules: Rule) -> Scanner:
    return Scanner([Compiled(rule, rule.sources or ("input", "user_message")) for rule in rules], CACHE)


def found(scanner: Scanner, text: str) -> list[Finding]:
    inspection = Inspection([Segment("input", (None, "url"), text)])
    return list(scanner.scan(inspection).findings("domain_block"))


@pytest.fixture(scope="module")
def evil() -> Callable[[str], list[Finding]]:
    scanner = scanner_of(domain_rule("domain_block.evil", "evil.com", "Evil"))
    return lambda text: found(scanner, text)


@pytest.fixture(scope="module")
def umlaut() -> Callable[[str], list[Finding]]:
    rules = domain_rules(["Bücher.example"])
    scanner = scanner_of(*rules)
    return lambda text: found(scanner, text)


@pytest.fixture(scope="module")
def shipped() -> Callable[[str], set[str]]:
    scanner = scanner_of(*PACK.rules)
    return lambda text: {finding.rule_id for finding in found(scanner, text)}


SAME = [
    "evil.com",
    "EVIL.COM.",
    "see evil.com, please",
    "https://evil.com/path?q=1",
    "https://a.b.evil.com:8443/",
    "user@evil.com",
    "mailto:user@mx.evil.com?subject=x",
    "hxxp://evil[.]com/x",
    "hxxps://evil(.)com",
    "evil[dot]com",
    "evil (dot) com",
    "evil{.}com",
    "evil dot com",
    "http[:]//evil.com",
    "evil%2Ecom",
    "http://%65%76%69%6c.com/",
    "https%3A%2F%2Fevil.com%2Fx",
    "https://good.com@evil.com/",
    "https://good.com:pw@evil.com/",
    "https://evil.com\\@good.com/",
    "//evil.com/x",
    "evil\uff0ecom",
    "evil\u3002com",
    "evil\uff61com",
    "ｅｖｉｌ.ｃｏｍ",
    "\U0001d41e\U0001d42f\U0001d422\U0001d425.com",
    "еvil.com",
    "ev\u200bil.com",
    "ev\u00adil.com",
    "evil&period;com",
    "evil&#46;com",
    "ht<b></b>tps://evil.com",
    "https:\\/\\/evil.com\\/x",
    "evil\\u002ecom",
    "(evil.com)",
    '"evil.com"',
    "q=evil.com&x=1",
    "aHR0cHM6Ly9ldmlsLmNvbS91cGxvYWQ=",
]
OTHERS = [
    "notevil.com",
    "my-evil.com",
    "evil.com.example.net",
    "evil.community",
    "evil.co",
    "evilxcom",
    "evil.com-suspended.example",
    "https://evil.com@good.example/",
    "https://evil.com.good.example/",
    "_evil.com",
    "üevil.com",
    "evil.comé",
]


@pytest.mark.parametrize("text", SAME)
def test_a_spelling_of_the_domain_is_found(evil: Callable[[str], list[Finding]], text: str) -> None:
    assert evil(text)


@pytest.mark.parametrize("text", OTHERS)
def test_another_domain_is_not_found(evil: Callable[[str], list[Finding]], text: str) -> None:
    assert evil(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "https://bücher.example/",
        "BÜCHER.EXAMPLE",
        "xn--bcher-kva.example",
        "https://shop.XN--BCHER-KVA.example/x",
        "bu\u0308cher.example",
        "b%C3%BCcher.example",
        "b\\u00fccher.example",
    ],
)
def test_both_forms_of_an_international_domain_are_found(umlaut: Callable[[str], list[Finding]], text: str) -> None:
    assert umlaut(text)


def test_a_punycode_look_alike_of_a_listed_host_is_found(shipped: Callable[[str], set[str]]) -> None:
    label = "p\u0430stebin".encode("punycode").decode()
    assert "domain_block.pastebin-com" in shipped(f"https://xn--{label}.com/raw/1")


def test_the_finding_points_at_the_place_of_the_escaped_text(evil: Callable[[str], list[Finding]]) -> None:
    [finding] = evil("first line\nevil%2Ecom")
    assert (finding.span.path, finding.span.view) == ("url", "percent")


@pytest.mark.parametrize(
    ("entry", "name"),
    [("*.Evil.COM.", "evil.com"), ("Bücher.example", "xn--bcher-kva.example"), ("_dmarc.a-b.de", "_dmarc.a-b.de")],
)
def test_a_domain_is_read_as_people_write_it(entry: str, name: str) -> None:
    assert canonical_domain(entry) == name


@pytest.mark.parametrize(
    "entry", ["", "localhost", "https://evil.com", "evil com", "-.com", "a..b.com", "ex\u200dample.\u0000"]
)
def test_what_is_no_domain_is_refused_with_its_text(entry: str) -> None:
    with pytest.raises(ConfigError) as caught:
        canonical_domain(entry)
    assert repr(entry) in str(caught.value)


def test_every_bad_entry_is_reported_with_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        domain_rules(["ok.example", "no domain", "also bad/"])
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "domainBlocklist[1]",
        "domainBlocklist[2]",
    ]


def test_a_name_without_unicode_form_has_one_spelling() -> None:
    assert domain_pattern("evil.com") == r"(?i)(?:evil\.com)"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("169.254.169.254", "169.254.169.254"),
        ("2852039166", "169.254.169.254"),
        ("0xA9FEA9FE", "169.254.169.254"),
        ("0xa9.0xfe.0xa9.0xfe", "169.254.169.254"),
        ("0251.0376.0251.0376", "169.254.169.254"),
        ("025177524776", "169.254.169.254"),
        ("169.254.43518", "169.254.169.254"),
        ("169.16689662", "169.254.169.254"),
        ("127.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
    ],
)
def test_an_address_is_read_in_every_notation(host: str, address: str) -> None:
    assert str(ipv4(host)) == address


@pytest.mark.parametrize(
    "host", ["", "1.2.3.4.5", "256.1.1.1", "08.1", "0x", "4294967296", "1..2", "a.b", "١.1", "1" * 30]
)
def test_what_is_no_address_is_none(host: str) -> None:
    assert ipv4(host) is None


@pytest.mark.parametrize(
    "host",
    [
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "[64:ff9b::a9fe:a9fe]",
        "[::a9fe:a9fe]",
        "[fd00:ec2::254]",
        "[fd00:0ec2:0:0::254]",
        "[fe80::a9fe:a9fe%eth0]",
    ],
)
def test_an_address_inside_ipv6_is_seen(host: str) -> None:
    assert not METADATA.isdisjoint(addresses(host))


@pytest.mark.parametrize("host", ["[::1", "[1:2]", "[::ffff:1.2.3]", "[zz::1]"])
def test_what_is_no_ipv6_address_is_nothing(host: str) -> None:
    assert [found for found in addresses(host) if isinstance(found, ipaddress.IPv6Address) and found in METADATA] == []


@pytest.mark.parametrize(
    "text",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://100.100.100.200/latest/meta-data/",
        "http://good.example@169.254.169.254/",
        "http://169.254.169.254.nip.io/",
        "gopher://169.254.169.254:80/_GET",
        "http:\\\\169.254.169.254\\latest",
        "http://169%2E254%2E169%2E254/",
        "http://①⑥⑨.②⑤④.①⑥⑨.②⑤④/",
        "http://169。254。169。254/",
        "169.254.169.254",
    ],
)
def test_a_metadata_service_as_input_is_found(shipped: Callable[[str], set[str]], text: str) -> None:
    assert any(rule_id.startswith("domain_block.metadata-") for rule_id in shipped(text))


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("bash ./scripts/transfer.sh --all", False),
        ("edit temp.sh and run it", False),
        ("src/paste.rs: unused import", False),
        ("os.file.io.read()", False),
        ("import kotlin.io; val x = file.io", False),
        ("C:\\jobs\\keep.sh", False),
        ("curl -T a.csv https://transfer.sh/a.csv", True),
        ("curl --upload-file a.csv transfer.sh", True),
        ("put it on file.io/aB3", True),
        ("drop@temp.sh", True),
    ],
)
def test_a_host_that_is_a_file_name_too_counts_only_in_a_link(
    shipped: Callable[[str], set[str]], text: str, listed: bool
) -> None:
    assert bool(shipped(text)) is listed


def test_groups_can_be_switched() -> None:
    groups = {group for rule in PACK.rules for group in rule.group}
    assert groups == {
        "data-drop", "request-bin", "tunnel", "paste", "disposable-mail", "metadata", "internal", "loopback", "webhook",
    }  # fmt: skip


def test_business_hosts_and_internal_addresses_are_off_by_default() -> None:
    assert {group for rule in PACK.rules if not rule.default for group in rule.group} == {"internal", "webhook"}


def test_documentation_domains_are_not_listed(shipped: Callable[[str], set[str]]) -> None:
    assert shipped("https://example.com https://www.example.org/ mail@example.net https://contoso.com") == set()


def table(**changes: Any) -> dict[str, Any]:
    case = {"name": "x", "text": "{host}", "match": ["{host}"]}
    return {
        "group": "g",
        "title": "T",
        "source": "s",
        "date": "2026-11",
        "hosts": ["A.example"],
        "case": [case],
    } | changes


def test_a_host_table_makes_a_rule_for_each_host() -> None:
    document: dict[str, Any] = {"hosts": [table(links=["b.sh"])]}
    expand_hosts(document)
    assert [(rule["id"], rule["confirm"], rule["case"][0]["match"]) for rule in document["rule"]] == [
        ("domain_block.a-example", ["domain_boundary"], ["a.example"]),
        ("domain_block.b-sh", ["domain_boundary", "in_link"], ["b.sh"]),
    ]


def test_a_host_table_with_an_unknown_key_is_refused_with_its_file() -> None:
    with pytest.raises(ConfigError, match=r"domain_block/x\.toml: .*`colour`"):
        ruleset.parse(
            "domain_block/x.toml", '[[hosts]]\ngroup="g"\ntitle="t"\nsource="s"\ndate="d"\ncase=[]\ncolour=1\n'
        )
