"""Inputs that broke a promise once, by target, each with what was wrong. They are replayed for ever."""

from typing import NamedTuple


class Past(NamedTuple):
    """One input that broke a promise."""

    target: str
    name: str
    data: bytes


FINDINGS: tuple[Past, ...] = (
    Past("repeated", "comments in a blind copy exhausted the address parser", b"\x02("),
    Past(
        "repeated", "groups in a blind copy exhausted it, and masking the block's path became a 500", b"\x02X: a63d19c3"
    ),
    Past("repeated", "every recipient of a long blind copy was parsed before the first stranger was told", b"\x02x,"),
)
