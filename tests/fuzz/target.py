"""What a fuzz target is, and the limits that all of them share."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import NamedTuple

CPU_SECONDS = 1.5
"""Processor time that one input may take, instrumented; uninstrumented code takes about half of it."""

COST = "cost "
"""Marks that begin so guide the fuzzer to what takes long; they say nothing of what an input reaches."""

Native = Callable[[bytes], bytes]
"""The fuzzer's own mutation of bytes, which knows what the code compared them with."""


class Broken(AssertionError):
    """A promise that an input broke. The message says which, without the input."""


class Target(NamedTuple):
    """``check`` raises for an input that breaks a promise, and returns marks: words for what native code found in it.

    ``mutate`` makes another input with structure, ``seeds`` are where it starts, ``most`` is the longest input in bytes,
    ``kept`` how many are kept in the corpus.
    """

    name: str
    check: Callable[[bytes], Iterable[str]]
    mutate: Callable[[bytes, Random, Native], bytes]
    seeds: Callable[[], Iterable[bytes]]
    most: int = 8_192
    kept: int = 400


def demand(holds: object, promise: str) -> None:
    """Raise ``Broken`` unless ``holds``."""
    if not holds:
        raise Broken(promise)


@contextmanager
def within(seconds: float = CPU_SECONDS) -> Iterator[None]:
    """Raise ``Broken`` when the block takes more than ``seconds`` of this thread's processor time."""
    before = time.thread_time()
    yield
    spent = time.thread_time() - before
    demand(spent <= seconds, f"took {spent:.2f} s of processor time, more than {seconds:g} s")
