"""Partitions that a group is to read and has committed nothing on."""

from __future__ import annotations

from collections.abc import Container, Mapping

from exporters.kafka_lag.memory import ByTopic
from zads.kafka import Answer, Membership, TopicOffsets

Pair = tuple[str, str]  # group, topic


def assigned_topics(members: Mapping[str, Membership], topics: Container[str]) -> dict[str, dict[str, int]]:
    """Return how many partitions of which topics each group's members are assigned, of the topics that are shown."""
    return {
        name: {topic: count for topic, count in who.assigned.items() if topic in topics}
        for name, who in members.items()
        if who.assigned
    }


def never_committed(
    assigned: Mapping[str, Mapping[str, int]], rows: Mapping[str, ByTopic], read: Answer[dict[str, TopicOffsets]]
) -> dict[Pair, int]:
    """Return the number of partitions by group and topic, where the group has committed on no partition of the topic.

    Kafka names no topic without a commit, so these have no row of their own. Of a group whose commits could not be
    read just now nothing is said.
    """
    unsure = {entry[:2] for entry in read.failed if isinstance(entry, tuple)}
    return {
        (group, topic): count
        for group, by_topic in assigned.items()
        if group in read.values
        for topic, count in by_topic.items()
        if topic not in rows.get(group, {}) and (group, topic) not in unsure
    }
