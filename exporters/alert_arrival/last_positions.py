"""Where the mirror stood when ZADS's Kafka was last read: for the time while that Kafka is known to be dead.

A Kafka whose every address refuses the connection takes nothing, so what is beyond the mirror's last position waits
at IPAC. One that only does not answer in time may be out of our sight alone, and alerts pass on: then nothing here is
true any more. Positions that are older than a minute when Kafka is first found dead are not used, over a restart of
the exporter too: the mirror may have gone on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from exporters.alert_arrival.counts import AlertTopic
from exporters.alert_arrival.mirror_books import Ends, MirrorBooks, MirrorState

_UNSEEN_AT_MOST = 60.0
_STEP = 30.0  # of the times that are kept, so that the file changes seldom
_DEAD_AT_MOST = 43_200.0  # a night: by then a Kafka that refuses us may have moved, and its config not


class LastPositions:
    """The next offset of the mirror by IPAC's topic and partition; None where that was not known."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self._positions: dict[str, dict[int, int | None]] = {}
        self._read_at = self._seen_at = float("-inf")
        if state:
            self._positions = {
                str(topic): {int(number): None if at is None else int(at) for number, at in parts.items()}
                for topic, parts in state["positions"].items()
            }
            self._read_at, self._seen_at = float(state["read"]), float(state["seen"])

    def state(self) -> dict[str, Any] | None:
        """Return what has to survive a restart; None while nothing was read."""
        if not self._positions:
            return None
        read, seen = (at // _STEP * _STEP for at in (self._read_at, self._seen_at))
        return {"positions": self._positions, "read": read, "seen": seen}

    def note(self, topics: Iterable[AlertTopic], ends: Mapping[str, Mapping[int, Ends]], now: float) -> None:
        """Take where the mirror stands on these topics (ends by topic's name); the others are gone."""
        known = self._positions
        self._positions = {}
        for topic in topics:
            fresh = {number: _position(end) for number, end in ends[topic.name].items()}
            self._positions[topic.topic_id] = known.get(topic.topic_id, {}) | fresh
        self._read_at = self._seen_at = now

    def held(self, now: float) -> bool:
        """Tell whether they still hold at `now`, when ZADS's Kafka refuses every connection, and note that it does."""
        if now - self._seen_at > _UNSEEN_AT_MOST + _STEP or now - self._read_at > _DEAD_AT_MOST:
            return False
        self._seen_at = now
        return True

    def waiting(self, topic: AlertTopic, starts: Mapping[int, int], ends: Mapping[int, int]) -> MirrorState:
        """Return what of a topic waits, by IPAC's log starts and ends of now. A topic that came since waits as a whole."""
        known = self._positions.get(topic.topic_id)
        rows = {}
        for number, end in ends.items():
            at = 0 if known is None else known.get(number)
            if at is not None:
                rows[number] = Ends(starts.get(number, 0), None, None, end, began=at)
        return MirrorBooks().topic(topic, "", rows)


def _position(end: Ends) -> int | None:
    return end.began if end.source is None or end.source > end.upstream else end.source
