"""The collector on a Kafka of plain values: what is published when which part of it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporters.alert_arrival.cluster import Cluster
from exporters.alert_arrival.collector import AlertArrivalCollector
from exporters.alert_arrival.content import Content
from exporters.alert_arrival.packets import AlertPacket
from exporters.alert_arrival.tail import Tail
from zads.collector import Reading
from zads.config import load
from zads.kafka import EARLIEST, LATEST, MAX_TIMESTAMP, Answer, Group, Metadata, Topic

CONFIG = load(Path(__file__).resolve().parents[2] / "zads.toml")
NIGHT, PARTS = "20260401", (0, 1)


def _name(program: int, night: str = NIGHT) -> str:
    return f"ztf_{night}_programid{program}"


class FakeKafka:
    """A cluster's answers as plain values, with parts that fail."""

    def __init__(self) -> None:
        self.ends: dict[tuple[str, int], int] = {}
        self.ids: dict[str, str] = {}
        self.commits: dict[str, dict[tuple[str, int], int]] = {}
        self.silent: set[tuple[str, int]] = set()
        self.answers = True
        self.silence: type[OSError] = ConnectionRefusedError

    def topic(self, name: str, *ends: int, identity: str = "a") -> None:
        self.ids[name] = identity
        self.ends |= {(name, number): end for number, end in enumerate(ends)}

    def probe(self, _address: str, _timeout: float) -> float:
        if not self.answers:
            raise self.silence
        return 0.001

    def metadata(self) -> Metadata:
        leaders = {n: {p: 1 for (name, p) in self.ends if name == n} for n in self.ids}
        return Metadata({1: ("h", 1)}, {n: Topic(n, f"{n}-{i}", leaders[n]) for n, i in self.ids.items()})

    def list_offsets(self, wanted):
        answer: Answer[Any] = Answer()
        for part, at in wanted.items():
            if part in self.silent:
                answer.errors["LeaderNotAvailable"] += 1
                answer.failed.add(part)
            else:
                answer.values[part] = {
                    LATEST: (self.ends[part], -1),
                    EARLIEST: (0, -1),
                    MAX_TIMESTAMP: (self.ends[part] - 1, 1_000_000),
                }.get(at, (-1, -1))
        return answer

    def log_dirs(self):
        return Answer({part: 70_000 * end for part, end in self.ends.items()})

    def groups(self):
        return Answer({name: Group(name, "Stable", "classic", 1) for name in self.commits})

    def committed(self, groups):
        return Answer({group.name: self.commits[group.name] for group in groups})

    def close(self) -> None: ...


class FakeMirror:
    """MirrorMaker's offsets as plain values."""

    def __init__(self) -> None:
        self.next_offsets: dict[tuple[str, int], int] = {}
        self.may_be_read, self.readable = True, False

    def update(self, topics) -> None:
        self.readable = self.may_be_read

    def close(self) -> None:
        self.readable = False


class World:
    """Both clusters, a mirror, a tail that is not started, and the collector over them."""

    def __init__(self, folder: Path) -> None:
        self.upstream, self.public, self.mirror, self.now = FakeKafka(), FakeKafka(), FakeMirror(), 100_000.0
        self.folder = folder
        self.jmx: str | None = None
        self.restart()

    def read_jmx(self, _address: str) -> str:
        if self.jmx is None:
            raise ConnectionRefusedError
        return self.jmx

    def restart(self) -> None:
        clusters = [
            Cluster(name, kafka, ("h:1", "h:2"), probe=kafka.probe)  # type: ignore[arg-type]
            for name, kafka in (("upstream", self.upstream), ("public", self.public))
        ]
        self.content = Content(CONFIG.stream.restricted_programs)
        self.tail = Tail(CONFIG, self.content, clusters[1].appends.appended_at)
        self.tail.follow = self.follow  # type: ignore[method-assign]
        self.followed: dict[Any, Any] = {}
        self.collector = AlertArrivalCollector(
            CONFIG,
            clusters,
            self.content,
            self.tail,
            self.mirror,  # type: ignore[arg-type]
            self.folder / "state.json",
            read_jmx=self.read_jmx,
            clock=lambda: self.now,
        )

    def follow(self, wanted) -> None:
        self.followed = dict(wanted)

    def collect(self) -> Reading:
        self.now += 5.0
        return self.collector.collect()

    def packet(self, program: int, topic_program: int) -> None:
        with self.content.lock:
            packet = AlertPacket(1, 2461369.25, 30.0, program, "4.02")
            self.content.book(packet, ("a", _name(topic_program), 0), 0, topic_program, (self.now, self.now))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _value(reading: Reading, name: str, **labels: str) -> float | None:
    for family in [*reading.families, *reading.always]:
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return None


