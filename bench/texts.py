"""Texts by name: ordinary ones, and hostile ones that ask a scanner for as much work as their size allows.

Every text is a pure function of its name and size, so two runs on two machines send the same bytes.
"""

import base64
import random
from collections.abc import Callable
from itertools import cycle
from typing import Any

import msgspec

from bench.near_misses import near_misses

SEED = 20250501

_WHO = ("The supplier", "Our team in Leeds", "The regional office", "A customer", "The finance group", "Nobody here")
_DID = ("asked for", "confirmed", "could not find", "has approved", "is waiting for", "will review", "forwarded")
_WHAT = (
    "the revised quotation",
    "the delivery schedule for spring",
    "a summary of last week's meeting",
    "the training plan and its budget",
    "the photos of the new warehouse",
    "an updated floor plan",
    "the list of open questions",
)
_WHEN = (
    "before the end of the month",
    "on Tuesday at 10:30",
    "after the call about ticket INC-48213",
    "because version 2.14.3 is late",
    "which comes to 1,284.50 in total",
    "as described at https://intranet.example.com/projects/north?tab=plan",
    "in room 4.17",
    "although 37 of 120 items are missing",
)


def ordinary(size: int, seed: int = SEED) -> str:
    """Business prose of ``size`` characters, all ASCII, with the numbers and links that such prose has."""
    rng = random.Random(seed)
    parts: list[str] = []
    length = 0
    while length < size:
        parts.append(f"{rng.choice(_WHO)} {rng.choice(_DID)} {rng.choice(_WHAT)} {rng.choice(_WHEN)}. ")
        length += len(parts[-1])
    return "".join(parts)[:size].rstrip().ljust(size, ".")


def _repeat(*units: str) -> Callable[[int], str]:
    """A text that repeats ``units`` in turn, each whole."""

    def text(size: int) -> str:
        parts, left = [], size
        for unit in cycle(units):
            left -= len(unit.encode())
            if left < 0:
                break
            parts.append(unit)
        return "".join(parts)

    return text


