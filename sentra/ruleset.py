"""Rules as data: a pack is a TOML file, or a folder of them, whose stem is a plugin's name."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from re import _parser  # type: ignore[attr-defined]  # RE2 does not tell how wide a pattern is; Python's parser does
from typing import Annotated, Any, Literal

import msgspec
import re2
import tomli

from sentra import confirm, engine
from sentra.domains import expand_hosts
from sentra.errors import ConfigError, collecting, raise_all
from sentra.findings import Source, Strength
from sentra.linear import Pattern

RULES = files("sentra") / "rules"
MIN_CASES = 2
MAX_GAP = 20
WIDEST = 4096

_ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z0-9]+(-[a-z0-9]+)*")
_NAMED = re.compile(r"\{\{(\w+)\}\}")
_CLASS_OR_ESCAPE = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]", re.DOTALL)
_CHARACTER = re.compile(r"\\x\{[0-9a-fA-F]+\}|\\[pP](?:\{[^}]*\}|.)")
_GAP = re.compile(r"(?:\.|C)\{(?:\d*,)?(\d+)\}")


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An example beside a rule; with an empty ``match`` it is a near miss and ``why`` says what it is instead.

    ``text`` is joined when it is a list. It stands in ``source``, under the argument name ``key`` if that is given.
    ``asked`` is what the user wrote and ``planned`` what the call's arguments hold, for rules that compare them with it.
    """

    name: str
    text: str | list[str]
    match: list[str]
    why: str = ""
    also: list[str] = []
    source: Source | None = None
    key: str | None = None
    asked: str = ""
    planned: str = ""

    @property
    def joined(self) -> str:
        return self.text if isinstance(self.text, str) else "".join(self.text)


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pattern with its second looks and its cases.

    ``pattern`` is RE2 and Hyperscan syntax; a group named ``value`` delimits what was found, else the whole match.
    ``sources`` narrows the plugin's sources. A ``weak`` rule blocks only as part of a combination; a ``sandbox`` rule
    is recorded and never blocks. ``group`` lets operators choose sets of rules (an entity, a region, a host list).
    ``scan`` is a cheaper pattern for the one scan that fires wherever ``pattern`` does: phrases of many words explode
    in the scan engine, while ``pattern`` is only searched where ``scan`` fired. A ``companion`` is not in the scan: its
    words are ordinary ones, and it is only looked for beside what was found of another entry of a combination.
    ``widest`` is the most bytes that a match has, for a ``pattern`` that sets no bound itself and takes long on a text
    made for it: such a text is searched in pieces. A rule that names a ``lexicon`` finds passages that score at least
    ``least`` there; with a ``pattern`` too, it finds what the pattern matches within such a passage.
    """

    id: str
    title: str
    pattern: str = ""
    lexicon: str = ""
    least: float = 0.0
    scan: str = ""
    widest: Annotated[int, msgspec.Meta(ge=0)] = 0
    confirm: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    sources: tuple[Source, ...] | None = None
    reason: str = ""
    strength: Strength = "strong"
    companion: bool = False
    maturity: Literal["stable", "sandbox"] = "stable"
    group: tuple[str, ...] = ()
    default: bool = True
    trust: str = ""
    tags: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    case: tuple[Case, ...] = ()

    reason_code: int | None = None
    tool: str | None = None
    arg: str | None = None

    @property
    def plugin(self) -> str:
        return self.id.partition(".")[0]


class Combination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weak rules that block together: one finding of each entry of ``all`` ``within`` a segment or the request.

    An entry is a rule's id or a group's name. ``near`` is the most bytes that may lie between the beginnings of the
    first entry's finding and of each other's; 0 sets no limit.
    """

    id: str
    title: str
    all: tuple[str, ...]
    within: Literal["segment", "request"] = "segment"
    near: Annotated[int, msgspec.Meta(ge=0)] = 0
    reason: str = ""
    tags: tuple[str, ...] = ()
    case: tuple[Case, ...] = ()


class PackFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one TOML file of rules holds."""

    rule: tuple[Rule, ...] = ()
    combination: tuple[Combination, ...] = ()
    vocabulary: dict[str, Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]] = {}


class Pack(msgspec.Struct, frozen=True):
    """All rules and combinations of one plugin."""

    plugin: str
    rules: tuple[Rule, ...] = ()
    combinations: tuple[Combination, ...] = ()

    @property
    def entries(self) -> list[Rule | Combination]:
        """Whatever has an id and cases."""
        return [*self.rules, *self.combinations]


@cache
def shipped(plugin: str) -> Pack:
    """The pack that Sentra ships for ``plugin``; an empty one where there is none."""
    return merge(plugin, (parse(name, text) for name, text in _pack_files(RULES, plugin)))


def _pack_files(root: Traversable, plugin: str) -> Iterator[tuple[str, str]]:
    single, folder = root / f"{plugin}.toml", root / plugin
    if single.is_file():
        yield single.name, single.read_text("utf-8")
    if folder.is_dir():
        for entry in sorted(folder.iterdir(), key=lambda item: item.name):
            if entry.name.endswith(".toml"):
                yield f"{plugin}/{entry.name}", entry.read_text("utf-8")


def parse(name: str, text: str) -> PackFile:
    """The rules of the TOML file ``name``. Raises ``ConfigError`` that names the file and the place."""
    try:
        document = expand(tomli.loads(text))
        expand_hosts(document)
        pack = msgspec.convert(document, PackFile)
    except (tomli.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError([f"{name}: {error}"]) from None
    return pack


def expand(document: dict[str, Any]) -> dict[str, Any]:
    """Replace ``{{name}}`` in patterns by the alternatives of ``[vocabulary]``, longest first.

    Raises ``ConfigError`` for a name that is not in it: as a literal text it would only keep the rule from matching.
    """
    words = document.get("vocabulary", {})
    table = {name: "(?:" + "|".join(sorted(entries, key=len, reverse=True)) + ")" for name, entries in words.items()}
    unknown: list[str] = []
    for rule in document.get("rule", ()):
        for key in ("pattern", "scan"):
            if isinstance(rule.get(key), str):
                names = {*_NAMED.findall(rule[key])} - {*table}
                unknown += [
                    f"{rule.get('id')}: {{{{{name}}}}} in `{key}` is not in [vocabulary]" for name in sorted(names)
                ]
                rule[key] = _NAMED.sub(lambda found: table.get(found[1], found[0]), rule[key])
    raise_all(unknown)
    return document


def merge(plugin: str, parts: Iterable[PackFile]) -> Pack:
    """One pack of several files, validated. Raises ``ConfigError`` with every problem found."""
    rules: list[Rule] = []
    combinations: list[Combination] = []
    for part in parts:
        rules.extend(part.rule)
        combinations.extend(part.combination)
    problems: list[str] = []
    seen: set[str] = set()
    entries: list[Rule | Combination] = [*rules, *combinations]
    for entry in entries:
        problems.extend(f"{entry.id}: {text}" for text in _id_problems(entry.id, plugin, seen))
        problems.extend(f"{entry.id}: {text}" for text in _case_problems(entry.case))
    known = seen | {group for rule in rules for group in rule.group}
    for combination in combinations:
        missing = [entry for entry in combination.all if entry not in known]
        problems.extend(f"{combination.id}: {entry!r} in `all` is no rule id and no group" for entry in missing)
    problems.extend(_companion_problems(rules, combinations))
    for rule in rules:
        problems.extend(f"{rule.id}: {text}" for text in _kind_problems(rule))
        for pattern in filter(None, (rule.pattern, rule.scan)):
            problems.extend(f"{rule.id}: {text}" for text in _cost_problems(pattern))
        with collecting(problems):
            confirms(rule)
    raise_all(problems)
    return Pack(plugin, tuple(rules), tuple(combinations))


def _id_problems(identifier: str, plugin: str, seen: set[str]) -> Iterator[str]:
    if not _ID.fullmatch(identifier) or not identifier.startswith(f"{plugin}."):
        yield f"a rule's id is {plugin}.kebab-name"
    if identifier in seen:
        yield "the id is used twice"
    seen.add(identifier)


def _kind_problems(rule: Rule) -> Iterator[str]:
    if not (rule.pattern or rule.lexicon):
        yield "has neither `pattern` nor `lexicon`"
    if not rule.pattern and (rule.scan or rule.companion or rule.context or rule.arg):
        yield "a rule without a `pattern` has no `scan`, `context` or `arg` and is no companion"
    if rule.lexicon and not (RULES / rule.plugin / f"{rule.lexicon}.tsv").is_file():
        yield f"there is no lexicon {rule.lexicon!r}; expected {rule.plugin}/{rule.lexicon}.tsv"


def _companion_problems(rules: Sequence[Rule], combinations: Sequence[Combination]) -> Iterator[str]:
    """A companion that could never be looked for would be a rule that silently does not run."""
    companions = [rule for rule in rules if rule.companion]
    names = {name for rule in companions for name in (rule.id, *rule.group)}
    for rule in companions:
        if rule.strength != "weak" or rule.maturity != "stable" or rule.scan:
            yield f"{rule.id}: a companion is weak and stable, and has no `scan`"
        if not any({rule.id, *rule.group} & {*combination.all} for combination in combinations):
            yield f"{rule.id}: a companion needs a combination"
    for combination in combinations:
        if names.issuperset(combination.all):
            yield f"{combination.id}: every entry in `all` has companions; expected one that the scan finds"
        if combination.within != "segment" and not names.isdisjoint(combination.all):
            yield f"{combination.id}: a companion is looked for in one segment; expected `within` to be 'segment'"


def _case_problems(cases: tuple[Case, ...]) -> Iterator[str]:
    matching = sum(bool(case.match) for case in cases)
    if matching < MIN_CASES or len(cases) - matching < MIN_CASES:
        yield f"needs {MIN_CASES} matching cases and {MIN_CASES} near misses, has {matching} and {len(cases) - matching}"
    for case in cases:
        if not case.match and not case.why:
            yield f"near miss {case.name!r} needs a why"
        for value in case.match:
            if value not in case.joined:
                yield f"case {case.name!r} expects a match that its text does not hold"


def _cost_problems(pattern: str) -> Iterator[str]:
    """What a shipped pattern may not have, because it costs speed on hostile text."""
    if anchored(pattern):
        yield f"pattern {pattern!r} uses an anchor; use \\b or a confirm"
    for gap in _GAP.finditer(_bare(pattern)):
        if int(gap[1]) > MAX_GAP:
            yield f"pattern {pattern!r} has a counted gap over {MAX_GAP}; it would be slow on hostile text"


def pattern_problems(pattern: str) -> Iterator[str]:
    """What keeps ``pattern`` from being a rule: its syntax, or a match of nothing."""
    try:
        compiled = compile_pattern(pattern)
    except re2.error as error:
        yield f"pattern {pattern!r} does not compile: {_reason(error)}"
        return
    if compiled.search(b"") is not None:
        yield f"pattern {pattern!r} matches the empty text, so it would match everywhere"


_ANCHOR = re.compile(r"[$^]|\\[AzZ]")
_WIDE = (r"\S", r"\W", r"\D")


def _bare(pattern: str) -> str:
    """``pattern`` with ``C`` for every negated class, and ``x`` for other classes and escapes but ``\\A`` and ``\\z``."""
    return _CLASS_OR_ESCAPE.sub(_stand_in, pattern)


def _stand_in(part: re.Match[str]) -> str:
    if part[0] in (r"\A", r"\z", r"\Z"):
        return part[0]
    return "C" if part[0].startswith("[^") or part[0] in _WIDE else "x"


def anchored(pattern: str) -> bool:
    """Does ``pattern`` ask for the beginning or the end of the text?"""
    return _ANCHOR.search(_bare(pattern)) is not None


def scan_pattern(pattern: str) -> str:
    """``pattern`` without its anchors, for the joined buffer: it matches wherever ``pattern`` would, and more."""
    if not anchored(pattern):
        return pattern
    return re.sub(_CLASS_OR_ESCAPE.pattern + r"|[$^]", _without_anchor, pattern, flags=re.DOTALL)


def database_pattern(rule: Rule) -> str:
    """What stands for ``rule`` in the one scan."""
    return scan_pattern(rule.scan or rule.pattern)


def _without_anchor(part: re.Match[str]) -> str:
    return "(?:)" if part[0] in ("^", "$", r"\A", r"\z", r"\Z") else part[0]


def word_pattern(words: Iterable[str]) -> str:
    """A pattern for any of ``words`` in any letter case, on word boundaries where their ends are ASCII letters."""
    return "(?i)(?:" + "|".join(bounded(re2.escape(word)) for word in words) + ")"


def bounded(literal: str) -> str:
    """``literal``, an escaped text, with word boundaries at those ends that are ASCII letters or digits."""
    left = r"\b" if re.match(r"\w", literal, re.ASCII) else ""
    right = r"\b" if re.search(r"\w\Z", literal, re.ASCII) else ""
    return left + literal + right


def _reason(error: Exception) -> str:
    detail = error.args[0] if error.args else error
    return detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)


def compile_pattern(pattern: str) -> Pattern:
    """``pattern`` for a linear-time search over bytes, read as the scan engine reads it. Raises ``re2.error``."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 64 << 20
    if not engine.is_utf8(pattern):
        options.encoding = re2.Options.Encoding.LATIN1
    return Pattern(pattern.removeprefix(engine.UTF8).encode(), options)


@cache
def widest(pattern: str) -> int | None:
    """The most bytes that a match of ``pattern`` can have; nothing where there is no most, or none is known."""
    plain = _CLASS_OR_ESCAPE.sub("x", _CHARACTER.sub("x", pattern.removeprefix(engine.UTF8)))
    try:
        most = _parser.parse(plain).getwidth()[1] * (4 if engine.is_utf8(pattern) else 1)
    except re.error:
        return None
    return most if most < WIDEST and "{," not in plain else None


def confirms(rule: Rule) -> tuple[confirm.Confirm, ...]:
    """The second looks that ``rule`` names. Raises ``ConfigError`` with the rule's id."""
    names = {spec.removeprefix("not ").partition(":")[0] for spec in rule.confirm}
    if rule.context and confirm.READS_CONTEXT.isdisjoint(names):
        raise ConfigError([f"{rule.id}: has context words but no confirm reads them"])
    try:
        return tuple(confirm.parse(spec) for spec in rule.confirm)
    except ConfigError as error:
        raise ConfigError(f"{rule.id}: {problem}" for problem in error.problems) from None
