"""Wait longer after each failure that will not go away by itself soon: a broker logs every refused password."""

from __future__ import annotations

from collections.abc import Callable

_LONGEST = 60.0


class Backoff:
    """Tell whether it is time to try again; seconds, doubling from `first` to a minute."""

    def __init__(self, first: float, monotonic: Callable[[], float]) -> None:
        self._first, self._monotonic = first, monotonic
        self._wait = 0.0
        self._until = float("-inf")
        self.reason = ""

    def left(self) -> float:
        """Return the seconds still to wait, 0 when it is time."""
        return max(0.0, self._until - self._monotonic())

    def failed(self, reason: str) -> None:
        """Note a failure."""
        self._wait = min(_LONGEST, max(self._first, self._wait * 2))
        self._until, self.reason = self._monotonic() + self._wait, reason

    def succeeded(self) -> None:
        """Begin anew."""
        self._wait, self._until, self.reason = 0.0, float("-inf"), ""
