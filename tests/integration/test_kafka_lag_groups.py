"""Groups of every kind on a real Kafka: the new protocol, share groups, dead, many and short-lived ones."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import uuid
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.protocol.admin import DeleteGroupsRequest
from kafka.protocol.consumer import OffsetCommitRequest
from kafka.structs import OffsetAndMetadata

from exporters.kafka_lag.cap import cut
from exporters.kafka_lag.collector import KafkaLagCollector
from exporters.kafka_lag.rest import Rest
from tests.integration.test_kafka_lag import Bench, read, wait
from zads.collector import CollectorLoop
from zads.config import Config, KafkaCluster, host_port, parse
from zads.kafka import Answer, ClusterReader

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def _text(value: str | None) -> bytes:
    """A compact (nullable) string of Kafka's flexible encoding, shorter than 126 bytes."""
    return b"\x00" if value is None else bytes([len(value.encode()) + 1]) + value.encode()


def _strings(values: list[str]) -> bytes:
    return bytes([len(values) + 1]) + b"".join(_text(value) for value in values)


class Member:
    """A member of a group, by the heartbeats of the new protocols (KIP-848, KIP-932); kafka-python has neither."""

    def __init__(self, cluster: KafkaCluster, group: str, topics: list[str], *, share: bool = False) -> None:
        self._socket = socket.create_connection(host_port(cluster.bootstrap[0]), timeout=10)
        self._group, self._topics, self._share = group, topics, share
        self._id = str(uuid.uuid4())
        # While the coordinator loads, it says so: try again.
        wait(lambda: self.beat(0) not in {14, 15, 16})
        assert self.beat(0) == 0

    def beat(self, epoch: int) -> int:
        """Send a heartbeat (0: join, -1: leave) and return the answer's error code."""
        body = _text(self._group) + _text(self._id) + struct.pack(">i", epoch)
        if self._share:
            body += _text(None) + _strings(self._topics)
            key = 76
        else:
            body += _text(None) + _text(None) + struct.pack(">i", 30_000) + _strings(self._topics)
            body += _text(None) + _text(None) + b"\x01"  # no regular expression, no assignor, no partitions yet
            key = 68
        request = struct.pack(">hhih", key, 1, 5, 4) + b"test" + b"\x00" + body + b"\x00"
        self._socket.sendall(struct.pack(">i", len(request)) + request)
        size = struct.unpack(">i", self._exactly(4))[0]
        answer = self._exactly(size)
        return int(struct.unpack(">h", answer[9:11])[0])

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            assert more, "the broker closed the connection"
            data += more
        return data

    def leave(self) -> None:
        self.beat(-1)
        self._socket.close()


@pytest.fixture(scope="module")
def bench(cluster: KafkaCluster) -> Bench:
    bench = Bench(cluster)
    bench.topic("first")
    bench.commit("first", "first", {0: 0})  # the offsets topic is made when somebody first asks for a coordinator
    return bench


def test_a_group_of_the_new_protocol_has_its_members_and_its_lag(bench: Bench) -> None:
    """KIP-848: the classic request does not find it, and every peer shows it dead or with no members (ke #533, km #294)."""
    bench.topic("modern")
    bench.send("modern", 12)
    members = [Member(bench.cluster, "modern-group", ["modern"]) for _ in range(2)]
    bench.commit("modern-group-empty", "modern", {0: 3})
    loop = bench.loop()
    assert read(loop, "kafka_consumergroup_members", "consumergroup")[("modern-group",)] == 2
    state = read(loop, "zads_consumergroup_state", "consumergroup", "state")
    assert [s for (g, s), on in state.items() if g == "modern-group" and on] in (["Stable"], ["Reconciling"], ["Assigning"])
    assert read(loop, "kafka_consumergroup_members", "consumergroup")[("modern-group-empty",)] == 0
    reader = ClusterReader(bench.cluster, client_id="test")
    reader.metadata()
    groups = reader.groups().values
    assert groups["modern-group"].type == "consumer"
    counted = reader.members(groups.values())
    assert not counted.errors
    reader.close()
    for member in members:
        member.leave()
    wait(lambda: read(loop, "kafka_consumergroup_members", "consumergroup")[("modern-group",)] == 0)
    loop.stop()


