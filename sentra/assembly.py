"""Settings -> pipeline: chooses the rules, gives each its sources, builds scanner and plugins.

Everything that the configuration can have wrong is found here or before, and reported together.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
import re2
from msgspec import structs

from sentra import __version__, lexicon, ruleset
from sentra.auth import auth_problems, auth_warnings
from sentra.config import FileConfig, PluginOptions, Settings, load_file, read_variable
from sentra.definitions import Definition
from sentra.engine import UTF8
from sentra.errors import ConfigError, collecting, raise_all
from sentra.findings import Mode, Source
from sentra.locate import Compiled
from sentra.memory import trim
from sentra.operator_rules import domain_rules, keyword_rules, policy_rules
from sentra.pipeline import Clock, Pipeline
from sentra.plugins import BUILTIN, BY_NAME, Builtin, Plugin
from sentra.plugins.email_bcc import RULE_ID as EMAIL_RULE
from sentra.plugins.email_bcc import EmailBcc
from sentra.plugins.external import ExternalHttp
from sentra.plugins.rulepack import RulePack
from sentra.ruleset import Rule
from sentra.scanner import Scanner
from sentra.transport import tls_problems


@dataclass(frozen=True)
class Assembly:
    """A pipeline with the configuration that it was made from. ``digest`` identifies that configuration."""

    pipeline: Pipeline
    settings: Settings
    file: FileConfig
    digest: str
    warnings: tuple[str, ...]


def assemble(settings: Settings, clock: Clock = time.monotonic) -> Assembly:
    """Build what ``settings`` describe. Raises ``ConfigError`` with all problems at once."""
    file = load_file(settings.plugin_config)
    problems: list[str] = [*_name_problems(settings, file), *auth_problems(settings), *tls_problems(settings)]
    services = {definition.name: definition for definition in file.externalHttp}
    chosen: dict[str, list[Rule]] = {}
    for builtin in BUILTIN:
        with collecting(problems):
            chosen[builtin.name] = _choose(builtin, file)
    compiled: list[Compiled] = []
    for name in settings.plugins:
        with collecting(problems):
            compiled += _compiled(BY_NAME[name], chosen[name], file) if name in chosen else []
    problems += _condition_problems(settings, services, chosen)
    external: dict[str, ExternalHttp] = {}
    for name, definition in services.items():
        with collecting(problems):
            external[name] = _external(definition, settings, clock)
    raise_all(problems)
    scanner = Scanner(compiled, str(cache_folder(settings)), time.thread_time, settings.known_texts)
    pipeline = Pipeline(
        scanner,
        [
            external[name] if name in external else _plugin(BY_NAME[name], chosen[name], file)
            for name in settings.plugins
        ],
        clock=clock,
        mode=Mode.AUDIT if settings.audit_only else Mode.ENFORCE,
        block_when_late=settings.on_deadline == "block",
        external_concurrency=file.externalConcurrency,
    )
    return Assembly(pipeline, settings, file, _digest(settings, file, compiled), tuple(_warnings(settings, file)))


def assemble_proved(settings: Settings) -> Assembly:
    """As ``assemble``, for serving: every shipped rule has been seen to fire. Raises ``EngineError`` for one that does not."""
    assembly = assemble(settings)
    assembly.pipeline.scanner.prove()
    trim()
    return assembly


def cache_folder(settings: Settings) -> Path:
    """Where compiled rules are kept: the setting, or the user's cache folder."""
    return settings.cache_dir or Path.home() / ".cache" / "sentra"


