"""The cap on cardinality: what is over it is left out, widest group first, and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporters.kafka_lag.memory import ByTopic
from zads.kafka import Topic

_PER_PARTITION = 2  # lag and committed offset
_PER_TOPIC = 11  # what stands per group and topic
_PER_GROUP = 13  # states, type, members, sums
_TOPIC_PARTITION = 9  # what stands per partition of a topic


@dataclass(frozen=True)
class Cut:
    """What may be shown: groups with a series per partition, groups at all, topics with series per partition.

    `size` is the number of series that are left, `dropped` of those that are not; both are rather too large, since
    a group may have fewer states or a topic no leader.
    """

    whole: frozenset[str]
    groups: frozenset[str]
    topics: frozenset[str]
    size: int
    dropped: int


def cut(groups: Mapping[str, ByTopic], topics: Mapping[str, Topic], most: int, *, per_partition: bool, more: int = 0) -> Cut:
    """Return what fits into `most` series.

    First the series per partition go, of the widest group, then of the next; then those of topics; then whole
    groups. Communities are not touched: they are few. `more` is what a partition has in addition.
    """
    widths = {
        group: sum(len(offsets) for name, offsets in by_topic.items() if name in topics)
        for group, by_topic in groups.items()
    }
    counts = {group: sum(name in topics for name in by_topic) for group, by_topic in groups.items()}
    size = sum(_PER_GROUP + _PER_TOPIC * count for count in counts.values())
    size += sum(1 + _TOPIC_PARTITION * len(topic.leaders) for topic in topics.values())
    whole, shown, wide_topics, dropped = set(groups) if per_partition else set(), set(groups), set(topics), 0
    each = _PER_PARTITION + more
    size += sum(each * widths[group] for group in whole)
    if size <= most:
        return Cut(frozenset(whole), frozenset(shown), frozenset(wide_topics), size, 0)
    for group in sorted(whole, key=lambda name: (-widths[name], name)):
        if size <= most:
            break
        whole.discard(group)
        size -= each * widths[group]
        dropped += each * widths[group]
    for topic in sorted(topics.values(), key=lambda topic: (-len(topic.leaders), topic.name)):
        if size <= most:
            break
        wide_topics.discard(topic.name)
        size -= _TOPIC_PARTITION * len(topic.leaders)
        dropped += _TOPIC_PARTITION * len(topic.leaders)
    for group in sorted(shown, key=lambda name: (-counts[name], name)):
        if size <= most:
            break
        shown.discard(group)
        size -= _PER_GROUP + _PER_TOPIC * counts[group]
        dropped += _PER_GROUP + _PER_TOPIC * counts[group]
    return Cut(frozenset(whole), frozenset(shown), frozenset(wide_topics), size, dropped)
