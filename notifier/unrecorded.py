"""What happened to deliveries while the record could not be written: kept in memory, recorded as soon as that works.

Without this, a page that was accepted before the disk was full would wait until somebody frees the disk, and one that
a provider took would be sent again when its lease ends.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class _Told:
    note: Callable[[], None] | None = None  # writes it into the record
    again_at: float = math.inf  # monotonic: when it may be tried again; never for what was answered for good


@dataclass
class Unrecorded:
    """One channel's, used by its worker alone."""

    _told: dict[int, _Told] = field(default_factory=dict)  # by delivery

    def note(self, deliveries: list[int], record: Callable[[], None], again_in: float | None = None) -> None:
        """Record what became of these deliveries, and keep it in memory when that fails.

        `again_in`: seconds until they are tried again, None where they are not.
        Raises sqlite3.Error when it cannot be recorded now.
        """
        again_at = math.inf if again_in is None else time.monotonic() + again_in
        for number in deliveries:
            self._told[number] = _Told(None, again_at)
        self._told[deliveries[0]].note = record
        self.write()

    def later(self, number: int, seconds: float) -> None:
        """Note that a try without the record failed: the next one is not before so many seconds."""
        self._told.setdefault(number, _Told()).again_at = time.monotonic() + seconds

    def write(self) -> None:
        """Record all of it.

        Raises sqlite3.Error when that fails; what was not recorded stays.
        """
        for number, one in list(self._told.items()):
            if one.note is not None:
                one.note()
            self._told.pop(number, None)

    def done(self) -> set[int]:
        """Return the deliveries that are not to be tried now: those that a provider has answered, or that wait."""
        now = time.monotonic()
        return {number for number, one in self._told.items() if one.again_at > now}
