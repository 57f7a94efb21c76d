"""The generated part of `docs/rules.md`: every shipped rule, every confirm, and what disguises are seen through."""

import inspect
import time
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache

import msgspec

from sentra import confirm, ruleset
from sentra.assembly import Assembly, assemble
from sentra.config import load_settings
from sentra.domains import Hosts, expand_hosts
from sentra.plugins import BUILTIN, Builtin
from sentra.ruleset import Combination, Rule
from sentra.wire import AnalyzeRequest, decode_request
from tests import test_evasion as evasion
from tests.conftest import CACHE
from tests.corpora.evasion import TRANSFORMS, WORDS_ONLY
from tests.docs import NOTE, ROOT, first_paragraph, table

PAGE = ROOT / "docs" / "rules.md"
WORDS = "Ignore me"
MAX_SHOWN = 44


def rules() -> str:
    """The whole of `docs/rules.md`: its hand-written part as it is, and the generated one made anew."""
    written = PAGE.read_text("utf-8").partition(NOTE)[0]
    parts = (_confirms(), _overview(), _packs(), _hosts(), _matrix())
    return written + "\n".join([NOTE + "\n", *(line for part in parts for line in part)]).rstrip() + "\n"


def _confirms() -> Iterator[str]:
    yield "## Confirms\n"
    yield "`name:argument` where an argument is told, or `name>=number`; `not ` before it turns it round.\n"
    rows = ((f"`{name}`", confirm_text(name)) for name in sorted(confirm.REGISTRY))
    yield from table(("name", "holds when"), rows)


def confirm_text(name: str) -> str:
    """What the confirm ``name`` says of itself."""
    make = confirm.REGISTRY[name]
    check = inspect.getclosurevars(make).nonlocals.get("check")
    return first_paragraph(make.__doc__ or getattr(check, "__doc__", None))


def _overview() -> Iterator[str]:
    yield "## The shipped rules\n"
    rows = []
    for builtin in BUILTIN:
        pack = ruleset.shipped(builtin.name)
        off, weak = sum(not rule.default for rule in pack.rules), sum(rule.strength == "weak" for rule in pack.rules)
        sandbox = sum(rule.maturity == "sandbox" for rule in pack.rules)
        rows.append((f"`{builtin.name}`", len(pack.rules), len(pack.combinations), weak, sandbox, off))
    yield from table(("plugin", "rules", "combinations", "weak", "sandbox", "off by default"), rows)
    yield "`email_bcc` has no patterns: it reads the addresses of `bcc` arguments, and takes more than 1,000 of them for outside. The rules of `policy_pack` are yours.\n"


def _packs() -> Iterator[str]:
    listed = {str(rule["id"]) for rule in host_rules()}
    for builtin in BUILTIN:
        pack = ruleset.shipped(builtin.name)
        entries = [entry for entry in pack.entries if entry.id not in listed]
        if entries:
            yield f"### {builtin.name}\n"
            yield f"Reads {_named(builtin.sources)} unless the rule says otherwise; blocks with {builtin.reason_code}.\n"
            rows = (_row(builtin, entry) for entry in entries)
            yield from table(("id", "finds", "trusted because", "reads", "does", "groups", "tags"), rows)


def _row(builtin: Builtin, entry: Rule | Combination) -> tuple[str, ...]:
    tags = ", ".join(entry.tags) or "-"
    if isinstance(entry, Combination):
        near = f", at most {entry.near} bytes apart" if entry.near else ""
        why = f"{' and '.join(f'`{name}`' for name in entry.all)} in one {entry.within}{near}"
        return f"`{entry.id}`", entry.title, why, "-", "blocks", "-", tags
    reads = _named(entry.sources) if entry.sources and entry.sources != builtin.sources else "-"
    groups = ", ".join(entry.group) or "-"
    return f"`{entry.id}`", entry.title, trust(entry), reads, _action(entry), groups, tags


