"""What a look costs the brokers: requests, by their number."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

from tests.unit.test_kafka_reader import Cluster, encode
from zads import kafka
from zads.kafka import Group


def test_one_list_offsets_per_leader_and_one_offset_fetch_per_coordinator_and_500_groups() -> None:
    """Six hundred partitions on two leaders, 1,200 groups on two coordinators (ke: a request for each)."""
    cluster = Cluster(1, 2)
    parts = [
        SimpleNamespace(partition_index=n, leader_id=1 + n % 2, replica_nodes=[1 + n % 2], isr_nodes=[1 + n % 2])
        for n in range(600)
    ]
    topic = SimpleNamespace(name="t", topic_id="x", error_code=0, partitions=parts)
    brokers = [SimpleNamespace(node_id=b, host="localhost", port=b) for b in (1, 2)]
    asked: list[int] = []

    def offsets(request: Any) -> Any:
        rows = [
            SimpleNamespace(partition_index=part.partition_index, offset=7, timestamp=-1, error_code=0)
            for part in request.topics[0].partitions
        ]
        return SimpleNamespace(topics=[SimpleNamespace(name="t", partitions=rows)])

    def commits(request: Any) -> Any:
        asked.append(len(request.groups))
        found = {group.group_id: ({"t": {0: (5, "", 0)}}, 0) for group in request.groups}
        return SimpleNamespace(data=encode(found))

    for broker in (1, 2):
        cluster.answers |= {
            ("Metadata", broker): lambda _: SimpleNamespace(brokers=brokers, topics=[topic]),
            ("ListOffsets", broker): offsets,
            ("OffsetFetch", broker): commits,
        }
    reader = cluster.reader()
    reader.metadata()
    ends = reader.list_offsets({("t", n): kafka.LATEST for n in range(600)})
    assert len(ends.values) == 600
    groups = [Group(f"g{n}", "Stable", "classic", 1 if n < 1100 else 2) for n in range(1200)]
    assert len(reader.offsets(groups).values) == 1200
    assert Counter(cluster.asked) == {
        ("Metadata", 1): 1,
        ("ListOffsets", 1): 1,
        ("ListOffsets", 2): 1,
        ("OffsetFetch", 1): 3,
        ("OffsetFetch", 2): 1,
    }
    assert sorted(asked) == [100, 100, 500, 500]
