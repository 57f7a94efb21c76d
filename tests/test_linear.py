"""Patterns without the Python layer of their package: the same answers as with it."""

import re2
from hypothesis import given
from hypothesis import strategies as st

from sentra.linear import Pattern

PATTERNS = (rb"a+", rb"(?P<value>b)|c(d)?", rb"\bab\b", rb"(?i)x[^.]{0,3}y", rb"(a)(?P<later>b?)c")
ALPHABET = st.sampled_from([*"abcdxyXY. \n", "\x00", "é"])


@given(st.sampled_from(PATTERNS), st.text(ALPHABET, max_size=40), st.integers(0, 45), st.integers(0, 45) | st.none())
def test_the_same_is_found_as_by_the_package(pattern: bytes, text: str, low: int, high: int | None) -> None:
    ours, theirs, raw = Pattern(pattern, re2.Options()), re2.compile(pattern), text.encode()
    assert ours.groupindex == theirs.groupindex
    end = len(raw) if high is None else min(high, len(raw))
    expected = list(theirs.finditer(raw, low, end)) if low <= end else []
    assert [match.spans for match in ours.finditer(raw, low, high)] == [
        [match.span(group) for group in range(theirs.groups + 1)] for match in expected
    ]
    first = ours.search(raw, low, high)
    assert (first and (first.start(), first.end())) == (expected[0].span() if expected else None)
    assert ours.fullmatch(raw) == (theirs.fullmatch(raw) is not None)
