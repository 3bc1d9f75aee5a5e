"""Lag of share groups (KIP-932): what the broker counts, and what can be said where it does not count."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from exporters.kafka_lag.lag import NO_EDGES, Edges
from exporters.kafka_lag.memory import HELD_FOR
from zads.kafka import Answer, Group, ShareOffset, TopicPartition
from zads.snapshot import Part, WideFamily

ByPartition = Mapping[TopicPartition, ShareOffset]


@dataclass(frozen=True)
class ShareLag:
    """A share group on a topic; `lag` is None where a partition's is not known.

    `bound`: from its start offsets to the log's end, which counts what was delivered or done out of order as well.
    """

    group: str
    topic: str
    lag: int | None
    bound: int


def share_lags(offsets: Mapping[str, ByPartition], topics: Container[str], edges: Mapping[str, Edges]) -> list[ShareLag]:
    """Return each group's lag by topic; partitions whose end was never read are left out of both figures."""
    found: list[ShareLag] = []
    for group, by_partition in offsets.items():
        sums: dict[str, tuple[int | None, int]] = {}
        for (topic, number), offset in by_partition.items():
            known = edges.get(topic, NO_EDGES)
            end = known.end.get(number)
            if topic not in topics or end is None:
                continue
            lag, bound = sums.get(topic, (0, 0))
            unread = max(0, end - max(offset.start, known.start.get(number, 0)))
            sums[topic] = (None if lag is None or offset.lag is None else lag + offset.lag, bound + unread)
        found += [ShareLag(group, topic, lag, bound) for topic, (lag, bound) in sums.items()]
    return found


class ShareGroups:
    """Remember where share groups stand while their coordinator does not say, and render their lag."""

    def __init__(self) -> None:
        self._offsets: dict[str, ByPartition] = {}
        self._missed: dict[str, int] = {}
        self._lag, self._bound = WideFamily("zads_sharegroup_lag"), WideFamily("zads_sharegroup_lag_bound")

    def update(
        self, groups: Mapping[str, Group], read: Answer[dict[TopicPartition, ShareOffset]]
    ) -> Mapping[str, ByPartition]:
        """Take one collection's answer; groups that failed keep what they had, for three collections."""
        offsets: dict[str, ByPartition] = dict(read.values)
        missed = {name: self._missed.get(name, 0) + 1 for name in read.failed if name in self._offsets and name in groups}
        offsets |= {name: self._offsets[name] for name, count in missed.items() if count <= HELD_FOR}
        self._offsets, self._missed = offsets, missed
        return offsets

    def parts(self, lags: list[ShareLag]) -> list[Part]:
        """Return the families' text."""
        told = [((row.group, row.topic), row.lag) for row in lags if row.lag is not None]
        texts = (self._lag.render(told), self._bound.render(((row.group, row.topic), row.bound) for row in lags))
        return [Part(text) for text in texts if text]