def test_counters_are_there_at_0_before_the_first_alert(world: World) -> None:
    """For each cluster and public program: without the series no rule can say that nothing arrives."""
    reading = world.collect()
    for cluster in ("upstream", "public"):
        assert _value(reading, "zads_alerts_arrived_total", cluster=cluster, program="1") == 0
    world.public.topic(_name(1), 30, 12)
    reading = world.collect()
    assert _value(reading, "zads_alerts_arrived_total", cluster="public", program="1") == 42
    assert _value(reading, "zads_alerts_arrived_bytes_total", cluster="public", program="1") == pytest.approx(42 * 70_000)


def test_a_cluster_that_cannot_be_read_has_no_figures_at_all(world: World) -> None:
    """Never a zero: it is not readable, and that is said; the other one stays right."""
    world.upstream.topic(_name(1), 60_000)
    world.upstream.answers = False
    world.public.topic(_name(1), 100, 100)
    reading = world.collect()
    assert _value(reading, "zads_cluster_readable", cluster="upstream") == 0
    assert _value(reading, "zads_cluster_readable", cluster="public") == 1
    assert _value(reading, "zads_alerts_arrived_total", cluster="upstream") is None
    assert _value(reading, "zads_mirror_behind_alerts") is None
    assert _value(reading, "zads_night_alerts", cluster="public") == 200
    assert reading.errors == {"ClusterDoesNotAnswer": 1, "JmxConnectionRefusedError": 1}
    world.upstream.answers = True
    world.collect()
    world.upstream.topic(_name(1), 60_007)
    assert _value(world.collect(), "zads_alerts_arrived_total", cluster="upstream", program="1") == 7


def test_one_bootstrap_address_that_answers_is_enough(tmp_path: Path) -> None:
    """A broker that is down for maintenance does not make its cluster unreadable."""
    asked: list[str] = []

    def probe(address: str, _timeout: float) -> float:
        asked.append(address)
        if address == "h:1":
            raise ConnectionRefusedError
        return 0.001

    assert Cluster("public", FakeKafka(), ("h:1", "h:2"), probe=probe).answers()  # type: ignore[arg-type]
    assert asked == ["h:1", "h:2"]


def test_a_partition_without_a_leader_does_not_make_the_night_smaller(world: World) -> None:
    """It keeps its last end, over a restart too; what failed is counted."""
    world.public.topic(_name(1), 100, 50)
    assert _value(world.collect(), "zads_night_alerts", cluster="public") == 150
    world.public.silent = {(_name(1), 1)}
    world.public.topic(_name(1), 110, 50)
    reading = world.collect()
    assert _value(reading, "zads_night_alerts", cluster="public") == 160
    assert reading.errors["LeaderNotAvailable"] >= 1
    world.restart()
    assert _value(world.collect(), "zads_night_alerts", cluster="public") == 160


def test_a_cluster_whose_every_partition_fails_is_not_readable(world: World) -> None:
    """Not a night of no alerts."""
    world.public.topic(_name(1), 100, 50)
    world.collect()
    world.public.silent = {(_name(1), 0), (_name(1), 1)}
    reading = world.collect()
    assert _value(reading, "zads_cluster_readable", cluster="public") == 0
    assert _value(reading, "zads_night_alerts", cluster="public") is None


def test_counters_never_come_back_lower_after_a_kill(world: World) -> None:
    """What was published was saved before; no close() is needed for it."""
    world.public.topic(_name(1), 0)
    world.collect()
    for end in range(0, 500, 70):
        world.public.topic(_name(1), end)
        published = _value(world.collect(), "zads_alerts_arrived_total", cluster="public")
        world.restart()
        assert _value(world.collect(), "zads_alerts_arrived_total", cluster="public") == published


