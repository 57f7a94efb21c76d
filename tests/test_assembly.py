"""From configuration to verdicts: what an operator switches takes effect, what is wrong is told."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from sentra import ruleset
from sentra.assembly import Assembly, assemble
from sentra.config import load_settings
from sentra.errors import ConfigError
from sentra.wire import decode_request
from tests.conftest import CACHE, request_with

SECRET = "AKIA" + "Q5RT2YWXK3LM7PNB"


def assembled(folder: Path, config: Any = None, **settings: str) -> Assembly:
    (folder / "config.json").write_bytes(msgspec.json.encode(config or {}))
    return assemble(
        load_settings({"SENTRA_PLUGIN_CONFIG": str(folder / "config.json"), "SENTRA_CACHE_DIR": CACHE} | settings)[0]
    )


def blamed(assembly: Assembly, request: dict[str, Any]) -> str | None:
    """The rule that blocks ``request``."""
    decision, _ = assembly.pipeline.decide(decode_request(msgspec.json.encode(request)), time.monotonic() + 5)
    return decision.verdict.rule_id if decision.verdict else None


def test_a_rule_can_be_switched_off(tmp_path: Path) -> None:
    on = assembled(tmp_path)
    off = assembled(tmp_path, {"plugins": {"secrets": {"disable": ["secrets.aws-access-key-id"]}}})
    assert blamed(on, request_with(SECRET)) == "secrets.aws-access-key-id"
    assert blamed(off, request_with(SECRET)) is None


def test_an_allowed_value_is_no_finding(tmp_path: Path) -> None:
    allow = [{"pattern": "AKIA[A-Z2-7]+", "reason": "canary key"}]
    assembly = assembled(tmp_path, {"plugins": {"secrets": {"allow": allow}}})
    assert blamed(assembly, request_with(SECRET)) is None
    assert blamed(assembly, request_with(SECRET.replace("AKIA", "ASIA"))) == "secrets.aws-access-key-id"


def test_an_operator_chooses_the_sources(tmp_path: Path) -> None:
    assembly = assembled(tmp_path, {"plugins": {"secrets": {"sources": ["tool_output"]}}})
    outputs = request_with()
    outputs["plannerContext"]["previousToolsOutputs"] = [{"outputs": SECRET}]
    assert blamed(assembly, request_with(SECRET)) is None
    assert blamed(assembly, outputs) == "secrets.aws-access-key-id"


def test_no_rules_at_all_is_a_valid_pipeline(tmp_path: Path) -> None:
    assembly = assembled(tmp_path, SENTRA_PLUGINS="email_bcc")
    assert blamed(assembly, request_with(SECRET)) is None
    mail = request_with(toolDefinition={"id": "Send-Mail"}, inputValues={"bcc": "a@b.example"})
    assert blamed(assembly, mail) == "email_bcc.external-recipient"


def test_mail_addresses_of_the_company_are_no_pii(tmp_path: Path) -> None:
    assembly = assembled(tmp_path, {"companyDomain": ["corp.example"]}, SENTRA_PLUGINS="pii")
    assert blamed(assembly, request_with("write to ann@corp.example")) is None
    assert blamed(assembly, request_with("write to ann@mail.corp.example")) is not None


def test_min_count_waits_for_that_many_distinct_values(tmp_path: Path) -> None:
    assembly = assembled(tmp_path, {"pii": {"min_count": {"EMAIL_ADDRESS": 3}}}, SENTRA_PLUGINS="pii")
    two = "a@one.example b@two.example a@one.example"
    assert blamed(assembly, request_with(two)) is None
    assert blamed(assembly, request_with(f"{two} c@three.example")) is not None


def test_entities_choose(tmp_path: Path) -> None:
    assembly = assembled(tmp_path, {"pii": {"entities": ["IBAN_CODE"]}}, SENTRA_PLUGINS="pii")
    assert blamed(assembly, request_with("a@one.example")) is None
    assert blamed(assembly, request_with("to DE89 3704 0044 0532 0130 00 please")) is not None


@pytest.mark.parametrize(
    ("policy", "request_body", "code"),
    [
        ({"contains": ["Falcon"]}, request_with("the FALCON flies"), True),
        ({"contains": ["Falcon"]}, request_with("the hawk flies"), False),
        ({"regex": ["^fal.on$"]}, request_with("falcon"), True),
        ({"regex": ["^fal.on$"]}, request_with("a falcon"), False),
        ({"regex": ["^x$"]}, request_with(inputValues={"a": "x"}), True),
        ({"contains": ["Straße"]}, request_with("HAUPTSTRAßE"), True),
        ({"tool": "*delete*", "contains": ["prod"]}, request_with("prod", toolDefinition={"id": "Delete-Row"}), True),
        ({"tool": "*delete*", "contains": ["prod"]}, request_with("prod", toolDefinition={"name": "x.DELETE"}), True),
        ({"tool": "*delete*", "contains": ["prod"]}, request_with("prod"), False),
        ({"arg": "To", "contains": ["bob"]}, request_with(inputValues={"to": ["Bob"]}), True),
        ({"arg": "to", "contains": ["bob"]}, request_with(inputValues={"m": {"TO": {"n": "x bob"}}}), True),
        ({"arg": "to", "contains": ["bob"]}, request_with("bob", inputValues={"cc": "bob"}), False),
        ({"arg": "to", "contains": ["to"]}, request_with(inputValues={"to": "bob"}), False),
        ({"arg": "n", "regex": ["^42$"]}, request_with(inputValues={"n": 42}), True),
        ({"contains": ["a.c"]}, request_with("abc"), False),
    ],
)
def test_a_policy_matches(tmp_path: Path, policy: dict[str, Any], request_body: dict[str, Any], code: bool) -> None:
    assembly = assembled(tmp_path, {"policies": [policy]}, SENTRA_PLUGINS="policy_pack")
    assert (blamed(assembly, request_body) == "policy_pack.rule-1") is code


def test_a_policy_has_its_own_reason_code_or_700(tmp_path: Path) -> None:
    policies = [{"contains": ["one"], "reasonCode": 731}, {"contains": ["two"]}]
    assembly = assembled(tmp_path, {"policies": policies})
    for text, code in (("one", 731), ("two", 700)):
        decision, _ = assembly.pipeline.decide(
            decode_request(msgspec.json.encode(request_with(text))), time.monotonic() + 5
        )
        assert decision.verdict is not None
        assert decision.verdict.reason_code == code


@pytest.mark.parametrize(
    ("config", "settings", "told"),
    [
        ({"policies": [{"contains": ["x"], "regex": ["ok", "a("]}]}, {}, "policies[0].regex[1]"),
        ({"policies": [{"tool": "x"}]}, {}, "neither contains nor regex"),
        ({"policies": [{"regex": ["x*"]}]}, {}, "matches the empty text"),
        ({"domainBlocklist": ["ok.example", "no domain"]}, {}, "domainBlocklist[1]"),
        ({"plugins": {"secret": {}}}, {}, "unknown plugin 'secret'"),
        ({"plugins": {"secrets": {"disable": ["secrets.none"]}}}, {}, "'secrets.none' is no rule"),
        ({"plugins": {"secrets": {"allow": [{"pattern": "(", "reason": "r"}]}}}, {}, "plugins.secrets.allow[0]"),
        ({"pii": {"entities": ["EMAIL"]}}, {}, "unknown entity 'EMAIL'"),
        ({}, {"SENTRA_PLUGINS": "exfil,external_x"}, "external_x"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, config: Any, settings: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        assembled(tmp_path, config, **settings)
    assert told in str(caught.value)


def test_weak_settings_are_warned_of(tmp_path: Path) -> None:
    warnings = " ".join(assembled(tmp_path, SENTRA_AUDIT_ONLY="1").warnings)
    for word in ("ANY bearer", "companyDomain", "AUDIT_LOG_FILE", "LOG_FILE"):
        assert word in warnings


def test_the_digest_follows_what_decides(tmp_path: Path) -> None:
    first, same = assembled(tmp_path), assembled(tmp_path)
    other = assembled(tmp_path, {"policies": [{"contains": ["x"]}]})
    assert first.digest == same.digest != other.digest


@pytest.mark.parametrize(
    "change",
    [
        {"least": 0.5},
        {"strength": "weak"},
        {"maturity": "sandbox"},
        {"scan": "x"},
        {"tool": "mail"},
        {"reason_code": 9},
    ],
)
def test_the_digest_follows_every_field_of_a_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    before = assembled(tmp_path, SENTRA_PLUGINS="exfil").digest
    pack = ruleset.shipped("exfil")
    rules = (structs.replace(pack.rules[0], **change), *pack.rules[1:])
    monkeypatch.setattr(ruleset, "shipped", lambda plugin: structs.replace(pack, rules=rules))
    assert assembled(tmp_path, SENTRA_PLUGINS="exfil").digest != before


def test_five_thousand_literals_are_one_scan(tmp_path: Path) -> None:
    words = [f"codeword-{number}-zulu" for number in range(5_000)]
    assembly = assembled(tmp_path, {"policies": [{"contains": words}]}, SENTRA_PLUGINS="policy_pack")
    assert blamed(assembly, request_with("the codeword-4321-zulu is out")) == "policy_pack.rule-1"
    assert blamed(assembly, request_with("the codeword-5321-zulu is out")) is None


HELD = """
import sys
from sentra.assembly import assemble_proved
from sentra.config import load_settings
from sentra.memory import resident_bytes
assembly = assemble_proved(load_settings({"SENTRA_CACHE_DIR": sys.argv[1], "SENTRA_PLUGINS": "secrets"})[0])
print(resident_bytes())
"""


def test_a_process_that_compiled_its_rules_holds_no_more_than_one_that_found_them(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HELD, str(tmp_path / "cache")]
    compiled, found = (
        int(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout) for _ in range(2)
    )
    assert compiled - found < 20 << 20
