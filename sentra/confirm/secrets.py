"""Second looks at secrets: is it a placeholder, is it random enough, does it stand alone."""

import math
import re
from collections import Counter
from itertools import pairwise

from sentra.confirm import Confirm, Hit, confirm, factory, parse
from sentra.confirm.words import made_of_words

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CHUNK = re.compile(r"[^-_.:=/+~!$|]+")
_FILLER = re.compile(r"[xX*#.]{5}|(?:xX){3}|([0-9A-Za-z])\1{5}")
_ZEROS = re.compile(r"A{6,24}")
_LEAST_WITH_ZEROS = 40
_STAND_INS = (
    "example",
    "placeholder",
    "redacted",
    "changeme",
    "change_me",
    "change-me",
    "your_",
    "your-",
    "yourtoken",
    "yourkey",
    "yourapi",
    "yoursecret",
    "insert_",
    "insert-",
    "dummy",
    "replace_me",
    "replaceme",
    "replace-me",
    "not_a_real",
    "notareal",
    "notasecret",
    "xxxx-xxxx",
    "data*deleted",
    "eby8vdm02xnocqflq",
    "c2y6ydjf5/r+ob0n8a7c",
)
_STRETCH = 6
_ORDERED = ("0123456789", "abcdefghijklmnopqrstuvwxyz")
_PIECES = [row[i : i + _STRETCH] for row in _ORDERED for i in range(len(row) - _STRETCH + 1)]
_STRETCHES = re.compile("|".join(piece for up in _PIECES for piece in (up, up[::-1])))
_BLOB_MARGIN = 40
_BLOB = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


@factory
def entropy(argument: str) -> Confirm:
    """Shannon entropy of the value, in bits per character, is at least ``argument``."""
    least = float(argument)
    return lambda hit: shannon(hit.value) >= least


def shannon(text: str) -> float:
    """Shannon entropy of ``text`` in bits per character; 0.0 for an empty text."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) if size else 0.0


@factory
def any_(argument: str) -> Confirm:
    """One of several checks holds; they are separated by ``|``, as in ``any:context|jwt``."""
    checks = [parse(spec) for spec in argument.split("|")]
    return lambda hit: any(check(hit) for check in checks)


@factory
def length(argument: str) -> Confirm:
    """The value has as many characters as ``argument`` says: ``40``, ``37-40`` or ``32,40,64``."""
    ranges = [tuple(map(int, part.split("-"))) for part in argument.split(",")]
    return lambda hit: any(ends[0] <= len(hit.value) <= ends[-1] for ends in ranges)


@factory
def holds(argument: str) -> Confirm:
    """The value holds ``argument`` as it is written."""
    return lambda hit: argument in hit.value


@confirm
def token(hit: Hit) -> bool:
    """The value may be a real token: no placeholder, random enough, and not a piece of a longer base64 text."""
    return credible(hit.value) and not inside_blob(hit)


@confirm
def mixed(hit: Hit) -> bool:
    """The value's longest part holds letters and digits, or else letters of both cases that are no words."""
    tail = max(_CHUNK.findall(hit.value), key=len, default="")
    if any(map(str.isdigit, tail)):
        return any(map(str.isalpha, tail))
    return any(map(str.isupper, tail)) and any(map(str.islower, tail)) and not made_of_words(tail)


@confirm
def upper_and_lower(hit: Hit) -> bool:
    """The value holds upper-case letters, lower-case letters and digits."""
    value = hit.value
    return any(map(str.isupper, value)) and any(map(str.islower, value)) and any(map(str.isdigit, value))


@confirm
def placeholder(hit: Hit) -> bool:
    """The value stands for a secret in documentation."""
    return is_placeholder(hit.value)


@confirm
def uuid(hit: Hit) -> bool:
    """The value is a UUID."""
    return is_uuid(hit.value)


@confirm
def whole(hit: Hit) -> bool:
    """The value is no part of a longer run of letters, digits, ``-`` and ``_``."""
    return not (_run_byte(hit, hit.start - 1) or _run_byte(hit, hit.end))


def _run_byte(hit: Hit, position: int) -> bool:
    if not hit.low <= position < hit.high:
        return False
    byte = hit.buffer[position]
    return chr(byte).isalnum() or byte in b"-_"


def credible(value: str) -> bool:
    """``value`` is no placeholder and as random as a short token has to be.

    >>> credible("AKIAQ5RT2YWXK3LM7PNB"), credible("AKIAXXXXXXXXXXXXXXXX")
    (True, False)
    """
    return not is_placeholder(value) and shannon(value) >= (2.8 if len(value) < 24 else 3.0)


def is_placeholder(value: str) -> bool:
    """``value`` holds a word of documentation, a run of filler, or a stretch of the alphabet or of the digits.

    Zero bytes are ``A`` in base64: in a long value that is random elsewhere one run of them is no filler.
    """
    if len(value) >= _LEAST_WITH_ZEROS:
        value = _without_zeros(value)
    lowered = value.lower()
    if any(word in lowered for word in _STAND_INS) or _FILLER.search(value):
        return True
    return _STRETCHES.search(max(_CHUNK.findall(lowered), key=len, default="")) is not None


def _without_zeros(value: str) -> str:
    rest = _ZEROS.sub("", value, count=1)
    return rest if shannon(rest) >= 4.0 else value


def stretch(text: str) -> int:
    """Length of the longest ascending stretch in ``text``, as 6 for ``k123456z``; descending ones count, too."""
    best, rising, falling = min(1, len(text)), 1, 1
    for one, two in pairwise(text):
        step = ord(two) - ord(one) if one.isalnum() and two.isalnum() else 0
        rising = rising + 1 if step == 1 else 1
        falling = falling + 1 if step == -1 else 1
        best = max(best, rising, falling)
    return best


def is_uuid(value: str) -> bool:
    """``value`` is a UUID in its usual form, with or without braces."""
    return _UUID.fullmatch(value.strip("{}")) is not None


def inside_blob(hit: Hit) -> bool:
    """The value is a piece of a much longer run of base64, as in an image: ``+`` or ``/`` or letters run on for long."""
    margin = 0
    for step, position in ((-1, hit.start - 1), (1, hit.end)):
        while hit.low <= position < hit.high and hit.buffer[position] in _BLOB and margin <= _BLOB_MARGIN:
            margin += 1
            position += step
    return margin > _BLOB_MARGIN
