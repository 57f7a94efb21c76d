"""Sends every case through the pipeline in this process and compares the answer: a wrong answer is not timed."""

from collections.abc import Iterable, Iterator
from functools import cache

import msgspec

from bench.requests import Case
from bench.setup import assembled
from sentra import wire
from sentra.assembly import Assembly
from sentra.config import Settings
from sentra.errors import RequestError
from sentra.limits import check_shape

NEVER = float("inf")
SETTINGS = Settings()


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a request: ``allow``, ``block`` with its reason code, or ``error`` with its error code."""

    answer: str
    reasonCode: int | None = None
    errorCode: int | None = None
    rule: str = ""

    def __str__(self) -> str:
        code = self.reasonCode if self.reasonCode is not None else self.errorCode
        return " ".join([self.answer, *([str(code)] if code is not None else []), *([self.rule] if self.rule else [])])


def answer_of(assembly: Assembly, body: bytes) -> Answer:
    """The answer to ``body``, however long it takes."""
    try:
        request = wire.decode_request(body)
        check_shape(request, body, SETTINGS)
    except RequestError as error:
        return Answer("error", errorCode=error.code)
    decision, _ = assembly.pipeline.decide(request, NEVER)
    if not decision.blocked or decision.verdict is None:
        return Answer("allow")
    return Answer("block", reasonCode=decision.verdict.reason_code, rule=decision.verdict.rule_id or "")


def problem(case: Case, got: Answer) -> str:
    """How ``got`` differs from what ``case`` expects; empty when it does not."""
    wanted = case.definition
    expected = Answer(wanted.answer, wanted.reasonCode, wanted.errorCode)
    code = got.reasonCode if wanted.reasonCode is not None else None
    right = Answer(got.answer, code, got.errorCode) == expected or (wanted.capped and got.answer == "block")
    return "" if right else f"{case.name}: expected {expected}, got {got}"


@cache
def _assembly(literals: int, patterns: int) -> Assembly:
    return assembled(literals, patterns)


def wrong_answers(cases: Iterable[Case]) -> Iterator[str]:
    """For each case what is wrong with its answer, or an empty string."""
    for case in cases:
        assembly = _assembly(case.definition.literals, case.definition.patterns)
        yield problem(case, answer_of(assembly, case.body()))
