"""The engine keeps letters with a third case (s, k) to ASCII, and still finds the third case."""

import pytest

from sentra.engine import Database, plain_folding


@pytest.mark.parametrize(
    ("pattern", "plain"),
    [
        (r"(?i)ask", r"(?i)a(?-i:[sS])(?-i:[kK])"),
        (r"(*UTF8)(?i)Sé", r"(?i)(?-i:[sS])é"),
        (r"(?is)s+", r"(?is)(?-i:[sS])+"),
        (r"(?i)[sk]\s\S\Ws", r"(?i)[sk]\s\S\W(?-i:[sS])"),
        (r"(?i)(?P<sky>s)(?:k)", r"(?i)(?P<sky>(?-i:[sS]))(?:(?-i:[kK]))"),
        (r"(?i)\x{53}s[\]s]\\s", r"(?i)\x{53}(?-i:[sS])[\]s]\\(?-i:[sS])"),
        (r"(?i)\pSs", r"(?i)\pS(?-i:[sS])"),
        ("ask", "ask"),
        ("(?s)ask", "(?s)ask"),
        ("(?i)a(?-i:s)", "(?i)a(?-i:s)"),
        ("a(?i:s)", "a(?i:s)"),
    ],
)
def test_letters_with_a_third_case_are_kept_to_ascii(pattern: str, plain: str) -> None:
    assert plain_folding(pattern) == plain


@pytest.mark.parametrize("text", ["ÄSK", "äsk", "ä\u017fk", "Äs\u212a", "ä\u017f\u212a"])
def test_a_letter_in_its_third_case_still_fires(text: str) -> None:
    assert Database(["(?i)äsk", "nothing"]).scan(text.encode()) == [0]


def test_a_long_s_fires_what_looks_for_it() -> None:
    assert Database(["\u017f", "[^\\x00-\\x7f]"]).scan("le\u017fen".encode())
