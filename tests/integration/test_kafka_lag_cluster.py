"""Cluster, brokers, disks, topics' settings and the status of groups, on two real brokers with racks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import NewTopic

from exporters.kafka_lag.collector import build
from tests.integration.conftest import Node, free_pair
from tests.integration.test_kafka_lag import Bench, read, wait
from zads.collector import CollectorLoop
from zads.config import KafkaCluster, parse

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


class Racks:
    """Two brokers, each in a rack; the second one is the controller."""

    def __init__(self, folder: Path) -> None:
        first, second = free_pair(), free_pair()
        voters = f"2@127.0.0.1:{second + 1}"
        listen = f"PLAINTEXT://127.0.0.1:{first}"
        broker = f"process.roles=broker\nlisteners={listen}\nadvertised.listeners={listen}\nbroker.rack=west\n"
        self.two = Node(folder / "two", number=2, port=second, voters=voters, extra="broker.rack=east\n")
        self.one = Node(folder / "one", number=1, port=first, voters=voters, extra=broker)
        self.two.start()
        self.one.start()
        self.bench = Bench(KafkaCluster(bootstrap=(self.one.address,)))
        wait(lambda: len(self.bench.admin.describe_cluster()["brokers"]) == 2, 60)

    def stop(self) -> None:
        self.one.stop()
        self.two.stop()


@pytest.fixture(scope="module")
def racks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Racks]:
    made = Racks(tmp_path_factory.mktemp("racks"))
    try:
        yield made
    finally:
        made.stop()


def test_the_cluster_is_described(racks: Racks) -> None:
    """Its id, the real controller (a KRaft broker's metadata names any broker), each broker's rack and version."""
    bench = racks.bench
    loop = bench.loop()
    assert read(loop, "zads_kafka_cluster_info", "cluster_id") == {("emFkcy10ZXN0cy1rYWZrYQ",): 1}
    assert read(loop, "zads_kafka_controller_id") == {(): 2}
    wait(
        lambda: (
            read(loop, "zads_kafka_broker_info", "id", "rack", "version")
            == {("1", "west", "4.2"): 1, ("2", "east", "4.2"): 1}
        )
    )
    loop.stop()


def test_sizes_of_topics_brokers_and_volumes_are_those_of_the_disks(racks: Racks) -> None:
    """Two replicas of 100 messages; du and df say the same."""
    bench = racks.bench
    bench.admin.create_topics([NewTopic("sized", 1, 2)])
    producer = KafkaProducer(bootstrap_servers=bench.cluster.bootstrap[0], acks="all")
    for _ in range(100):
        producer.send("sized", b"x" * 1000, partition=0)
    producer.flush(20)
    loop = bench.loop()
    logs = [node.folder / "data" / "sized-0" for node in (racks.one, racks.two)]
    on_disk = sum(file.stat().st_size for log in logs for file in log.glob("*.log"))
    assert on_disk > 200_000
    assert read(loop, "zads_topic_log_bytes", "topic")[("sized",)] == on_disk
    each = read(loop, "zads_kafka_broker_log_bytes", "id")
    assert all(number >= on_disk / 2 for number in each.values()) and set(each) == {("1",), ("2",)}
    folder = str(racks.one.folder / "data")
    total = read(loop, "zads_kafka_volume_bytes", "id", "dir")["1", folder]
    said = subprocess.run(["df", "-B1", "--output=size", folder], capture_output=True, text=True, check=True)
    assert total == int(said.stdout.split()[1])
    assert 0 < read(loop, "zads_kafka_volume_usable_bytes", "id", "dir")["1", folder] < total
    loop.stop()


def test_settings_of_topics_are_shown_and_follow_within_the_minute(racks: Racks) -> None:
    """Retention by age and size, what acks=all needs, the cleanup policy; a new topic's at once (km #99: not per scrape)."""
    bench = racks.bench
    bench.admin.create_topics(
        [
            NewTopic(
                "kept", 1, 2, topic_configs={"retention.ms": "3600000", "retention.bytes": "-1", "min.insync.replicas": "2"}
            ),
            NewTopic("compacted", 1, 1, topic_configs={"cleanup.policy": "compact"}),
        ]
    )
    loop = bench.loop()
    retention = read(loop, "zads_topic_retention_seconds", "topic")
    assert retention[("kept",)] == 3600
    assert retention[("compacted",)] == float("inf")
    assert read(loop, "zads_topic_retention_bytes", "topic")[("kept",)] == float("inf")
    assert read(loop, "zads_topic_min_in_sync_replicas", "topic")[("kept",)] == 2
    info = read(loop, "zads_topic_info", "topic", "cleanup_policy")
    assert ("kept", "delete") in info and ("compacted", "compact") in info
    bench.admin.create_topics([NewTopic("later", 1, 1, topic_configs={"retention.ms": "7200000"})])
    wait(lambda: read(loop, "zads_topic_retention_seconds", "topic").get(("later",)) == 7200)
    bench.admin.delete_topics(["later"])
    wait(lambda: ("later",) not in read(loop, "zads_topic_retention_seconds", "topic"))
    loop.stop()


def test_a_group_s_status_follows_what_it_does(racks: Racks) -> None:
    """Ok, a rewind until it is made good, a warning while lag only grows, and nothing before anything is known."""
    bench = racks.bench
    bench.topic("judged", 1)
    bench.send("judged", 5)
    bench.commit("judged-group", "judged", {0: 2})
    loop = bench.loop()

    def status() -> str | None:
        found = read(loop, "zads_consumergroup_status", "consumergroup", "status")
        mine = {name: on for (group, name), on in found.items() if group == "judged-group"}
        assert not mine or sorted(mine.values()) == [0, 0, 0, 0, 1]
        return next((name for name, on in mine.items() if on), None)

    assert status() is None
    bench.commit("judged-group", "judged", {0: 5})
    assert status() == "ok"
    bench.commit("judged-group", "judged", {0: 1})
    assert status() == "rewind"
    bench.commit("judged-group", "judged", {0: 5})
    assert status() == "ok"
    for step in range(12):
        bench.send("judged", 3)
        bench.commit("judged-group", "judged", {0: 6 + step})
        last = status()
    assert last == "warn"
    loop.stop()


def test_a_partition_of_the_offsets_topic_without_a_leader_is_said_and_its_groups_come_back(
    racks: Racks, tmp_path: Path
) -> None:
    """bu #649: half of the groups are listed by nobody while a broker is away. The others are right, and it is an error."""
    bench = racks.bench
    config = parse(
        f'[kafka.public]\nbootstrap = ["{racks.one.address}", "{racks.two.address}"]\n[exporters]\nstate_dir = "{tmp_path}"\n'
    )
    bench.admin.create_topics([NewTopic("led", 1, 2)])
    bench.send("led", 5)
    names = {f"led-{number}" for number in range(8)}
    for name in names:
        bench.commit(name, "led", {0: 2})
    collector = build(config)
    loop = CollectorLoop(collector, 5.0)

    def lags() -> dict[str, float]:
        found = read(loop, "kafka_consumergroup_lag_sum", "consumergroup", "topic")
        return {group: lag for (group, topic), lag in found.items() if topic == "led"}

    wait(lambda: lags() == dict.fromkeys(names, 3))
    coordinators = {group.name: group.coordinator for group in collector.reader.groups().values.values()}
    away = {name for name in names if coordinators[name] == 1}
    assert away and away < names, "both brokers coordinate"
    racks.one.kill()

    def without() -> bool:
        loop.once()
        words = loop.snapshot().body.decode()
        return (
            loop.snapshot().ok and 'reason="CoordinatorNotAvailable"' in words and lags() == dict.fromkeys(names - away, 3)
        )

    wait(without, 60)
    racks.one.start()
    wait(lambda: loop.once().ok and lags() == dict.fromkeys(names, 3), 60)
    loop.stop()
