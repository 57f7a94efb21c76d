"""``python -m tests.corpora FILE`` writes the corpora as labelled requests for ``sentra rules eval``."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tests.corpora import attacks, benign

BENIGN, ATTACKS = 600, 500


def labelled() -> Iterator[dict[str, Any]]:
    """Every request with its label and its family."""
    for request in benign.plain(BENIGN):
        yield {"request": request, "label": "allow", "family": "benign"}
    for family, request in attacks.samples(ATTACKS):
        yield {"request": request, "label": "block", "family": family}


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in labelled()))
