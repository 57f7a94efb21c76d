"""Are decoded bytes text? What decodes to anything else yields no view."""

import re
import unicodedata

LEAST = 6
HEAD = 96
_ODD_BYTE = re.compile(rb"[^\t\n\r\x20-\x7e]")
_ODD = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
_WORDY = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ "


def readable(data: bytes, wordy: float = 0.0) -> str | None:
    """The text of ``data`` (UTF-8 or UTF-16), up to where it stops being text; nothing when it is not text.

    ``wordy`` is the least share of ASCII letters and blanks, for encodings whose shape alone says little.
    """
    text = _wide(data) if b"\x00" in data[:HEAD] else _utf8(data)
    if text is None or len(text) < LEAST:
        return None
    head = text[:HEAD].encode("utf-8", "replace")
    if wordy and _share(head, _WORDY) < wordy:
        return None
    return text


def _utf8(data: bytes) -> str | None:
    odd = _ODD_BYTE.search(data)
    if odd is None:
        return data.decode("ascii")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = data[: error.start].decode("utf-8")
    control = _ODD.search(text)
    text = text[: control.start()] if control else text
    return text if odd.start() >= 2 * LEAST or _lettered(text[:HEAD]) else None


def _lettered(head: str) -> bool:
    """Mostly letters of few scripts' cases, as words have; random bytes that happen to be UTF-8 have not."""
    kinds = [unicodedata.category(character)[0] for character in head]
    return bool(head) and sum(kind in "LZN" for kind in kinds) >= 0.7 * len(head)


def _wide(data: bytes) -> str | None:
    """UTF-16 text, told by the zero in every other byte."""
    even = data[: len(data) & ~1]
    for codec, high in (("utf-16-le", even[1:HEAD:2]), ("utf-16-be", even[0:HEAD:2])):
        if high.count(0) >= 0.8 * len(high):
            return even.decode(codec, "replace")
    return _utf8(data)


def _share(data: bytes, kinds: bytes) -> float:
    return 1 - len(data.translate(None, kinds)) / len(data) if data else 0.0
