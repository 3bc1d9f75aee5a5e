"""Lag on a real Kafka: the complaints that users of other exporters filed, one test each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from prometheus_client.parser import text_string_to_metric_families

from exporters.kafka_lag.collector import KafkaLagCollector
from zads import kafka
from zads.collector import CollectorLoop
from zads.config import Config, KafkaCluster, parse
from zads.kafka import ClusterReader

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]
Samples = dict[tuple[str, ...], float]


class Bench:
    """A collector on the tests' Kafka and the means to make traffic."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self.cluster = cluster
        address = cluster.bootstrap[0]
        self.config: Config = parse(
            f"""
            [kafka.public]
            bootstrap = ["{address}"]
            [[community]]
            name = "lasair"
            groups = ["lasair"]
            """
        )
        self.admin = KafkaAdminClient(bootstrap_servers=address)
        # One request at a time: a retry to a topic that was just made must not change the order of messages.
        self.producer = KafkaProducer(bootstrap_servers=address, acks=1, max_in_flight_requests_per_connection=1)

    def loop(self) -> CollectorLoop:
        return CollectorLoop(KafkaLagCollector(self.config, ClusterReader(self.cluster, client_id="test")), 5.0)

    def topic(self, name: str, partitions: int = 2) -> None:
        kafka.create_topics(self.cluster, {name: partitions}, client_id="test")

    def send(self, name: str, count: int, partition: int = 0) -> None:
        for _ in range(count):
            self.producer.send(name, b"x" * 100, partition=partition)
        self.producer.flush(10)

    def commit(self, group: str, name: str, offsets: dict[int, int]) -> None:
        consumer = KafkaConsumer(bootstrap_servers=self.cluster.bootstrap[0], group_id=group, enable_auto_commit=False)
        consumer.assign([TopicPartition(name, p) for p in offsets])
        consumer.commit({TopicPartition(name, p): OffsetAndMetadata(o, "", -1) for p, o in offsets.items()})
        consumer.close()


def read(loop: CollectorLoop, metric: str, *labels: str) -> Samples:
    """Collect once and return the metric's samples by the labels."""
    snapshot = loop.once()
    assert snapshot.ok, snapshot.words
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for family in text_string_to_metric_families(snapshot.body.decode())
        for sample in family.samples
        if sample.name == metric
    }