def test_a_group_that_changed_its_type_since_it_was_listed_is_still_described(bench: Bench) -> None:
    """What one request does not find is asked of the other."""
    bench.topic("turned")
    member = Member(bench.cluster, "turned-group", ["turned"])
    reader = ClusterReader(bench.cluster, client_id="test")
    reader.metadata()
    group = reader.groups().values["turned-group"]
    as_classic = type(group)(group.name, group.state, "classic", group.coordinator)
    answer = reader.members([as_classic])
    assert answer.values == {"turned-group": 1}
    assert not answer.errors
    reader.close()
    member.leave()


def test_members_of_a_new_protocol_community_are_counted(bench: Bench) -> None:
    """zads_community_members of a community that reads with KIP-848."""
    bench.topic("ztf_20260301_programid1")
    member = Member(bench.cluster, "lasair", ["ztf_20260301_programid1"])
    loop = bench.loop()
    assert read(loop, "zads_community_members", "community")[("lasair",)] == 1
    member.leave()
    wait(lambda: read(loop, "zads_community_members", "community")[("lasair",)] == 0)
    loop.stop()


def test_a_share_group_is_listed_with_its_type_and_members_and_has_no_lag_of_commits(bench: Bench) -> None:
    """KIP-932: it commits no offsets, so no such lag is made up; what it has instead is in test_kafka_lag_shares.py."""
    bench.topic("shared")
    bench.send("shared", 5)
    member = Member(bench.cluster, "share-group", ["shared"], share=True)
    loop = bench.loop()
    info = read(loop, "zads_consumergroup_info", "consumergroup", "type")
    assert ("share-group", "share") in info
    assert info["first", "classic"] == 1
    body = loop.snapshot().body.decode()
    assert 'kafka_consumergroup_lag_sum{consumergroup="share-group"' not in body
    assert read(loop, "kafka_consumergroup_members", "consumergroup")[("share-group",)] == 1
    state = read(loop, "zads_consumergroup_state", "consumergroup", "state")
    assert sum(on for (group, _), on in state.items() if group == "share-group") == 1
    assert "zads_collector_errors_total{" not in loop.snapshot().body.decode()
    member.leave()
    wait(lambda: read(loop, "kafka_consumergroup_members", "consumergroup")[("share-group",)] == 0)
    loop.stop()


