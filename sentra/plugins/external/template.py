"""The body of a call: a JSON text with placeholders, split once at load and joined for each request.

Values are inserted between fixed parts and never looked at again, so a value that reads like a placeholder is data.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from sentra.errors import ConfigError
from sentra.findings import Source
from sentra.plugins import Context
from sentra.wire import AnalyzeRequest, identity

DEFAULT = '{"userMessage": ${userMessageJson}, "toolName": ${toolNameJson}, "input": ${inputJson}}'
_PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")
_SAMPLES = ("sample", '"quoted" \\ text\n', "", "u0041}", ",1")

encode = msgspec.json.encode


class Values(NamedTuple):
    """What a template is filled from; ``texts`` are those of the sources that the definition reads."""

    user_message: str
    thought: str
    tool_id: str
    tool_name: str
    agent_id: str
    conversation_id: str
    input: Any
    texts: list[str]
    request: bytes


def _quoted(text: str) -> bytes:
    """``text`` as it stands between the quotes of a JSON string."""
    return encode(text)[1:-1]


FILLERS: dict[str, Callable[[Values], bytes]] = {
    "userMessage": lambda values: _quoted(values.user_message),
    "userMessageJson": lambda values: encode(values.user_message),
    "thought": lambda values: _quoted(values.thought),
    "toolId": lambda values: _quoted(values.tool_id),
    "toolName": lambda values: _quoted(values.tool_name),
    "toolNameJson": lambda values: encode(values.tool_name),
    "agentId": lambda values: _quoted(values.agent_id),
    "conversationId": lambda values: _quoted(values.conversation_id),
    "inputJson": lambda values: encode({} if values.input is None else values.input),
    "texts": lambda values: encode(values.texts),
    "requestJson": lambda values: values.request,
}


class Template:
    """A request body's fixed parts and placeholders in turn. Raises ``ConfigError`` for what cannot become JSON."""

    def __init__(self, text: str):
        names = _PLACEHOLDER.findall(text)
        unknown = [name for name in names if name not in FILLERS]
        if unknown:
            expected = ", ".join(f"${{{name}}}" for name in FILLERS)
            raise ConfigError(
                f"requestTemplate: unknown placeholder '${{{name}}}'; expected one of {expected}" for name in unknown
            )
        fixed = [part.encode() for part in _PLACEHOLDER.split(text)[::2]]
        self._first, self._rest = fixed[0], tuple(zip((FILLERS[name] for name in names), fixed[1:], strict=True))
        self._reads = frozenset(names)
        for sample in _SAMPLES:
            self._check(_sample_values(sample))

    def _check(self, values: Values) -> None:
        filled = self.fill(values)
        try:
            msgspec.json.decode(filled)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(
                [
                    f"requestTemplate: is no valid JSON once filled with sample values: {error}. Text placeholders "
                    "(${userMessage}, ${toolName}, ...) stand inside quotes; ${...Json}, ${texts} and ${requestJson} outside"
                ]
            ) from None

    def fill(self, values: Values) -> bytes:
        """The body for ``values``."""
        parts = [self._first]
        for filler, fixed in self._rest:
            parts += filler(values), fixed
        return b"".join(parts)

    def render(self, context: Context, sources: frozenset[Source] | None) -> bytes:
        """The body for a request; ``sources`` are those whose texts are sent, all when ``None``."""
        texts = _texts(context, sources) if "texts" in self._reads else []
        forwarded = _forwarded(context) if "requestJson" in self._reads else b"{}"
        return self.fill(_values(context.request, texts, forwarded))


def _sample_values(sample: str) -> Values:
    nested = {sample or "key": [sample, 1, None]}
    return Values(sample, sample, sample, sample, sample, sample, nested, [sample], encode(nested))


def _values(request: AnalyzeRequest, texts: list[str], forwarded: bytes) -> Values:
    who = identity(request)
    return Values(
        user_message=_text(request.plannerContext.userMessage),
        thought=_text(request.plannerContext.thought),
        tool_id=request.tool_id,
        tool_name=request.tool_name,
        agent_id=who.agent_id or "",
        conversation_id=who.conversation_id or "",
        input=request.inputValues,
        texts=texts,
        request=forwarded,
    )


def _text(value: Any) -> str:
    """A string as it is, nothing as the empty text, any other JSON (an adaptive card) as its JSON text."""
    if isinstance(value, str):
        return value
    return "" if value is None else encode(value).decode()


def _texts(context: Context, sources: frozenset[Source] | None) -> list[str]:
    segments = context.scanned.inspection.segments
    return [segment.text for segment in segments if segment.text and (sources is None or segment.source in sources)]


def _forwarded(context: Context) -> bytes:
    """The request as it was received, with members that Sentra does not know; else what it understood of it.

    A body that strict JSON readers refuse (escapes of lone surrogates, a byte order mark, endless nesting) is written anew.
    """
    if context.body:
        try:
            return encode(msgspec.json.decode(context.body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return encode(_known(context.request))


def _known(request: AnalyzeRequest) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(request)
    for part in ("plannerContext", "toolDefinition"):
        document[part] = {key: value for key, value in document[part].items() if value is not None}
    return {key: value for key, value in document.items() if value is not None}
