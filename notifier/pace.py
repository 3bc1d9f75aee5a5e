"""How fast each provider may be told: its documented limits, kept before it has to refuse."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """Messages a second in the long run, and how many may go at once after a pause."""

    rate: float
    burst: int


# Slack: "generally one message per second per channel", short bursts tolerated (docs.slack.dev/apis/web-api/rate-limits).
# PagerDuty: 120 events a minute and integration key, in a sliding window (developer.pagerduty.com, Events API v2,
# rate limits): 60 at once and 60 in the minute after never exceed it.
LIMITS = {"slack": Limit(1.0, 5), "pagerduty": Limit(1.0, 60)}


_ROUNDING = 1e-6


class Pace:
    """A token bucket; `limit` None never waits."""

    def __init__(self, limit: Limit | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._tokens, self._at = float(limit.burst if limit else 0), clock()

    def wait(self) -> float:
        """Return the seconds until the next message may go; 0 when it may now."""
        if self._limit is None:
            return 0.0
        now = self._clock()
        self._tokens = min(float(self._limit.burst), self._tokens + max(0.0, now - self._at) * self._limit.rate)
        self._at = now
        missing = 1.0 - self._tokens
        return missing / self._limit.rate if missing > _ROUNDING else 0.0

    def spent(self) -> None:
        """Note that a message went."""
        self._tokens -= 1.0
