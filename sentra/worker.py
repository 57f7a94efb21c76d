"""What granian calls in each worker: builds the application, or ends the worker before it can answer anything."""

import os
from pathlib import Path
from typing import Any

from sentra.config import load_settings
from sentra.log import configure_logging
from sentra.metrics import claim_slot
from sentra.server import METRICS_DIR
from sentra.stopping import hold_stop


def create() -> Any:
    """The ASGI application of this worker. Whatever it raises keeps the worker from serving."""
    settings, _ = load_settings()
    configure_logging(settings.log_level)
    folder = os.environ.get(METRICS_DIR)  # noqa: TID251 - the parent announces the metrics folder here
    if folder:
        claim_slot(Path(folder))
    from sentra.app import create_app

    app = create_app(settings, Path(folder) if folder else None)
    hold_stop()
    return app
