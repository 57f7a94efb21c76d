"""Escapes inside running text, undone in place: entities, percent, backslash, quoted-printable, markup, defanging."""

import binascii
import html
import re
from collections.abc import Callable
from html.entities import html5

_PERCENT = re.compile(r"((?:%[0-9A-Fa-f]{2})+)")
_DECIMAL = re.compile(r"&#0{0,8}([0-9]{1,7});?")
_HEXADECIMAL = re.compile(r"&#[xX]0{0,8}([0-9A-Fa-f]{1,6});?")
_NAMED = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,30});")
_BACKSLASH = re.compile(
    r"(\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"
    r"|\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\}|\\U[0-9A-Fa-f]{8}|\\[xX][0-9A-Fa-f]{2}|\\[0-3]?[0-7]{2}|\\[abfnrtv\"'/\\])"
)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "", "f": " ", "v": " ", "a": ""}
_BLOCK_TAG = re.compile(r"</?(?:p|br|div|li|ul|ol|tr|td|th|h[1-6]|table|hr|body|html|head|blockquote)\b[^<>]*>", re.I)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_DOT = re.compile(
    r" ?[\[({] ?(?:\.|dot) ?[\])}] ?|\[\.|\.\]|(?<=[a-z0-9]) (?:dot|\[dot\]|\(dot\)) (?=[a-z0-9-]{2,})", re.I
)
_AT = re.compile(r" ?[\[({] ?(?:@|at) ?[\])}] ?", re.I)
_COLON = re.compile(r"\[(:|/|://)\]")
_SCHEME = re.compile(r"\bh(?:xx|\*\*|__)p", re.I)
_PUNYCODE = re.compile(r"\b(xn--[A-Za-z0-9-]{2,59})", re.I)


def _replaced(pattern: re.Pattern[str], text: str, make: Callable[[str], str]) -> str:
    """``text`` with what the one group of ``pattern`` matches replaced; equal matches are made once."""
    parts = pattern.split(text)
    known = {part: make(part) for part in set(parts[1::2])}
    parts[1::2] = [known[part] for part in parts[1::2]]
    return "".join(parts)


def percent(text: str) -> str:
    """``text`` without percent escapes (RFC 3986), read as UTF-8; where there are any, ``+`` is a blank."""
    return _replaced(_PERCENT, text.replace("+", " "), _percent)


def _percent(run: str) -> str:
    return bytes.fromhex(run.replace("%", "")).decode("utf-8", "replace")


def entities(text: str) -> str:
    """``text`` with HTML's character references replaced."""
    text = _replaced(_DECIMAL, text, lambda digits: _character(int(digits)))
    text = _replaced(_HEXADECIMAL, text, lambda digits: _character(int(digits, 16)))
    return _replaced(_NAMED, text, lambda name: html5.get(f"{name};") or html.unescape(f"&{name};"))


def _character(code: int) -> str:
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"


def backslash(text: str) -> str:
    """``text`` with the escapes of JSON, JavaScript, Python, C and shells replaced."""
    return _replaced(_BACKSLASH, text, _backslash)


def _backslash(escape: str) -> str:
    kind, rest = escape[1], escape[2:]
    if len(escape) == 12:
        return escape.encode("ascii").decode("unicode-escape").encode("utf-16", "surrogatepass").decode("utf-16")
    if kind in "uUxX" and rest:
        return _character(int(rest.strip("{}"), 16))
    return _character(int(escape[1:], 8)) if kind.isdigit() else _LETTERS.get(kind, kind)


def quoted_printable(text: str) -> str:
    """``text`` without quoted-printable escapes and soft line breaks (RFC 2045)."""
    return binascii.a2b_qp(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def markup(text: str) -> str:
    """``text`` without HTML tags and comments: those of blocks leave a line break, others nothing."""
    return _TAG.sub("", _BLOCK_TAG.sub("\n", _without_comments(text)))


def _without_comments(text: str) -> str:
    parts = text.split("<!--")
    return parts[0] + "".join(part.partition("-->")[2] if "-->" in part else f"<!--{part}" for part in parts[1:])


def refanged(text: str) -> str:
    """``text`` with links and addresses that were made harmless, as ``hxxp://a[.]b``, as they were before."""
    text = _COLON.sub(r"\1", _DOT.sub(".", text))
    return _SCHEME.sub("http", _AT.sub("@", text))


def punycode(text: str) -> str:
    """``text`` with the ``xn--`` labels of domain names in the characters that they stand for."""
    return _replaced(_PUNYCODE, text, _label)


def _label(label: str) -> str:
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return label
