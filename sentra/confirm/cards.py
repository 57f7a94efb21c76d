"""Second looks at payment card numbers: issuer ranges, lengths, Luhn."""

import re

from sentra.confirm import Hit, confirm
from sentra.confirm.labels import labelled, unlabelled

_ISSUERS: tuple[tuple[int, int, int, tuple[int, ...]], ...] = (
    (1, 4, 4, (16,)),
    (2, 51, 55, (16,)),
    (4, 2221, 2720, (16,)),
    (4, 2200, 2204, (16,)),
    (2, 34, 34, (15,)),
    (2, 37, 37, (15,)),
    (3, 300, 305, (14, 16)),
    (3, 309, 309, (14, 16)),
    (2, 36, 36, (14, 16)),
    (2, 38, 39, (14, 16)),
    (4, 6011, 6011, (16,)),
    (3, 644, 649, (16,)),
    (2, 65, 65, (16,)),
    (4, 3528, 3589, (16,)),
    (4, 2131, 2131, (15,)),
    (4, 1800, 1800, (15,)),
    (2, 62, 62, (16,)),
    (4, 5018, 5018, (16,)),
    (4, 5020, 5020, (16,)),
    (4, 5038, 5038, (16,)),
    (4, 5893, 5893, (16,)),
    (4, 6304, 6304, (16,)),
    (4, 6759, 6759, (16,)),
    (4, 6761, 6763, (16,)),
    (4, 9792, 9792, (16,)),
)
_NAMED_LENGTHS = range(12, 20)
_IBAN_HEAD = re.compile(r"[A-Za-z]{2}\d{2}[ .\-\u00a0]\Z")


@confirm
def card_number(hit: Hit) -> bool:
    """The digits pass Luhn in an issuer's range (ISO/IEC 7812), or in any range when a context word names them a card.

    Digits without separators must not be named something else.
    """
    digits = digits_of(hit.value)
    if len(digits) not in _NAMED_LENGTHS or not luhn_holds(digits) or len(set(digits)) == 1:
        return False
    if not hit.value.isdigit() and _IBAN_HEAD.search(hit.before(6)):
        return False
    if issued(digits) and (not hit.value.isdigit() or unlabelled(hit)):
        return True
    return not hit.value.isdigit() and digits[0] in "3456" and labelled(hit)


def issued(digits: str) -> bool:
    """Is ``digits`` in an issuer's range that is narrow enough to be trusted, with its length?"""
    return any(low <= int(digits[:size]) <= high and len(digits) in lengths for size, low, high, lengths in _ISSUERS)


@confirm
def card_of_shared_shape(hit: Hit) -> bool:
    """The digits pass Luhn outside the ranges and lengths that are trusted without a word; the word is another check."""
    digits = digits_of(hit.value)
    return luhn_holds(digits) and len(set(digits)) > 1 and not issued(digits)


@confirm
def luhn(hit: Hit) -> bool:
    """The value's digits pass the Luhn check (ISO/IEC 7812-1)."""
    return luhn_holds(digits_of(hit.value))


_PLAIN = bytes(max(0, byte - 48) if 48 <= byte <= 57 else 0 for byte in range(256))
_DOUBLED = bytes(sum(divmod((byte - 48) * 2, 10)) if 48 <= byte <= 57 else 0 for byte in range(256))
_NO_DIGITS = bytes(byte for byte in range(256) if not 48 <= byte <= 57)


def luhn_holds(digits: str) -> bool:
    """The last of ``digits`` is their check digit (ISO/IEC 7812-1, annex B), by tables as candidates are many.

    >>> luhn_holds("4532015112830366"), luhn_holds("4532015112830367")
    (True, False)
    """
    figures = digits.encode()
    return (sum(figures[-1::-2].translate(_PLAIN)) + sum(figures[-2::-2].translate(_DOUBLED))) % 10 == 0


def digits_of(text: str) -> str:
    """The ASCII digits of ``text``."""
    return text.encode("utf-8", "replace").translate(None, _NO_DIGITS).decode("ascii")
