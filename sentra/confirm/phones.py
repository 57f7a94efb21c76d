"""Second looks at telephone numbers, with Google's metadata (phonenumbers)."""

import phonenumbers

from sentra.confirm import Hit, confirm
from sentra.confirm.cards import digits_of
from sentra.confirm.labels import labelled

_LEAST_DIGITS, _MOST_DIGITS = 7, 15


@confirm
def phone_international(hit: Hit) -> bool:
    """A number with its country's code whose length is possible there (ITU-T E.164).

    Without any separator it must be a valid number too, or named a phone number: ``+`` before digits is also a sum.
    """
    text = _plus(hit.value)
    number = _parsed(text, None)
    if number is None or not phonenumbers.is_possible_number(number):
        return False
    return not text[1:].isdigit() or phonenumbers.is_valid_number(number) or len(text) > 10 or labelled(hit)


@confirm
def phone_north_american(hit: Hit) -> bool:
    """Ten digits whose area and exchange code begin with 2 to 9 (NANP).

    Set apart by spaces alone they must be a valid number too, or named a phone number.
    """
    digits = digits_of(hit.value)[-10:]
    if digits[0] in "01" or digits[3] in "01" or len(set(digits)) < 3:
        return False
    if any(c in hit.value for c in "-.()/\u2010\u2011\u2012\u2013"):
        return True
    number = _parsed(digits, "US")
    return (number is not None and phonenumbers.is_valid_number(number)) or labelled(hit)


@confirm
def phone_national(hit: Hit) -> bool:
    """7 to 15 digits that are no date and not all the same; what names them is for another check to find."""
    digits = digits_of(hit.value)
    return _LEAST_DIGITS <= len(digits) <= _MOST_DIGITS and len(set(digits)) > 2 and not _date(hit.value, digits)


def _plus(text: str) -> str:
    """``text`` from its ``+``, which ``00`` may stand for, without a trunk zero in parentheses."""
    text = text.replace("(0)", "")
    return f"+{text[2:]}" if text.startswith("00") else text


def _parsed(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _date(text: str, digits: str) -> bool:
    """Is it year, month and day in either order, with or without a time?"""
    if len(digits) not in (8, 12, 14):
        return False
    forward = _is_date(digits[:4], digits[4:6], digits[6:8])
    if text.isdigit():
        return forward
    return forward or _is_date(digits[4:8], digits[2:4], digits[:2]) or _is_date(digits[4:8], digits[:2], digits[2:4])


def _is_date(year: str, month: str, day: str) -> bool:
    return year[:2] in ("19", "20") and 1 <= int(month) <= 12 and 1 <= int(day) <= 31
