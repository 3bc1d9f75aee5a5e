"""Rate limits as the providers keep them: so many calls in a sliding window, per key."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# A key is a channel, a routing key or a sender's address; the last is the caller's to choose, so it is bounded.
_KEYS_MOST = 1000


@dataclass(frozen=True)
class Rate:
    """At most `count` calls in any `seconds`."""

    count: int
    seconds: float


class RateLimit:
    """Allow `count` calls in `seconds` for each key; a refused call does not count, as with the providers."""

    def __init__(self, count: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._count, self._seconds, self._clock = count, seconds, clock
        self._calls: dict[str, deque[float]] = {}

    def take(self, key: str) -> float:
        """Return 0 when the call is allowed, else the seconds to wait."""
        now = self._clock()
        if len(self._calls) > _KEYS_MOST:
            self._calls = {k: calls for k, calls in self._calls.items() if calls and now - calls[-1] < self._seconds}
        calls = self._calls.setdefault(key, deque())
        while calls and now - calls[0] >= self._seconds:
            calls.popleft()
        if len(calls) >= self._count:
            return self._seconds - (now - calls[0])
        calls.append(now)
        return 0.0