def _name_problems(settings: Settings, file: FileConfig) -> Iterable[str]:
    known = ", ".join(BY_NAME)
    services = [definition.name for definition in file.externalHttp]
    for index, name in enumerate(settings.plugins):
        if name in settings.plugins[:index]:
            yield f"SENTRA_PLUGINS: {name!r} is named twice"
        elif name.startswith("external_"):
            if name not in services:
                yield f"SENTRA_PLUGINS: {name!r} has no definition of that name in externalHttp of the configuration file"
        elif name not in BY_NAME:
            yield f"SENTRA_PLUGINS: unknown plugin {name!r}; expected one of {known}"
    for name in file.plugins:
        if name not in BY_NAME:
            yield f"{settings.plugin_config}: plugins: unknown plugin {name!r}; expected one of {known}"
    for name in dict.fromkeys(services):
        if services.count(name) > 1:
            yield f"{settings.plugin_config}: externalHttp: {name!r} is defined {services.count(name)} times"


def _condition_problems(
    settings: Settings, services: Mapping[str, Definition], chosen: Mapping[str, Sequence[Rule]]
) -> Iterable[str]:
    """A ``when.findings`` that no rule before it can meet would switch its service off unseen."""
    ids: list[str] = []
    for name in settings.plugins:
        ids += [EMAIL_RULE] if name == "email_bcc" else [rule.id for rule in chosen.get(name, ())]
        for glob in (services[name].when.findings or ()) if name in services else ():
            if not any(fnmatchcase(rule_id, glob) for rule_id in ids):
                yield f"externalHttp {name}: when.findings: {glob!r} matches no rule of a plugin before it"


def _external(definition: Definition, settings: Settings, clock: Clock) -> ExternalHttp:
    """The plugin for ``definition``; no call may take longer than the budget of a request."""
    token = None
    if definition.bearerTokenEnv and definition.name in settings.plugins:
        token = read_variable(definition.bearerTokenEnv)
        if token is None:
            variable = definition.bearerTokenEnv
            raise ConfigError([f"externalHttp {definition.name}: bearerTokenEnv: {variable} is not set or empty"])
    most = min(definition.timeoutMs, settings.plugin_budget_ms)
    return ExternalHttp(msgspec.structs.replace(definition, timeoutMs=most), token, clock)


def _choose(builtin: Builtin, file: FileConfig) -> list[Rule]:
    """The shipped and the operator's rules of one plugin, less those that are switched off."""
    options = file.plugins.get(builtin.name, PluginOptions())
    shipped = list(ruleset.shipped(builtin.name).rules)
    known = {name for rule in shipped for name in (rule.id, *rule.group)} | {
        combination.id for combination in ruleset.shipped(builtin.name).combinations
    }
    problems = [
        f"plugins.{builtin.name}.{key}: {name!r} is no rule and no group of that plugin"
        for key, names in (("disable", options.disable), ("enable", options.enable))
        for name in names
        if name not in known
    ]
    raise_all(problems)
    rules = [rule for rule in _selected(builtin, shipped, file) if not _named(rule, options.disable)]
    return [*_operator_rules(builtin, file), *rules]


def _selected(builtin: Builtin, rules: Sequence[Rule], file: FileConfig) -> list[Rule]:
    enabled = file.plugins.get(builtin.name, PluginOptions()).enable
    entities = file.pii.entities if builtin.name == "pii" else None
    if entities is None:
        return [rule for rule in rules if rule.default or _named(rule, enabled)]
    known = {name for rule in rules for name in rule.group}
    unknown = [name for name in entities if name not in known | {"all"}]
    if unknown:
        expected = ", ".join(sorted(known | {"all"}))
        raise ConfigError(f"pii.entities: unknown entity {name!r}; expected one of {expected}" for name in unknown)
    return [rule for rule in rules if "all" in entities or _named(rule, entities) or _named(rule, enabled)]


def _named(rule: Rule, names: Iterable[str]) -> bool:
    return not {rule.id, *rule.group}.isdisjoint(names)


def _operator_rules(builtin: Builtin, file: FileConfig) -> list[Rule]:
    match builtin.name:
        case "policy_pack":
            return policy_rules(file.policies)
        case "pii":
            return keyword_rules(file.piiKeywords)
        case "domain_block":
            return domain_rules(file.domainBlocklist)
    return []