def test_restricted_alerts_in_topics_of_their_own_and_hidden_in_others_add_up(world: World) -> None:
    """The larger one does not mask the smaller; a packet in a topic of its own program is counted once."""
    world.collect()
    world.public.topic(_name(2), 10)
    world.packet(2, topic_program=2)
    assert _value(world.collect(), "zads_restricted_alerts_total", program="2") == 10
    world.packet(2, topic_program=1)
    assert _value(world.collect(), "zads_restricted_alerts_total", program="2") == 11
    world.restart()
    assert _value(world.collect(), "zads_restricted_alerts_total", program="2") == 11


def test_the_tail_begins_at_the_end_of_what_is_there_and_at_the_start_of_what_comes(world: World) -> None:
    """And a topic made anew is another one."""
    world.public.topic(_name(1), 100, 50)
    world.collect()
    assert {key[2]: follow.begin for key, follow in world.followed.items()} == {0: 100, 1: 50}
    world.public.topic(_name(1, "20260402"), 7)
    world.collect()
    begins = {key[1:]: follow.begin for key, follow in world.followed.items()}
    assert begins == {(_name(1), 0): 100, (_name(1), 1): 50, (_name(1, "20260402"), 0): 0}
    world.public.topic(_name(1), 3, 4, identity="b")
    world.public.silent = {(_name(1), 1)}  # no leader yet
    world.collect()
    world.public.silent = set()
    world.collect()
    assert {key[2]: f.begin for key, f in world.followed.items() if key[1] == _name(1)} == {0: 0, 1: 0}


def test_the_tails_failures_are_counted(world: World) -> None:
    """They are the exporter's errors."""
    world.content.failures["TailKafkaTimeoutError"] += 2
    assert world.collect().errors["TailKafkaTimeoutError"] == 2
    assert "TailKafkaTimeoutError" not in world.collect().errors


def test_the_sampled_share_is_absent_when_nothing_comes(world: World) -> None:
    """It does not freeze at what it was."""
    world.content.sampled(world.now, 100, 40)
    assert _value(world.collect(), "zads_sampled_ratio") == pytest.approx(0.4)
    world.now += 60.0
    assert _value(world.collect(), "zads_sampled_ratio") is None


def test_what_the_mirror_has_not_passed_on(world: World) -> None:
    """Behind by alerts and by age, for public programs alone; then caught up, one short."""
    world.upstream.topic(_name(1), 100, 100)
    world.upstream.topic(_name(2), 900, 900)
    world.public.topic(_name(1), 100, 60)
    world.mirror.next_offsets = {(_name(1), 0): 100, (_name(1), 1): 60}
    world.collect()
    reading = world.collect()
    assert _value(reading, "zads_mirror_behind_alerts", program="1", night=NIGHT) == 40
    assert _value(reading, "zads_mirror_behind_alerts", program="2") is None
    world.public.topic(_name(1), 100, 99)
    world.mirror.next_offsets[_name(1), 1] = 100
    world.collect()
    reading = world.collect()
    assert _value(reading, "zads_mirror_behind_seconds", program="1") == 0
    assert _value(reading, "zads_night_missing_alerts", program="1") == 1
    world.mirror.may_be_read = False
    assert _value(world.collect(), "zads_night_missing_alerts", program="1") is None


def test_where_ipac_cannot_be_read_mirrormakers_own_lag_stands_in(world: World) -> None:
    """By night and program, and said to be so; when that is silent or frozen, nothing: never a zero."""
    world.upstream.answers = False
    world.jmx = "\n".join(
        f'kafka_consumer_fetch_manager_metrics_records_lag{{topic="{topic}",partition="{part}"}} {lag}'
        for topic, part, lag in ((_name(1), 0, 30.0), (_name(1), 1, 12.0), (_name(1, "20260402"), 0, 0.0), ("other", 0, 9.0))
    )
    reading = world.collect()
    assert _value(reading, "zads_mirror_behind_alerts", program="1", night=NIGHT) == 42
    assert _value(reading, "zads_mirror_behind_alerts", program="1", night="20260402") == 0
    assert _value(reading, "zads_mirror_behind_source", source="jmx") == 1
    assert _value(reading, "zads_mirror_behind_seconds") is None
    for silent in (None, "", world.jmx + '\nkafka_consumer_fetch_manager_metrics_fetch_rate{client_id="c"} 0.0'):
        world.jmx = silent
        reading = world.collect()
        assert _value(reading, "zads_mirror_behind_alerts") is None
        assert _value(reading, "zads_mirror_behind_source") is None
    world.upstream.answers = True
    assert _value(world.collect(), "zads_mirror_behind_source", source="offsets") == 1


