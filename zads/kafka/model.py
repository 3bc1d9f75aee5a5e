"""What is read from a cluster, as plain values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3
TopicPartition = tuple[str, int]
V = TypeVar("V")


@dataclass(frozen=True)
class Topic:
    """A topic: its id (changes when it is deleted and made again) and the leader of each partition (-1: none).

    `replicas` are the brokers that a partition is assigned to, the preferred leader first; `in_sync` is how many
    of them are in sync.
    """

    name: str
    topic_id: str
    leaders: dict[int, int]
    replicas: dict[int, tuple[int, ...]] = field(default_factory=dict)
    in_sync: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Metadata:
    """What the cluster consists of; `racks` of the brokers that have one.

    `controller` is right on ZooKeeper alone: a KRaft broker names any broker there (ClusterReader.controller()).
    """

    brokers: dict[int, tuple[str, int]]
    topics: dict[str, Topic]
    cluster_id: str = ""
    controller: int | None = None
    racks: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """A group as its coordinator lists it."""

    name: str
    state: str
    type: str
    coordinator: int


@dataclass(frozen=True)
class ShareOffset:
    """Where a share group stands on a partition: everything before `start` is done.

    `lag` is what the broker counts as not yet delivered or done (Kafka 4.2, KIP-1226), None where it does not say.
    """

    start: int
    lag: int | None = None


@dataclass(frozen=True)
class Membership:
    """Who is in a group: how many members, how many of them without a partition, how many partitions by topic.

    `assigned` is None where the members' assignment cannot be read (a protocol of their own, Connect's for example).
    """

    members: int
    idle: int = 0
    assigned: Mapping[str, int] | None = None


@dataclass
class Answer(Generic[V]):
    """Values by key, and how many parts failed for which reason; the values stay right when parts fail.

    `failed` holds what was asked for and not answered: names of groups, (topic, partition), or broker ids
    where a whole broker did not say what it has. What is neither here nor there is not in the cluster.
    """

    values: dict[Any, V] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: set[Any] = field(default_factory=set)
