"""Texts inside JSON values, and where each of them stands.

``gather`` and ``trace`` go the same way: the one takes up what is read, the other, when it is asked for, the paths.
A path is linked from its last step to its first.
"""

from typing import Any

MAX_ENTRY_NAME = 64

Path = tuple["Path | None", str | int]

_TEXTS = frozenset((str, int, float))


def gather(texts: list[str], names: list[str], value: Any, name: str = "") -> None:
    """Add every string and number in ``value``, depth first in the order of the document, and the name of each."""
    if value is None:
        return
    if type(value) is str:
        texts.append(f"{name}: {value}" if name else value)
        names.append(name)
        return
    pending: list[tuple[str, Any]] = [(name, value)]
    while pending:
        name, value = pending.pop()
        kind = type(value)
        if kind is dict:
            _gather_object(texts, names, value, pending)
        elif kind is list:
            _gather_list(texts, names, value, name[:MAX_ENTRY_NAME], pending)
        elif kind is str or kind is int or kind is float:
            texts.append(f"{name}: {value!s}" if name else str(value))
            names.append(name)


def _gather_object(texts: list[str], names: list[str], value: dict[str, Any], pending: list[tuple[str, Any]]) -> None:
    """Add an object's strings and numbers up to the first other value; that and the rest are left in ``pending``.

    Before them come the keys of all that is neither string nor number.
    """
    first = len(texts)
    for name, item in value.items():
        kind = type(item)
        if kind is str or kind is int or kind is float:
            texts.append(f"{name}: {item!s}" if name else str(item))
            names.append(name)
        else:
            done = len(texts) - first
            keys = [key for key, item in value.items() if type(item) not in _TEXTS]
            texts[first:first] = keys
            names[first:first] = [""] * len(keys)
            pending += list(value.items())[: done - len(value) - 1 : -1]
            return


def _gather_list(
    texts: list[str], names: list[str], value: list[Any], name: str, pending: list[tuple[str, Any]]
) -> None:
    """Add a list's entries up to the first that holds others; what is not done is left in ``pending``.

    ``name`` is no longer than an entry's may be: a long one before each would multiply the text.
    """
    below: list[tuple[str, Any]] = []
    for index, item in enumerate(value):
        kind = type(item)
        if kind is dict:
            _gather_object(texts, names, item, below)
        elif kind is list:
            below.append((name, item))
        elif kind is str or kind is int or kind is float:
            texts.append(f"{name}: {item!s}" if name else str(item))
            names.append(name)
        if below:
            pending += [(name, entry) for entry in value[:index:-1]]
            pending += below
            return


def gather_history(texts: list[str], names: list[str], said: list[str], named: list[str], turns: Any) -> None:
    """The user's turns into ``texts`` and ``names``, the assistant's into ``said`` and ``named``."""
    for turn in turns if isinstance(turns, list) else [turns]:
        if not isinstance(turn, dict):
            gather(texts, names, turn)
            continue
        content = turn.get("content")
        into, those = (texts, names) if turn.get("role") == "user" else (said, named)
        if type(content) is str:
            into.append(content)
            those.append("")
        else:
            gather(into, those, content)


def gather_outputs(texts: list[str], names: list[str], calls: Any) -> None:
    """A tool's outputs, in whatever shape they come."""
    for call in calls if isinstance(calls, list) else [calls]:
        outputs = call.get("outputs") if isinstance(call, dict) and "outputs" in call else call
        for output in outputs if isinstance(outputs, list) else [outputs]:
            value, name, rest = _output(output)
            gather(texts, names, value, name)
            gather(texts, names, rest)


def _output(output: Any) -> tuple[Any, str, Any]:
    """A tool's output ``{name, description, type, value}`` reads ``name: value``; any other JSON as it stands.

    Its value, the name before it, and the rest of it.
    """
    if isinstance(output, dict) and "value" in output and isinstance(output.get("name"), str):
        return output["value"], output["name"], {k: v for k, v in output.items() if k not in ("value", "type")}
    return output, "", None


def trace(found: list[Path], path: Path, value: Any) -> None:
    """Add the path of all that ``gather`` adds."""
    pending: list[tuple[Path, Any]] = [(path, value)]
    while pending:
        path, value = pending.pop()
        kind = type(value)
        if kind in _TEXTS:
            found.append(path)
        elif kind is dict:
            found += [(path, key) for key, item in value.items() if type(item) not in _TEXTS]
            pending += [((path, key), value[key]) for key in reversed(value)]
        elif kind is list:
            pending += [((path, index), value[index]) for index in range(len(value) - 1, -1, -1)]


def trace_history(found: list[Path], said: list[Path], path: Path, turns: Any) -> None:
    """As ``gather_history``."""
    for index, turn in enumerate(turns if isinstance(turns, list) else [turns]):
        place: Path = (path, index)
        if isinstance(turn, dict):
            trace(found if turn.get("role") == "user" else said, (place, "content"), turn.get("content"))
        else:
            trace(found, place, turn)


def trace_outputs(found: list[Path], path: Path, calls: Any) -> None:
    """As ``gather_outputs``."""
    for index, call in enumerate(calls if isinstance(calls, list) else [calls]):
        place: Path = (path, index)
        outputs = call.get("outputs") if isinstance(call, dict) and "outputs" in call else call
        where: Path = (place, "outputs") if outputs is not call else place
        for number, output in enumerate(outputs if isinstance(outputs, list) else [outputs]):
            inner: Path = (where, number) if isinstance(outputs, list) else where
            value, _, rest = _output(output)
            trace(found, inner if value is output else (inner, "value"), value)
            trace(found, inner, rest)


def render(path: Path | None) -> str:
    """``plannerContext.chatHistory[0].content`` for the linked path of those steps."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")