def trust(rule: Rule) -> str:
    """Why a hit of ``rule`` is believed: in its own words, else by what confirms it."""
    return rule.trust or (f"confirmed by {_named(rule.confirm)}" if rule.confirm else "the pattern alone")


def _action(rule: Rule) -> str:
    does = "recorded" if rule.maturity == "sandbox" else "weak" if rule.strength == "weak" else "blocks"
    return does if rule.default else f"{does}; off"


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _host_tables() -> list[dict[str, object]]:
    folder = ruleset.RULES / "domain_block"
    files = (entry for entry in folder.iterdir() if entry.name.endswith(".toml"))
    documents = (tomllib.loads(entry.read_text("utf-8")) for entry in sorted(files, key=lambda entry: entry.name))
    return [hosts for document in documents for hosts in document.get("hosts", ())]


def host_rules() -> list[dict[str, object]]:
    """The rules that stand for single hosts, as the tables of hosts expand to them."""
    document: dict[str, list[dict[str, object]]] = {"hosts": _host_tables()}
    expand_hosts(document)
    return document.get("rule", [])


def _hosts() -> Iterator[str]:
    yield "### Hosts of domain_block\n"
    yield "One rule for each host and its subdomains, `domain_block.` and its name with `-` for every other sign: "
    yield f"{len(host_rules())} of them. `sentra rules list --plugin domain_block` lists them; a group can be switched as one.\n"
    hosts = [msgspec.convert(entry, Hosts) for entry in _host_tables()]
    rows = (
        (
            f"`{h.group}`",
            h.title,
            len(h.hosts) + len(h.links),
            "on" if h.default else "off",
            h.source,
            h.date,
            ", ".join(h.tags),
        )
        for h in hosts
    )
    yield from table(("group", "finds", "hosts", "default", "source", "date", "tags"), rows)


@cache
def assembled() -> Assembly:
    """The default configuration."""
    return assemble(load_settings({"SENTRA_CACHE_DIR": CACHE})[0])


def blocked(request: object) -> bool:
    """Is ``request`` blocked under the default configuration?"""
    decoded: AnalyzeRequest = decode_request(msgspec.json.encode(request))
    return assembled().pipeline.decide(decoded, time.monotonic() + 60)[0].blocked


def seen_through(name: str) -> tuple[bool, bool | None, bool | None]:
    """Are an instruction, a secret and a blocked host blocked in this disguise? ``None`` where it spoils values."""
    disguise = TRANSFORMS[name]
    words = all(blocked(place(disguise(evasion.INSTRUCTION))) for place in (evasion.in_message, evasion.in_output))
    if name in WORDS_ONLY:
        return words, None, None
    places = (evasion.in_message, evasion.in_input)
    secret, host = (all(blocked(place(disguise(text))) for place in places) for text in (evasion.SECRET, evasion.HOST))
    return words, secret, host


def _matrix() -> Iterator[str]:
    yield "## Evasion matrix\n"
    yield "Each disguise was put on an instruction (in the user's message and in a tool's output), on a secret and on a blocked host"
    yield "(in the user's message and in an argument), and judged by the default configuration. `-`: the disguise changes letters,"
    yield "so that no key or address survives it.\n"
    told = {True: "blocked", False: "**passes**", None: "-"}
    rows = (
        (name.replace("_", " "), f"`{example(name)}`", *(told[outcome] for outcome in seen_through(name)))
        for name in TRANSFORMS
    )
    yield from table(("disguise", f'"{WORDS}" becomes', "instruction", "secret", "host"), rows)


def example(name: str) -> str:
    """A short text in disguise; characters that cannot be seen are escaped."""
    text = "".join(map(_visible, TRANSFORMS[name](WORDS)))
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def _visible(character: str) -> str:
    if character == " " or (unicodedata.category(character)[0] in "LNPS" and unicodedata.category(character) != "Lm"):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
