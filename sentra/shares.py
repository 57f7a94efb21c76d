"""Fair shares: who has lately taken how much of a worker's time, and who holds how many of its requests under way.

Under load the tenant or the agent that takes most is refused first, and one that takes little is refused last. Nobody
is refused for its share while there is room: whoever is alone may have everything.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from sentra.wire import AnalyzeRequest, Identity, identity

MEMORY_SECONDS = 2.0
MOST_SHARES = 4096

Key = tuple[str | None, ...]
_KEYS: dict[str, Callable[[Identity], Key]] = {
    "tenant": lambda who: (who.tenant_id,),
    "agent": lambda who: (who.tenant_id, who.agent_id),
}
LEVELS = {"off": (), "tenant": ("tenant",), "agent": ("agent",), "both": ("tenant", "agent")}


class Share:
    """What one tenant or agent takes: ``under_way`` requests now, and ``spent`` seconds as of the time ``at``."""

    __slots__ = ("at", "spent", "under_way")

    def __init__(self) -> None:
        self.under_way, self.spent, self.at = 0, 0.0, 0.0

    def lately(self, now: float) -> float:
        """Seconds of judging, each counting the less the longer ago it was."""
        return self.spent * math.exp((self.at - now) / MEMORY_SECONDS)


class Level:
    """All tenants, or all agents, that asked lately: the least recent are forgotten when there are very many."""

    def __init__(self, key: Callable[[Identity], Key]):
        self._key = key
        self._shares: OrderedDict[Key, Share] = OrderedDict()
        self._heaviest = Share()

    def of(self, who: Identity) -> Share:
        key = self._key(who)
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = Share()
            if len(self._shares) > MOST_SHARES:
                self._shares.popitem(last=False)
        self._shares.move_to_end(key)
        return share

    def spend(self, share: Share, seconds: float, now: float) -> None:
        """Note that ``share`` took ``seconds``. All fade alike, so only who spends can become the heaviest."""
        share.spent, share.at = share.lately(now) + seconds, now
        if share.spent >= self._heaviest.lately(now):
            self._heaviest = share

    def weight(self, share: Share, now: float) -> float:
        """How much ``share`` has lately taken, as a part of what the heaviest has: from 0 to 1."""
        most = self._heaviest.lately(now)
        return min(1.0, share.lately(now) / most) if most > 0 else 0.0

    def hold(self, share: Share) -> float:
        """How many requests ``share`` has under way, as a part of the most that one has: from 0 to 1. Linear in shares."""
        most = max(other.under_way for other in self._shares.values())
        return min(1.0, share.under_way / most) if most else 0.0


class Taker:
    """Whose a request is: its tenant, its agent, or both, in one worker."""

    __slots__ = ("_clock", "_of")

    def __init__(self, of: list[tuple[Level, Share]], clock: Callable[[], float]):
        self._of, self._clock = of, clock

    def weight(self) -> float:
        """From 0 for who takes nothing to 1 for who takes most of the time."""
        now = self._clock()
        return max(level.weight(share, now) for level, share in self._of)

    def hold(self) -> float:
        """From 0 for who has no request under way to 1 for who has most of them."""
        return max(level.hold(share) for level, share in self._of)

    def spend(self, seconds: float) -> None:
        now = self._clock()
        for level, share in self._of:
            level.spend(share, seconds, now)

    def enter(self) -> None:
        for _, share in self._of:
            share.under_way += 1

    def leave(self) -> None:
        for _, share in self._of:
            share.under_way -= 1


class Shares:
    """The shares of one worker, by tenant, by agent or by both, as ``SENTRA_FAIR_SHARE`` says."""

    def __init__(self, fair_share: str, clock: Callable[[], float] = time.monotonic):
        self._levels = [Level(_KEYS[name]) for name in LEVELS[fair_share]]
        self._clock = clock

    def taker(self, request: AnalyzeRequest) -> Taker:
        """Whose ``request`` is, as it tells itself; all that tell nothing are one."""
        who = identity(request)
        return Taker([(level, level.of(who)) for level in self._levels], self._clock)
