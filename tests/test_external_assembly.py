"""From ``externalHttp`` in the configuration to verdicts of the real service; what is wrong is told, all at once."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sentra.assembly import Assembly, assemble
from sentra.config import load_settings
from sentra.errors import ConfigError
from tests import external
from tests.conftest import CACHE, Server, eventually, request_with, running

GOOD: dict[str, Any] = {"name": "external_a", "url": "https://policy.example/", "failOpen": True}
KEY = "AKIA" + "Q5RT2YWXK3LM7PNB"


def assembled(folder: Path, config: Any, plugins: str = "external_a", **settings: str) -> Assembly:
    (folder / "config.json").write_bytes(msgspec.json.encode(config))
    environ = {
        "SENTRA_PLUGIN_CONFIG": str(folder / "config.json"),
        "SENTRA_CACHE_DIR": CACHE,
        "SENTRA_PLUGINS": plugins,
    }
    return assemble(load_settings(environ | settings)[0])


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


MISTAKES: list[tuple[Any, str, str]] = [
    ({}, "external_a", "'external_a' has no definition of that name"),
    ({"externalHttp": [GOOD]}, "external_b", "'external_b' has no definition"),
    ({"externalHttp": [GOOD, GOOD]}, "external_a", "'external_a' is defined 2 times"),
    (
        {"externalHttp": [without("failOpen")]},
        "external_a",
        r"missing required field `failOpen` - at `\$.externalHttp\[0\]`",
    ),
    ({"externalHttp": [without("name")]}, "external_a", "missing required field `name`"),
    ({"externalHttp": [without("url")]}, "external_a", "missing required field `url`"),
    ({"externalHttp": [GOOD, GOOD | {"name": "presidio"}]}, "pii", r"externalHttp\[1\].name"),
    ({"externalHttp": [GOOD | {"name": "external_"}]}, "pii", r"externalHttp\[0\].name"),
    ({"externalHttp": [GOOD | {"failOpen": "yes"}]}, "external_a", "Expected `bool`"),
    ({"externalHttp": [GOOD | {"timeoutMs": 0}]}, "external_a", "timeoutMs"),
    ({"externalHttp": [GOOD | {"timeoutms": 5}]}, "external_a", "unknown field `timeoutms`"),
    ({"externalHttp": [GOOD | {"method": "GET"}]}, "external_a", "method"),
    ({"externalHttp": [GOOD | {"cache": {}}]}, "external_a", "seconds"),
    ({"externalHttp": [GOOD | {"sources": ["mail"]}]}, "external_a", "sources"),
    ({"externalHttp": [GOOD | {"when": {"sources": []}}]}, "external_a", "sources"),
    (
        {"externalHttp": [GOOD | {"url": "http://policy.example/"}]},
        "external_a",
        "externalHttp external_a: url: http to",
    ),
    ({"externalHttp": [GOOD | {"requestTemplate": "${input}"}]}, "external_a", "requestTemplate: unknown placeholder"),
    ({"externalHttp": [GOOD | {"requestTemplate": "{"}]}, "pii", "externalHttp external_a: requestTemplate"),
    ({"externalHttp": [GOOD | {"blockField": "x"}]}, "external_a", "blockField: 'x'"),
    ({"externalHttp": [GOOD | {"bearerTokenEnv": "NOT_SET_HERE"}]}, "external_a", "NOT_SET_HERE is not set"),
    (
        {"externalHttp": [GOOD | {"bearerTokenFile": "/nowhere"}]},
        "external_a",
        "bearerTokenFile: /nowhere: cannot be read",
    ),
    ({"externalHttp": [GOOD | {"tls": {"ca": "/nowhere"}}]}, "external_a", "tls: /nowhere: is no file"),
    (
        {"externalHttp": [GOOD | {"when": {"findings": ["pii.*"]}}]},
        "external_a,pii",
        "matches no rule of a plugin before",
    ),
    ({"externalHttp": [GOOD | {"when": {"findings": ["pii.nope"]}}]}, "pii,external_a", "matches no rule"),
    ({"externalConcurrency": 0}, "pii", "externalConcurrency"),
]


@pytest.mark.parametrize(("config", "plugins", "message"), MISTAKES, ids=[message for _, _, message in MISTAKES])
def test_a_mistake_is_refused_at_the_start(tmp_path: Path, config: Any, plugins: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        assembled(tmp_path, config, plugins)


def test_all_mistakes_of_all_definitions_are_told_together(tmp_path: Path) -> None:
    config = {
        "externalHttp": [
            GOOD | {"url": "http://policy.example/", "blockField": "x", "requestTemplate": "{"},
            GOOD | {"name": "external_b", "headers": {"Host\n": "x"}},
        ]
    }
    with pytest.raises(ConfigError) as caught:
        assembled(tmp_path, config, "external_a,external_b,external_c")
    told = str(caught.value)
    for fact in ("url: http to", "blockField: 'x'", "requestTemplate", "external_b: headers", "'external_c' has no"):
        assert fact in told


def test_no_mistake_shows_the_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        assembled(tmp_path, {"externalHttp": [GOOD | {"bearerToken": "hid\nden", "bearerTokenEnv": "X"}]})
    assert "den" not in str(caught.value)


def test_what_is_unused_or_cannot_happen_is_warned_of(tmp_path: Path) -> None:
    config = {"externalHttp": [GOOD | {"timeoutMs": 5000}, GOOD | {"name": "external_b"}]}
    warnings = "\n".join(assembled(tmp_path, config).warnings)
    assert "external_b: is not named in SENTRA_PLUGINS" in warnings
    assert "external_a: timeoutMs 5000 is longer than the whole budget" in warnings


def test_the_token_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLICY_TOKEN", "from-the-environment")
    heads: list[str] = []

    async def scenario() -> None:
        async with external.service(external.replies()) as policy:
            config = {"externalHttp": [GOOD | {"url": policy.url(), "bearerTokenEnv": "POLICY_TOKEN"}]}
            pipeline = assembled(tmp_path, config).pipeline
            await external.decide(pipeline)
            await pipeline.stop()
            heads.append(policy.calls[0].headers["authorization"])

    external.run(scenario())
    assert heads == ["Bearer from-the-environment"]


def test_a_condition_on_a_finding_that_does_not_block_is_met(tmp_path: Path) -> None:
    async def scenario() -> list[int]:
        async with external.service(external.replies()) as policy:
            when = {"findings": ["pii.*"]}
            definition = GOOD | {"url": policy.url(), "when": when}
            config = {"externalHttp": [definition], "pii": {"min_count": {"pii.credit-card": 5}}}
            pipeline = assembled(tmp_path, config, "pii,external_a").pipeline
            counts = []
            for text in ("nothing to see", "card number 4012 8888 8888 1881"):
                before = len(policy.calls)
                decision = await external.decide(pipeline, request_with(text))
                assert not decision.blocked
                counts.append(len(policy.calls) - before)
            await pipeline.stop()
            return counts

    assert external.run(scenario()) == [0, 1]


@pytest.fixture(scope="module")
def hostile() -> Iterator[int]:
    with external.hostile_process() as port:
        yield port


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory, hostile: int) -> Iterator[Server]:
    """The real service in front of one that hangs, one that sends pages, and one that is down."""
    base = f"http://127.0.0.1:{hostile}"
    common = {"failOpen": False, "timeoutMs": 100, "breaker": False, "maxConcurrency": 64}
    config = {
        "externalHttp": [
            {"name": "external_hang", "url": f"{base}/hang", "when": {"tools": ["Hang"]}} | common,
            {"name": "external_html", "url": f"{base}/html", "when": {"tools": ["Html"]}} | common | {"failOpen": True},
            {"name": "external_down", "url": f"{base}/reset", "when": {"tools": ["Down"]}}
            | common
            | {"reasonCode": 877},
        ]
    }
    plugins = "secrets,external_hang,external_html,external_down"
    with running(tmp_path_factory.mktemp("asking"), config, SENTRA_PLUGINS=plugins) as started:
        yield started


def tool(name: str, text: str = "hello") -> dict[str, Any]:
    return request_with(text, toolDefinition={"id": name, "name": name})


def test_the_service_answers_as_the_definitions_say(asking: Server) -> None:
    assert asking.verdict(tool("Other")) == (False, None, None)
    assert asking.verdict(tool("Hang")) == (True, 801, "external_hang")
    assert asking.verdict(tool("Html")) == (False, None, None)
    assert asking.verdict(tool("Down")) == (True, 877, "external_down")
    assert asking.verdict(tool("Hang", KEY)) == (True, 201, "secrets")


def test_errors_are_in_health_metrics_and_telemetry(asking: Server) -> None:
    for name in ("Hang", "Html", "Down"):
        asking.verdict(tool(name))
    eventually(
        lambda: {"external_hang: timeout", "external_html: html", "external_down: disconnected"} <= errors(asking)
    )
    metrics = asking.client.get("/metrics").text
    assert 'sentra_external_calls_total{outcome="timeout",plugin="external_hang"}' in metrics
    assert 'sentra_external_breakers_open{plugin="external_down"} 0.0' in metrics
    health = asking.client.get("/healthz").json()["external"]
    assert set(health) == {"external_hang", "external_html", "external_down"}
    assert set(health["external_hang"]) == {"breaker", "inFlight", "calls", "lastError"}


def errors(server: Server) -> set[str]:
    return {error for line in server.telemetry for error in line.get("errors", ())}


def test_64_callers_of_a_hanging_service_do_not_slow_other_requests(asking: Server) -> None:
    body = msgspec.json.encode(tool("Hang"))
    with ThreadPoolExecutor(64) as callers:
        hanging = [callers.submit(asking.analyze, body, timeout=20) for _ in range(128)]
        times = []
        for _ in range(20):
            started = time.monotonic()
            assert asking.verdict(tool("Other"))[0] is False
            times.append(time.monotonic() - started)
        answers = [call.result().json() for call in hanging]
    assert {answer["blockedBy"] for answer in answers} == {"external_hang"}
    assert sorted(times)[10] < 0.3


def test_one_sentra_asks_another_and_blames_as_it_does(tmp_path: Path, asking: Server) -> None:
    headers = {"Authorization": "Bearer any"}
    chain = {"name": "external_peer", "url": asking.url, "preset": "provider", "failOpen": True, "headers": headers}
    (tmp_path / "front").mkdir()
    config = {"externalHttp": [chain | {"timeoutMs": 800}]}
    with running(tmp_path / "front", config, SENTRA_PLUGINS="external_peer") as front:
        assert front.verdict(request_with("hello")) == (False, None, None)
        assert front.verdict(request_with(KEY)) == (True, 201, "external_peer")