def _compiled(builtin: Builtin, rules: Iterable[Rule], file: FileConfig) -> list[Compiled]:
    options = file.plugins.get(builtin.name, PluginOptions())
    allow = [_allow_pattern(builtin.name, index, entry.pattern) for index, entry in enumerate(options.allow)]
    if builtin.name == "pii":
        allow += [ruleset.compile_pattern(_company_address(domain)) for domain in file.company_domains]
    return [Compiled(rule, _sources(builtin, rule, options), allow) for rule in rules]


def _company_address(domain: str) -> str:
    return rf"(?i)[^@\s]+@{re2.escape(domain)}"


def _allow_pattern(plugin: str, index: int, pattern: str) -> Any:
    try:
        return ruleset.compile_pattern(UTF8 + pattern)
    except re2.error as error:
        raise ConfigError([f"plugins.{plugin}.allow[{index}]: pattern {pattern!r} does not compile: {error}"]) from None


def _sources(builtin: Builtin, rule: Rule, options: PluginOptions) -> tuple[Source, ...]:
    """A rule's own sources, narrowed by the operator's choice; else the operator's, else the plugin's."""
    if rule.sources is None:
        return options.sources or builtin.sources
    if options.sources is None:
        return rule.sources
    return tuple(source for source in rule.sources if source in options.sources)


def _plugin(builtin: Builtin, rules: Sequence[Rule], file: FileConfig) -> Plugin:
    if builtin.name == "email_bcc":
        return EmailBcc(file.company_domains)
    options = file.plugins.get(builtin.name, PluginOptions())
    combinations = tuple(
        combination
        for combination in ruleset.shipped(builtin.name).combinations
        if combination.id not in options.disable
    )
    return RulePack(builtin, rules, combinations, file.pii.min_count if builtin.name == "pii" else None)


def _digest(settings: Settings, file: FileConfig, compiled: Iterable[Compiled]) -> str:
    """Twelve hexadecimal digits that change with anything that decides verdicts."""
    deciding = (
        settings.plugins,
        settings.audit_only,
        settings.on_deadline,
        settings.plugin_budget_ms,
        settings.on_oversize,
        settings.on_overload,
        file,
        __version__,
        [(structs.replace(entry.rule, case=()), entry.sources) for entry in compiled],
    )
    return hashlib.sha256(msgspec.json.encode(deciding, order="sorted")).hexdigest()[:12]


def _warnings(settings: Settings, file: FileConfig) -> Iterable[str]:
    yield from auth_warnings(settings)
    if not file.company_domains and {"email_bcc", "pii"} & set(settings.plugins):
        yield "companyDomain is not set: every mail address counts as external"
    yield from _external_warnings(settings, file)
    if "exfil" in settings.plugins and not lexicon.is_compiled():
        yield "the lexicon of exfil is not compiled and takes 4 to 40 times as long: install with a C compiler at hand"
    if settings.audit_only:
        yield "SENTRA_AUDIT_ONLY is on: nothing will be blocked"
        if settings.audit_log_file is None:
            yield "SENTRA_AUDIT_ONLY is on without AUDIT_LOG_FILE: withheld blocks leave no audit record"
    if settings.log_file is None and not settings.log_stdout:
        yield "neither LOG_FILE nor SENTRA_LOG_STDOUT is set: decisions leave no record"


def _external_warnings(settings: Settings, file: FileConfig) -> Iterable[str]:
    for definition in file.externalHttp:
        if definition.name not in settings.plugins:
            yield f"externalHttp {definition.name}: is not named in SENTRA_PLUGINS and is never asked"
        elif definition.timeoutMs > settings.plugin_budget_ms:
            yield (
                f"externalHttp {definition.name}: timeoutMs {definition.timeoutMs:g} is longer than the whole budget, "
                f"SENTRA_PLUGIN_BUDGET_MS {settings.plugin_budget_ms:g}"
            )
