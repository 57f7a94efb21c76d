"""Request -> ordered segments with source and path, plus one joined UTF-8 buffer with its offsets.

A value anywhere inside nested JSON is a segment that reads ``name: value``, where ``name`` is the nearest object key;
so a rule sees an argument's name as the context of its value, and keys are read like any other text.

Few requests hold anything that a rule may have found, so at first only texts are gathered. Offsets, paths and
``Segment`` objects are made when they are asked for; paths by walking through the request again in the same order.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, overload

from msgspec import Struct

from sentra.findings import SOURCES, Source, Span
from sentra.lexicon import Passage
from sentra.normalize import View
from sentra.walk import Path, gather, gather_history, gather_outputs, render, trace, trace_history, trace_outputs
from sentra.wire import AnalyzeRequest

__all__ = ["SEPARATOR", "Inspection", "Path", "Segment", "inspect", "inspect_views", "render"]

SEPARATOR = b"\n\x00\n"

_CONTEXT: Path = (None, "plannerContext")
_DEFINITION: Path = (None, "toolDefinition")
_OUTPUTS = ("previousToolsOutputs", "previousToolOutputs")
_DESCRIPTIONS = ("description", "inputParameters", "outputParameters")
_GAP = SEPARATOR.decode()
_and_gap = len(SEPARATOR).__add__


class Segment(Struct, gc=False, eq=False):
    """A piece of text. ``skip`` is the length in bytes of the ``name: `` before the value.

    ``where`` is the path, or what gives it. On views, ``view`` is set and ``origin`` are the offsets that it was made from.
    """

    source: Source
    where: Path | Callable[[], Path]
    text: str
    skip: int = 0
    start: int = 0
    end: int = 0
    view: str | None = None
    origin: tuple[int, int] | None = None

    @property
    def path(self) -> Path:
        """The steps to the text in the request, the last one first."""
        return self.where if isinstance(self.where, tuple) else self.where()

    @property
    def name(self) -> str:
        """The path as shown to people, as ``inputValues.message.to[0]``."""
        return render(self.path)


class Inspection:
    """All segments of a request in the order of ``SOURCES``, joined for one scan.

    ``buffer`` holds the segments' UTF-8 bytes with a separator between them; every segment knows its offsets. ``found`` is
    what second looks found about places in it and would find again.
    """

    __slots__ = ("_chosen", "_layout", "_ranges", "buffer", "found", "passages", "segments")

    def __init__(self, segments: Sequence[Segment]):
        self.segments = segments
        self._layout = segments.layout if isinstance(segments, _Segments) else _placed(segments)
        self._ranges: dict[Source, tuple[int, int]] | None = None
        self._chosen: dict[tuple[Source, ...], list[tuple[int, int]]] = {}
        self.passages: dict[str, list[Passage]] = {}
        self.found: dict[Any, Any] = {}
        self.buffer = self._layout.buffer

    @property
    def ranges(self) -> dict[Source, tuple[int, int]]:
        """The first place in ``segments`` of each source that there is, and the one after the last."""
        if self._ranges is None:
            self._ranges = _ranges(self.segments)
        return self._ranges

    @property
    def texts(self) -> list[str]:
        """The texts of a request's own segments; none of views."""
        return self.segments.texts if isinstance(self.segments, _Segments) else []

    def excerpt(self, numbers: list[int]) -> "Inspection":
        """Some of a request's own texts, for scanning: paths and names are those of the whole alone."""
        return Inspection(self.segments.excerpt(numbers)) if isinstance(self.segments, _Segments) else self

    def ranges_of(self, sources: tuple[Source, ...]) -> list[tuple[int, int]]:
        """The ranges of ``sources`` in the order in which they stand, as one where they touch."""
        chosen = self._chosen.get(sources)
        if chosen is None:
            chosen = self._chosen[sources] = []
            for first, last in sorted(self.ranges[source] for source in sources if source in self.ranges):
                if chosen and chosen[-1][1] == first:
                    first, _ = chosen.pop()
                chosen.append((first, last))
        return chosen

    def holds_nul(self) -> bool:
        """Whether there is a NUL in some text. Each separator has one too, and counting them takes longer than to look."""
        return self._layout.holds_nul()

    def segment_at(self, offset: int) -> int:
        """Index of the segment that holds the byte at ``offset``, or that the separator there follows."""
        return bisect_right(self._layout.starts, offset) - 1

    def bounds(self, first: int, last: int) -> tuple[int, int]:
        """Where in the buffer the segments from ``first`` up to, not including, ``last`` begin and end."""
        starts = self._layout.starts
        return starts[first], starts[last] - len(SEPARATOR)

    def span(self, segment: Segment, start: int, end: int) -> Span:
        """The place of buffer offsets ``start``..``end`` inside ``segment``, traced back through its view."""
        start, end = segment.origin or (start - segment.start, end - segment.start)
        return Span(segment.source, segment.name, start, end, segment.view)


