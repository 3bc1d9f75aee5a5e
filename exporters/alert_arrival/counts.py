"""What the offsets say, without I/O: alerts per night, arrivals, what the mirror has not passed on, gaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TopicPartition = tuple[str, int]


@dataclass(frozen=True)
class AlertTopic:
    """An alert topic on one cluster."""

    name: str
    topic_id: str
    night: str
    program: int


class Arrivals:
    """Counters of arrived alerts per cluster and program: kept over restarts, never going down."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self.total: dict[tuple[str, int], int] = defaultdict(int)
        self._seen: dict[str, int] = {}
        if state:
            self._seen = {str(k): int(v) for k, v in state["seen"].items()}
            for key, value in state["total"].items():
                cluster, program = key.split("/")
                self.total[cluster, int(program)] = int(value)
        self._first = state is None

    def update(self, cluster: str, topics: Mapping[str, AlertTopic], ends: Mapping[TopicPartition, int]) -> None:
        """Add what came since the last look; a topic made anew (another id) counts from its beginning."""
        living = set()
        for (name, number), end in ends.items():
            topic = topics.get(name)
            if topic is None:
                continue
            key = f"{cluster}/{topic.topic_id}/{name}/{number}"
            living.add(key)
            before = self._seen.get(key, end if self._first else 0)
            self.total[cluster, topic.program] += max(0, end - before)
            self._seen[key] = max(end, before)
        for key in [k for k in self._seen if k.startswith(f"{cluster}/") and k not in living]:
            # Forget a topic only when its whole topic is gone, not while one partition has no leader.
            if key.split("/")[2] not in topics:
                del self._seen[key]

    def done_first(self) -> None:
        """End the first look: from now on, what is new counts from its beginning."""
        self._first = False

    def state(self) -> dict[str, Any]:
        """Return what has to survive a restart."""
        return {"seen": self._seen, "total": {f"{c}/{p}": n for (c, p), n in self.total.items()}}


def night_sums(topics: Mapping[str, AlertTopic], ends: Mapping[TopicPartition, int]) -> dict[tuple[str, int], int]:
    """Return alerts per (night, program): the sum of end offsets."""
    sums: dict[tuple[str, int], int] = defaultdict(int)
    for (name, _), end in ends.items():
        if name in topics:
            sums[topics[name].night, topics[name].program] += end
    return dict(sums)


@dataclass(frozen=True)
class MirrorState:
    """Where the mirror stands on one topic; surplus and missing are never netted."""

    behind: int
    surplus: int
    missing: int
    oldest: TopicPartition | None
    oldest_offset: int


def mirror_state(
    name: str,
    upstream: Mapping[TopicPartition, int],
    public: Mapping[TopicPartition, int],
    source: Mapping[TopicPartition, int],
    started: Mapping[TopicPartition, int],
) -> tuple[MirrorState, list[tuple[TopicPartition, int]]]:
    """Compare a topic's ends with MirrorMaker's own source offsets (the next to be read).

    `started` is the upstream offset at which the mirror began. Surplus and gap are only judged on
    partitions where nothing is in flight, since MirrorMaker writes its offsets some seconds late.
    Returns the state and the next unread offset of each partition that is behind.
    """
    behind = surplus = missing = 0
    waiting = []
    for part, end in upstream.items():
        if part[0] != name:
            continue
        next_offset = source.get(part, started.get(part, 0))
        left = max(0, end - next_offset)
        behind += left
        if left:
            waiting.append((part, next_offset))
        elif part in public:
            difference = public[part] - (next_offset - started.get(part, 0))
            surplus += max(0, difference)
            missing += max(0, -difference)
    return MirrorState(behind, surplus, missing, None, 0), waiting
