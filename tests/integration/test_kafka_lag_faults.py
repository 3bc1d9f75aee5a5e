"""Brokers that stop, die, hang and come back; coordinators that move; partitions without a leader. The exporter stays."""

from __future__ import annotations

import gc
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.structs import OffsetAndMetadata
from prometheus_client.parser import text_string_to_metric_families

from exporters.kafka_lag.collector import build
from tests.integration.conftest import Node, free_pair
from zads import kafka
from zads.collector import CollectorLoop, Snapshot
from zads.config import KafkaCluster, parse

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
NIGHT = "ztf_20260601_programid1"
GROUPS = [f"group-{number}" for number in range(8)]
QUICK = "broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\ncontroller.quorum.election.timeout.ms=500\n"


def samples(snapshot: Snapshot, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for family in text_string_to_metric_families(snapshot.body.decode())
        for sample in family.samples
        if sample.name == name
    }


def eventually(look: Callable[[], Any], seconds: float = 40.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        result = look()
        if result or time.monotonic() > deadline:
            assert result, "not in time"
            return result
        time.sleep(0.3)


class Pair:
    """Two brokers; the first is the controller too. Topics on both, and one that only the second holds.

    `copies` is how many brokers know what a group committed.
    """

    def __init__(self, folder: Path, copies: int = 2) -> None:
        port = free_pair()
        voters = f"1@127.0.0.1:{port + 1}"
        replicas = f"offsets.topic.replication.factor={copies}\n"
        self.one = Node(folder / "one", port=port, voters=voters, extra=QUICK + replicas)
        second = free_pair()
        self.two = Node(
            folder / "two",
            number=2,
            port=second,
            voters=voters,
            extra=QUICK
            + replicas
            + f"process.roles=broker\nlisteners=PLAINTEXT://127.0.0.1:{second}\nadvertised.listeners=PLAINTEXT://127.0.0.1:{second}\n",
        )
        self.one.start()
        self.two.start()
        self.bootstrap = [self.one.address, self.two.address]
        self.config = parse(
            f"[kafka.public]\nbootstrap = {self.bootstrap}\n[exporters]\ninterval = '500ms'\nstate_dir = '{folder}/state'\n"
            '[[community]]\nname = "lasair"\ngroups = ["group-.*"]\n'
        )

    def fill(self) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        eventually(lambda: len(admin.describe_cluster()["brokers"]) == 2)
        admin.create_topics([NewTopic(NIGHT, num_partitions=2, replication_factor=2)])
        admin.create_topics([NewTopic("single", replica_assignments={0: [2]}, num_partitions=-1, replication_factor=-1)])
        admin.close()
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
        for topic, partitions in ((NIGHT, 2), ("single", 1)):
            for number in range(100):
                producer.send(topic, b"x" * 50, partition=number % partitions)
        producer.flush(20)
        producer.close()
        for group in GROUPS:
            self.commit(group, {(NIGHT, 0): 40, (NIGHT, 1): 45, ("single", 0): 90})

    def commit(self, group: str, offsets: dict[tuple[str, int], int]) -> None:
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=group, enable_auto_commit=False)
        consumer.commit({TopicPartition(t, n): OffsetAndMetadata(offset, "", -1) for (t, n), offset in offsets.items()})
        consumer.close()

    def stop(self) -> None:
        self.two.stop()
        self.one.stop()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"))
    try:
        made.fill()
        yield made
    finally:
        made.stop()


WANTED = {(group, NIGHT): 15.0 for group in GROUPS} | {(group, "single"): 10.0 for group in GROUPS}


def lags(snapshot: Snapshot) -> dict[tuple[str, ...], float]:
    return samples(snapshot, "kafka_consumergroup_lag_sum", "consumergroup", "topic")


