"""All targets by name."""

from tests.fuzz import admission, judging, outside, scanning
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        judging.REQUEST,
        judging.RECORDS,
        judging.REPEATED,
        judging.CALL,
        scanning.TEXT,
        scanning.CONFIG,
        admission.TOKEN,
        admission.KEYS,
        outside.FORWARD,
        outside.REPLY,
    )
}
