"""Request -> ordered segments with source and path, plus one joined UTF-8 buffer with its offsets.

A value anywhere inside nested JSON is a segment that reads ``name: value``, where ``name`` is the nearest object key;
so a rule sees an argument's name as the context of its value, and keys are read like any other text.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sentra.findings import SOURCES, Source, Span
from sentra.normalize import View
from sentra.wire import AnalyzeRequest

SEPARATOR = b"\n\x00\n"

Path = tuple["Path | None", str | int]


class Segment:
    """A piece of text. ``skip`` is the length in bytes of the ``name: `` before the value; ``origin`` is set on views."""

    __slots__ = ("end", "origin", "path", "skip", "source", "start", "text", "view")

    def __init__(self, source: Source, path: Path, text: str, skip: int = 0):
        self.source, self.path, self.text, self.skip = source, path, text, skip
        self.start = self.end = 0
        self.view: str | None = None
        self.origin: Span | None = None

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
        self.ranges: dict[Source, tuple[int, int]] = {}
        parts, position, gap = [], 0, len(SEPARATOR)
        for index, segment in enumerate(segments):
            part = segment.text.encode("utf-8", "replace")
            parts.append(part)
            segment.start, segment.end = position, position + len(part)
            position = segment.end + gap
            first, _ = self.ranges.get(segment.source, (index, 0))
            self.ranges[segment.source] = (first, index + 1)
        self.buffer = SEPARATOR.join(parts)
        self._starts = [segment.start for segment in segments]

    def segment_at(self, offset: int) -> int:
        """Index of the segment that holds the byte at ``offset``, or that the separator there follows."""
        return bisect_right(self._starts, offset) - 1

    def span(self, segment: Segment, start: int, end: int) -> Span:
        """The place of buffer offsets ``start``..``end`` inside ``segment``, traced back through its view."""
        if segment.origin is not None:
            return segment.origin
        return Span(segment.source, segment.name, start - segment.start, end - segment.start, segment.view)


def inspect(request: AnalyzeRequest) -> Inspection:
    """All text of ``request`` that a rule may read."""
    found: dict[Source, list[Segment]] = {source: [] for source in SOURCES}
    planner, tool = request.plannerContext, request.toolDefinition
    context: Path = (None, "plannerContext")
    found["user_message"] += _walk("user_message", (context, "userMessage"), planner.userMessage)
    found["thought"] += _walk("thought", (context, "thought"), planner.thought)
    for source, segment in _history((context, "chatHistory"), planner.chatHistory):
        found[source].append(segment)
    for name in ("previousToolsOutputs", "previousToolOutputs"):
        found["tool_output"] += _outputs((context, name), getattr(planner, name))
    found["input"] += _walk("input", (None, "inputValues"), request.inputValues)
    definition: Path = (None, "toolDefinition")
    for name in ("description", "inputParameters", "outputParameters"):
        found["tool_description"] += _walk("tool_description", (definition, name), getattr(tool, name))
    return Inspection([segment for source in SOURCES for segment in found[source]])


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


def _history(path: Path, turns: Any) -> Iterator[tuple[Source, Segment]]:
    for index, turn in enumerate(turns if isinstance(turns, list) else [turns]):
        place: Path = (path, index)
        source: Source = "history.user"
        if isinstance(turn, dict):
            source = "history.user" if turn.get("role") == "user" else "history.assistant"
            turn, place = turn.get("content"), (place, "content")
        for segment in _walk(source, place, turn):
            yield source, segment


def _outputs(path: Path, calls: Any) -> Iterator[Segment]:
    for index, call in enumerate(calls if isinstance(calls, list) else [calls]):
        place: Path = (path, index)
        outputs = call.get("outputs") if isinstance(call, dict) and "outputs" in call else call
        where: Path = (place, "outputs") if outputs is not call else place
        for number, output in enumerate(outputs if isinstance(outputs, list) else [outputs]):
            yield from _output((where, number) if isinstance(outputs, list) else where, output)


def _output(path: Path, output: Any) -> Iterator[Segment]:
    """A tool's output ``{name, description, type, value}`` reads ``name: value``; any other JSON as it stands."""
    if isinstance(output, dict) and "value" in output and isinstance(output.get("name"), str):
        yield from _walk("tool_output", (path, "value"), output["value"], output["name"])
        yield from _walk("tool_output", path, {k: v for k, v in output.items() if k not in ("value", "type")})
    else:
        yield from _walk("tool_output", path, output)


def _walk(source: Source, path: Path, value: Any, name: str = "") -> Iterator[Segment]:
    """Segments of every string and number in ``value``, depth first in the order of the document."""
    pending: list[tuple[Path, Any, str]] = [(path, value, name)]
    while pending:
        path, value, name = pending.pop()
        if isinstance(value, str):
            yield _named(source, path, name, value)
        elif isinstance(value, dict):
            for key in value:
                if not isinstance(value[key], (str, int, float)) or isinstance(value[key], bool):
                    yield Segment(source, (path, key), key)
            pending.extend(((path, key), value[key], key) for key in reversed(value))
        elif isinstance(value, list):
            pending.extend(((path, index), value[index], name) for index in range(len(value) - 1, -1, -1))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield _named(source, path, name, str(value))


def _named(source: Source, path: Path, name: str, text: str) -> Segment:
    if not name:
        return Segment(source, path, text)
    return Segment(source, path, f"{name}: {text}", len(name.encode("utf-8", "replace")) + 2)


def render(path: Path | None) -> str:
    """``plannerContext.chatHistory[0].content`` for the linked path of those steps."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")
