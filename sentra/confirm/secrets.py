"""Second looks at secrets: entropy, checksums of token formats, decodable structure, placeholders."""

import math
from collections import Counter

from sentra.confirm import Confirm, Hit, factory


@factory
def entropy(argument: str) -> Confirm:
    """Shannon entropy of the value, in bits per character, is at least ``argument``."""
    least = float(argument)
    return lambda hit: shannon(hit.value) >= least


def shannon(text: str) -> float:
    """Shannon entropy of ``text`` in bits per character; 0.0 for an empty text."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) if size else 0.0


def _unused(hit: Hit) -> bool:
    return bool(hit.value)
