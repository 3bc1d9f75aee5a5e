"""Faults in the log: said when they begin, every ten minutes while they last, and when they are over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Set

_LOG = logging.getLogger(__name__)
SAY_AGAIN_SECONDS = 600.0
# What is looked at only every few collections is not over because one collection did not look at it.
_OVER_AFTER_SECONDS, _OVER_AFTER_COLLECTIONS = 30.0, 7
# zads.state says these in its own words, once.
_SAID_ELSEWHERE = frozenset({"StateDamaged", "StateNotSaved"})


class Seldom:
    """Tell whether something is to be said now: the first time, and ten minutes later again."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said: dict[str, float] = {}

    def due(self, what: str) -> bool:
        """Return whether to say it, and take it as said then."""
        now = self._monotonic()
        if now - self._said.get(what, float("-inf")) < SAY_AGAIN_SECONDS:
            return False
        self._said[what] = now
        return True

    def over(self) -> bool:
        """Forget what was said; return whether there was anything."""
        had = bool(self._said)
        self._said.clear()
        return had


class FaultLog:
    """The log of one collector's faults; a reason that was not seen for half a minute, or seven collections, is over."""

    def __init__(self, name: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._name, self._monotonic = name, monotonic
        self._seen: dict[str, float] = {}  # reasons that are not over: when they were last seen
        self._failed_at: float | None = None
        self._said_at = 0.0

    def note(self, reasons: Set[str], words: str, *, ok: bool, interval: float) -> None:
        """Take one collection's reasons; `words` say why all of it failed, when it is not `ok`."""
        now = self._monotonic()
        reasons = frozenset(reasons) - _SAID_ELSEWHERE
        new = bool(reasons - self._seen.keys()) or (not ok and self._failed_at is None)
        self._seen |= dict.fromkeys(reasons, now)
        if not ok:
            self._failed_at = now
        lasts = not ok or bool(reasons)
        if new or (lasts and now - self._said_at >= SAY_AGAIN_SECONDS):
            self._said_at = now
            what = f"collection failed: {words}" if not ok else f"parts could not be read: {', '.join(sorted(reasons))}"
            _LOG.warning("%s: %s%s", self._name, "" if new else "still: ", what)
        self._end(now, max(_OVER_AFTER_SECONDS, _OVER_AFTER_COLLECTIONS * interval))

    def _end(self, now: float, after: float) -> None:
        over = sorted(reason for reason, at in self._seen.items() if now - at >= after)
        works = self._failed_at is not None and now - self._failed_at >= after
        if not over and not works:
            return
        for reason in over:
            del self._seen[reason]
        if works:
            self._failed_at = None
        if self._seen:
            left = ", ".join(sorted(self._seen))
            _LOG.info("%s: %s for %.0f s; not over yet: %s", self._name, _gone(over), after, left)
        elif self._failed_at is None:
            _LOG.info("%s: collects all again, for %.0f s now", self._name, after)


def _gone(over: list[str]) -> str:
    return f"no more {', '.join(over)}" if over else "collects again"
