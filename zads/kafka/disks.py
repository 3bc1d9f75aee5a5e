"""What the logs take on the brokers' disks, from DescribeLogDirs (KIP-113, volumes since KIP-827)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from zads.kafka.errors import reason
from zads.kafka.model import Answer, TopicPartition


@dataclass(frozen=True)
class Volume:
    """The file system that a log directory is on, in bytes."""

    total: int
    usable: int


@dataclass
class Disks:
    """Bytes by partition (the largest replica), by topic (all replicas), by broker; volumes by (broker, directory).

    Brokers before Kafka 3.3 do not tell their volumes.
    """

    partitions: dict[TopicPartition, int] = field(default_factory=dict)
    topics: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    brokers: dict[int, int] = field(default_factory=dict)
    volumes: dict[tuple[int, str], Volume] = field(default_factory=dict)

    def take(self, broker: int, response: Any, answer: Answer[Any]) -> None:
        """Take one broker's answer; what it refuses is counted in `answer`."""
        error = getattr(response, "error_code", 0)
        if error:
            answer.errors[reason(error)] += 1
            answer.failed.add(broker)
            return
        total = 0
        for directory in response.results:
            if directory.error_code:
                answer.errors[reason(directory.error_code)] += 1
                continue
            space = Volume(getattr(directory, "total_bytes", -1), getattr(directory, "usable_bytes", -1))
            if space.total > 0:
                self.volumes[broker, directory.log_dir] = space
            for topic in directory.topics:
                for part in topic.partitions:
                    key = (topic.name, part.partition_index)
                    self.partitions[key] = max(self.partitions.get(key, 0), part.partition_size)
                    self.topics[topic.name] += part.partition_size
                    total += part.partition_size
        self.brokers[broker] = total
