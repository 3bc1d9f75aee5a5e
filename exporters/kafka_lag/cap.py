"""The cap on cardinality: what is over it is left out, widest group first, and counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from exporters.kafka_lag.memory import ByTopic
from zads.kafka import Topic

_PER_PARTITION = 2  # lag and committed offset
_PER_TOPIC = 11  # what stands per group and topic
_PER_ASSIGNED = 2  # what stands per group and a topic that it is assigned and has committed nothing on
_PER_GROUP = 14  # states, type, members, sums
_TOPIC_PARTITION = 9  # what stands per partition of a topic


@dataclass(frozen=True)
class Cut:
    """What may be shown: groups with a series per partition, groups at all, topics with series per partition, topics at all.

    `size` is the number of series that are left, `dropped` of those that are not; both are rather too large, since
    a group may have fewer states or a topic no leader.
    """

    whole: frozenset[str]
    groups: frozenset[str]
    topics: frozenset[str]
    named: frozenset[str]
    size: int
    dropped: int


def cut(
    groups: Mapping[str, ByTopic],
    topics: Mapping[str, Topic],
    most: int,
    *,
    per_partition: bool,
    more: int = 0,
    assigned: Mapping[str, Collection[str]] | None = None,
) -> Cut:
    """Return what fits into `most` series.

    First the series per partition go, of the widest group, then of the next; then those of topics; then whole
    groups; then topics. `more` is what a partition has in addition; `assigned` are groups' topics by their members.
    """
    widths = {
        group: sum(len(offsets) for name, offsets in by_topic.items() if name in topics)
        for group, by_topic in groups.items()
    }
    each = _PER_PARTITION + more
    costs = {group: _PER_GROUP + _PER_TOPIC * sum(map(topics.__contains__, by_topic)) for group, by_topic in groups.items()}
    for group, named in (assigned or {}).items():
        if group in costs:
            costs[group] += _PER_ASSIGNED * sum(name in topics and name not in groups[group] for name in named)
    whole, shown, wide_topics, names = set(groups) if per_partition else set[str](), set(groups), set(topics), set(topics)
    everything = size = (
        sum(costs.values())
        + sum(each * widths[group] for group in whole)
        + sum(1 + _TOPIC_PARTITION * len(topic.leaders) for topic in topics.values())
    )
    steps: tuple[tuple[set[str], list[tuple[int, str]]], ...] = (
        (whole, [(each * widths[group], group) for group in whole]),
        (wide_topics, [(_TOPIC_PARTITION * len(topic.leaders), name) for name, topic in topics.items()]),
        (shown, [(cost, group) for group, cost in costs.items()]),
        (names, [(1, name) for name in topics]),
    )
    for left, prices in steps:
        if size <= most:
            break
        for price, name in sorted(prices, key=lambda row: (-row[0], row[1])):
            if size <= most:
                break
            left.discard(name)
            size -= price
    return Cut(frozenset(whole), frozenset(shown), frozenset(wide_topics), frozenset(names), size, everything - size)
