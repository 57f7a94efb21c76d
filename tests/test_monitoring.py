"""The dashboard and the alert rules: they ask for metrics that exist, and a real Prometheus answers with what was sent."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml

from sentra.metrics import DEFINITIONS
from tests.conftest import BEARER, Server, eventually, free_port, request_with, running

MONITORING = Path(__file__).parent.parent / "examples" / "monitoring"
DASHBOARD: dict[str, Any] = msgspec.json.decode((MONITORING / "dashboard.json").read_bytes())
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
RULE_TESTS: list[dict[str, Any]] = yaml.safe_load((MONITORING / "alerts-test.yaml").read_text())["tests"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    (f"{panel['title']}: {target['legendFormat']}", target["expr"]) for panel in PANELS for target in panel["targets"]
]
QUERIES += [(note["name"], note["expr"]) for note in DASHBOARD["annotations"]["list"]]
EXPRESSIONS = [*QUERIES, *((rule.get("alert") or rule["record"], rule["expr"]) for rule in RULES)]
SAMPLES = {
    definition.name + suffix: definition.labels
    for definition in DEFINITIONS
    for suffix in (("_bucket", "_sum", "_count") if definition.type == "histogram" else ("",))
}
SCRAPED = {"job", "instance", "le"}
NOT_WATCHED = {"sentra_start_time_seconds"}  # the dashboard has the uptime
EMPTY = {  # without audit mode, reloads, requests over a limit, outside services and Entra ID
    "Age of signing keys: {{instance}}",
    "Over a limit: {{limit}}: {{answer}}",
    "Withheld blocks by rule: ",
    "Blocks by plugin: - {{plugin}}",
    "Configuration changes",
    "Calls: {{plugin}} {{outcome}}",
    "Calls under way: {{plugin}}",
    "Open breakers: {{plugin}}",
}
SECRET = "AKIA" + "Q5RT2YWXK3LM7PNB"


def asked(expression: str) -> set[str]:
    """The names of our metrics in an expression, recorded ones left out."""
    for name in RECORDED:
        expression = expression.replace(name, "")
    return set(re.findall(r"\bsentra_\w+", expression))


def filled(expression: str) -> str:
    """A dashboard's expression with Grafana's variables replaced."""
    values = {"$job": "sentra", "$instance": ".*", "$__rate_interval": "1m", "$__range": "10m"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def tool(name: str) -> str:
    """The path of a program of Debian's package prometheus; the test is skipped without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} (Debian package prometheus) is not installed")
    return found


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS, ids=[title for title, _ in EXPRESSIONS])
def test_an_expression_asks_for_metrics_of_the_table(title: str, expression: str) -> None:
    assert asked(expression) <= SAMPLES.keys()
    assert asked(expression) or "up{" in expression or any(name in expression for name in RECORDED)


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS, ids=[title for title, _ in EXPRESSIONS])
def test_an_expression_uses_labels_that_its_metrics_have(title: str, expression: str) -> None:
    for name, matchers in re.findall(r"\b(sentra_\w+)\{([^}]*)\}", expression):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert labels <= {*SAMPLES[name], *SCRAPED}
    kept = {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(",")}
    assert kept <= {label for name in asked(expression) for label in SAMPLES[name]} | SCRAPED


