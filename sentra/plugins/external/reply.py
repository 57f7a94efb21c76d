"""What a service's reply means: block, allow, or an error of its own kind.

Only the configured place of the reply is read; any other shape there is an error, never a guess.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from sentra.definitions import Definition, Items
from sentra.errors import ConfigError
from sentra.wire import mend

MAX_REASON = 200


class CallError(Exception):
    """A call that gave no usable answer. ``kind`` is one of a small fixed set of words, with the HTTP status if any."""

    def __init__(self, kind: str):
        super().__init__(kind)
        self.kind = kind


class Answer(NamedTuple):
    """What a service said: whether to block, and what it adds for the record; ``label`` names a configured item type."""

    block: bool
    label: str = ""
    reason: str = ""
    reason_code: int | None = None


class Reader:
    """Reads replies as one definition says. Raises ``ConfigError`` for settings that contradict each other."""

    def __init__(self, definition: Definition):
        field = definition.blockField or ("blockAction" if definition.preset == "provider" else "block")
        problems = list(_problems(definition, field))
        if problems:
            raise ConfigError(problems)
        self._provider = definition.preset == "provider"
        self._steps = _steps("/blockAction" if self._provider else field)
        self._meaning = _meaning(definition, field)

    def read(self, body: bytes) -> Answer:
        """The answer in a reply's body. Raises ``CallError``."""
        document = decode(body)
        answer = self._meaning(_resolve(document, self._steps))
        return _with_verdict(answer, document) if self._provider and answer.block else answer


def decode(body: bytes) -> Any:
    """The JSON document in ``body``. Raises ``CallError`` ``html`` for a page, ``not_json`` for anything else."""
    try:
        return _decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if body.lstrip()[:1] == b"<":
            raise CallError("html") from None
        raise CallError("not_json") from None


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return msgspec.json.decode(mend(body))


def _problems(definition: Definition, field: str) -> Iterator[str]:
    if definition.preset == "provider":
        if definition.blockField or definition.nonEmptyPointerBlocks or definition.threshold is not None:
            yield "preset 'provider' says how the reply is read; blockField and its companions cannot be set"
        return
    if field not in ("block", "allow") and not field.startswith("/"):
        yield f"blockField: {field!r}: expected 'block', 'allow', '/' (the whole reply) or a JSON Pointer as '/a/b'"
    listed, scored = definition.nonEmptyPointerBlocks, definition.threshold is not None
    if listed and scored:
        yield "threshold: reads a number and nonEmptyPointerBlocks a list; only one of them can be set"
    if field == "allow" and (listed or scored):
        yield "blockField: 'allow' is a boolean; with nonEmptyPointerBlocks or threshold use a JSON Pointer"
    if definition.items and not listed:
        yield "items: filters a list; set nonEmptyPointerBlocks too"


def _steps(field: str) -> tuple[str, ...]:
    if field == "/":
        return ()
    pointer = field.removeprefix("/") if field.startswith("/") else field
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/"))


def _resolve(document: Any, steps: Iterable[str]) -> Any:
    for step in steps:
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isascii() and step.isdigit() and len(step) < 7:
            if int(step) >= len(document):
                raise CallError("missing_field")
            document = document[int(step)]
        elif isinstance(document, (dict, list)):
            raise CallError("missing_field")
        else:
            raise CallError("shape")
    return document


def _meaning(definition: Definition, field: str) -> Callable[[Any], Answer]:
    if definition.threshold is not None:
        return _at_least(definition.threshold)
    if definition.nonEmptyPointerBlocks:
        return _items(definition.items) if definition.items else _not_empty
    return _refused if field == "allow" else _blocked


def _blocked(value: Any) -> Answer:
    if not isinstance(value, bool):
        raise CallError("shape")
    return Answer(value)


def _refused(value: Any) -> Answer:
    return Answer(not _blocked(value).block)


def _not_empty(value: Any) -> Answer:
    if not isinstance(value, (list, dict)):
        raise CallError("shape")
    return Answer(bool(value))


def _at_least(threshold: float) -> Callable[[Any], Answer]:
    return lambda value: Answer(_number(value) >= threshold)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CallError("shape")
    return value


def _items(options: Items) -> Callable[[Any], Answer]:
    types = None if options.types is None else frozenset(options.types)

    def meaning(value: Any) -> Answer:
        if not isinstance(value, list):
            raise CallError("shape")
        for item in _flat(value):
            kind = item.get(options.typeField) if types is not None else None
            if types is not None and not isinstance(kind, str):
                raise CallError("shape")
            if types is not None and kind not in types:
                continue
            if options.minScore is None or _number(item.get(options.scoreField)) >= options.minScore:
                return Answer(True, label=kind or "")
        return Answer(False)

    return meaning


def _flat(value: list[Any]) -> Iterator[dict[str, Any]]:
    """Items of a list, or of the lists in it: services that take several texts answer with one list for each."""
    for entry in value:
        for item in entry if isinstance(entry, list) else (entry,):
            if not isinstance(item, dict):
                raise CallError("shape")
            yield item


def _with_verdict(answer: Answer, document: dict[str, Any]) -> Answer:
    """What another provider of this contract gives with its block, as far as it has the contract's shape."""
    code, reason = document.get("reasonCode"), document.get("reason")
    text = "".join(char for char in reason if char.isprintable())[:MAX_REASON] if isinstance(reason, str) else ""
    known = isinstance(code, int) and not isinstance(code, bool) and 0 <= code < 1_000_000
    return answer._replace(reason=text, reason_code=code if known else None)
