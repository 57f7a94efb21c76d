"""Answers kept for a while, by the content of the question."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

from sentra.definitions import CacheOptions
from sentra.plugins.external.reply import Answer


class Cache:
    """The last answers of one definition. Keys are digests, so no request text is kept; ``clock`` gives seconds."""

    def __init__(self, options: CacheOptions, clock: Callable[[], float]):
        self._options, self._clock = options, clock
        self._answers: OrderedDict[bytes, tuple[float, Answer]] = OrderedDict()

    @staticmethod
    def key(body: bytes) -> bytes:
        """A digest that stands for ``body``."""
        return hashlib.blake2b(body, digest_size=32).digest()

    def get(self, key: bytes) -> Answer | None:
        """The answer that was kept under ``key``, if it is not too old."""
        until, answer = self._answers.get(key, (0.0, None))
        if answer is None:
            return None
        if self._clock() >= until:
            del self._answers[key]
            return None
        self._answers.move_to_end(key)
        return answer

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep ``answer``, and let go of the one unused for longest when there are too many."""
        self._answers[key] = (self._clock() + self._options.seconds, answer)
        self._answers.move_to_end(key)
        if len(self._answers) > self._options.entries:
            self._answers.popitem(last=False)

    def __len__(self) -> int:
        return len(self._answers)
