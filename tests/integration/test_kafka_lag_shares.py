"""Lag of a share group (KIP-932) that really takes messages on a real Kafka 4.2; no other exporter has it."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.protocol.api_message import ApiMessage

from tests.integration import messages
from tests.integration.test_kafka_lag import Bench, read, wait
from tests.integration.test_kafka_lag_groups import Member
from zads.config import KafkaCluster
from zads.kafka.client import Client

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]
_ACCEPT = 1


class ShareFetchRequest(ApiMessage, load_json=messages):
    pass


class ShareFetchResponse(ApiMessage, load_json=messages):
    pass


class ShareConsumer(Member):
    """A member of a share group that takes messages of one partition and says which it has finished."""

    def __init__(self, cluster: KafkaCluster, group: str, topic: str, topic_id: str) -> None:
        super().__init__(cluster, group, [topic], share=True)
        self._client = Client(cluster, client_id="share", timeout=20)
        self._topic_id, self._epoch = topic_id, 0

    def fetch(self, most: int, *finished: tuple[int, int]) -> list[tuple[int, int]]:
        """Finish ranges of offsets, then take at most so many messages; return the ranges that were taken."""
        batch = ShareFetchRequest.FetchTopic.FetchPartition.AcknowledgementBatch
        part = ShareFetchRequest.FetchTopic.FetchPartition(
            partition_index=0,
            acknowledgement_batches=[batch(first_offset=a, last_offset=b, acknowledge_types=[_ACCEPT]) for a, b in finished],
        )
        request = ShareFetchRequest(
            group_id=self._group,
            member_id=self._id,
            share_session_epoch=self._epoch,
            max_wait_ms=500,
            min_bytes=1,
            max_bytes=1_000_000,
            max_records=most,
            batch_size=most,
            topics=[ShareFetchRequest.FetchTopic(topic_id=self._topic_id, partitions=[part])],
            forgotten_topics_data=[],
        )
        answer: Any = self._client.ask(request, 1)
        assert answer.error_code == 0, answer
        self._epoch += 1
        rows = [row for topic in answer.responses for row in topic.partitions]
        assert not any(row.acknowledge_error_code for row in rows), rows
        return [(taken.first_offset, taken.last_offset) for row in rows for taken in row.acquired_records]

    def leave(self) -> None:
        self._client.close()
        super().leave()


@pytest.fixture(scope="module")
def bench(cluster: KafkaCluster) -> Bench:
    bench = Bench(cluster)
    bench.topic("first")
    bench.commit("first", "first", {0: 0})  # the offsets topic is made when somebody first asks for a coordinator
    return bench


def test_a_share_group_s_lag_is_what_the_broker_counts_and_the_bound_is_never_below_it(bench: Bench) -> None:
    """Of ten messages four are finished in order and two out of order: 4 are left."""
    bench.topic("work", 1)
    loop = bench.loop()
    collector = loop._collector
    topic_id = collector.reader.metadata().topics["work"].topic_id  # type: ignore[attr-defined]
    consumer = ShareConsumer(bench.cluster, "workers", "work", topic_id)

    def lag(name: str = "zads_sharegroup_lag") -> float | None:
        return read(loop, name, "sharegroup", "topic").get(("workers", "work"))

    def left(count: int) -> bool:
        """So many are left, and the bound, which may count finished ones, is not below that nor above all 11."""
        bound = lag("zads_sharegroup_lag_bound")
        return lag() == count and bound is not None and count <= bound <= 11

    # A share group begins at the end of the log that it finds when Kafka has made its state, which takes a moment.
    [(first, last)] = wait(lambda: bench.send("work", 1) or consumer.fetch(1), 60)
    assert first == last
    assert lag() is None, "Kafka keeps no start offset before something is finished, so nothing is made up"
    for _ in range(10):
        bench.send("work", 1)  # one batch each, so that ranges of them can be taken
    taken = consumer.fetch(4, (first, first))
    assert (taken[0][0], taken[-1][1]) == (first + 1, first + 4)
    wait(lambda: left(10))  # taken is not finished
    consumer.fetch(4, (first + 1, first + 4))
    wait(lambda: left(6))
    consumer.fetch(1, (first + 7, first + 8))
    wait(lambda: left(4))  # out of order
    body = loop.snapshot().body.decode()
    assert 'kafka_consumergroup_lag{consumergroup="workers"' not in body
    assert "zads_collector_errors_total{" not in body
    consumer.leave()
    assert lag() == 4, "a group without members keeps its lag"
    bench.admin.delete_topics(["work"])
    wait(lambda: lag() is None)
    loop.stop()
