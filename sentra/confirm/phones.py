"""Second looks at telephone numbers, with Google's metadata (phonenumbers)."""

import re
from functools import cache

import phonenumbers

from sentra.confirm import Hit, confirm
from sentra.confirm.cards import digits_of
from sentra.confirm.labels import labelled, unlabelled

_NORTH_AMERICAN = re.compile(r"(?:1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[^\d])[2-9]\d{2}[^\d]?\d{4}\s?")
_IN_NUMBER = re.compile(r"(?:\d[ .\-/]|[+(])\Z")
_LEAST_DIGITS, _MOST_DIGITS = 7, 15


@confirm
def phone_international(hit: Hit) -> bool:
    """A number with its country's code whose length is possible there (ITU-T E.164).

    Short and without any separator it must be a valid number too, or named a phone number: ``+`` before digits is
    also a sum. With ``00`` for ``+`` the code stands apart and nothing else may name it.
    """
    text = main_number(hit.value)
    if not _has_length(digits_of(_plus(text))):
        return False
    number = _parsed(_plus(text), None)
    if number is None or not phonenumbers.is_possible_number(number):
        return False
    if text.startswith("00"):
        apart = not text[2 + len(str(number.country_code))].isdigit()
        return labelled(hit) or (apart and unlabelled(hit))
    return not text[1:].isdigit() or len(text) > 10 or phonenumbers.is_valid_number(number) or labelled(hit)


@confirm
def phone_north_american(hit: Hit) -> bool:
    """Ten digits whose area and exchange code begin with 2 to 9 (NANP).

    Set apart by spaces alone they must be a valid number too, or named a phone number.
    """
    digits = digits_of(main_number(hit.value))[-10:]
    if hit.before(1) == "+":
        return False
    if digits[0] in "01" or digits[3] in "01" or len(set(digits)) < 3 or _paragraph(main_number(hit.value)):
        return False
    if any(c in hit.value for c in "-.()/\u2010\u2011\u2012\u2013"):
        return True
    number = _parsed(digits, "US")
    return (number is not None and phonenumbers.is_valid_number(number)) or labelled(hit)


@confirm
def phone_national(hit: Hit) -> bool:
    """7 to 15 digits that are no date and not all the same; what names them is for another check to find.

    International and North American forms that need no name are left to their own checks.
    """
    text = main_number(hit.value)
    digits = digits_of(text)
    if (text.startswith("00") and not text.isdigit()) or _IN_NUMBER.search(hit.before(2)):
        return False
    if _NORTH_AMERICAN.fullmatch(text) and phone_north_american(hit):
        return False
    if not _LEAST_DIGITS <= len(digits) <= _MOST_DIGITS or len(set(digits)) <= 2:
        return False
    return not (_date(text, digits) or _host(text))


def _paragraph(value: str) -> bool:
    """Numbers of rules are set apart by a point first and a hyphen later, as in ``252.227-7013``."""
    return "(" not in value and 0 < value.find(".") < value.find("-")


def main_number(text: str) -> str:
    """``text`` without an extension (``x12``, ``ext. 12``)."""
    return text.partition("x")[0].partition("e")[0]


def _host(text: str) -> bool:
    """Is it an IPv4 address?"""
    parts = text.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) <= 255 for part in parts)


def _plus(text: str) -> str:
    """``text`` from its ``+``, which ``00`` may stand for, without a trunk zero in parentheses."""
    text = text.replace("(0)", "")
    return f"+{text[2:]}" if text.startswith("00") else text


def _has_length(digits: str) -> bool:
    """Do ``digits`` begin with a country's code and go on for as long as numbers there can be? Cheaper than parsing."""
    for size in (1, 2, 3):
        code = int(digits[:size])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return len(digits) - size in _lengths(code)
    return False


@cache
def _lengths(code: int) -> frozenset[int]:
    """How many digits can follow a country's code; one more for a trunk prefix that is written although it must not."""
    possible = {0}
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
        metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        lengths = metadata.general_desc.possible_length if metadata and metadata.general_desc else ()
        possible.update(n for n in lengths if n > 0)
    return frozenset(possible | {n + 1 for n in possible} | {n + 2 for n in possible}) - {0, 1, 2}


def _parsed(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _date(text: str, digits: str) -> bool:
    """Is it year, month and day in either order, with or without a time, or two years?"""
    if len(digits) == 8 and text[4:5] in ("-", "/") and {digits[:2], digits[4:6]} <= {"19", "20"}:
        return True
    if text[4:5] == "-" and text[7:8] == "-" and _is_date(digits[:4], digits[4:6], digits[6:8]):
        return True
    if len(digits) not in (8, 12, 14):
        return False
    forward = _is_date(digits[:4], digits[4:6], digits[6:8])
    if text.isdigit():
        return forward
    return forward or _is_date(digits[4:8], digits[2:4], digits[:2]) or _is_date(digits[4:8], digits[:2], digits[2:4])


def _is_date(year: str, month: str, day: str) -> bool:
    return year[:2] in ("19", "20") and 1 <= int(month) <= 12 and 1 <= int(day) <= 31
