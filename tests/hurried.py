"""``sentra`` with signing keys that live fast: what takes an hour takes ``PERIOD`` seconds, what takes a minute one.

``python -m tests.hurried serve`` runs the real service otherwise unchanged, so that tests can watch keys come and go.
"""

from sentra import entra_keys
from sentra.cli import main

PERIOD, SPACING, FETCH = 2.0, 0.5, 2.0


def hurry() -> None:
    """Shorten the times of this process, and of the workers that it starts."""
    entra_keys.PERIOD_SECONDS = PERIOD
    entra_keys.SPACING_SECONDS = SPACING
    entra_keys.RETRY_SECONDS = PERIOD / 2
    entra_keys.FETCH_SECONDS = FETCH


if __name__ in ("__main__", "__mp_main__"):
    hurry()
if __name__ == "__main__":
    main()