def test_commits_end_the_delivery_stage(world: World) -> None:
    """200 alerts that came between two collections and are committed 10 s later: 200 delays of 10 to 15 s."""
    world.public.topic(_name(1), 0)
    world.public.commits = {"lasair": {(_name(1), 0): 0}, "stranger": {(_name(1), 0): 0}}
    world.collect()
    world.public.topic(_name(1), 200)
    world.collect()
    world.collect()
    world.public.commits = {"lasair": {(_name(1), 0): 200}, "stranger": {(_name(1), 0): 200}}
    reading = world.collect()
    labels = {"stage": "delivery", "program": "1"}
    assert _value(reading, "zads_alert_latency_seconds_count", **labels) == 200
    total = _value(reading, "zads_alert_latency_seconds_sum", **labels)
    assert total is not None
    assert 10.0 <= total / 200 <= 15.0


def test_a_state_file_that_is_no_good_begins_anew(world: World) -> None:
    """And one that cannot be written stops nothing."""
    for content in ("{broken", "[]", '{"arrivals": {}}', '{"arrivals": 7}'):
        (world.folder / "state.json").write_text(content)
        world.restart()
    world.public.topic(_name(1), 5)
    assert _value(world.collect(), "zads_alerts_arrived_total", cluster="public") == 0
    (world.folder / "state.json").unlink()
    (world.folder / "state.new").mkdir()
    world.public.topic(_name(1), 8)
    assert _value(world.collect(), "zads_alerts_arrived_total", cluster="public") == 3


def _offsets(reading: Reading) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels[label] for label in ("cluster", "edge", "topic", "partition", "night", "program")): sample.value
        for family in reading.families
        for sample in family.samples
        if sample.name == "zads_log_offset"
    }


def test_ipacs_log_offsets_are_told_here_and_those_at_zads_are_not(world: World) -> None:
    """ZADS's come from kafka-lag: no series stands twice. Only the stream's topics, all programs of it."""
    world.public.topic(_name(1), 3, 4)
    world.upstream.topic(_name(1), 30, 12)
    world.upstream.topic(_name(3), 5)
    world.upstream.topic("__consumer_offsets", 1000)
    assert _offsets(world.collect()) == {
        ("upstream", edge, name, str(number), NIGHT, program): value
        for name, program, ends in ((_name(1), "1", (30, 12)), (_name(3), "3", (5,)))
        for number, end in enumerate(ends)
        for edge, value in (("start", 0), ("end", end))
    }


def test_log_offsets_of_what_is_gone_or_silent_are_gone(world: World) -> None:
    """A topic deleted: at the next look. A partition or a cluster that does not answer: no frozen value."""
    world.upstream.topic(_name(1), 30, 12)
    world.upstream.topic(_name(1, "20260331"), 7, 7)
    assert len(_offsets(world.collect())) == 8
    world.upstream.silent = {(_name(1), 1)}
    assert {key[2:4] for key in _offsets(world.collect())} == {
        (_name(1), "0"), (_name(1, "20260331"), "0"), (_name(1, "20260331"), "1"),
    }  # fmt: skip
    del world.upstream.ids[_name(1, "20260331")]
    assert {key[2:4] for key in _offsets(world.collect())} == {(_name(1), "0")}
    world.upstream.answers = False
    assert _offsets(world.collect()) == {}


def _stuck(world: World) -> None:
    """60 alerts are passed on, twice 3; then ZADS's Kafka goes and IPAC gets 40 more."""
    world.upstream.topic(_name(1), 30, 30)
    world.public.topic(_name(1), 33, 33)
    world.mirror.next_offsets = {(_name(1), 0): 30, (_name(1), 1): 30}
    for _ in range(2):
        reading = world.collect()
    assert _value(reading, "zads_mirror_surplus_alerts") == 6
    assert _value(reading, "zads_mirror_behind_alerts") == 0
    world.public.answers = False
    world.upstream.topic(_name(1), 70, 30)
    world.now += 20.0


