"""The secrets pack on generated texts: what it must find, and what must stay silent."""

from collections import Counter

import pytest

from sentra import ruleset
from sentra.cases import Bench
from sentra.inspection import Inspection, Segment
from tests.conftest import CACHE
from tests.corpora import secrets, secrets_benign

SAMPLES = 1_600
LEAST_RECALL = 0.97
LEAST_RECALL_OF_A_KIND = 0.75


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(ruleset.shipped("secrets"), CACHE)


def rules_fired(bench: Bench, text: str) -> list[str]:
    inspection = Inspection([Segment("user_message", (None, "userMessage"), text)])
    return [finding.rule_id for finding in bench.scanner.scan(inspection).findings("secrets")]


def test_generated_secrets_are_found(bench: Bench) -> None:
    total: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for sample in secrets.samples(seed=20_250_301, count=SAMPLES):
        total[sample.kind] += 1
        missed[sample.kind] += not rules_fired(bench, sample.text)
    assert 1 - missed.total() / SAMPLES >= LEAST_RECALL
    assert {kind for kind in total if 1 - missed[kind] / total[kind] < LEAST_RECALL_OF_A_KIND} == set()


def test_generated_texts_without_secrets_stay_silent(bench: Bench) -> None:
    fired: Counter[str] = Counter()
    for text in secrets_benign.texts(seed=20_250_302, count=SAMPLES):
        fired.update(rules_fired(bench, text))
    assert fired == Counter()


def test_the_corpora_are_deterministic() -> None:
    assert list(secrets.samples(5, 40)) == list(secrets.samples(5, 40))
    assert list(secrets_benign.texts(5, 40)) == list(secrets_benign.texts(5, 40))


def test_every_kind_of_the_corpus_is_drawn() -> None:
    kinds = {sample.kind for sample in secrets.samples(seed=1, count=SAMPLES)}
    assert kinds == {*secrets.SHAPES, *secrets.NAMED, *secrets.MADE}
