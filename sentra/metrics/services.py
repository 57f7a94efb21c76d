"""What became of calls to outside services, published from the running totals that each of them keeps."""

from collections.abc import Callable, Mapping
from typing import Any

from sentra.metrics.files import Cell

Health = Callable[[], Mapping[str, Any]]


class Services:
    """The outside services of one worker. ``cell`` gives the number of a metric with its label values.

    Outcomes are counted by their first word, so that a service cannot make series by answering with many statuses.
    """

    def __init__(self, cell: Callable[..., Cell]):
        self._cell = cell
        self._health: Health = dict
        self._seen: dict[tuple[str, str], int] = {}
        self._shown: set[str] = set()

    def watch(self, health: Health) -> None:
        """Publish from ``health`` from now on, whose totals start at 0; what was left of the one before is published."""
        self.publish()
        for plugin in self._shown:
            self._cell("sentra_external_inflight_calls", plugin).set(0)
            self._cell("sentra_external_breakers_open", plugin).set(0)
        self._health, self._seen, self._shown = health, {}, set()

    def publish(self) -> None:
        """Write what was added since the last time."""
        for plugin, state in self._health().items():
            self._shown.add(plugin)
            for kind, total in state["calls"].items():
                added = total - self._seen.get((plugin, kind), 0)
                if added:
                    self._seen[(plugin, kind)] = total
                    self._cell("sentra_external_calls_total", plugin, kind.partition(" ")[0]).inc(added)
            self._cell("sentra_external_inflight_calls", plugin).set(state["inFlight"])
            self._cell("sentra_external_breakers_open", plugin).set(state["breaker"] in ("open", "half_open"))
