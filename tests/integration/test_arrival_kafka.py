"""Arrival on real Kafkas: exact counts, garbage, lost brokers, what communities commit."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from prometheus_client.parser import text_string_to_metric_families

from exporters.alert_arrival.collector import build
from exporters.kafka_lag.collector import build as build_lag
from tests.integration.conftest import Node
from zads import kafka
from zads.collector import CollectorLoop
from zads.config import Config, KafkaCluster, parse
from zads.stack.alert_packets import Exposure, templates

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]
TEMPLATES = templates()


def packet(sequence: int = 0, program: int = 1, *, ago: float = 70.0) -> bytes:
    """Return a real packet of an exposure that ended some seconds ago."""
    jd = (time.time() - ago - 30.0) / 86400.0 + 2440587.5
    return TEMPLATES[0].write(Exposure(jd, program, 600, 1), sequence, random.Random(sequence))


class Site:
    """Two real clusters, an exporter over them, and the means to make traffic."""

    def __init__(self, upstream: KafkaCluster, public: Node, folder: Path) -> None:
        self.node, self.public, self.upstream = public, KafkaCluster(bootstrap=(public.address,)), upstream
        self.config: Config = parse(
            f"""
            [kafka.upstream]
            bootstrap = ["{upstream.bootstrap[0]}"]
            [kafka.public]
            bootstrap = ["127.0.0.1:1", "{public.address}"]
            [exporters]
            state_dir = "{folder}"
            decode_bytes_per_second = 50_000_000
            [[community]]
            name = "lasair"
            groups = ["lasair"]
            """
        )
        self.loop = CollectorLoop(build(self.config), 5.0)
        self.text = ""

    def restart(self) -> None:
        """The exporter is killed and comes back: what it had in memory is gone."""
        old = self.loop._collector
        old._tail.close()  # type: ignore[attr-defined]
        self.loop = CollectorLoop(build(self.config), 5.0)

    def topic(self, name: str, partitions: int = 3, *, upstream: bool = False) -> None:
        kafka.create_topics(self.upstream if upstream else self.public, {name: partitions}, client_id="test")

    def admin(self, call: Callable[[Any], None]) -> None:
        client = KafkaAdminClient(bootstrap_servers=self.node.address)
        try:
            call(client)
        finally:
            client.close()

    def send(self, name: str, values: list[bytes | None], *, upstream: bool = False, partitions: int = 3) -> None:
        address = self.upstream.bootstrap[0] if upstream else self.node.address
        producer = KafkaProducer(bootstrap_servers=address, acks=1, max_request_size=12_000_000, compression_type="lz4")
        futures = [producer.send(name, value, key=b"k", partition=n % partitions) for n, value in enumerate(values)]
        for future in futures:
            future.get(20)
        producer.close()

    def commit(self, name: str, offsets: dict[int, int]) -> None:
        consumer = KafkaConsumer(bootstrap_servers=self.node.address, group_id="lasair", enable_auto_commit=False)
        consumer.assign([TopicPartition(name, p) for p in offsets])
        consumer.commit({TopicPartition(name, p): OffsetAndMetadata(o, "", -1) for p, o in offsets.items()})
        consumer.close()

    def collect(self) -> None:
        snapshot = self.loop.once()
        self.text = snapshot.body.decode()

    def value(self, metric: str, **labels: str) -> float | None:
        """Return a sample of the last collection; the sum of those that fit."""
        found = [
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None

    def until(self, metric: str, wanted: float, seconds: float = 30.0, **labels: str) -> None:
        """Collect until a sample has its value."""
        deadline = time.monotonic() + seconds
        while True:
            self.collect()
            if self.value(metric, **labels) == wanted:
                return
            assert time.monotonic() < deadline, (
                f"{metric} {labels} is {self.value(metric, **labels)}, not {wanted}\n{self.text}"
            )
            time.sleep(0.5)

    def arrived(self) -> float | None:
        return self.value("zads_alerts_arrived_total", cluster="public", program="1")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("public"))
    try:
        yield node.start()
    finally:
        node.stop()


@pytest.fixture
def site(cluster: KafkaCluster, node: Node, tmp_path: Path) -> Iterator[Site]:
    def clean(client: Any) -> None:
        names = [name for name in client.list_topics() if name.startswith("ztf_")]
        if names:
            client.delete_topics(names)

    site = Site(cluster, node, tmp_path)
    site.admin(clean)
    site.collect()
    yield site
    site.loop._collector.close()


def test_counts_are_what_was_produced_over_roll_over_retention_and_restarts(site: Site) -> None:
    """To the alert: two nights, a trimmed log, a topic deleted and made anew, the exporter killed, the broker restarted."""
    assert site.arrived() == 0
    first, second = "ztf_20260401_programid1", "ztf_20260402_programid1"
    site.topic(first)
    site.send(first, [packet(n) for n in range(50)])
    site.until("zads_alerts_arrived_total", 50, cluster="public", program="1")
    assert site.value("zads_night_alerts", cluster="public", night="20260401") == 50

    site.topic(second)
    site.send(first, [packet(n) for n in range(7)])  # last night's late alerts
    site.send(second, [packet(n) for n in range(20)])
    site.until("zads_alerts_arrived_total", 77, cluster="public", program="1")
    assert site.value("zads_night_alerts", cluster="public", night="20260401") == 57
    assert site.value("zads_night_alerts", cluster="public", night="20260402") == 20

    site.admin(lambda client: client.delete_records({TopicPartition(first, 0): 10}))
    site.collect()
    assert site.arrived() == 77
    assert site.value("zads_night_alerts", cluster="public", night="20260401") == 57

    site.send(second, [packet(n) for n in range(5)])
    site.restart()  # while it is away, five came
    site.send(second, [packet(n) for n in range(6)])
    site.collect()
    assert site.arrived() == 88

    site.node.stop()
    site.collect()
    assert site.arrived() is None
    assert site.value("zads_cluster_readable", cluster="public") == 0
    assert site.value("zads_cluster_readable", cluster="upstream") == 1
    site.node.start()
    site.until("zads_alerts_arrived_total", 88, cluster="public", program="1")

    site.admin(lambda client: client.delete_topics([first]))
    time.sleep(1.0)
    site.topic(first)
    site.send(first, [packet(n) for n in range(9)])
    site.until("zads_alerts_arrived_total", 97, cluster="public", program="1")
    assert site.value("zads_night_alerts", cluster="public", night="20260401") == 9


def test_bytes_are_those_that_kafka_stores(site: Site) -> None:
    """A new topic's from its first message on, within 5 % of the log's size."""
    name = "ztf_20260403_programid1"
    site.topic(name, 1)
    site.collect()
    site.send(name, [packet(n) for n in range(60)], partitions=1)
    for _ in range(7):
        site.collect()
    log = next((site.node.folder / "data").glob(f"{name}-0/*.log")).stat().st_size
    total = site.value("zads_alerts_arrived_bytes_total", cluster="public", program="1")
    assert total == pytest.approx(log, rel=0.05)


def test_garbage_is_counted_by_reason_and_slows_nothing(site: Site) -> None:
    """Empty, truncated, 10 MB, no Avro, between 30 packets: each counted once, all packets decoded, delays right."""
    name = "ztf_20260404_programid1"
    site.topic(name)
    site.collect()
    bad: list[bytes | None] = [
        None,
        b"",
        b"garbage",
        packet()[:5000],
        packet() + bytes(10_000_000),
        b"Obj\x01" + bytes(3000),
    ]
    good: list[bytes | None] = [packet(n, ago=70.0) for n in range(30)]
    site.send(name, good[:15] + bad + good[15:])
    site.until("zads_alert_packets_decoded_total", 30)
    site.until("zads_alert_decode_errors_total", 6)
    for reason, count in {"empty": 2, "not_avro": 1, "truncated": 1, "too_large": 1, "bad_schema": 1}.items():
        assert site.value("zads_alert_decode_errors_total", reason=reason) == count
    assert site.value("zads_sampled_ratio") == 1
    count = site.value("zads_alert_latency_seconds_count", stage="exposure", program="1")
    total = site.value("zads_alert_latency_seconds_sum", stage="exposure", program="1")
    assert count == 30
    assert total is not None
    assert total / count == pytest.approx(70, abs=8)
    assert site.value("zads_alert_schema_info") == 1


def test_a_storm_of_garbage_delays_packets_by_no_more_than_its_bytes_and_collections_not_at_all(site: Site) -> None:
    """80 MB of huge packets, 3,000 of the other kinds: 50 packets beside them are decoded within what the budget allows."""
    name = "ztf_20260411_programid1"
    site.topic(name)
    site.collect()
    good: list[bytes | None] = [packet(n) for n in range(50)]
    kinds = (None, b"", b"garbage", packet()[:5000], b"Obj\x01" + bytes(3000))
    small: list[bytes | None] = [kinds[n % 5] for n in range(3000)]
    huge = random.Random(1).randbytes(10_000_000)
    slowest = 0.0

    def decoded(wanted: int, errors: int) -> float:
        """Collect until so many are decoded and so many refused; return the seconds that it took."""
        nonlocal slowest
        begin = time.monotonic()
        while True:
            before = time.monotonic()
            site.collect()
            slowest = max(slowest, time.monotonic() - before)
            took = time.monotonic() - begin
            found = [site.value(f"zads_alert_{what}_total") for what in ("packets_decoded", "decode_errors")]
            if found == [wanted, errors]:
                return took
            assert took < 60, f"{found} are not {wanted} and {errors}"
            time.sleep(0.1)

    site.send(name, good)
    alone = decoded(50, 0)
    arrived = site.arrived()
    site.send(name, small[:1500] + [huge] * 4 + good + [huge] * 4 + small[1500:])
    storm = decoded(100, 3008)
    budget = 80e6 / site.config.exporters.decode_bytes_per_second
    assert storm <= alone + budget + 8
    assert slowest < 2, "counts come from offsets: what the packets are does not matter"
    assert arrived is not None
    assert site.arrived() == arrived + 3058
    assert site.value("zads_sampled_ratio") == 1


def test_the_tail_goes_on_after_a_broker_restart_and_a_topic_made_anew(site: Site) -> None:
    """Nothing decoded twice, nothing left out, a failure told; a restricted packet in a public topic is seen."""
    name = "ztf_20260405_programid1"
    site.topic(name)
    site.collect()
    site.send(name, [packet(n) for n in range(10)])
    site.until("zads_alert_packets_decoded_total", 10)
    site.node.stop()
    time.sleep(3.0)
    site.node.start()
    site.send(name, [packet(n) for n in range(11)])
    site.until("zads_alert_packets_decoded_total", 21, 60)
    site.admin(lambda client: client.delete_topics([name]))
    time.sleep(1.0)
    site.topic(name)
    site.collect()
    site.send(name, [packet(n) for n in range(4)])
    site.until("zads_alert_packets_decoded_total", 25, 60)
    assert site.value("zads_restricted_alerts_total", program="3") == 0
    site.send(name, [packet(1, program=3)])
    site.until("zads_restricted_alerts_total", 1, program="3")


def test_the_exporter_follows_what_comes_while_it_was_away_from_the_end(site: Site) -> None:
    """A restarted exporter does not decode yesterday again."""
    name = "ztf_20260406_programid1"
    site.topic(name)
    site.collect()
    site.send(name, [packet(n) for n in range(10)])
    site.until("zads_alert_packets_decoded_total", 10)
    site.restart()
    site.collect()
    site.send(name, [packet(n) for n in range(3)])
    site.until("zads_alert_packets_decoded_total", 3)
    time.sleep(2.0)
    site.collect()
    assert site.value("zads_alert_packets_decoded_total") == 3


def test_delivery_ends_with_the_commit_and_total_with_it(site: Site) -> None:
    """30 alerts appended at once, 24 of them committed 4 s later: 24 delays of about 4 s; in total 74 s from the exposure."""
    name = "ztf_20260407_programid1"
    site.topic(name)
    site.collect()
    site.commit(name, {0: 0})
    site.collect()
    sent = time.time()
    site.send(name, [packet(n, ago=70.0) for n in range(30)])
    site.until("zads_alert_packets_decoded_total", 30)
    assert site.value("zads_alert_latency_seconds_count", stage="total") is None
    time.sleep(max(0.0, sent + 4.0 - time.time()))
    site.commit(name, {0: 10, 1: 10, 2: 4})
    site.collect()
    waited = time.time() - sent
    for stage, mean in (("delivery", waited), ("total", 70.0 + waited)):
        count = site.value("zads_alert_latency_seconds_count", stage=stage, program="1")
        total = site.value("zads_alert_latency_seconds_sum", stage=stage, program="1")
        assert count == 24
        assert total is not None
        assert total / 24 == pytest.approx(mean, abs=2.5)


def test_an_upstream_that_comes_later_brings_no_arrivals_with_it(site: Site) -> None:
    """It was not readable when the exporter began: its history is not new."""
    name = "ztf_20260408_programid1"
    site.topic(name, upstream=True)
    site.send(name, [packet(n) for n in range(40)], upstream=True)
    broken = site.config.model_copy(
        update={"kafka": {**site.config.kafka, "upstream": KafkaCluster(bootstrap=("127.0.0.1:1",))}}
    )
    good, site.config = site.config, broken
    site.restart()
    site.collect()
    assert site.value("zads_cluster_readable", cluster="upstream") == 0
    assert site.value("zads_alerts_arrived_total", cluster="upstream") is None
    site.config = good
    site.restart()
    site.collect()
    before = site.value("zads_alerts_arrived_total", cluster="upstream", program="1")
    site.send(name, [packet(n) for n in range(3)], upstream=True)
    site.collect()
    assert before is not None
    assert site.value("zads_alerts_arrived_total", cluster="upstream", program="1") == before + 3


def test_log_offsets_of_both_clusters_come_from_two_exporters_and_none_twice(site: Site) -> None:
    """IPAC's here, ZADS's from kafka-lag: to the alert, start and end; a topic deleted is gone within two collections."""
    name, ours = "ztf_20260409_programid1", "ztf_20260410_programid1"
    site.topic(name, 2, upstream=True)
    site.topic(ours, 2)
    site.send(name, [b"x"] * 40, upstream=True, partitions=2)
    site.send(ours, [b"x"] * 10, partitions=2)
    upstream = KafkaAdminClient(bootstrap_servers=site.upstream.bootstrap[0])
    upstream.delete_records({TopicPartition(name, 1): 5})

    def offsets(text: str) -> list[tuple[tuple[str, ...], float]]:
        return [
            (tuple(s.labels[key] for key in ("cluster", "topic", "partition", "edge", "night", "program")), s.value)
            for family in text_string_to_metric_families(text)
            for s in family.samples
            if s.name == "zads_log_offset" and s.labels["topic"] in (name, ours)
        ]

    site.collect()
    lag = CollectorLoop(build_lag(site.config), 5.0)
    here, there = offsets(site.text), offsets(lag.once().body.decode())
    lag.stop()
    assert sorted(here) == [
        (("upstream", name, number, edge, "20260409", "1"), value)
        for number, start in (("0", 0), ("1", 5))
        for edge, value in (("end", 20), ("start", start))
    ]
    assert {labels[0] for labels, _ in there} == {"public"}
    both = [labels for labels, _ in here + there]
    assert len(both) == len(set(both)) == 8

    upstream.delete_topics([name])
    upstream.close()
    for _ in range(2):
        site.collect()
    assert not offsets(site.text)
