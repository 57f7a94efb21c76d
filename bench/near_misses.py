"""The near misses of all shipped rules that no rule blocks: each starts candidates and none is a finding."""

from collections.abc import Iterator
from functools import cache

from bench.setup import assembled
from sentra import ruleset
from sentra.plugins import BUILTIN
from sentra.wire import AnalyzeRequest, PlannerContext, ToolDefinition

MOST_CHARS = 300


@cache
def near_misses() -> tuple[str, ...]:
    """Texts of at most 300 characters, in the order of the rules."""
    pipeline = assembled().pipeline
    return tuple(
        text for text in _texts() if not pipeline.all_findings(pipeline.decide(_request(text), float("inf"))[1])
    )


def _texts() -> Iterator[str]:
    for plugin in BUILTIN:
        for rule in ruleset.shipped(plugin.name).rules:
            for case in rule.case if rule.default else ():
                if not case.match and len(case.joined) <= MOST_CHARS:
                    yield case.joined


def _request(text: str) -> AnalyzeRequest:
    """A request that holds ``text`` where the benchmark puts it and where most rules read."""
    planner, tool = PlannerContext(userMessage=text), ToolDefinition(id="x.action.Do-Thing")
    return AnalyzeRequest(planner, tool, inputValues={"document": [text]})
