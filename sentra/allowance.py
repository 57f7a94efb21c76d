"""How much work one request may ask of the scan and of the confirm stage: no deadline ends a search that has begun."""

from collections.abc import Callable
from typing import TypeVar

LEAST_ALLOWANCE = 4 << 20
PASSES = 1536
SEARCH_COST = 256
CONFIRM_SECONDS, CONFIRM_GROWTH = 0.5, 6 << 20
SCAN_SECONDS = 0.3
LEAST_CONFIRM_SECONDS, SCAN_AND_CONFIRM_SECONDS = 0.1, 0.6
COLLECT_SECONDS = 0.1
CPU_CHECK_EVERY = 8
UNTIMED = 256 << 10
WINDOW = 4 << 10  # bytes; the most that is searched at once, where a pattern lets a text be parted
SLOW_WINDOW_SECONDS, SLOW_SECONDS = 0.002, 0.1

T = TypeVar("T")


class ScanTime:
    """Processor time that the scan of one request took; ``cpu`` is a clock of it, in seconds.

    A long text is scanned as one if that is ``fair``; one that takes longer only in pieces, until the time is ``over``.
    """

    __slots__ = ("_cpu", "spent")

    def __init__(self, cpu: Callable[[], float]):
        self._cpu = cpu
        self.spent = 0.0

    def timed(self, scan: Callable[[bytes], list[int]], buffer: bytes) -> list[int]:
        """What ``scan`` finds in ``buffer``, with its time noted."""
        began = self._cpu()
        found = scan(buffer)
        self.spent += self._cpu() - began
        return found

    @property
    def fair(self) -> bool:
        """Whether as much again may be spent."""
        return self.spent <= SCAN_SECONDS / 2

    @property
    def over(self) -> bool:
        """Whether the scan has to end."""
        return self.spent > SCAN_SECONDS


class Exceeded(Exception):
    """A request asks for more confirm work than any honest one; what it hides cannot be told."""


class Late(Exception):
    """The request's time budget is used up."""


class Allowance:
    """How much confirm work a request may cost: bytes searched with a charge for every second look, and processor time.

    ``expired`` tells whether the request's time is up; ``cpu`` is a clock of processor time, in seconds. Work is bounded
    well before the deadline, so that padding ends in a finding and not in whatever a late verdict is.
    """

    __slots__ = (
        "_cpu",
        "_most",
        "_since",
        "_size",
        "_slow",
        "_spent",
        "_takes",
        "_timed",
        "confirms",
        "expired",
        "failed",
        "left",
    )

    def __init__(self, size: int, expired: Callable[[], bool], cpu: Callable[[], float]):
        self._size, self._cpu = size, cpu
        self.confirms = self._takes = 0
        self.failed: dict[str, str] = {}
        self.renew(expired, CONFIRM_SECONDS * (1 + size / CONFIRM_GROWTH))

    def renew(self, expired: Callable[[], bool], most: float) -> None:
        """Start afresh with a new time budget, of which ``most`` seconds may be processor time."""
        self._most = most
        self.left = max(LEAST_ALLOWANCE, PASSES * self._size)
        self._timed = self.left - UNTIMED
        self.expired = expired
        self._spent = self._slow = 0.0
        self._since: float | None = None

    def scanned(self, seconds: float) -> None:
        """Make less time of confirming after a scan that took long: both have to end before the deadline."""
        self._most = min(self._most, max(LEAST_CONFIRM_SECONDS, SCAN_AND_CONFIRM_SECONDS - seconds))

    def begin(self) -> None:
        """A rule's processor time counts from now, once there was some work: to ask for it costs as much as a search."""
        self._slow = 0.0
        self._since = self._cpu() if self.left < self._timed else None

    def end(self) -> None:
        """Processor time counts until now."""
        if self._since is not None:
            self._spent += self._cpu() - self._since

    def take(self, size: int) -> None:
        """Pay for a search over ``size`` bytes. Raises ``Exceeded`` when nothing is left, ``Late`` out of time."""
        self.left -= size + SEARCH_COST
        self._takes += 1
        if size >= WINDOW:
            self._timed = self.left + 1  # one such search can take long: time counts from here
        if self.left < 0 or ((size >= WINDOW or self._takes % CPU_CHECK_EVERY == 0) and self._worn()):
            self.left = -1  # what is exceeded stays so: no rule after this one gets a share
            raise Exceeded
        if self.expired():
            raise Late

    def window(self, search: Callable[[], T]) -> T:
        """What ``search`` finds in one window. Raises ``Exceeded`` when too many windows of a rule took long.

        A pattern reads a window of an honest text in a tenth of a millisecond, or in five when it meets such words for the
        first time, which few windows are. One of a text made for it takes forty.
        """
        began = self._cpu()
        match = search()
        spent = self._cpu() - began
        if spent > SLOW_WINDOW_SECONDS:
            self._slow += spent
            if self._slow > SLOW_SECONDS:
                self.left = -1
                raise Exceeded
        return match

    def _worn(self) -> bool:
        if self._since is None and self.left < self._timed:
            self._since = self._cpu()
        return self._since is not None and self._spent + self._cpu() - self._since > self._most


def never() -> bool:
    """For work without a deadline."""
    return False


def no_clock() -> float:
    """For work without a bound on processor time."""
    return 0.0
