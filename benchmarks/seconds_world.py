"""Play scenarios on a Kafka and know what is true: the records' own timestamps, read back from the topics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from benchmarks.seconds_scenarios import PARTITIONS, Player, Scenario
from zads import kafka
from zads.config import KafkaCluster

Offsets = dict[int, int]


@dataclass(frozen=True)
class Seen:
    """What a method said at a moment, of a group that had committed these offsets; `value` NaN for nothing."""

    method: str
    scenario: str
    at: float
    offsets: tuple[tuple[int, int], ...]
    value: float


@dataclass
class World:
    """The scenarios on one Kafka."""

    cluster: KafkaCluster
    scenarios: Sequence[Scenario]
    committed: dict[str, Offsets] = field(default_factory=dict)

    def __post_init__(self) -> None:
        address = self.cluster.bootstrap[0]
        kafka.create_topics(self.cluster, {s.topic: PARTITIONS for s in self.scenarios}, client_id="bench")
        # One request at a time: a retry must not change the order of messages.
        self._producer = KafkaProducer(bootstrap_servers=address, acks=1, linger_ms=2, max_in_flight_requests_per_connection=1)
        self._players = {s.name: Player(s) for s in self.scenarios}
        self._consumers = {
            s.name: KafkaConsumer(bootstrap_servers=address, group_id=s.topic, enable_auto_commit=False)
            for s in self.scenarios
        }
        for scenario in self.scenarios:
            self._consumers[scenario.name].assign([TopicPartition(scenario.topic, n) for n in range(PARTITIONS)])

    def begin(self, now: float) -> None:
        """Send what is older than the beginning, and commit where each group stands."""
        for scenario in self.scenarios:
            for number, age in enumerate(scenario.backlog):
                self._send(scenario, number, now - age)
        self._producer.flush(30)
        for name, player in self._players.items():
            self._commit(name, player.position(0.0))

    def step(self, t: float, since: float, now: float | None = None) -> None:
        """Let all go on to second `t`; with `now`, messages since second `since` get times until then, else the real ones."""
        for player in self._players.values():
            first, count = player.sent, player.due(t)
            for index in range(count):
                at = None if now is None else now - (t - since) * (count - 1 - index) / count
                self._send(player.scenario, first + index, at)
        self._producer.flush(30)
        for name, player in self._players.items():
            self._commit(name, player.position(t))

    def truth(self) -> dict[tuple[str, int, int], float]:
        """Return the timestamp of every record by scenario, partition and offset, as a reader gets it."""
        found = {}
        for scenario in self.scenarios:
            consumer = kafka.read_all(self.cluster, scenario.topic, client_id="bench-truth")
            ends = consumer.end_offsets(consumer.assignment())
            while any(consumer.position(part) < end for part, end in ends.items()):
                for records in consumer.poll(timeout_ms=500).values():
                    for record in records:
                        found[scenario.name, record.partition, record.offset] = record.timestamp / 1000
            consumer.close()
        return found

    def close(self) -> None:
        """Close the clients."""
        self._producer.close()
        for consumer in self._consumers.values():
            consumer.close(autocommit=False)

    def _send(self, scenario: Scenario, number: int, at: float | None) -> None:
        stamp = None if at is None else int(at * 1000)
        self._producer.send(scenario.topic, b"x" * 50, partition=number % PARTITIONS, timestamp_ms=stamp)

    def _commit(self, name: str, offsets: Offsets) -> None:
        if self.committed.get(name) == offsets:
            return
        topic = self._players[name].scenario.topic
        self._consumers[name].commit(
            {TopicPartition(topic, n): OffsetAndMetadata(offset, "", -1) for n, offset in offsets.items()}
        )
        self.committed[name] = offsets


def true_lag(seen: Seen, truth: dict[tuple[str, int, int], float]) -> float:
    """Return the age in seconds of the oldest unread record at that moment, 0 when all was read."""
    times = [truth.get((seen.scenario, part, offset), math.inf) for part, offset in seen.offsets]
    return max(0.0, seen.at - min(times, default=math.inf))
