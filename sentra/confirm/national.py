"""Second looks at national identifiers whose checks python-stdnum does not hold, or holds in part."""

from collections.abc import Sequence
from datetime import date

from stdnum import luhn as stdnum_luhn
from stdnum.kr import rrn as stdnum_rrn

from sentra.confirm import Hit, confirm
from sentra.confirm.cards import digits_of
from sentra.confirm.labels import labelled, unlabelled

_NINO_NEVER = frozenset({"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"})
_ITIN_GROUPS = frozenset([*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)])


def plain(hit: Hit) -> str:
    """The value's letters and digits, in capitals."""
    return "".join(c for c in hit.value if c.isalnum()).upper()


def weighted(characters: str, weights: Sequence[int]) -> int:
    """The sum of the base-36 values of ``characters`` times ``weights``."""
    return sum(int(c, 36) * weight for c, weight in zip(characters, weights, strict=False))


@confirm
def named(hit: Hit) -> bool:
    """The value's separators give it away and nothing else names it, or a context word names it."""
    return (not hit.value.isalnum() and unlabelled(hit)) or labelled(hit)


@confirm
def us_itin(hit: Hit) -> bool:
    """The group of the number is one that the IRS issues (50-65, 70-88, 90-92, 94-99)."""
    return int(digits_of(hit.value)[3:5]) in _ITIN_GROUPS


@confirm
def us_npi(hit: Hit) -> bool:
    """Luhn over the digits behind the prefix 80840 (CMS, NPI check digit calculation)."""
    return bool(stdnum_luhn.is_valid("80840" + digits_of(hit.value)))


@confirm
def us_dea(hit: Hit) -> bool:
    """The last digit is that of d1+d3+d5 plus twice d2+d4+d6 (DEA registration number)."""
    d = [int(c) for c in digits_of(hit.value)[-7:]]
    return (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6]


@confirm
def uk_nino(hit: Hit) -> bool:
    """The prefix is one that HMRC issues (NIM39110)."""
    return plain(hit)[:2] not in _NINO_NEVER


@confirm
def de_document(hit: Hit) -> bool:
    """The tenth character is the 7-3-1 check digit of the nine before it (ICAO 9303); nine characters carry none."""
    number = plain(hit).removesuffix("D") if len(plain(hit)) > 10 else plain(hit)
    return len(number) < 10 or weighted(number[:9], (7, 3, 1) * 3) % 10 == int(number[9], 36)


@confirm
def de_pension(hit: Hit) -> bool:
    """The check digit of a German pension insurance number holds (§ 4 VKVV)."""
    number = plain(hit)
    letter = f"{ord(number[8]) - 64:02}"
    spread = number[:8] + letter + number[9:11]
    products = (int(c) * w for c, w in zip(spread, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True))
    return sum(sum(divmod(product, 10)) for product in products) % 10 == int(number[11])


@confirm
def pl_id_card(hit: Hit) -> bool:
    """The fourth character is the check digit of a Polish identity card (weights 7-3-1 over the rest)."""
    number = plain(hit)
    return weighted(number[:3] + number[4:], (7, 3, 1, 7, 3, 1, 7, 3)) % 10 == int(number[3])


@confirm
def ru_snils(hit: Hit) -> bool:
    """The last two digits are the sum weighted 9 to 1, modulo 101 and 100."""
    digits = digits_of(hit.value)
    return weighted(digits[:9], range(9, 0, -1)) % 101 % 100 == int(digits[9:])


@confirm
def cn_resident(hit: Hit) -> bool:
    """A date of birth and an ISO 7064 mod 11-2 check character (GB 11643)."""
    number = plain(hit)
    check = weighted(number[:17], [2 ** (17 - place) % 11 for place in range(17)])
    return is_day(number[6:10], number[10:12], number[12:14]) and "10X98765432"[check % 11] == number[17]


@confirm
def kr_resident(hit: Hit) -> bool:
    """A date of birth, and the check digit or a context word: numbers issued since October 2020 carry no check."""
    digits = digits_of(hit.value)
    century = {"9": "18", "0": "18", "1": "19", "2": "19", "5": "19", "6": "19"}.get(digits[6], "20")
    if not is_day(century + digits[:2], digits[2:4], digits[4:6]):
        return False
    return bool(stdnum_rrn.is_valid(digits)) or labelled(hit)


@confirm
def sg_nric(hit: Hit) -> bool:
    """The check letter of a Singapore NRIC or FIN holds."""
    number = plain(hit)
    offset = {"S": 0, "F": 0, "T": 4, "G": 4, "M": 3}[number[0]]
    rest = (weighted(number[1:8], (2, 7, 6, 5, 4, 3, 2)) + offset) % 11
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "KLJNPQRTUWX"}
    place = 10 - rest if number[0] == "M" else rest
    return letters[number[0]][place] == number[8]


@confirm
def hk_identity(hit: Hit) -> bool:
    """The check character of a Hong Kong identity card holds (weights 9 to 2, modulo 11)."""
    number = plain(hit).rjust(9)
    values = [36 if c == " " else int(c, 36) for c in number[:8]]
    total = sum(value * weight for value, weight in zip(values, range(9, 1, -1), strict=True))
    return "0A987654321"[total % 11] == number[8]


@confirm
def tw_identity(hit: Hit) -> bool:
    """The check digit of a Taiwanese identity card holds."""
    number = plain(hit)
    region = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(number[0]) + 10
    total = region // 10 + region % 10 * 9 + weighted(number[1:9], range(8, 0, -1)) + int(number[9])
    return total % 10 == 0


@confirm
def au_medicare(hit: Hit) -> bool:
    """The ninth digit is the sum weighted 1, 3, 7, 9 of the eight before it."""
    digits = digits_of(hit.value)
    return weighted(digits[:8], (1, 3, 7, 9) * 2) % 10 == int(digits[8])


@confirm
def hu_tax(hit: Hit) -> bool:
    """The tenth digit is the sum weighted 1 to 9, modulo 11."""
    digits = digits_of(hit.value)
    return weighted(digits[:9], range(1, 10)) % 11 == int(digits[9])


@confirm
def vin(hit: Hit) -> bool:
    """The ninth character is the check digit of 49 CFR 565.15."""
    table = dict(
        zip(
            "ABCDEFGHJKLMNPRSTUVWXYZ",
            (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9),
            strict=True,
        )
    )
    number = plain(hit)
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    rest = sum((table[c] if c in table else int(c)) * w for c, w in zip(number, weights, strict=True)) % 11
    return "0123456789X"[rest] == number[8]


def is_day(year: str, month: str, day: str) -> bool:
    """Do these digits make a day of the calendar?"""
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True
