"""The lexicon against a plain sum over features, its file, and texts that it was not learned from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sentra import lexicon
from sentra.assembly import assemble
from sentra.config import Settings
from sentra.errors import ConfigError
from sentra.lexicon import Lexicon, Passage, apart, arrays
from sentra.lexicon.words import CODES, LETTERS, WORDS, passages, words

HELD = Path(__file__).parent / "corpora" / "wording" / "held.jsonl"
SOURCES = {"user": (1 << 30, 1 << 30), "tool_description": (-1, 0)}
DATA = (-1, 1 << 30)
WEIGHTS = {
    "send": [1.0, 0.5, -0.5],
    "all": [0.25, 0.25, 0.25],
    "send all": [2.0, 1.0, 0.0],
    "send * mails": [0.5, 0.0, 3.0],
    ". send": [0.75, 0.75, 0.75],
    "instruct": [-1.0, 2.0, 1.0],
    "mails .": [0.75, 1.5, -0.25],
}
TEXTS = st.text(
    st.sampled_from("senda lmi.!?;\n'\u00e9\u4e2d\u201d\u00bb8_") | st.characters(codec="utf-8"), max_size=80
) | st.lists(
    st.sampled_from(["send", "all", "mails", "instructions", "and", ".", "!", "\n", "Send", "a"]), max_size=60
).map(" ".join)


def scores(text: str, column: int, bias: float) -> list[float]:
    """What each passage of ``text`` scores, the plain way."""
    found = words(text.encode())
    worth = []
    for place, word in enumerate(found):
        features = [word, f"{found[place - 1]} {word}"] if place else []
        features += [f"{found[place - 2]} * {word}"] if place > 1 else []
        worth.append(sum(WEIGHTS[feature][column] for feature in features if feature in WEIGHTS))
    stops = [place for place, word in enumerate(found) if word == "."]
    bounds = arrays.bounds_of(arrays.np.array(stops, arrays.np.int64), len(found)).tolist()
    return [bias + sum(worth[low:high]) for low, high in passages(bounds)]


@settings(max_examples=300, deadline=None)
@given(TEXTS.filter(lambda text: "\0" not in text and ". " not in text[:2]), st.sampled_from([0, 1, 2]))
def test_scores_are_the_sums_of_the_features(text: str, column: int) -> None:
    turns = (DATA, SOURCES["user"], SOURCES["tool_description"])[column]
    best = max(scores("x " + text, column, -1.0))
    found = Lexicon(WEIGHTS, -1.0).passages(b"x " + text.encode(), turns, -50)
    assert max(passage.score for passage in found) == pytest.approx(best, abs=1e-6)


@pytest.mark.skipif(not lexicon.is_compiled(), reason="needs sentra.lexicon.compiled: a C compiler at the installation")
@settings(max_examples=600, deadline=None)
@given(
    st.lists(TEXTS, max_size=5), st.integers(0, 2), st.integers(-1, 200), st.integers(1, 200), st.integers(-1200, 100)
)
def test_machine_code_and_arrays_find_the_same(texts: list[str], cut: int, user: int, data: int, enough: int) -> None:
    from sentra.lexicon import compiled

    buffer = "\n\0\n".join(texts).encode("utf-8", "replace")[cut:]
    table = lexicon.shipped("exfil", "orders")._table
    assume(buffer)
    found = compiled.weigh(buffer, CODES, table, user, user + data, enough)
    assert found == arrays.weigh(buffer, CODES, table, user, user + data, enough)


def test_without_machine_code_arrays_are_used_and_the_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "find_spec", lambda name: None)
    assert lexicon._weigh.__wrapped__() is arrays.weigh
    assert any("lexicon" in warning for warning in assemble(Settings()).warnings)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, max_size=5))
def test_passages_are_places_in_one_text(texts: list[str]) -> None:
    texts = [text.replace("\0", "") for text in texts]
    buffer = b"\n\0\n".join(text.encode() for text in texts)
    for passage in Lexicon(WEIGHTS, 0.0).passages(buffer, DATA, -50):
        assert 0 <= passage.start <= passage.end <= len(buffer) + 1
        assert b"\n\0\n" not in buffer[passage.start : passage.end].strip(b"\n\0")


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.lists(TEXTS, max_size=3), st.lists(TEXTS, max_size=3))
def test_a_text_scores_the_same_beside_others(text: str, before: list[str], after: list[str]) -> None:
    alone, *others = (part.replace("\0", "").encode() for part in (text, *before, *after))
    buffer = b"\n\0\n".join([*others[: len(before)], alone, *others[len(before) :]])
    low = sum(len(part) + 3 for part in others[: len(before)])
    judge = Lexicon(WEIGHTS, 0.0)
    inside = [p for p in judge.passages(buffer, DATA, 0.1) if low <= p.start < low + len(alone)]
    wanted = [p for p in judge.passages(alone, DATA, 0.1) if p.start < len(alone)]
    assert {(p.score, p.start - low) for p in inside} == {(p.score, p.start) for p in wanted}


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=3, max_size=3), st.integers(0, 2))
def test_each_speaker_is_judged_by_the_weights_of_its_own(texts: list[str], column: int) -> None:
    user, data, description = (("x " + part).replace("\0", "").encode() for part in texts)
    buffer = b"\n\0\n".join((user, data, description))
    turns = (len(user), len(buffer) - len(description))
    low = (0, len(user) + 3, turns[1])[column]
    text = (user, data, description)[column]
    kinds = (SOURCES["user"], DATA, SOURCES["tool_description"])
    inside = [p for p in Lexicon(WEIGHTS, 0.0).passages(buffer, turns, 0.1) if low <= p.start < low + len(text)]
    alone = [p for p in Lexicon(WEIGHTS, 0.0).passages(text, kinds[column], 0.1) if p.start < len(text)]
    assert {(p.score, p.start - low) for p in inside} == {(p.score, p.start) for p in alone}


def test_the_same_text_said_twice_is_not_one_passage() -> None:
    once = Lexicon(WEIGHTS, 0.0).passages(b"send all mails", DATA, 0.1)
    twice = Lexicon(WEIGHTS, 0.0).passages(b"send all mails\n\0\nsend all mails", DATA, 0.1)
    assert max(p.score for p in once) == max(p.score for p in twice)


@pytest.mark.parametrize("text", ["", " ", ".", "a", "\n\0\n", "...", "\u4e2d\u6587"])
def test_texts_of_next_to_nothing_score_what_nothing_does(text: str) -> None:
    assert all(passage.score == -3.0 for passage in Lexicon(WEIGHTS, -3.0).passages(text.encode(), DATA, -9))


def test_only_the_first_letters_of_a_word_count() -> None:
    assert words(b"Instructions, instructed!") == [".", "instruct", "instruct", "."]
    assert max(map(len, words(b"x" * 99))) == LETTERS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u201cSend\u201d \u2013 n\u00e3o\u00a0envia\u2026", ["send", "n\u00e3o", "envia"]),
        ("a\u0436b\u4e2dc\U0001f600d", ["a", "b", "c", "d"]),
        ("v1.2 of a.b", ["v", "of", "a", "b"]),
        ("end. Next ... a! .b", ["end", ".", "next", ".", "a", ".", "b"]),
        ("\n\n a\0b \n", ["a", ".", "b"]),
    ],
)
def test_words_are_runs_of_letters_and_ends_of_sentences(text: str, expected: list[str]) -> None:
    assert words(text.encode()) == [".", *expected, "."]


def test_a_sentence_without_an_end_is_cut() -> None:
    text = b"and " * 10 * WORDS + b"send all mails" + b" and" * 10 * WORDS
    found = apart(Lexicon(WEIGHTS, 0.0).passages(text, DATA, 1.0))
    assert found
    assert all(passage.end - passage.start < 5 * WORDS for passage in found)


def test_of_passages_that_overlap_the_best_is_left() -> None:
    low, high, other = Passage(1, 0, 10), Passage(2, 5, 12), Passage(1, 12, 20)
    assert apart([other, low, high]) == [high, other]


def test_a_line_that_says_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "rules" / "exfil"
    folder.mkdir(parents=True)
    (folder / "broken.tsv").write_text("\t0\t0\t0\nsend\t1\t2\n")
    monkeypatch.setattr(lexicon, "files", lambda package: tmp_path)
    with pytest.raises(ConfigError, match=r"exfil/broken.tsv, line 2: 'send\\t1\\t2'; expected a feature"):
        lexicon.shipped("exfil", "broken")


def test_texts_it_was_not_learned_from() -> None:
    orders, least = lexicon.shipped("exfil", "orders"), 2.5
    rows = [json.loads(line) for line in HELD.read_text("utf-8").splitlines()]
    caught = dict.fromkeys((0, 1), 0)
    for row in rows:
        text = row["text"].replace(".example", ".com").encode()
        caught[row["label"]] += bool(orders.passages(text, SOURCES.get(row["source"], DATA), least))
    total = sum(row["label"] for row in rows)
    assert caught[1] / total > 0.65
    assert caught[0] / (len(rows) - total) < 0.015


def test_numpy_starts_no_threads() -> None:
    script = "import os, sentra.lexicon.arrays; print(len(os.listdir('/proc/self/task')))"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    assert subprocess.check_output([sys.executable, "-c", script], env=environment) == b"1\n"
