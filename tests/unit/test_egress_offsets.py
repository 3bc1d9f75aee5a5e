"""Egress from committed offsets on a Kafka of plain values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exporters.broker_egress.offsets import OffsetEgress
from zads.config import load
from zads.kafka import LATEST, Answer, Group, Metadata, Topic

CONFIG = load(Path(__file__).resolve().parents[2] / "zads.toml")
NAME = "ztf_20260401_programid1"
PART = (NAME, 0)


class FakeKafka:
    """One topic of 100,000 messages of 70 kB, groups and their commits."""

    def __init__(self) -> None:
        self.commits: dict[str, int] = {"lasair": 1000}
        self.unlisted: set[str] = set()
        self.unfetched: set[str] = set()
        self.identity, self.end, self.start = "a", 100_000, 0
        self.sizes = self.listed = True

    def metadata(self) -> Metadata:
        topics = {NAME: Topic(NAME, self.identity, {0: 1})} if self.listed else {}
        return Metadata({1: ("h", 1)}, topics)

    def groups(self) -> Answer[Group]:
        answer: Answer[Group] = Answer()
        for name in self.commits:
            if name in self.unlisted:
                answer.errors["RequestTimedOut"] += 1
            else:
                answer.values[name] = Group(name, "Stable", "classic", 1)
        return answer

    def committed(self, groups) -> Answer[dict[Any, int]]:
        answer: Answer[dict[Any, int]] = Answer()
        for group in groups:
            if group.name in self.unfetched:
                answer.errors["CoordinatorLoadInProgress"] += 1
                answer.failed.add(group.name)
            else:
                answer.values[group.name] = {PART: self.commits[group.name]}
        return answer

    def list_offsets(self, wanted) -> Answer[tuple[int, int]]:
        return Answer({part: (self.end if at == LATEST else self.start, -1) for part, at in wanted.items()})

    def log_dirs(self) -> Answer[int]:
        return Answer({PART: (self.end - self.start) * 50_000} if self.sizes else {})

    def close(self) -> None: ...


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka()


def _egress(kafka: FakeKafka, state: Any = None) -> OffsetEgress:
    egress = OffsetEgress(CONFIG, kafka)  # type: ignore[arg-type]
    if state:
        egress.restore(json.loads(json.dumps(state)))
    return egress


def test_commits_times_the_mean_size(kafka: FakeKafka) -> None:
    """What was committed before is not counted; a stranger's group is nobody's."""
    kafka.commits["stranger"] = 5
    egress = _egress(kafka)
    egress.collect()
    kafka.commits |= {"lasair": 1250, "stranger": 900}
    egress.collect()
    assert dict(egress.bytes) == {"lasair": 250 * 50_000}


@pytest.mark.parametrize("failure", ["unlisted", "unfetched"])
def test_a_group_that_cannot_be_read_for_a_moment_is_not_counted_from_the_start(kafka: FakeKafka, failure: str) -> None:
    """One failed answer once made 7 GB of what was 35 MB."""
    egress = _egress(kafka)
    egress.collect()
    setattr(kafka, failure, {"lasair"})
    kafka.commits["lasair"] = 1500
    assert egress.collect()
    setattr(kafka, failure, set())
    kafka.commits["lasair"] = 1700
    egress.collect()
    assert egress.bytes["lasair"] == 700 * 50_000


@pytest.mark.parametrize("failure", ["unlisted", "unfetched"])
def test_a_group_that_cannot_be_read_at_first_brings_no_history(kafka: FakeKafka, failure: str) -> None:
    """Its first reading is the past, whenever that is."""
    egress = _egress(kafka)
    setattr(kafka, failure, {"lasair"})
    egress.collect()
    setattr(kafka, failure, set())
    egress.collect()
    assert egress.bytes["lasair"] == 0


def test_a_new_group_and_a_new_topic_count_from_the_logs_start(kafka: FakeKafka) -> None:
    """A community that appears, and one on a topic made anew."""
    egress = _egress(kafka)
    egress.collect()
    kafka.commits["alerce"] = 100
    egress.collect()
    assert egress.bytes["alerce"] == 100 * 50_000
    kafka.identity, kafka.commits["lasair"], kafka.start = "b", 60, 10
    egress.collect()
    assert egress.bytes["lasair"] == 50 * 50_000


def test_a_topic_that_is_not_listed_for_a_moment_is_the_same_topic(kafka: FakeKafka) -> None:
    """Its commits go on where they were; a topic that is gone for good is forgotten."""
    egress = _egress(kafka)
    egress.collect()
    kafka.listed = False
    egress.collect()
    kafka.listed, kafka.commits["lasair"] = True, 1100
    egress.collect()
    assert egress.bytes["lasair"] == 100 * 50_000
    kafka.listed = False
    for _ in range(100):
        egress.collect()
    assert egress.state()["seen"] == {}


def test_a_replay_is_a_delivery_and_is_told(kafka: FakeKafka) -> None:
    """Back by 400, then forward again."""
    egress = _egress(kafka)
    egress.collect()
    kafka.commits["lasair"] = 600
    egress.collect()
    kafka.commits["lasair"] = 1100
    egress.collect()
    assert egress.replayed["lasair"] == 400
    assert egress.bytes["lasair"] == 500 * 50_000


def test_what_is_committed_while_nobody_looks_is_counted(kafka: FakeKafka) -> None:
    """The exporter restarts in the middle."""
    first = _egress(kafka)
    first.collect()
    kafka.commits["lasair"] = 1100
    first.collect()
    kafka.commits["lasair"] = 1900
    second = _egress(kafka, first.state())
    second.collect()
    assert second.bytes["lasair"] == 900 * 50_000


def test_without_the_right_to_read_sizes_the_configs_packet_size_stands_in(kafka: FakeKafka) -> None:
    """DescribeLogDirs needs DESCRIBE on the cluster; nothing is lost without it."""
    kafka.sizes = False
    egress = _egress(kafka)
    egress.collect()
    kafka.commits["lasair"] = 1010
    egress.collect()
    assert egress.bytes["lasair"] == 10 * CONFIG.stream.packet_bytes