def test_while_zads_kafka_is_dead_what_ipac_gets_waits(world: World) -> None:
    """It refuses connections, so nothing passes: all beyond the last position waits, and grows older; no duplicates or gaps."""
    _stuck(world)
    for restarted in (False, True):
        if restarted:
            world.restart()
        reading = world.collect()
        assert _value(reading, "zads_mirror_behind_alerts", program="1", night=NIGHT) == 40
        age = _value(reading, "zads_mirror_behind_seconds", program="1", night=NIGHT)
        if not restarted:  # afterwards Kafka is asked when they came: that is for a real one
            assert age is not None
            assert 0 < age <= 60
        assert _value(reading, "zads_mirror_behind_source", source="last_offsets") == 1
        assert _value(reading, "zads_mirror_behind_source", source="offsets") is None
        assert _value(reading, "zads_mirror_surplus_alerts") is None
        assert _value(reading, "zads_night_missing_alerts") is None
    world.upstream.topic(_name(1, "20260402"), 5)  # a night that begins meanwhile waits as a whole
    assert _value(world.collect(), "zads_mirror_behind_alerts", night="20260402") == 5
    world.public.answers = True
    reading = world.collect()
    assert _value(reading, "zads_mirror_behind_source", source="offsets") == 1
    # Those of the partition that is level; after a restart the other's cannot be told from what is in flight.
    assert _value(reading, "zads_mirror_surplus_alerts", night=NIGHT) == 3


def test_a_kafka_that_is_only_out_of_sight_says_nothing_of_what_waits(world: World) -> None:
    """It answers nothing in time: the mirror may pass on all the same. What MirrorMaker itself says stands in."""
    world.public.silence = TimeoutError
    _stuck(world)
    reading = world.collect()
    assert _value(reading, "zads_mirror_behind_alerts") is None
    assert _value(reading, "zads_mirror_surplus_alerts") is None
    assert not [f for f in reading.families if f.name == "zads_mirror_behind_source" and f.samples]
    world.jmx = f'kafka_consumer_fetch_manager_metrics_records_lag{{topic="{_name(1)}",partition="0"}} 7.0'
    reading = world.collect()
    assert _value(reading, "zads_mirror_behind_alerts", program="1", night=NIGHT) == 7
    assert _value(reading, "zads_mirror_behind_source", source="jmx") == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_positions_that_were_not_seen_for_minutes_are_not_of_the_time_of_death(world: World, restarted: bool) -> None:
    """Out of sight for three minutes, or the exporter away, and refusing only then: what was passed on in between is not known."""
    _stuck(world)
    world.public.silence = TimeoutError
    world.collect()
    world.now += 180.0
    if restarted:
        world.restart()
    world.public.silence = ConnectionRefusedError
    assert _value(world.collect(), "zads_mirror_behind_alerts") is None


def test_a_kafka_that_is_dead_for_a_night_is_believed_no_longer(world: World) -> None:
    """It may have moved, and the config not: after 12 hours nothing is said, over a restart too."""
    _stuck(world)
    for _ in range(12 * 60):
        world.now += 55.0
        reading = world.collect()
        if _value(reading, "zads_mirror_behind_alerts") is None:
            break
    assert world.now - 100_000.0 == pytest.approx(43_200, abs=300)
    world.restart()
    assert _value(world.collect(), "zads_mirror_behind_alerts") is None


def test_positions_of_partitions_that_were_not_known_do_not_count_as_behind(world: World) -> None:
    """The mirror began at `latest` and its start could not be told: unknown is neither 0 nor all of the log."""
    _stuck(world)
    world.public.answers = True
    world.collect()
    known = world.collector._last._positions
    topic = next(iter(known))
    known[topic][0] = None
    world.public.answers = False
    assert _value(world.collect(), "zads_mirror_behind_alerts", night=NIGHT) == 0


def test_a_damaged_state_file_is_kept_aside_and_counted(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Once in the log, in the errors of the next collection, and the old bytes are still there; a shape that is wrong alike."""
    world.collect()
    file = world.folder / "state.json"
    for number, damaged in enumerate(("{{{", '{"arrivals": {"seen": 3}}'), 1):
        file.write_text(damaged)
        world.restart()
        assert world.collect().errors["StateDamaged"] == 1
        assert "StateDamaged" not in world.collect().errors
        assert damaged in [aside.read_text() for aside in world.folder.glob("state.json.damaged-*")]
        assert caplog.text.count("is damaged") == number
