"""When did a partition's log reach an offset? A bounded history of (time, log end offset).

This answers how old the next unread message is. After a restart it is rebuilt from Kafka itself
(ListOffsets by timestamp at geometric ages), so that the first answer is already right, with the
right to DESCRIBE alone.
"""

from __future__ import annotations

from bisect import bisect_right

AGES_SECONDS = tuple(5.0 * 1.9**step for step in range(20))  # 5 s to 11 days
_MOST_POINTS = 400
_SPACING = 0.04


def points(asked: float, offset: int, timestamp_ms: int, end: int, now: float) -> list[tuple[float, int]]:
    """Return what an answer of ListOffsets by time tells: (time, log end offset) pairs for `rebuild`.

    `offset` is the first message at or after the time `asked`, -1 when there is none: just before it the log ended
    there. The message's own time says when the log had grown by it; without that second point a burst after a long
    silence would seem spread over the whole silence.
    """
    if offset < 0:
        return [(asked, end)]
    found = [(asked, offset)]
    if timestamp_ms >= 0:
        # A producer's clock may be ahead of ours; nothing in the log is younger than now.
        found.append((min(timestamp_ms / 1000.0, now), offset + 1))
    return found


class OffsetHistory:
    """The history of one partition; times are seconds since 1970."""

    __slots__ = ("_ends", "_times")

    def __init__(self) -> None:
        self._times: list[float] = []
        self._ends: list[int] = []

    def __len__(self) -> int:
        return len(self._times)

    @property
    def end(self) -> int | None:
        """The newest end offset known."""
        return self._ends[-1] if self._ends else None

    def rebuild(self, points: list[tuple[float, int]]) -> None:
        """Begin with points found elsewhere: at that time, the log ended at that offset."""
        self._times, self._ends = [], []
        for time, end in sorted(points):
            # Record timestamps may be out of order by a little; an end offset never goes back.
            self.add(time, max(end, self._ends[-1] if self._ends else 0))

    def add(self, time: float, end: int) -> None:
        """Note that at `time` the log ended at `end`.

        A log that became shorter is another log: the history begins anew.
        """
        if self._ends and end < self._ends[-1]:
            self._times, self._ends = [], []
        if self._times and time < self._times[-1]:
            time = self._times[-1]  # the clock was set back
        if len(self._ends) >= 2 and self._ends[-1] == self._ends[-2] == end:
            # Nothing came: move the later point, so that a quiet stretch is two points and its end is sharp.
            self._times[-1] = time
            return
        self._times.append(time)
        self._ends.append(end)
        if len(self._times) > _MOST_POINTS:
            self._thin()

    def learn(self, time: float, end: int) -> None:
        """Put in a point between others: at `time` the log ended at `end`, as far as the others allow."""
        index = bisect_right(self._times, time)
        low = self._ends[index - 1] if index else 0
        high = self._ends[index] if index < len(self._ends) else max(end, low)
        self._times.insert(index, time)
        self._ends.insert(index, min(max(end, low), high))

    def bracket(self, offset: int) -> tuple[float, float] | None:
        """Return the two times between which the message at `offset` was appended, None when they are not known."""
        index = bisect_right(self._ends, offset)
        if index == 0 or index == len(self._ends):
            return None
        return self._times[index - 1], self._times[index]

    def appended_at(self, offset: int) -> float | None:
        """Return when the message at `offset` was appended, or None when that is before all that is known.

        Between two points messages are taken to have come evenly.
        """
        if not self._ends or offset >= self._ends[-1]:
            return None
        index = bisect_right(self._ends, offset)
        if index == 0:
            return None
        before, after = self._ends[index - 1], self._ends[index]
        share = (offset + 1 - before) / (after - before)
        start = self._times[index - 1]
        return start + share * (self._times[index] - start)

    def since(self, offset: int) -> float | None:
        """Return when the message at `offset` was appended, None when it is not written yet.

        Older than all that is known: the time of the oldest point, so that an age is a lower bound.
        """
        if not self._ends or offset >= self._ends[-1]:
            return None
        at = self.appended_at(offset)
        return self._times[0] if at is None else at

    def age(self, offset: int, now: float) -> float:
        """Return the age of the message at `offset` in seconds; 0 when it is not written yet."""
        since = self.since(offset)
        return 0.0 if since is None else max(0.0, now - since)

    def _thin(self) -> None:
        """Forget points so that neighbours stay within a share of their age: the older, the sparser."""
        now = self._times[-1]
        times, ends = [self._times[0]], [self._ends[0]]
        for index in range(1, len(self._times) - 1):
            gap = self._times[index + 1] - times[-1]
            if gap > _SPACING * (now - self._times[index + 1]):
                times.append(self._times[index])
                ends.append(self._ends[index])
        times.append(self._times[-1])
        ends.append(self._ends[-1])
        if len(times) > _MOST_POINTS:
            times, ends = times[-_MOST_POINTS:], ends[-_MOST_POINTS:]
        self._times, self._ends = times, ends