def test_a_broker_dies_its_groups_move_and_nothing_wrong_is_said(pair: Pair) -> None:
    """At no time a wrong lag, a community behind by the whole night, or a loss; all groups are there again soon.

    The second broker coordinates some groups and alone holds one topic: that topic's lag stays what it is.
    """
    loop = CollectorLoop(build(pair.config), 0.5)
    eventually(lambda: lags(loop.once()) == WANTED)
    reader = loop._collector.reader  # type: ignore[attr-defined]
    coordinators = {group.coordinator for group in reader.groups().values.values()}
    assert coordinators == {1, 2}, "both brokers coordinate"
    pair.two.kill()
    whole = 0
    deadline = time.monotonic() + 45
    while whole < 8 and time.monotonic() < deadline:
        snapshot = loop.once()
        if snapshot.ok:
            found = lags(snapshot)
            assert all(found[key] == WANTED[key] for key in found), found
            behind = samples(snapshot, "zads_community_lag_alerts", "community")
            assert behind in ({}, {("lasair",): 15.0}), behind
            leader = samples(snapshot, "kafka_topic_partition_leader", "topic", "partition")
            whole = whole + 1 if found == WANTED and leader["single", "0"] == -1 else 0
        time.sleep(0.5)
    assert whole == 8, "all groups are there, from the broker that is left"
    body = loop.snapshot().body.decode()
    assert 'reason="LeaderNotAvailable"' in body
    assert samples(loop.snapshot(), "zads_community_lost_alerts_total", "community") == {("lasair",): 0.0}
    assert samples(loop.snapshot(), "kafka_brokers") == {(): 1.0}
    under = samples(loop.snapshot(), "kafka_topic_partition_under_replicated_partition", "topic", "partition")
    assert under[NIGHT, "0"] == 1
    pair.two.start()
    for group in GROUPS:
        pair.commit(group, {(NIGHT, 0): 41})
    eventually(lambda: set(lags(loop.once()).values()) == {14.0, 10.0})
    eventually(lambda: samples(loop.once(), "kafka_topic_partition_leader", "topic", "partition")["single", "0"] == 2)
    for group in GROUPS:
        pair.commit(group, {(NIGHT, 0): 40})
    eventually(lambda: lags(loop.once()) == WANTED)
    assert samples(loop.once(), "zads_consumergroup_rewinds_total", "consumergroup", "topic")["group-0", NIGHT] == 1
    loop.stop()


def test_a_broker_that_hangs_does_not_stop_the_others_and_the_client_is_replaced(pair: Pair) -> None:
    """SIGSTOP: connections stay open and nothing answers. The client gets a new start; afterwards all is right."""
    collector = build(pair.config)
    collector.reader._timeout = 1.0
    loop = CollectorLoop(collector, 0.5)
    eventually(lambda: lags(loop.once()) == WANTED)
    pair.two.signal(signal.SIGSTOP)
    try:
        eventually(lambda: loop.once() and collector.reader.replaced > 0, 60)
        eventually(lambda: 'reason="ClientReplaced"' in loop.once().body.decode())
        eventually(lambda: lags(loop.once()) == WANTED, 60)
    finally:
        pair.two.signal(signal.SIGCONT)
    eventually(lambda: samples(loop.once(), "kafka_brokers") == {(): 2.0})
    eventually(lambda: lags(loop.once()) == WANTED)
    loop.stop()


def test_a_cluster_that_restarts_is_found_again_by_the_same_exporter(tmp_path: Path) -> None:
    """Stopped for some seconds: it does not answer, values vanish after three intervals; back again, all is right."""
    node = Node(tmp_path / "node").start()
    config = parse(
        f'[kafka.public]\nbootstrap = ["{node.address}"]\n[exporters]\ninterval = "300ms"\nstate_dir = "{tmp_path}/state"\n'
    )
    admin = KafkaAdminClient(bootstrap_servers=node.address)
    admin.create_topics([NewTopic("t", 1, 1)])
    admin.close()
    consumer = KafkaConsumer(bootstrap_servers=node.address, group_id="g", enable_auto_commit=False)
    consumer.commit({TopicPartition("t", 0): OffsetAndMetadata(0, "", -1)})
    consumer.close()
    loop = CollectorLoop(build(config), 0.3)
    loop.start()
    try:
        eventually(lambda: lags(loop.snapshot()) == {("g", "t"): 0.0})
        node.stop()
        eventually(lambda: samples(loop.snapshot(), "zads_cluster_up", "cluster") == {("public",): 0.0})
        eventually(lambda: lags(loop.snapshot()) == {})
        node.start()
        eventually(lambda: lags(loop.snapshot()) == {("g", "t"): 0.0})
        assert loop.ailment() is None
        errors = samples(loop.snapshot(), "zads_collector_errors_total", "reason")
        assert errors["ClusterDoesNotAnswer",] > 0
        assert errors["ConnectionRefusedError",] > 0
    finally:
        loop.stop()
        node.stop()


def test_a_reader_leaves_no_thread_and_no_socket_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Fifty failed beginnings and fifty good ones: kafka-python's own constructor would leave a thread for each failure."""
    caplog.set_level(logging.CRITICAL + 1, logger="kafka")  # records that are kept would keep their connections
    node = Node(tmp_path / "node").start()

    def open_files() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    try:
        good = kafka.ClusterReader(KafkaCluster(bootstrap=(node.address,)), client_id="test")
        bad = kafka.ClusterReader(KafkaCluster(bootstrap=("127.0.0.1:1",)), client_id="test", timeout=0.05)
        threads = files = 0
        for turn in range(52):
            if turn == 2:
                threads, files = threading.active_count(), open_files()
            good.metadata()
            good.close()
            with pytest.raises((kafka.KafkaFailure, OSError)):
                bad.metadata()
        assert threading.active_count() <= threads
        assert open_files() <= files
    finally:
        node.stop()