def test_state_is_one_for_the_group_s_state_and_zero_for_the_others(bench: Bench) -> None:
    """A rule can ask for each state without knowing which there are."""
    loop = bench.loop()
    state = {
        s: on for (g, s), on in read(loop, "zads_consumergroup_state", "consumergroup", "state").items() if g == "first"
    }
    assert state == {
        **dict.fromkeys(("Stable", "Dead", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling"), 0.0),
        "Empty": 1.0,
    }
    loop.stop()


def test_members_without_work_and_assigned_partitions(bench: Bench) -> None:
    """Three members on two partitions, one of them has nothing to do."""
    bench.topic("assigned")
    consumers = [
        KafkaConsumer(
            "assigned", bootstrap_servers=bench.cluster.bootstrap[0], group_id="assigned-group", metadata_max_age_ms=1000
        )
        for _ in range(3)
    ]
    stop = threading.Event()

    def poll(consumer: KafkaConsumer) -> None:
        while not stop.is_set():
            consumer.poll(200)

    threads = [threading.Thread(target=poll, args=(consumer,)) for consumer in consumers]
    for thread in threads:
        thread.start()
    loop = bench.loop()
    try:

        def settled() -> bool:
            members = read(loop, "kafka_consumergroup_members", "consumergroup").get(("assigned-group",))
            assigned = read(loop, "zads_consumergroup_assigned_partitions", "consumergroup", "topic")
            idle = read(loop, "zads_consumergroup_idle_members", "consumergroup").get(("assigned-group",))
            return (members, assigned.get(("assigned-group", "assigned")), idle) == (3, 2, 1)

        wait(settled, 60)
    finally:
        stop.set()
        for thread, consumer in zip(threads, consumers, strict=True):
            thread.join()
            consumer.close()
    loop.stop()


@pytest.mark.parametrize("modern", [False, True], ids=["classic", "KIP-848"])
def test_a_group_that_never_committed_on_a_topic_has_its_assigned_partitions_counted(bench: Bench, *, modern: bool) -> None:
    """No commit: no lag, no sum, but their number; a topic it commits on elsewhere counts its own, and the sum is right."""
    silent, partly, group = f"silent-{modern}", f"partly-{modern}", f"uncommitted-{modern}"
    bench.topic(silent, 3)
    bench.topic(partly, 4)
    bench.commit(group, partly, {0: 0})
    stop = threading.Event()
    threads: list[threading.Thread] = []
    if modern:
        members = [Member(bench.cluster, group, [silent, partly])]
    else:
        consumer = KafkaConsumer(
            silent, partly, bootstrap_servers=bench.cluster.bootstrap[0], group_id=group, enable_auto_commit=False
        )

        def poll() -> None:
            while not stop.is_set():
                consumer.poll(200)

        threads = [threading.Thread(target=poll)]
        threads[0].start()
    loop = bench.loop()

    def counted() -> dict[str, float]:
        found = read(loop, "zads_consumergroup_uncommitted_partitions", "consumergroup", "topic")
        return {topic: number for (name, topic), number in found.items() if name == group}

    try:
        wait(lambda: counted() == {silent: 3, partly: 3}, 60)
        for name in (
            "kafka_consumergroup_lag_sum",
            "zads_consumergroup_lag_seconds",
            "kafka_consumergroup_current_offset_sum",
        ):
            assert (group, silent) not in read(loop, name, "consumergroup", "topic")
        pages = loop.snapshot().body.decode().splitlines()
        assert pages.count("# TYPE zads_consumergroup_uncommitted_partitions gauge") == 1
        if not modern:
            consumer.commit({TopicPartition(silent, 1): OffsetAndMetadata(0, "", -1)})
            assert counted() == {silent: 2, partly: 3}, "from now on by its own row"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        if modern:
            members[0].leave()
        else:
            consumer.close()
    wait(lambda: silent not in counted() if modern else counted() == {silent: 2, partly: 3})
    loop.stop()


def test_two_thousand_short_lived_groups(bench: Bench) -> None:
    """They come and go; none is missed, none outlives its deletion, a collection stays quick, nothing piles up."""
    bench.topic("many")
    bench.send("many", 10)
    reader = ClusterReader(bench.cluster, client_id="test")
    reader.metadata()
    broker = reader.brokers()[0]
    names = [f"run-{number:04d}" for number in range(2000)]
    part = OffsetCommitRequest.OffsetCommitRequestTopic.OffsetCommitRequestPartition
    topic = OffsetCommitRequest.OffsetCommitRequestTopic
    answer: Answer[Any] = Answer()
    for number, name in enumerate(names):
        offset = part(partition_index=0, committed_offset=number % 11, committed_leader_epoch=-1, committed_metadata="")
        topics = [topic(name="many", partitions=[offset])]
        request = OffsetCommitRequest(
            group_id=name, generation_id_or_member_epoch=-1, member_id="", topics=topics, max_version=8
        )
        found = reader._ask(request, broker, answer)
        assert found is not None and found.topics[0].partitions[0].error_code == 0, answer
    loop = bench.loop()
    lag = read(loop, "kafka_consumergroup_lag", "consumergroup", "topic", "partition")
    assert {lag[name, "many", "0"] for name in names} == {float(number) for number in range(11)}
    assert all(lag[name, "many", "0"] == 10 - number % 11 for number, name in enumerate(names))
    begin = time.process_time()
    loop.once()
    assert time.process_time() - begin < 2
    collector = loop._collector
    for start in range(0, len(names), 500):
        reader._ask(DeleteGroupsRequest(groups_names=names[start : start + 500]), broker, answer)
    assert not answer.errors
    text = loop.once().body.decode()
    assert 'consumergroup="run-' not in text
    for _ in range(4):
        loop.once()
    assert not [name for name in collector._groups._offsets if name.startswith("run-")]  # type: ignore[attr-defined]
    assert not [name for name in collector.reader._offsets if name.startswith("run-")]  # type: ignore[attr-defined]
    reader.close()
    loop.stop()


def test_filters_choose_what_is_shown_and_communities_are_always_read(bench: Bench) -> None:
    """Topics and groups by regular expressions, included and excluded; a community cannot be filtered away."""
    for name in ("ztf_20260302_programid1", "keep-this", "keep-that", "drop"):
        bench.topic(name)
        bench.send(name, 6)
        for group in ("mine", "mine-test", "other", "lasair"):
            bench.commit(group, name, {0: 2})
    config = with_options(
        bench, topics=["keep-.*", "drop"], topics_exclude=["drop"], groups=["mine.*"], groups_exclude=[".*-test"]
    )
    loop = CollectorLoop(KafkaLagCollector(config, ClusterReader(bench.cluster, client_id="test")), 5.0)
    lag = read(loop, "kafka_consumergroup_lag_sum", "consumergroup", "topic")
    shown = {"keep-this", "keep-that"} | {t for _, t in lag if t.startswith("ztf_")}
    assert {group for group, _ in lag} == {"mine"}
    assert {topic for _, topic in lag} == shown
    assert {topic for (topic,) in read(loop, "kafka_topic_partitions", "topic")} >= {"keep-this", "keep-that"}
    assert ("drop",) not in read(loop, "kafka_topic_partitions", "topic")
    assert {g for (g,) in read(loop, "kafka_consumergroup_members", "consumergroup")} == {"mine"}
    behind = read(loop, "zads_community_lag_alerts", "community", "night")
    assert behind["lasair", "20260302"] == 4
    loop.stop()


def with_options(bench: Bench, **settings: object) -> Config:
    """Return the bench's configuration with [exporters.kafka_lag]."""
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
    return parse(
        f'[kafka.public]\nbootstrap = ["{bench.cluster.bootstrap[0]}"]\n[exporters.kafka_lag]\n{lines}\n'
        '[[community]]\nname = "lasair"\ngroups = ["lasair"]\n'
    )


def test_what_is_over_the_cap_is_dropped_widest_first_and_counted(bench: Bench) -> None:
    """The widest group loses its series per partition first; its sums stay, and the other group's series too."""
    bench.topic("wide", 32)
    bench.send("wide", 3)
    bench.commit("wide-group", "wide", dict.fromkeys(range(32), 0))
    bench.commit("narrow-group", "wide", {0: 1})
    bench.topic("thin", 1)
    bench.send("thin", 3)
    bench.commit("thin-group", "thin", {0: 1})
    loop = bench.loop()
    read(loop, "kafka_consumergroup_lag", "consumergroup", "topic")
    collector = loop._collector
    groups = collector._groups._offsets  # type: ignore[attr-defined]
    topics = {name: t for name, t in collector.reader.metadata().topics.items() if not name.startswith("__")}  # type: ignore[attr-defined]
    listed = len(collector.reader.groups().values)  # type: ignore[attr-defined]
    everything = cut(groups, topics, 10**9, per_partition=True).size + 10**9 - Rest([], topics, listed, 10**9).left
    narrow = ("zads_community_", "zads_kafka_", "kafka_broker", "zads_cluster_up")
    everything += sum(series.startswith(narrow) for series in _measured(loop))
    settings = bench.config.exporters.model_copy(update={"max_series": everything - 50})
    config = bench.config.model_copy(update={"exporters": settings})
    capped = CollectorLoop(KafkaLagCollector(config, ClusterReader(bench.cluster, client_id="test")), 5.0)
    lag = read(capped, "kafka_consumergroup_lag", "consumergroup", "topic")
    assert ("wide-group", "wide") not in lag
    assert ("thin-group", "thin") in lag
    assert read(capped, "kafka_consumergroup_lag_sum", "consumergroup", "topic")["wide-group", "wide"] == 3
    capped.stop()
    capped = CollectorLoop(KafkaLagCollector(config, ClusterReader(bench.cluster, client_id="test")), 5.0)
    # At least the 64 of the wide group; what is told once a minute (disks, settings) may lack room too, by then.
    dropped = [read(capped, "zads_collector_dropped_series_total", "reason")[("cap",)] for _ in range(2)]
    assert 64 <= dropped[0] < 100 and dropped[1] >= dropped[0] + 64
    loop.stop()
    capped.stop()


@pytest.mark.parametrize("most", [20, 60, 150, 400])
def test_a_page_never_has_more_measured_series_than_the_cap(bench: Bench, most: int) -> None:
    """Clusters, brokers, disks, communities and groups without a commit count too; only the exporter's health does not."""
    bench.topic("capped", 8)
    bench.send("capped", 3)
    bench.topic("ztf_20260801_programid1", 1)
    bench.send("ztf_20260801_programid1", 3)
    for number in range(12):
        bench.commit(f"capped-{number}", "capped", dict.fromkeys(range(8), 0))
    consumer = KafkaConsumer("capped", bootstrap_servers=bench.cluster.bootstrap[0], group_id="capped-never")
    consumer.poll(3000)
    whole = _measured(bench.loop())
    assert len(whole) > 400
    settings = bench.config.exporters.model_copy(update={"max_series": most})
    config = bench.config.model_copy(update={"exporters": settings})
    loop = CollectorLoop(KafkaLagCollector(config, ClusterReader(bench.cluster, client_id="test")), 5.0)
    shown = _measured(loop)
    assert len(shown) <= most
    assert len(shown) == len(set(shown))
    assert any(line.startswith("zads_community_lag_alerts") for line in shown) or most == 20, "communities go last"
    lost = read(loop, "zads_collector_dropped_series_total", "reason")[("cap",)] / 2
    assert lost >= len(whole) - len(shown), "counted, rather too much than too little"
    consumer.close()
    loop.stop()


def _measured(loop: CollectorLoop) -> list[str]:
    """Collect; return the series of what was measured, by name and labels."""
    loop.once()
    own = ("#", "zads_collector_", "zads_build_info", "process_")
    lines = loop.snapshot().body.decode().splitlines()
    return [line.rpartition(" ")[0] for line in lines if not line.startswith(own)]


def test_lag_as_a_transactional_reader_sees_it(bench: Bench) -> None:
    """read_committed: the log ends for it where a transaction is open; what lies behind is not yet there to be read."""
    bench.topic("transactions", 1)
    bench.send("transactions", 4)
    bench.commit("transaction-group", "transactions", {0: 1})
    producer = KafkaProducer(bootstrap_servers=bench.cluster.bootstrap[0], transactional_id="test")
    producer.init_transactions()
    producer.begin_transaction()
    for _ in range(5):
        producer.send("transactions", b"x")
    producer.flush()
    config = with_options(bench, read_committed=True)
    committed = CollectorLoop(KafkaLagCollector(config, ClusterReader(bench.cluster, client_id="test")), 5.0)
    plain = bench.loop()
    key = ("transaction-group", "transactions")
    assert read(plain, "kafka_consumergroup_lag_sum", "consumergroup", "topic")[key] == 8
    assert read(committed, "kafka_consumergroup_lag_sum", "consumergroup", "topic")[key] == 3
    producer.commit_transaction()
    producer.close()
    # The end of the transaction is a message of its own, which no reader gets.
    wait(lambda: read(committed, "kafka_consumergroup_lag_sum", "consumergroup", "topic")[key] == 9)
    plain.stop()
    committed.stop()


def test_seconds_are_those_of_the_messages_own_times_after_a_restart(bench: Bench) -> None:
    """Quiet for days, a burst, a trickle: for readers that stand anywhere, within a second or 5 %."""
    bench.admin.create_topics([NewTopic("times", 3, 1, topic_configs={"retention.ms": "-1"})])
    now = time.time()
    patterns = {
        0: [now - 200_000, now - 150_000, now - 9000, now - 8999, now - 30],
        1: [now - 86_000 + step * 0.001 for step in range(500)] + [now - 100],
        2: [now - 3000 + step * 10 for step in range(299)],
    }
    for partition, times in patterns.items():
        for moment in times:
            bench.producer.send("times", b"x", partition=partition, timestamp_ms=int(moment * 1000))
    bench.producer.flush(20)
    stands = {f"times-{partition}-{offset}": (partition, offset) for partition in patterns for offset in (0, 1, 3, 4)}
    stands |= {"times-1-250": (1, 250), "times-1-500": (1, 500), "times-2-150": (2, 150), "times-2-290": (2, 290)}
    for group, (partition, offset) in stands.items():
        bench.commit(group, "times", {partition: offset})
    loop = bench.loop()
    seconds = read(loop, "zads_consumergroup_lag_seconds", "consumergroup", "topic")
    at = time.time()
    oldest = read(loop, "kafka_topic_partition_oldest_offset", "topic", "partition")
    assert {oldest["times", str(partition)] for partition in patterns} == {0}, "retention has deleted something already"
    for group, (partition, offset) in stands.items():
        true = at - patterns[partition][offset]
        assert abs(seconds[group, "times"] - true) <= max(1.5 + time.time() - at, 0.05 * true), (group, true)
    worst = read(loop, "zads_consumergroup_max_lag_seconds", "consumergroup")
    assert worst[("times-0-0",)] == pytest.approx(200_000, rel=0.05)
    loop.stop()
    config = with_options(bench, seconds_per_partition=True, per_partition=False)
    loop = CollectorLoop(KafkaLagCollector(config, ClusterReader(bench.cluster, client_id="test")), 5.0)
    each = read(loop, "zads_consumergroup_partition_lag_seconds", "consumergroup", "topic", "partition")
    assert each["times-0-0", "times", "0"] == pytest.approx(200_000, rel=0.05)
    assert "kafka_consumergroup_lag{" not in loop.snapshot().body.decode()
    loop.stop()
