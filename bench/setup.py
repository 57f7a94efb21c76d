"""The set-up that is measured: shipped rules, an operator's configuration, and as many more rules as a case asks for."""

import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from sentra.assembly import Assembly, assemble
from sentra.config import BUILTIN_ORDER, load_settings

CONFIG = Path(__file__).parent / "setup.toml"
BEARER = "bench-token"
_SYLLABLES = (
    "bar",
    "cel",
    "dor",
    "fen",
    "gul",
    "him",
    "jor",
    "kel",
    "lum",
    "nar",
    "pol",
    "quo",
    "ras",
    "sil",
    "tur",
    "vex",
)

NEW = "barbarbar barbarbar"


def new_words(number: int) -> str:
    """Two made-up words as long as ``NEW``, others for each number up to 16 million."""
    return f"{_word(number & 0xFFF)} {_word(number >> 12 & 0xFFF)}"


def terms(count: int) -> list[str]:
    """``count`` different terms of three made-up words, as names of products or projects."""
    return [" ".join(_word(index * 3 + part) for part in range(3)) for index in range(count)]


def _word(number: int) -> str:
    """A made-up word of three syllables for each number below 4,096, then again with another ending."""
    syllables = [_SYLLABLES[number >> shift & 15] for shift in (0, 4, 8)]
    return "".join(syllables) + (_SYLLABLES[number >> 12] if number >> 12 else "")


def patterns(count: int) -> list[str]:
    """``count`` different patterns as operators write them: a prefix of their own and a bounded tail."""
    return [rf"\b{_word(index)}[-_ ]?[0-9]{{4,8}}[a-z]{{2}}\b" for index in range(count)]


def configuration(literals: int = 0, regexes: int = 0) -> dict[str, Any]:
    """The configuration file's content with that many more terms and patterns."""
    config: dict[str, Any] = tomllib.loads(CONFIG.read_text("utf-8"))
    if literals or regexes:
        added: dict[str, Any] = {"reasonCode": 790, "reason": "an operator's term"}
        for name, values in (("contains", terms(literals)), ("regex", patterns(regexes))):
            added |= {name: values} if values else {}
        config["policies"].append(added)
    return config


def assembled(literals: int = 0, regexes: int = 0) -> Assembly:
    """The whole pipeline for that configuration, in this process. Raises ``ConfigError``."""
    return _assembled(configuration(literals, regexes), ())


def assembled_with(added: dict[str, Any], plugins: Sequence[str]) -> Assembly:
    """The whole pipeline with ``added`` members of the configuration file and ``plugins`` behind the default ones."""
    return _assembled(configuration() | added, plugins)


def _assembled(config: dict[str, Any], plugins: Sequence[str]) -> Assembly:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_bytes(msgspec.json.encode(config))
        order = ",".join((*BUILTIN_ORDER, *plugins))
        environment = {"SENTRA_PLUGIN_CONFIG": str(path), "STRICT_AUTH_ALLOWED_TOKENS": BEARER, "SENTRA_PLUGINS": order}
        return assemble(load_settings(environment)[0])
