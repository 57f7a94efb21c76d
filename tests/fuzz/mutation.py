"""Mutations that keep an input's structure, so that the fuzzer gets past the decoder."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from tests.fuzz.samples import MEMBERS, ODD, disguised, texts
from tests.fuzz.target import Native

RAW_SHARE = 0.08
"""How often the bytes themselves are mutated, whatever they mean."""
MAX_NODES = 400


class Editor:
    """One round of edits of a JSON-like document."""

    def __init__(self, random: Random, native: Native):
        self.random, self.native = random, native

    def edited(self, root: Any) -> Any:
        """``root`` with one to four edits."""
        holder = [root]
        for _ in range(self.random.choice((1, 1, 2, 4))):
            places = _places(holder)
            container, key = self.random.choice(places)
            self._edit(container, key)
        return holder[0]

    def _edit(self, container: Any, key: Any) -> None:
        value = container[key]
        kinds: list[Callable[[Any], Any]] = [self._text, self._other]
        kinds += [self._string] * 4 if isinstance(value, str) else []
        kinds += [self._members] * 4 if isinstance(value, dict) else []
        kinds += [self._entries] * 3 if isinstance(value, list) else []
        container[key] = self.random.choice(kinds)(value)

    def _text(self, value: Any) -> str:
        text = self.random.choice(texts())
        return disguised(self.random, text) if self.random.random() < 0.4 else text

    def _other(self, value: Any) -> Any:
        odd = self.random.choice(ODD)
        kind = self.random.randrange(4)
        if kind == 0:
            return [value]
        if kind == 1:
            return {self.random.choice(MEMBERS): value}
        return json.loads(json.dumps(odd))

    def _string(self, value: str) -> str:
        text = self._text(value)
        at = self.random.randint(0, len(value))
        kind = self.random.randrange(7)
        if kind == 0:
            return value[:at] + self.random.choice(("", " ", "\n", ": ", "; ")) + text + value[at:]
        if kind == 1:
            return disguised(self.random, value)
        if kind == 2:
            return value[:at]
        if kind == 3:
            return value[at : at + self.random.randint(1, 20)] * self.random.randint(1, 30)
        if kind == 4:
            return (
                value[:at]
                + self.random.choice(
                    ("\u200b", "é", "\u0130", "ſ", "K", "\x00", "%", "&#", "=", "\\", '"', "(", "<", "@")
                )
                + value[at:]
            )
        if kind == 5:
            return value[:at] + text[: self.random.randint(1, 12)] + value[at + 1 :]
        return self.native(value.encode("utf-8", "replace")).decode("utf-8", "replace")

    def _members(self, value: dict[str, Any]) -> dict[str, Any]:
        kind = self.random.randrange(5)
        keys = list(value)
        if kind == 0 and keys:
            value.pop(self.random.choice(keys))
        elif kind == 1 and keys:
            key = self.random.choice(keys)
            value[self._string(key)[:200]] = value.pop(key)
        elif kind == 2 and keys:
            value[self.random.choice(MEMBERS)] = value[self.random.choice(keys)]
        elif kind == 3:
            self.random.shuffle(keys)
            return {key: value[key] for key in keys}
        else:
            value[self.random.choice(MEMBERS)] = self.random.choice((self._text, self._other))(None)
        return value

    def _entries(self, value: list[Any]) -> list[Any]:
        kind = self.random.randrange(4)
        if kind == 0 and value:
            value.pop(self.random.randrange(len(value)))
        elif kind == 1 and value:
            value.append(value[self.random.randrange(len(value))])
        elif kind == 2:
            self.random.shuffle(value)
        else:
            value.insert(self.random.randint(0, len(value)), self._text(None))
        return json.loads(json.dumps(value))  # type: ignore[no-any-return]


def _places(holder: list[Any]) -> list[tuple[Any, Any]]:
    """Up to ``MAX_NODES`` pairs of a container and a key or index in it."""
    found: list[tuple[Any, Any]] = []
    pending: list[Any] = [holder]
    while pending and len(found) < MAX_NODES:
        container = pending.pop(0)
        keys = list(container) if isinstance(container, dict) else range(len(container))
        for key in keys:
            found.append((container, key))
            if isinstance(container[key], (dict, list)):
                pending.append(container[key])
    return found


def written(random: Random, document: Any) -> bytes:
    """``document`` in one of the ways that JSON can be written."""
    style = random.randrange(4)
    if style == 0:
        text = json.dumps(document)
    elif style == 1:
        text = json.dumps(document, ensure_ascii=False, indent=random.choice((None, 1)))
    else:
        try:
            return msgspec.json.encode(document)
        except (UnicodeEncodeError, OverflowError):
            text = json.dumps(document)
    return text.encode("utf-8", "replace")


def document(data: bytes, random: Random, native: Native) -> bytes:
    """Another JSON document; the bytes themselves are mutated where they are none, and now and then anyhow."""
    try:
        root = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return native(data)
    if random.random() < RAW_SHARE:
        return native(data)
    return written(random, Editor(random, native).edited(root))


def text(data: bytes, random: Random, native: Native) -> bytes:
    """Another text, in which samples and their disguises are put together."""
    if random.random() < RAW_SHARE:
        return native(data)
    lead, rest = data[:1] or b"\0", data[1:].decode("utf-8", "replace")
    if random.random() < 0.1:
        lead = bytes([random.randrange(256)])
    return lead + Editor(random, native)._string(rest).encode("utf-8", "replace")
