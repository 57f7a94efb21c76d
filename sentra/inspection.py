"""Request -> ordered segments with source and path, plus one joined UTF-8 buffer with its offsets.

A value anywhere inside nested JSON is a segment that reads ``name: value``, where ``name`` is the nearest object key;
so a rule sees an argument's name as the context of its value, and keys are read like any other text.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from sentra.findings import SOURCES, Source, Span
from sentra.normalize import View
from sentra.wire import AnalyzeRequest

SEPARATOR = b"\n\x00\n"
MAX_ENTRY_NAME = 64

Path = tuple["Path | None", str | int]

_CONTEXT: Path = (None, "plannerContext")
_DEFINITION: Path = (None, "toolDefinition")
_TEXTS = frozenset((str, int, float))


class Segment(Struct, gc=False, eq=False):
    """A piece of text. ``skip`` is the length in bytes of the ``name: `` before the value; ``origin`` is set on views."""

    source: Source
    path: Path
    text: str
    skip: int = 0
    start: int = 0
    end: int = 0
    view: str | None = None
    origin: Span | None = None

    @property
    def name(self) -> str:
        """The path as shown to people, as ``inputValues.message.to[0]``."""
        return render(self.path)


class Inspection:
    """All segments of a request in the order of ``SOURCES``, joined for one scan.

    ``buffer`` holds the segments' UTF-8 bytes with a separator between them; every segment knows its offsets.
    """

    __slots__ = ("_starts", "buffer", "ranges", "segments")

    def __init__(self, segments: Sequence[Segment]):
        self.segments = segments
        parts = [segment.text.encode("utf-8", "replace") for segment in segments]
        position, gap = 0, len(SEPARATOR)
        starts: list[int] = []
        for segment, part in zip(segments, parts, strict=True):
            starts.append(position)
            segment.start = position
            segment.end = position = position + len(part)
            position += gap
        self.ranges = _ranges(segments)
        self.buffer = SEPARATOR.join(parts)
        self._starts = starts

    def segment_at(self, offset: int) -> int:
        """Index of the segment that holds the byte at ``offset``, or that the separator there follows."""
        return bisect_right(self._starts, offset) - 1

    def span(self, segment: Segment, start: int, end: int) -> Span:
        """The place of buffer offsets ``start``..``end`` inside ``segment``, traced back through its view."""
        if segment.origin is not None:
            return segment.origin
        return Span(segment.source, segment.name, start - segment.start, end - segment.start, segment.view)


def _ranges(segments: Sequence[Segment]) -> dict[Source, tuple[int, int]]:
    """First and last place of each source; segments stand in the order of their sources."""
    counts = Counter([segment.source for segment in segments])
    ranges: dict[Source, tuple[int, int]] = {}
    first = 0
    for source, count in counts.items():
        ranges[source] = (first, first + count)
        first += count
    return ranges


def inspect(request: AnalyzeRequest) -> Inspection:
    """All text of ``request`` that a rule may read."""
    planner, tool = request.plannerContext, request.toolDefinition
    found: list[Segment] = []
    _walk(found, "user_message", (_CONTEXT, "userMessage"), planner.userMessage)
    _walk(found, "thought", (_CONTEXT, "thought"), planner.thought)
    _history(found, (_CONTEXT, "chatHistory"), planner.chatHistory)
    for name in ("previousToolsOutputs", "previousToolOutputs"):
        _outputs(found, (_CONTEXT, name), getattr(planner, name))
    _walk(found, "input", (None, "inputValues"), request.inputValues)
    for name in ("description", "inputParameters", "outputParameters"):
        _walk(found, "tool_description", (_DEFINITION, name), getattr(tool, name))
    return Inspection(found)


def inspect_views(views: Iterable[tuple[Segment, View]]) -> Inspection:
    """The decoded or normalised views of segments, as an inspection of their own."""
    ordered = sorted(views, key=lambda pair: SOURCES.index(pair[0].source))
    return Inspection([_view_segment(parent, view) for parent, view in ordered])


def _view_segment(parent: Segment, view: View) -> Segment:
    """A view as a segment; the name before its parent's value stands before a decoded value too."""
    name = parent.text.encode("utf-8", "replace")[: parent.skip].decode("utf-8", "replace") if parent.skip else ""
    text, skip = view.text, 0
    if name and (text.startswith(name) or view.start == parent.skip):
        text, skip = (text if text.startswith(name) else name + text), parent.skip
    segment = Segment(parent.source, parent.path, text, skip)
    segment.view = f"{parent.view}+{view.name}" if parent.view else view.name
    origin = parent.origin
    start, end = (origin.start, origin.end) if origin else (view.start, view.end)
    segment.origin = Span(parent.source, parent.name, start, end, segment.view)
    return segment


def _history(found: list[Segment], path: Path, turns: Any) -> None:
    """The user's turns, then the assistant's."""
    assistant: list[Segment] = []
    for index, turn in enumerate(turns if isinstance(turns, list) else [turns]):
        place: Path = (path, index)
        if not isinstance(turn, dict):
            _walk(found, "history.user", place, turn)
        elif turn.get("role") == "user":
            _walk(found, "history.user", (place, "content"), turn.get("content"))
        else:
            _walk(assistant, "history.assistant", (place, "content"), turn.get("content"))
    found += assistant


def _outputs(found: list[Segment], path: Path, calls: Any) -> None:
    for index, call in enumerate(calls if isinstance(calls, list) else [calls]):
        place: Path = (path, index)
        outputs = call.get("outputs") if isinstance(call, dict) and "outputs" in call else call
        where: Path = (place, "outputs") if outputs is not call else place
        for number, output in enumerate(outputs if isinstance(outputs, list) else [outputs]):
            _output(found, (where, number) if isinstance(outputs, list) else where, output)


def _output(found: list[Segment], path: Path, output: Any) -> None:
    """A tool's output ``{name, description, type, value}`` reads ``name: value``; any other JSON as it stands."""
    if isinstance(output, dict) and "value" in output and isinstance(output.get("name"), str):
        _walk(found, "tool_output", (path, "value"), output["value"], output["name"])
        _walk(found, "tool_output", path, {k: v for k, v in output.items() if k not in ("value", "type")})
    else:
        _walk(found, "tool_output", path, output)


def _walk(found: list[Segment], source: Source, path: Path, value: Any, name: str = "") -> None:
    """Add segments of every string and number in ``value``, depth first in the order of the document."""
    pending: list[tuple[Path, Any, str]] = [(path, value, name)]
    while pending:
        path, value, name = pending.pop()
        kind = type(value)
        if kind is str:
            found.append(_named(source, path, name, value))
        elif kind is dict:
            found += [Segment(source, (path, key), key) for key in value if type(value[key]) not in _TEXTS]
            pending += [((path, key), value[key], key) for key in reversed(value)]
        elif kind is list:
            name = name[:MAX_ENTRY_NAME]  # a long one before each entry would multiply the text
            pending += [((path, index), value[index], name) for index in range(len(value) - 1, -1, -1)]
        elif kind is int or kind is float:
            found.append(_named(source, path, name, str(value)))


def _named(source: Source, path: Path, name: str, text: str) -> Segment:
    if not name:
        return Segment(source, path, text)
    size = len(name) if name.isascii() else len(name.encode("utf-8", "replace"))
    return Segment(source, path, f"{name}: {text}", size + 2)


def render(path: Path | None) -> str:
    """``plannerContext.chatHistory[0].content`` for the linked path of those steps."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")
