"""The fuzz targets in the ordinary run: the kept corpus, every past finding, and that a broken promise is noticed."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from sentra import entra, masking, wire
from sentra.metrics import Metrics
from sentra.pipeline import Pipeline
from sentra.scanner import Scanner
from tests.conftest import request_with
from tests.fuzz import corpus, judging, mutation, samples, scanning
from tests.fuzz.__main__ import fuzz
from tests.fuzz.findings import FINDINGS, Past
from tests.fuzz.service import recording
from tests.fuzz.target import Broken, Target
from tests.fuzz.targets import TARGETS

SECRET = "AKIA" + "Q5RT2YWXK3LM7PNB"
LEAST_KEPT = {
    "request": 200,
    "records": 200,
    "repeated": 20,
    "call": 20,
    "text": 200,
    "config": 20,
    "token": 20,
    "keys": 5,
    "forward": 10,
    "reply": 10,
}


@pytest.mark.parametrize("name", TARGETS)
def test_the_kept_inputs_break_no_promise(name: str) -> None:
    kept = corpus.load(name)
    assert len(kept) >= LEAST_KEPT[name]
    for data in kept:
        try:
            TARGETS[name].check(data)
        except Exception as error:
            pytest.fail(f"{corpus.file_name(data)}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("past", FINDINGS, ids=lambda past: past.name)
def test_what_broke_once_holds(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "SHARE", 1)
    TARGETS[past.target].check(past.data)


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_small(name: str) -> None:
    kept = corpus.load(name)
    assert len(kept) <= TARGETS[name].kept
    assert sum(map(len, kept)) <= corpus.MAX_BYTES
    assert all(len(data) <= TARGETS[name].most for data in kept)


def fail(*arguments: Any) -> Any:
    raise ValueError


BLOCKED = msgspec.json.encode(request_with(inputValues={SECRET: [SECRET]}))
SIGNED = {"header": {"alg": "RS256", "kid": "key-1"}, "claims": {}}
BREAKS: list[tuple[str, object, str, Callable[..., Any], bytes]] = [
    ("request", wire, "decode_request", fail, BLOCKED),
    ("request", wire, "_decode_lenient", lambda body: wire._decode(b"{}"), BLOCKED),
    ("request", Pipeline, "masked", lambda self, text, source, context: text, BLOCKED),
    ("records", masking.Masker, "text", lambda self, text: text, BLOCKED),
    ("records", masking.Masker, "tree", lambda self, root: root, BLOCKED),
    ("call", wire, "decode_request", fail, next(iter(TARGETS["call"].seeds()))),
    ("text", Scanner, "candidates", lambda self, buffer: [], b"\0" + SECRET.encode()),
    ("token", entra, "check_signature", lambda token, key: None, next(d for d in TARGETS["token"].seeds() if b"other" in d)),
    ("token", entra.Policy, "objections", lambda self, claims, now: iter(()), next(d for d in TARGETS["token"].seeds() if b'"aud": "x"' in d)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "owner", "attribute", "instead", "data"), BREAKS, ids=[f"{b[0]} {b[2]}" for b in BREAKS]
)
def test_a_broken_promise_is_noticed(
    name: str, owner: object, attribute: str, instead: Any, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "SHARE", 1)
    TARGETS[name].check(data)
    monkeypatch.setattr(owner, attribute, instead)
    with pytest.raises(Broken):
        TARGETS[name].check(data)


def test_a_label_that_tells_a_value_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "METRICS_SHARE", 1)
    TARGETS["records"].check(BLOCKED)
    monkeypatch.setattr(Metrics, "decided", lambda self, *told: self._cell("sentra_errors_total", SECRET).inc())
    with pytest.raises(Broken, match="label"):
        TARGETS["records"].check(BLOCKED)
    recording().close()
    recording.cache_clear()


def same(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize("seed", range(200))
def test_a_mutated_request_is_mostly_still_a_request(seed: int) -> None:
    request = next(iter(samples.requests()))
    json.loads(mutation.document(request, Random(seed), same))


def test_mutations_reach_most_rules_in_a_short_time() -> None:
    random = Random(1)
    fired: set[str] = set()
    start = msgspec.json.encode(request_with("hello"))
    for _ in range(600):
        fired.update(TARGETS["request"].check(mutation.document(start, random, same)))
    assert len(fired) > 150


def parity(data: bytes) -> list[str]:
    if data == b"broken":
        raise Broken("told to")
    return [f"length {len(data) % 2}"]


def test_of_inputs_that_reach_the_same_the_shortest_is_kept() -> None:
    target = Target("parity", parity, lambda data, random, native: data, list, most=10)
    inputs = [b"aaaa", b"a", b"bb", b"ccc", b"broken", b"x" * 11]
    assert list(corpus.smallest(target, inputs)) == [b"a", b"bb"]


def test_kept_inputs_are_read_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    corpus.store("x", [b"", b"\x00\xff", SECRET.encode()])
    assert corpus.load("x") == [b"", b"\x00\xff", SECRET.encode()]
    assert SECRET not in (tmp_path / "x.txt").read_text()


def test_the_fuzzer_runs(tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("needs atheris, which is made for Linux on x86-64")
    outcome = fuzz(TARGETS["keys"], 3, tmp_path, keep=False)
    assert outcome.problems == []
    assert outcome.inputs >= 500


def test_the_fuzzer_tells_of_a_broken_promise(tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("needs atheris, which is made for Linux on x86-64")
    script = (
        "import sys, tests.fuzz.targets as t\n"
        "from tests.fuzz.target import Broken\n"
        "def check(data):\n"
        "    if len(data) > 3: raise Broken('too long')\n"
        "    return []\n"
        "t.TARGETS['keys'] = t.TARGETS['keys']._replace(check=check, seeds=lambda: [b'x'])\n"
        "sys.argv = ['child', 'keys', *sys.argv[1:]]\n"
        "import runpy; runpy.run_module('tests.fuzz.child', run_name='__main__')\n"
    )
    arguments = [str(tmp_path / "report"), str(tmp_path), "-max_total_time=20", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "too long" in done.stdout + done.stderr
    assert len(list(tmp_path.glob("crash-*"))) == 1