def test_every_metric_is_watched() -> None:
    watched = {name for _, expression in EXPRESSIONS for name in asked(expression)}
    unwatched = {
        definition.name
        for definition in DEFINITIONS
        if not watched & {definition.name, f"{definition.name}_bucket", f"{definition.name}_sum"}
    }
    assert unwatched == NOT_WATCHED


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_of_the_chosen_instances(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        selectors = re.findall(r"sentra_\w+(\{[^}]*\})?", target["expr"])
        assert all('job=~"$job",instance=~"$instance"' in selector for selector in selectors)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_happened_and_how_urgent_it_is(name: str) -> None:
    assert ALERTS[name]["labels"]["severity"] in ("page", "ticket")
    assert set(ALERTS[name]["annotations"]) == {"summary", "description"}


def test_every_alert_is_seen_firing_in_a_rule_test() -> None:
    expected = [
        re.findall(r'alertname="(\w+)"', sample["labels"])[0]
        for case in RULE_TESTS
        for query in case["promql_expr_test"]
        for sample in query["exp_samples"]
    ]
    assert set(expected) == set(ALERTS)


def test_promtool_accepts_rules_and_configuration() -> None:
    promtool = tool("promtool")
    for command in (["check", "rules", "alerts.yaml"], ["check", "config", "prometheus.yaml"]):
        checked = subprocess.run([promtool, *command], cwd=MONITORING, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


def test_promtool_accepts_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": "dashboard:expression", "labels": {"n": str(n)}, "expr": filled(expression)}
        for n, (_, expression) in enumerate(QUERIES)
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = subprocess.run(
        [tool("promtool"), "check", "rules", "rules.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert f"{len(QUERIES)} rules found" in checked.stdout, checked.stderr


def test_the_rule_tests_hold() -> None:
    tested = subprocess.run(
        [tool("promtool"), "test", "rules", "alerts-test.yaml"], cwd=MONITORING, capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int):
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each sample that ``expression`` gives now; none while it is not up."""
        try:
            answer = self.client.get("/query", params={"query": expression})
        except httpx.TransportError:
            return []
        if answer.status_code != 200:
            return []
        data = answer.json()["data"]
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]

    def values(self, title: str, label: str) -> dict[str, float]:
        """What a panel's first query gives, by one label."""
        (expression,) = (filled(panel["targets"][0]["expr"]) for panel in PANELS if panel["title"] == title)
        return {labels.get(label, ""): value for labels, value in self.query(expression)}


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """A real Prometheus that scrapes ``target`` each second, with the example's rules."""
    config: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(MONITORING / "alerts.yaml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        started = Prometheus(port)
        try:
            yield started
        finally:
            started.client.close()
            process.terminate()
            process.wait(timeout=20)


def send(server: Server) -> None:
    """30 requests that are allowed, 5 and 3 that two rules block, 2 errors of one kind and 1 of another."""
    for number in range(30):
        assert server.verdict(request_with(f"hello {number}"))[0] is False
    for _ in range(5):
        assert server.verdict(request_with(f"use {SECRET}"))[2] == "secrets"
    for _ in range(3):
        assert server.verdict(request_with("about Project Falcon"))[2] == "policy_pack"
    for _ in range(2):
        assert server.analyze(b"{").status_code == 400
    assert server.analyze(request_with(), headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_the_dashboard_shows_what_was_sent(tmp_path: Path) -> None:
    tool("prometheus")
    config = {"companyDomain": "example.com", "policies": [{"contains": ["Project Falcon"]}]}
    token = BEARER["Authorization"].removeprefix("Bearer ")
    settings = {"STRICT_AUTH_ALLOWED_TOKENS": token, "AUDIT_LOG_FILE": str(tmp_path / "audit.jsonl")}
    with running(tmp_path, config, **settings) as server, prometheus(tmp_path, f"127.0.0.1:{server.port}") as watcher:
        eventually(lambda: watcher.query("sum(sentra_workers)") == [({}, 2)], 30)
        send(server)
        eventually(lambda: missing(watcher) <= EMPTY, 30)
        assert watcher.values("Answers since the start", "outcome") == {"allow": 30, "block": 8, "error": 3}
        assert watcher.values("Blocks by rule", "rule") == {"secrets.aws-access-key-id": 5, "policy_pack.rule-1": 3}
        assert watcher.values("Blocked", "") == {"": pytest.approx(8 / 38)}
        assert watcher.values("Workers", "") == {"": 2}
        assert watcher.values("Engine self-test", "") == {"": 1}
        assert watcher.values("Late answers", "") == {"": 0}
        assert set(watcher.values("Errors by code", "code")) == {"4002", "2001"}
        assert 0 < watcher.values("Answer time, 99 of 100", "")[""] <= 2.5
        assert watcher.query("sum(sentra_request_duration_seconds_count)") == [({}, 41)]
        assert watcher.query("sentra_telemetry_lines_total")[0][1] == 41
        assert watcher.query("sentra_audit_lines_total")[0][1] == 8
        assert watcher.query('ALERTS{alertstate="firing"}') == []


def missing(watcher: Prometheus) -> set[str]:
    """The queries of the dashboard that give nothing."""
    return {title for title, expression in QUERIES if not watcher.query(filled(expression))}
