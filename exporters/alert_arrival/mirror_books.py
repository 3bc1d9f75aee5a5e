"""What the mirror has not passed on, passed on twice, or lost: the arithmetic, without I/O.

The three figures of a topic are read in this order: MirrorMaker's own source offset, the end at ZADS, the
end at IPAC. Whatever lies below the source offset was acknowledged by ZADS before the offset was written, so
a shortfall is real at any moment; and nothing at ZADS can lie beyond IPAC's end unless it came twice. Both
are lower bounds while alerts flow, and exact while nothing is in flight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exporters.alert_arrival.counts import AlertTopic, TopicPartition


@dataclass(frozen=True)
class Ends:
    """One reading of one partition: IPAC's log start and end, MirrorMaker's next source offset, the end at ZADS.

    `began` is IPAC's first offset of the mirror's time (see mirror_start), None while that is not known.
    """

    start: int
    source: int | None
    public: int | None
    upstream: int
    began: int | None = field(default=0, compare=False)


@dataclass(frozen=True)
class MirrorState:
    """Where the mirror stands on one topic; surplus and missing are never netted over partitions.

    `waiting` holds the next unread offset of each partition that is behind.
    """

    behind: int
    surplus: int
    missing: int
    waiting: tuple[tuple[TopicPartition, int], ...]


class MirrorBooks:
    """Keep per partition where the mirror began and what was last judged."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self._began: dict[str, int] = {str(k): int(v) for k, v in state["began"].items()} if state else {}
        self._verdict: dict[str, tuple[int, int]] = {}
        self._last: dict[str, Ends] = {}

    def state(self) -> dict[str, Any]:
        """Return what has to survive a restart."""
        return {"began": self._began}

    def topic(self, upstream: AlertTopic, public_id: str, ends: Mapping[int, Ends]) -> MirrorState:
        """Judge one topic; `public_id` is its id at ZADS, "" while it is not there or not readable."""
        behind = surplus = missing = 0
        waiting = []
        for number, now in ends.items():
            # An offset beyond the end, which was read later, is of a log that is gone.
            source = now.source if now.source is not None and now.source <= now.upstream else None
            position = now.began if source is None else source
            if position is not None and now.upstream > max(position, now.start):
                position = max(position, now.start)
                behind += now.upstream - position
                waiting.append(((upstream.name, number), position))
            if source is None:
                continue
            key = f"{upstream.topic_id}/{public_id}/{number}"
            if now.public is not None and public_id:
                self._judge(key, now, source)
            extra, gap = self._verdict.get(key, (0, 0))
            surplus += extra
            missing += gap + max(0, now.start - source)  # what IPAC deleted before the mirror read it never comes
        return MirrorState(behind, surplus, missing, tuple(waiting))

    def _judge(self, key: str, now: Ends, source: int) -> None:
        assert now.public is not None
        quiet = source == now.upstream and self._last.get(key) == now
        self._last[key] = now
        if key not in self._began:
            # A mirror that began when IPAC had deleted the beginning already never had it: no gap. Nor what lay there
            # before it was started at `latest`. What is in flight makes the shortfall look smaller than it is.
            shortfall = max(0, source - now.public)
            if now.began is None:
                return
            before = max(now.start, now.began)
            if shortfall < before and not quiet:
                return
            self._began[key] = min(before, shortfall)
        began = self._began[key]
        extra, gap = max(0, now.public - (now.upstream - began)), max(0, source - began - now.public)
        if not quiet:
            known = self._verdict.get(key, (0, 0))
            extra, gap = max(extra, known[0]), max(gap, known[1])
        self._verdict[key] = (extra, gap)

    def asks_where_it_began(self, upstream: AlertTopic, public_id: str, number: int, now: Ends) -> bool:
        """Tell whether the partition cannot be judged without knowing where the mirror began."""
        if now.source is None or now.source > now.upstream:
            return now.upstream > now.start
        unjudged = f"{upstream.topic_id}/{public_id}/{number}" not in self._began
        return unjudged and bool(public_id) and now.public is not None and now.source - now.public > now.start

    def forget(self, living: set[str]) -> None:
        """Drop what is kept of upstream topics that are gone; `living` holds the ids of those that are not."""
        for memory in (self._began, self._verdict, self._last):
            for key in [k for k in memory if k.split("/")[0] not in living]:
                del memory[key]
