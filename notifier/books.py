"""What the metrics and the watch know of each channel, and when to try again."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

from notifier.model import DeliveryError, Receipt

_FIRST, _MOST = 5.0, 900.0
UNHEALTHY_AFTER = 3
_PROBE_MOST = 60.0  # while a provider is away, one try a minute, whatever waits
BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


def backoff(attempts: int, rng: Callable[[], float] = random.random) -> float:
    """Return the seconds until the next try: full jitter, 5 s doubled up to 15 minutes."""
    return float(max(1.0, rng() * min(_MOST, _FIRST * 2 ** min(attempts - 1, 20))))


class ChannelBooks:
    """One channel: what was sent, what failed, whether it works.

    `complaints`: the last message reached some of its recipients only.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.outcomes: Counter[str] = Counter()
        self.retries = 0
        self.failures = 0  # in a row
        self.refused = False  # the last answer was a permanent error
        self.complaints = False
        self.held_until = 0.0  # the circuit is open, or the provider asked for a pause
        self._steady_until = 0.0  # the same by a clock that nobody sets
        self.broken_since: float | None = None
        self.delays: list[int] = [0] * (len(BUCKETS) + 1)
        self.delay_sum = 0.0

    @property
    def works(self) -> bool:
        """Tell whether the provider accepts."""
        return not self.refused and self.failures < UNHEALTHY_AFTER

    def sent(self, seconds: float, receipt: Receipt, *, to_all: bool = True) -> None:
        """Count a message that arrived after so many seconds; `to_all`: it was for all of the channel's recipients."""
        self.outcomes["sent"] += 1
        self.failures, self.refused, self.broken_since = 0, False, None
        if to_all:
            self.complaints = bool(receipt.missed)
        self.outcomes["refused"] += sum(error.permanent for error in receipt.missed.values())
        self.outcomes["failed"] += sum(not error.permanent for error in receipt.missed.values())
        self.delays[sum(seconds > edge for edge in BUCKETS)] += 1
        self.delay_sum += seconds

    def failed(self, error: DeliveryError, *, to_all: bool = True) -> None:
        """Count a failure; hold the channel back where it is the provider's and not one recipient's."""
        self.outcomes["refused" if error.permanent else "failed"] += 1
        if not to_all:
            self.complaints = True  # the others have the message: the channel works
            return
        now = self._clock()
        self.failures += 1
        self.refused = error.permanent
        if not self.works and self.broken_since is None:
            self.broken_since = now
        if error.narrow:
            return
        if error.retry_after:
            self._hold(now, error.retry_after)
        elif not error.permanent and self.failures >= UNHEALTHY_AFTER:
            self._hold(now, min(_PROBE_MOST, backoff(self.failures)))

    def _hold(self, now: float, seconds: float) -> None:
        self.held_until, self._steady_until = now + seconds, time.monotonic() + seconds

    def held(self) -> float:
        """Return the seconds that the channel is still held back, at most; a clock that is put back prolongs nothing."""
        return min(self.held_until - self._clock(), self._steady_until - time.monotonic())
