"""Second looks at identifiers of people and accounts: checksums, fixed structure, and standing alone."""

import re
from importlib import import_module

from stdnum import iban as stdnum_iban

from sentra.confirm import Confirm, Hit, confirm, factory
from sentra.confirm.cards import digits_of
from sentra.confirm.labels import labelled

_SEPARATORS = str.maketrans("", "", " .-/\u00a0\u2010\u2011\u2012\u2013\u202f\t")
_BASE_36 = {ord(c): str(int(c, 36)) for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_ALNUM = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DIGITS = frozenset(b"0123456789")
_NEVER_ISSUED = frozenset({"078051120", "219099999", "123456789", "987654321"})


@factory
def stdnum(argument: str) -> Confirm:
    """The value is valid for python-stdnum's module ``argument``, as ``es.nif``, with or without its separators."""
    module = import_module(f"stdnum.{argument}")

    def valid(hit: Hit) -> bool:
        bare = hit.value.translate(_SEPARATORS).upper()
        return bool(module.is_valid(hit.value) or (bare != hit.value and module.is_valid(bare)))

    return valid


@confirm
def iban(hit: Hit) -> bool:
    """The value passes mod 97 (ISO 13616); outside its country's structure it also needs a context word."""
    number = hit.value.translate(_SEPARATORS).upper()
    if int((number[4:] + number[:4]).translate(_BASE_36)) % 97 != 1:
        return False
    return bool(stdnum_iban.is_valid(number, check_country=False)) or labelled(hit)


@confirm
def us_ssn(hit: Hit) -> bool:
    """Area, group and serial number can have been issued (Social Security Administration, RM 10201)."""
    digits = digits_of(hit.value)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return (
        area not in ("000", "666")
        and area[0] != "9"
        and group != "00"
        and serial != "0000"
        and digits not in _NEVER_ISSUED
        and len(set(digits)) > 1
    )


@confirm
def one_separator(hit: Hit) -> bool:
    """The value's groups are all set apart by the same character."""
    return hit.value.isalnum() or len({c for c in hit.value if not c.isalnum()}) <= 1


@confirm
def ungrouped(hit: Hit) -> bool:
    """Neither before nor behind the value do its groups of digits go on with the same separator."""
    if hit.value.isalnum():
        return True
    separator = next(c for c in hit.value if not c.isalnum())
    before, after = hit.before(2), hit.after(2)
    return not ((before[-1:] == separator and before[:1].isdigit()) or (after[:1] == separator and after[1:].isdigit()))


@confirm
def uncoded(hit: Hit) -> bool:
    """The value's groups of four are no row of a table of codes, whose other groups are hexadecimal."""
    return hit.value.isalnum() or not (_CODE_BEFORE.search(hit.before(6)) or _CODES_AFTER.match(hit.after(10)))


_CODE_BEFORE = re.compile(r"(?:^|\W)[0-9A-F]{4}[ -]$")
_CODES_AFTER = re.compile(r"(?:[ -][0-9A-F]{4}){2}")


@confirm
def standalone(hit: Hit) -> bool:
    """The value is no part of a longer number, id, version, decimal, date or hexadecimal string."""
    return not (_continues_before(hit) or _continues_after(hit))


def _continues_before(hit: Hit) -> bool:
    buffer, place = hit.buffer, hit.start - 1
    if place < hit.low:
        return False
    previous = buffer[place]
    if previous >= 0x80:
        return hit.value[:1].isalpha() and _letter(hit.before(4)[-1:])
    if previous in _ALNUM or previous in b"@$\\":
        return previous != ord("\\") and not _escape(hit, place)
    if place == hit.low:
        return previous == ord(".")
    further = buffer[place - 1]
    if previous == ord("-"):
        return further in _ALNUM
    return previous in b".+" and further in _DIGITS


def _letter(character: str) -> bool:
    """A letter of a script that sets words apart by spaces: with one beside it, a letter belongs to a word."""
    return character.isalpha() and character < "\u2e80"


def _escape(hit: Hit, place: int) -> bool:
    """The letter at ``place`` belongs to a JSON escape (``\\n``, ``\\t``), not to the value's word."""
    return hit.buffer[place] in b"nrt" and place > hit.low and hit.buffer[place - 1] == ord("\\")


def _continues_after(hit: Hit) -> bool:
    buffer, place = hit.buffer, hit.end
    if place >= hit.high:
        return False
    following = buffer[place]
    if following >= 0x80:
        return hit.value[-1:].isalpha() and _letter(hit.after(4)[:1])
    if following in _ALNUM or following == ord("@"):
        return True
    if place + 1 >= hit.high:
        return False
    further = buffer[place + 1]
    return (following == ord("-") and further in _ALNUM) or (following in b"." and further in _DIGITS)
