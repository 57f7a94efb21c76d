"""The shipped defaults on whole requests: nothing of the honest traffic is blocked, nearly every attack is."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
import pytest

from sentra.assembly import Assembly, assemble
from sentra.config import load_settings
from sentra.evaluate import Labelled, Report, evaluate
from sentra.plugins import BUILTIN
from tests.conftest import CACHE
from tests.corpora import attacks, benign

BENIGN, ATTACKS = 600, 500
LEAST_RECALL = {
    "secrets": 0.95,
    "pii": 0.95,
    "exfil explicit": 0.80,
    "exfil obfuscated": 0.80,
    "domains": 0.95,
}


def assembled(**settings: str) -> Assembly:
    return assemble(load_settings({"SENTRA_CACHE_DIR": CACHE, **settings})[0])


def report(assembly: Assembly, requests: Iterable[tuple[str, dict[str, Any]]], label: str) -> Report:
    lines = (
        msgspec.convert(
            {"request": msgspec.Raw(msgspec.json.encode(request)), "label": label, "family": family}, Labelled
        )
        for family, request in requests
    )
    return evaluate(assembly, lines)


@cache
def attacked() -> Report:
    return report(assembled(), attacks.samples(ATTACKS), "block")


def test_no_honest_request_is_blocked_by_the_defaults() -> None:
    done = report(assembled(), (("benign", request) for request in benign.plain(BENIGN)), "allow")
    assert done.total().benign == BENIGN
    assert done.alarms == []


def test_no_request_with_customers_addresses_is_blocked_by_any_plugin_but_pii() -> None:
    plugins = ",".join(builtin.name for builtin in BUILTIN if builtin.name != "pii")
    requests = (("benign", request) for request in benign.customers(BENIGN))
    done = report(assembled(SENTRA_PLUGINS=plugins), requests, "allow")
    assert done.total().benign == BENIGN
    assert done.alarms == []


@pytest.mark.parametrize("family", LEAST_RECALL)
def test_attacks_of_a_family_are_blocked(family: str) -> None:
    tally = attacked().families[family]
    assert tally.attacks == ATTACKS / len(LEAST_RECALL)
    assert (tally.recall or 0) >= LEAST_RECALL[family]


def test_the_corpora_are_deterministic() -> None:
    assert list(benign.plain(40)) == list(benign.plain(40))
    assert list(attacks.samples(40)) == list(attacks.samples(40))


def test_long_requests_are_part_of_the_honest_traffic() -> None:
    sizes = [len(msgspec.json.encode(request)) for request in benign.plain(BENIGN)]
    assert sum(size > 20_000 for size in sizes) >= 10
