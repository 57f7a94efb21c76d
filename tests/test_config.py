"""Settings and the configuration file: every mistake is told, with its place."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from sentra.config import HELP, Settings, file_schema, load_file, load_settings
from sentra.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("PORT", "eighty", "PORT: 'eighty'"),
        ("PORT", "70000", "<= 65535"),
        ("SENTRA_AUDIT_ONLY", "maybe", "1, true, yes, on"),
        ("SENTRA_ON_DEADLINE", "ignore", "allow or block"),
        ("SENTRA_PLUGIN_BUDGET_MS", "0", "> 0.0"),
        ("SENTRA_PLUGINS", " , ", "is set but empty"),
        ("STRICT_AUTH_ALLOWED_TOKENS", "", "is set but empty"),
        ("SENTRA_PATH_PREFIX", "api", "expected a path"),
        ("SENTRA_LOG_LEVEL", "loud", "'loud'"),
        ("SENTRA_PLUGIN_WARNS_MS", "3", "did you mean SENTRA_PLUGIN_WARN_MS?"),
        ("SENTRA_AUDITONLY", "1", "did you mean SENTRA_AUDIT_ONLY?"),
    ],
)
def test_a_bad_setting_is_told(name: str, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({name: text})
    assert told in str(caught.value)


def test_all_bad_settings_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"PORT": "x", "SENTRA_WORKERS": "0", "SENTRA_PLUGIN": "exfil"})
    assert len(caught.value.problems) == 3


def test_a_token_is_never_told() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"STRICT_AUTH_ALLOWED_TOKENS": ",", "SENTRA_WORKERS": "x"})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["SENTRA_SERVICE_HOST", "SENTRA_PORT", "SENTRA_PORT_8080_TCP_ADDR", "SENTRA_WEBHOOK_XYZ"]
)
def test_a_foreign_name_is_a_warning(name: str) -> None:
    _, warnings = load_settings({name: "x"})
    assert name in warnings[0]


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("TRUE", True), ("yes", True), ("on", True), ("0", False), ("off", False)]
)
def test_truth_words(text: str, value: bool) -> None:
    assert load_settings({"SENTRA_AUDIT_ONLY": text})[0].audit_only is value


def test_nothing_set_gives_the_documented_defaults() -> None:
    settings, warnings = load_settings({})
    assert settings == Settings()
    assert settings.plugins == ("exfil", "secrets", "email_bcc", "pii", "domain_block", "policy_pack")
    assert (settings.max_request_bytes, settings.plugin_budget_ms, settings.on_deadline) == (2_097_152, 900.0, "allow")
    assert warnings == []


def test_every_setting_has_help() -> None:
    assert all((len(entry.text) > 15 and entry.text.endswith(".")) or ":" in entry.text for entry in HELP.values())


DOCUMENT = {
    "policies": [{"tool": "*mail*", "arg": "to", "contains": ["x"], "regex": ["y+"], "reasonCode": 701, "reason": "r"}],
    "piiKeywords": ["codename"],
    "domainBlocklist": ["evil.com"],
    "companyDomain": "example.com",
    "pii": {"entities": ["EMAIL_ADDRESS"], "min_count": {"EMAIL_ADDRESS": 3}},
    "plugins": {"exfil": {"sources": ["tool_output"], "disable": [], "allow": [{"pattern": "x", "reason": "y"}]}},
}
YAML = "companyDomain: example.com\npolicies:\n  - contains: [x]\n"
TOML = 'companyDomain = ["example.com", "example.org"]\n[[policies]]\ncontains = ["x"]\n'


def write(folder: Path, content: Any, name: str = "config.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else msgspec.json.encode(content))
    return path


def test_the_schema_accepts_a_full_document() -> None:
    jsonschema.validate(DOCUMENT, file_schema())


@pytest.mark.parametrize(
    ("name", "content", "domains"),
    [
        ("c.json", '{"companyDomain": "@Example.COM."}', ("example.com",)),
        ("c.yaml", YAML, ("example.com",)),
        ("c.toml", TOML, ("example.com", "example.org")),
    ],
)
def test_the_suffix_chooses_the_format(tmp_path: Path, name: str, content: str, domains: tuple[str, ...]) -> None:
    assert load_file(write(tmp_path, content, name)).company_domains == domains


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"polices": []}, "unknown key 'polices'; did you mean 'policies'?"),
        ({"policies": [{"contains": ["x"]}, {"contians": ["x"]}]}, "$.policies[1]"),
        ({"policies": [{"contains": "x"}]}, "$.policies[0].contains"),
        ({"plugins": {"exfil": {"sources": ["inputs"]}}}, "inputs"),
        ({"plugins": {"exfil": {"allow": [{"pattern": "x"}]}}}, "reason"),
        ({"pii": {"min_count": {"EMAIL_ADDRESS": 0}}}, ">= 1"),
        ({"companyDomain": 5}, "$.companyDomain"),
        ([], "expected an object"),
        ("{", "not valid JSON"),
    ],
)
def test_a_bad_file_is_told_with_the_place(tmp_path: Path, document: Any, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_file(write(tmp_path, document))
    assert told in str(caught.value)
    assert "config.json" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('piiKeywords: ["\\uD800"]', "half of a surrogate pair"),
        ("a: 2026-13-45", "month must be in 1..12"),
        ("a: !!timestamp x", "a value does not fit its tag"),
        ('a: !!int ""', "a value does not fit its tag"),
        ("? [a]\n: b", "found unhashable key (at line 1, column 3)"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("&a [*a]", "expected an object"),
    ],
)
def test_bad_yaml_is_told_with_its_fault(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_file(write(tmp_path, text, "config.yaml"))


@pytest.mark.parametrize("name", ["c.json", "c.toml", "c.yaml"])
def test_a_file_that_is_not_valid_is_told_without_its_lines(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_file(write(tmp_path, 'bearerToken: "hidden-token-value\nbearerToken = "hidden-token-value\n', name))
    assert "hidden" not in str(caught.value)


def test_all_bad_sections_are_told_together(tmp_path: Path) -> None:
    document = {"polices": [], "policies": [{"x": 1}, {"contains": ["ok"]}, {"regex": [1]}], "companyDomain": 5}
    with pytest.raises(ConfigError) as caught:
        load_file(write(tmp_path, document))
    assert len(caught.value.problems) == 4
    assert "$.policies[2]" in str(caught.value)