def wait(found: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        time.sleep(0.3)
    raise AssertionError("not in time")


@pytest.fixture(scope="module")
def bench(cluster: KafkaCluster) -> Bench:
    return Bench(cluster)


def test_lag_is_exact_without_members_and_absent_without_a_commit(bench: Bench) -> None:
    """An Empty group keeps its lag; a partition that was never committed has no series, only a count (ke #28, #226)."""
    bench.topic("exact")
    bench.send("exact", 10)
    bench.send("exact", 7, partition=1)
    bench.commit("empty-group", "exact", {0: 4})
    loop = bench.loop()
    lag = read(loop, "kafka_consumergroup_lag", "consumergroup", "topic", "partition")
    assert lag["empty-group", "exact", "0"] == 6
    assert ("empty-group", "exact", "1") not in lag
    missing = read(loop, "zads_consumergroup_uncommitted_partitions", "consumergroup", "topic")
    assert missing["empty-group", "exact"] == 1
    loop.stop()


def test_group_names_of_any_kind(bench: Bench) -> None:
    """Quotes, newlines, backslashes and letters that are not ASCII."""
    name = 'odd "group"\n\\ é 日本'
    bench.topic("names")
    bench.send("names", 5)
    bench.commit(name, "names", {0: 2})
    loop = bench.loop()
    assert read(loop, "kafka_consumergroup_lag_sum", "consumergroup", "topic")[name, "names"] == 3
    loop.stop()


def test_a_topic_made_anew_is_never_negative_lag(bench: Bench) -> None:
    """Deleted and created again with fewer messages: the old commit lies beyond the end, counted, lag 0 (kle #197)."""
    bench.topic("anew")
    bench.send("anew", 50)
    bench.commit("anew-group", "anew", {0: 50})
    loop = bench.loop()
    read(loop, "kafka_consumergroup_lag", "consumergroup", "topic", "partition")
    bench.admin.delete_topics(["anew"])
    wait(lambda: "anew" not in bench.admin.list_topics())
    time.sleep(1)
    bench.topic("anew")
    bench.send("anew", 3)
    bench.commit("anew-group", "anew", {0: 50})
    lag = read(loop, "kafka_consumergroup_lag", "consumergroup", "topic", "partition")
    assert lag["anew-group", "anew", "0"] == 0
    beyond = read(loop, "zads_consumergroup_offset_beyond_end", "consumergroup", "topic")
    assert beyond["anew-group", "anew"] == 1
    loop.stop()


def test_a_deleted_topic_is_gone_within_two_collections(bench: Bench) -> None:
    """No series outlives its topic."""
    bench.topic("gone")
    bench.send("gone", 5)
    bench.commit("gone-group", "gone", {0: 1})
    loop = bench.loop()
    assert ("gone",) in read(loop, "kafka_topic_partitions", "topic")
    bench.admin.delete_topics(["gone"])
    wait(lambda: "gone" not in bench.admin.list_topics())
    read(loop, "kafka_topic_partitions", "topic")
    text = loop.once().body.decode()
    assert 'topic="gone"' not in text
    loop.stop()


def test_seconds_are_right_from_the_first_scrape(bench: Bench) -> None:
    """A new exporter knows the age of a message that waited before it began, from Kafka itself."""
    bench.topic("age")
    bench.send("age", 1)
    time.sleep(12)
    bench.send("age", 1)
    bench.commit("age-group", "age", {0: 0})
    loop = bench.loop()
    seconds = read(loop, "zads_consumergroup_lag_seconds", "consumergroup", "topic")["age-group", "age"]
    assert 9 <= seconds <= 20
    bench.commit("age-group", "age", {0: 2})
    assert read(loop, "zads_consumergroup_lag_seconds", "consumergroup", "topic")["age-group", "age"] == 0
    loop.stop()


def test_a_community_is_behind_on_a_topic_it_never_committed(bench: Bench) -> None:
    """Tonight's new topic counts from its start, by the community's name."""
    bench.topic("ztf_20260401_programid1", 16)
    bench.send("ztf_20260401_programid1", 25)
    loop = bench.loop()
    lag = read(loop, "zads_community_lag_alerts", "community", "program", "night")
    assert lag["lasair", "1", "20260401"] == 25
    bench.commit("lasair", "ztf_20260401_programid1", {0: 20})
    assert read(loop, "zads_community_lag_alerts", "community", "program", "night")["lasair", "1", "20260401"] == 5
    assert read(loop, "zads_community_delivered_alerts_total", "community", "program")["lasair", "1"] == 20
    loop.stop()


def test_a_cluster_that_does_not_answer_is_said_and_nothing_is_made_up() -> None:
    """No lag, no zero: only that it does not answer, and what zads.toml says of communities."""
    lasair = '[[community]]\nname = "lasair"\ngroups = ["lasair"]\n'
    config = parse('[kafka.public]\nbootstrap = ["127.0.0.1:31599"]\n' + lasair)
    loop = CollectorLoop(KafkaLagCollector(config, ClusterReader(config.kafka["public"], client_id="test")), 5.0)
    snapshot = loop.once()
    assert not snapshot.ok
    assert b'zads_cluster_up{cluster="public"} 0.0' in snapshot.body
    own = ("#", "zads_collector_", "zads_build_info", "process_")
    measured = {line for line in snapshot.body.decode().splitlines() if not line.startswith(own)}
    assert measured == {'zads_cluster_up{cluster="public"} 0.0', 'zads_community_lag_known{community="lasair"} 1.0'}
    loop.stop()