class _Layout:
    """Texts joined to one buffer, and where each begins in it: ``starts`` has one more, where the next would begin."""

    __slots__ = ("_starts", "_texts", "buffer")

    def __init__(self, texts: list[str]):
        self._texts = texts
        joined = _GAP.join(texts)
        if joined.isascii():
            self.buffer = joined.encode()
        else:
            self.buffer = SEPARATOR.join([text.encode("utf-8", "replace") for text in texts])
        self._starts: list[int] | None = None

    def holds_nul(self) -> bool:
        if self.buffer.isascii():
            return "\x00" in "".join(self._texts)
        return any("\x00" in text for text in self._texts)

    @property
    def starts(self) -> list[int]:
        if self._starts is None:
            texts: Iterable[str | bytes] = self._texts
            if not self.buffer.isascii():
                texts = [text.encode("utf-8", "replace") for text in self._texts]
            self._starts = list(accumulate(map(_and_gap, map(len, texts)), initial=0))
        return self._starts


class _Segments(Sequence[Segment]):
    """A request's segments, each made when it is asked for."""

    __slots__ = ("_made", "_names", "_paths", "_request", "ends", "layout", "texts")

    def __init__(self, request: AnalyzeRequest, texts: list[str], names: list[str], ends: list[int]):
        self._request, self.texts, self._names, self.ends = request, texts, names, ends
        self._made: dict[int, Segment] = {}
        self._paths: _Paths | None = None
        self.layout = _Layout(texts)

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> Segment: ...
    @overload
    def __getitem__(self, index: slice) -> list[Segment]: ...
    def __getitem__(self, index: int | slice) -> Segment | list[Segment]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        segment = self._made.get(number)
        if segment is None:
            segment = self._made[number] = self._make(number)
        return segment

    def __iter__(self) -> Iterator[Segment]:
        return (self[number] for number in range(len(self)))

    def excerpt(self, numbers: list[int]) -> "_Segments":
        texts = [self.texts[number] for number in numbers]
        names = [self._names[number] for number in numbers]
        return _Segments(self._request, texts, names, [bisect_left(numbers, end) for end in self.ends])

    def _make(self, number: int) -> Segment:
        source = SOURCES[bisect_right(self.ends, number)]
        name, starts = self._names[number], self.layout.starts
        skip = len(name.encode("utf-8", "replace")) + 2 if name else 0
        end = starts[number + 1] - len(SEPARATOR)
        if self._paths is None:
            self._paths = _Paths(self._request)
        return Segment(source, partial(self._paths.of, number), self.texts[number], skip, starts[number], end)


class _Paths:
    """The path of each segment of ``request``."""

    __slots__ = ("_paths", "_request")

    def __init__(self, request: AnalyzeRequest):
        self._request = request
        self._paths: list[Path] | None = None

    def of(self, number: int) -> Path:
        if self._paths is None:
            self._paths = _paths(self._request)
        return self._paths[number]


def _placed(segments: Sequence[Segment]) -> _Layout:
    """The layout of ``segments``, which are told their offsets."""
    layout = _Layout([segment.text for segment in segments])
    starts = layout.starts
    for index, segment in enumerate(segments):
        segment.start, segment.end = starts[index], starts[index + 1] - len(SEPARATOR)
    return layout


def _ranges(segments: Sequence[Segment]) -> dict[Source, tuple[int, int]]:
    """The place of each source's first segment and the one after its last; they stand in the order of their sources."""
    ends: Iterable[tuple[Source, int]]
    if isinstance(segments, _Segments):
        ends = zip(SOURCES, segments.ends, strict=True)
    else:
        counts = Counter([segment.source for segment in segments])
        ends = zip(counts, accumulate(counts.values()), strict=True)
    ranges: dict[Source, tuple[int, int]] = {}
    first = 0
    for source, last in ends:
        if last > first:
            ranges[source] = (first, last)
            first = last
    return ranges


def inspect(request: AnalyzeRequest) -> Inspection:
    """All text of ``request`` that a rule may read."""
    planner, tool = request.plannerContext, request.toolDefinition
    texts: list[str] = []
    names: list[str] = []
    said: list[str] = []
    named: list[str] = []
    gather(texts, names, planner.userMessage)
    ends = [len(texts)]
    gather(texts, names, planner.thought)
    ends.append(len(texts))
    gather_history(texts, names, said, named, planner.chatHistory)
    ends.append(len(texts))
    texts += said
    names += named
    ends.append(len(texts))
    for outputs in (planner.previousToolsOutputs, planner.previousToolOutputs):
        gather_outputs(texts, names, outputs)
    ends.append(len(texts))
    gather(texts, names, request.inputValues)
    ends.append(len(texts))
    for value in (tool.description, tool.inputParameters, tool.outputParameters):
        gather(texts, names, value)
    ends.append(len(texts))
    return Inspection(_Segments(request, texts, names, ends))


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
    segment = Segment(parent.source, parent.where, text, skip)
    segment.view = f"{parent.view}+{view.name}" if parent.view else view.name
    segment.origin = parent.origin or (view.start, view.end)
    return segment


def _paths(request: AnalyzeRequest) -> list[Path]:
    """The path of each segment, in the order of ``inspect``."""
    planner, tool = request.plannerContext, request.toolDefinition
    found: list[Path] = []
    said: list[Path] = []
    trace(found, (_CONTEXT, "userMessage"), planner.userMessage)
    trace(found, (_CONTEXT, "thought"), planner.thought)
    trace_history(found, said, (_CONTEXT, "chatHistory"), planner.chatHistory)
    found += said
    for name in _OUTPUTS:
        trace_outputs(found, (_CONTEXT, name), getattr(planner, name))
    trace(found, (None, "inputValues"), request.inputValues)
    for name in _DESCRIPTIONS:
        trace(found, (_DEFINITION, name), getattr(tool, name))
    return found
