"""What users of other lag exporters complain of, on a real Kafka: the rest of docs/exporters.md's list."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.conftest import Node
from tests.integration.test_kafka_lag import Bench, read, wait
from zads.collector import CollectorLoop
from zads.config import KafkaCluster
from zads.http import Server

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


@dataclass
class Place:
    """A Kafka that may be frozen, and the means to make traffic on it."""

    node: Node
    bench: Bench


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    node = Node(tmp_path_factory.mktemp("complaints"))
    try:
        node.start()
        yield Place(node, Bench(KafkaCluster(bootstrap=(node.address,))))
    finally:
        node.stop()


@pytest.fixture(scope="module")
def bench(place: Place) -> Bench:
    return place.bench


def test_lag_is_neither_negative_nor_toggling_while_all_moves(bench: Bench) -> None:
    """Five hundred are written and committed again and again (ke #76, #437): the end is read after the commit.

    So lag is at most what is written and not yet committed, and what came during the collection; an exporter that reads
    the end first sees it below the commit.
    """
    bench.topic("moving", 1)
    address = bench.cluster.bootstrap[0]
    stop, written, committed = threading.Event(), [0], [0]

    def work() -> None:
        producer = KafkaProducer(bootstrap_servers=address, acks=1, linger_ms=5)
        consumer = KafkaConsumer(bootstrap_servers=address, group_id="moving-group", enable_auto_commit=False)
        part = TopicPartition("moving", 0)
        consumer.assign([part])
        while not stop.is_set():
            for _ in range(500):
                written[0] += 1
                producer.send("moving", b"x", partition=0)
            producer.flush(20)
            consumer.commit({part: OffsetAndMetadata(written[0], "", -1)})
            committed[0] = written[0]
        producer.close()
        consumer.close()

    thread = threading.Thread(target=work)
    thread.start()
    loop = bench.loop()
    try:
        wait(lambda: committed[0] > 0)
        moved = 0
        for _ in range(60):
            before = committed[0]
            lag = read(loop, "kafka_consumergroup_lag", "consumergroup", "topic", "partition")["moving-group", "moving", "0"]
            assert 0 <= lag <= written[0] - before
            text = loop.snapshot().body.decode()
            assert 'zads_consumergroup_offset_beyond_end{consumergroup="moving-group",topic="moving"} 0' in text
            moved += committed[0] > before
        assert moved > 10, "nothing moved while it was looked at"
    finally:
        stop.set()
        thread.join()
    wait(
        lambda: (
            read(loop, "kafka_consumergroup_lag", "consumergroup", "topic", "partition")["moving-group", "moving", "0"] == 0
        )
    )  # caught up is 0, not 1 (pkcge #32)
    loop.stop()


def test_a_partition_without_a_commit_spoils_no_sum_and_the_worst_partition_shows(bench: Bench) -> None:
    """Sums over what is known, the rest counted (kle #125); the largest beside the sum, since a mean hides it."""
    bench.topic("sums", 3)
    bench.topic("sums-too", 1)
    for partition, count in ((0, 10), (1, 4), (2, 50)):
        bench.send("sums", count, partition=partition)
    bench.send("sums-too", 7)
    bench.commit("sums-group", "sums", {0: 1, 1: 4})
    bench.commit("sums-group", "sums-too", {0: 5})
    loop = bench.loop()
    sums = read(loop, "kafka_consumergroup_lag_sum", "consumergroup", "topic")
    assert (sums["sums-group", "sums"], sums["sums-group", "sums-too"]) == (9, 2)
    assert read(loop, "kafka_consumergroup_current_offset_sum", "consumergroup", "topic")["sums-group", "sums"] == 5
    assert read(loop, "zads_consumergroup_uncommitted_partitions", "consumergroup", "topic")["sums-group", "sums"] == 1
    assert read(loop, "zads_consumergroup_sum_lag", "consumergroup")[("sums-group",)] == 11
    assert read(loop, "zads_consumergroup_max_lag", "consumergroup")[("sums-group",)] == 9
    assert "NaN" not in loop.snapshot().body.decode()
    loop.stop()


def test_members_that_come_and_go_make_no_new_series(bench: Bench) -> None:
    """No client, member or host in any label (kle #25, #244): a consumer that restarts is the same group."""
    bench.topic("members", 1)
    bench.send("members", 3)
    bench.commit("members-group", "members", {0: 1})
    loop = bench.loop()

    def series() -> set[str]:
        text = loop.once().body.decode()
        return {line.rpartition(" ")[0] for line in text.splitlines() if "members-group" in line}

    seen: list[set[str]] = []
    for client in ("first-client", "second-client"):
        consumer = KafkaConsumer(
            "members", bootstrap_servers=bench.cluster.bootstrap[0], group_id="members-group", client_id=client
        )
        wait(lambda consumer=consumer: consumer.poll(200) or consumer.assignment())
        wait(lambda: read(loop, "kafka_consumergroup_members", "consumergroup")[("members-group",)] == 1)
        seen.append(series())
        assert client not in loop.snapshot().body.decode()
        consumer.close(autocommit=False)
        wait(lambda: read(loop, "kafka_consumergroup_members", "consumergroup")[("members-group",)] == 0)
    assert seen[0] == seen[1]
    loop.stop()


def test_offsets_that_are_deleted_take_their_series_with_them(bench: Bench) -> None:
    """A group that assigns by hand and gave up one of its topics (bu #818): that topic's series go, the other's stay."""
    for name in ("given-up", "held"):
        bench.topic(name, 1)
        bench.send(name, 3)
        bench.commit("hand-group", name, {0: 1})
    loop = bench.loop()
    lag = read(loop, "kafka_consumergroup_lag_sum", "consumergroup", "topic")
    assert ("hand-group", "given-up") in lag
    bench.admin.delete_group_offsets("hand-group", [TopicPartition("given-up", 0)])
    wait(lambda: ("hand-group", "given-up") not in read(loop, "kafka_consumergroup_lag_sum", "consumergroup", "topic"))
    assert 'consumergroup="hand-group",topic="given-up"' not in loop.snapshot().body.decode()
    assert read(loop, "kafka_consumergroup_lag_sum", "consumergroup", "topic")["hand-group", "held"] == 2
    loop.stop()


def test_a_topic_made_anew_with_fewer_partitions_breaks_nothing(bench: Bench) -> None:
    """kle #478: its collector fails for ever. Here the partitions that are gone are gone, all others go on."""
    bench.topic("shrunk", 4)
    bench.topic("beside", 1)
    bench.send("beside", 2)
    for partition in range(4):
        bench.send("shrunk", 5, partition=partition)
    bench.commit("shrunk-group", "shrunk", dict.fromkeys(range(4), 5))
    bench.commit("shrunk-group", "beside", {0: 0})
    loop = bench.loop()
    assert read(loop, "kafka_consumergroup_lag_sum", "consumergroup", "topic")["shrunk-group", "shrunk"] == 0
    bench.admin.delete_topics(["shrunk"])
    wait(lambda: "shrunk" not in bench.admin.list_topics())
    bench.topic("shrunk", 2)
    wait(lambda: read(loop, "kafka_topic_partitions", "topic").get(("shrunk",)) == 2)
    bench.send("shrunk", 3, partition=1)
    bench.commit("shrunk-group", "shrunk", {0: 0, 1: 1})
    lag = read(loop, "kafka_consumergroup_lag", "consumergroup", "topic", "partition")
    assert {key[2]: value for key, value in lag.items() if key[:2] == ("shrunk-group", "shrunk")} == {"0": 0, "1": 2}
    assert lag["shrunk-group", "beside", "0"] == 2
    assert "zads_collector_errors_total{" not in loop.snapshot().body.decode()
    loop.stop()


def test_what_retention_took_is_lost_and_is_no_lag(bench: Bench) -> None:
    """Committed 10 of 100, Kafka deletes the first 60 (redpanda #30624): 40 to read, 50 lost, and it is in danger no more."""
    bench.topic("taken", 1)
    bench.send("taken", 100)
    bench.commit("taken-group", "taken", {0: 10})
    loop = bench.loop()
    key = ("taken-group", "taken")
    assert read(loop, "zads_consumergroup_retention_used_ratio", "consumergroup", "topic")[key] == pytest.approx(0.9)
    bench.admin.delete_records({TopicPartition("taken", 0): 60})
    wait(lambda: read(loop, "kafka_consumergroup_lag_sum", "consumergroup", "topic")[key] == 40)
    assert read(loop, "zads_consumergroup_lost_messages", "consumergroup", "topic")[key] == 50
    assert read(loop, "zads_consumergroup_retention_used_ratio", "consumergroup", "topic")[key] == 1
    bench.commit("taken-group", "taken", {0: 90})
    assert read(loop, "zads_consumergroup_lost_messages", "consumergroup", "topic")[key] == 0
    assert read(loop, "zads_consumergroup_retention_used_ratio", "consumergroup", "topic")[key] == pytest.approx(0.25)
    loop.stop()


def test_the_time_since_a_group_last_moved_is_told(bench: Bench) -> None:
    """km #299: how long its commits have stood still, from 0 at a commit; a commit of the same offset moves nothing."""
    bench.topic("idle", 1)
    bench.send("idle", 9)
    bench.commit("idle-group", "idle", {0: 1})
    loop = bench.loop()

    def idle() -> float:
        return read(loop, "zads_consumergroup_idle_seconds", "consumergroup", "topic")["idle-group", "idle"]

    assert idle() == 0
    wait(lambda: idle() > 2)
    bench.commit("idle-group", "idle", {0: 1})
    assert idle() > 2
    bench.commit("idle-group", "idle", {0: 2})
    assert idle() == 0
    loop.stop()


def test_seconds_fall_while_a_burst_is_worked_off(bench: Bench) -> None:
    """kle #121: the age of the next unread message, not of the last look at an end that stands still."""
    bench.topic("burst", 1)
    now = time.time()
    times = [now - 100 + second for second in range(90)]
    for moment in times:
        bench.producer.send("burst", b"x", partition=0, timestamp_ms=int(moment * 1000))
    bench.producer.flush(20)
    bench.commit("burst-group", "burst", {0: 0})
    loop = bench.loop()
    for offset in (0, 20, 50, 80, 89):
        bench.commit("burst-group", "burst", {0: offset})
        found = read(loop, "zads_consumergroup_lag_seconds", "consumergroup", "topic")["burst-group", "burst"]
        assert found == pytest.approx(time.time() - times[offset], abs=6), offset
    bench.commit("burst-group", "burst", {0: 90})
    assert read(loop, "zads_consumergroup_lag_seconds", "consumergroup", "topic")["burst-group", "burst"] == 0
    loop.stop()


def test_a_scrape_waits_for_no_kafka(place: Place) -> None:
    """A broker that hangs (ke #279, #497): each scrape is answered at once, old values end, and it is said."""
    place.bench.topic("scraped", 1)
    place.bench.commit("scraped-group", "scraped", {0: 0})
    collector = place.bench.loop()._collector
    loop = CollectorLoop(collector, 0.5)
    server = Server("127.0.0.1", 0, {loop.name: loop})
    loop.start()
    server.start()

    def scrape() -> dict[str, float]:
        begin = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("GET", "/metrics")
        body = connection.getresponse().read().decode()
        connection.close()
        assert time.monotonic() - begin < 0.5
        families = text_string_to_metric_families(body)
        return {
            sample.name + str(sample.labels.get("consumergroup", "")): sample.value for f in families for sample in f.samples
        }

    try:
        wait(lambda: "kafka_consumergroup_lag_sumscraped-group" in scrape())
        place.node.signal(signal.SIGSTOP)
        wait(lambda: scrape().get("zads_cluster_up") == 0)
        wait(lambda: "kafka_consumergroup_lag_sumscraped-group" not in scrape())
        assert scrape()["zads_collector_success"] == 0
        age = time.time() - scrape()["zads_collector_last_success_timestamp_seconds"]
        assert 1 < age < 60
    finally:
        place.node.signal(signal.SIGCONT)
    wait(lambda: "kafka_consumergroup_lag_sumscraped-group" in scrape(), 40)
    server.stop()
    loop.stop()