def _base64_wall(size: int) -> str:
    return base64.b64encode(ordinary(size * 3 // 4).encode()).decode()[:size]


def _base64_layers(size: int) -> str:
    text = ordinary(max(64, size * 27 // 64)).encode()
    for _ in range(3):
        text = base64.b64encode(text)
    return text.decode()[:size]


def _base64_pieces(size: int) -> str:
    rng = random.Random(SEED)
    pieces = (base64.b64encode(ordinary(36, rng.randrange(1 << 30)).encode()).decode() for _ in range(size // 49 + 1))
    return " ".join(pieces)[:size]


def _percent_wall(size: int) -> str:
    return "".join(f"%{ord(c):02X}" for c in ordinary(size // 3 + 1))[:size]


def _entity_wall(size: int) -> str:
    return "".join(f"&#{ord(c)};" for c in ordinary(size // 5 + 1))[:size]


def _escape_wall(size: int) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in ordinary(size // 6 + 1))[:size]


def _hex_wall(size: int) -> str:
    return ordinary(size // 2 + 1).encode().hex()[:size]


def _random_words(size: int) -> str:
    """Tokens that look random, as a log of object names: every one is a question to a check of entropy."""
    rng = random.Random(SEED)
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return " ".join("".join(rng.choices(alphabet, k=32)) for _ in range(size // 33 + 1))[:size]


def _digit_groups(size: int) -> str:
    rng = random.Random(SEED)
    return "; ".join(f"{rng.randrange(10, 10**4)}.{rng.randrange(10, 100)}" for _ in range(size // 7 + 1))[:size]


def _fullwidth(size: int) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in ordinary(size // 3))


def _half_orders(size: int) -> str:
    """Words of an order to a model without its verb, in any order: each leads a pattern to another state."""
    dice, words = (
        random.Random(SEED),
        ["предыдущие", "исходные", "прежние", "ранние", "все", "свои", "инструкции", "правила", "указания", "команды"],
    )
    return " ".join(dice.choices(words, k=size // 16))


def _ending(words: str) -> Callable[[int], str]:
    """Ordinary text that ends with ``words``."""
    return lambda size: f"{ordinary(size - len(words) - 1)} {words}"


TEXTS: dict[str, Callable[[int], str]] = {
    "ordinary": ordinary,
    "policy-term": _ending("This is for Project Falcon only."),
    "blocked-link": _ending("More at http://evil.com/ today."),
    "digits": _repeat("0123456789"),
    "one-digit": _repeat("7"),
    "digit-groups": _digit_groups,
    "near-cards": _repeat("4111111111111112 ", "5500000000000005 "),
    "near-ibans": _repeat("GB00WEST12345698765432, "),
    "near-phones": _repeat("+1 55; "),
    "near-mails": _repeat("a.b@c ", "x@@example ", "user@localhost, "),
    "near-keys": _repeat("password: ******** "),
    "near-templates": _repeat("token=${TOKEN} "),
    "near-links": _repeat("http://evil-com.example/ ", "notevil.com.example "),
    "placeholders": _repeat("api_key = <api-key>; "),
    "at-signs": _repeat("@"),
    "dots": _repeat("a."),
    "equals": _repeat("key="),
    "spaces": _repeat(" "),
    "letters": _repeat("A"),
    "half-orders": _half_orders,
    "order-words": _repeat("ignorere dine instruktioner systemprompt overse opsummer skriv forrige systembesked "),
    "words": _repeat("ignore the noise and read all previous notes "),
    "random-words": _random_words,
    "cyrillic": _repeat("Отчёт готов, совещание переносится на вторник. "),
    "chinese": _repeat("会议推迟到星期二，请查看附件中的时间表。"),
    "emoji": _repeat("🙂🚀", "👩‍💻"),
    "fullwidth": _fullwidth,
    "zero-width": _repeat("r\u200be\u200bp\u200bo\u200br\u200bt "),
    "accents": _repeat("a\u0301e\u0300o\u0308\u0327 "),
    "mixed-scripts": _repeat("раypаl аccоunt "),
    "base64-wall": _base64_wall,
    "base64-layers": _base64_layers,
    "base64-pieces": _base64_pieces,
    "percent-wall": _percent_wall,
    "entity-wall": _entity_wall,
    "escape-wall": _escape_wall,
    "hex-wall": _hex_wall,
}


def text(name: str, size: int) -> str:
    """The text called ``name``, of about ``size`` bytes. Raises ``KeyError`` for an unknown name."""
    return TEXTS[name](size)


def structure(name: str, size: int) -> Any:
    """A JSON value called ``name`` of about ``size`` bytes: hostile by its shape, not by its words."""
    return STRUCTURES[name](size)


def _deep(depth: int) -> Callable[[int], Any]:
    def value(size: int) -> Any:
        inner: Any = ordinary(max(8, size - depth * 7))
        for level in range(depth):
            inner = {f"k{level % 10}": inner} if level % 2 else [inner]
        return inner

    return value


def _many_keys(size: int) -> Any:
    return {f"field{index}": index for index in range(size // 18)}


def _many_numbers(size: int) -> Any:
    return [index % 10 for index in range(size // 2)]


def _many_objects(size: int) -> Any:
    return [{"id": index, "name": f"item {index}", "open": True} for index in range(size // 48)]


def _too_deep(size: int) -> Any:
    """More levels than a decoder takes; no encoder takes them either."""
    return msgspec.Raw(b"[" * (size // 2) + b"]" * (size // 2))


def _near_misses(size: int) -> Any:
    """Near misses of all shipped rules, each a value of its own, from the first again until ``size`` is reached."""
    values, left = [], size
    for item in cycle(near_misses()):
        left -= len(item.encode()) + 4
        if left <= 0:
            break
        values.append(item)
    return values


STRUCTURES: dict[str, Callable[[int], Any]] = {
    "deep": _deep(190),
    "too-deep": _too_deep,
    "many-keys": _many_keys,
    "many-numbers": _many_numbers,
    "many-objects": _many_objects,
    "near-misses": _near_misses,
}
