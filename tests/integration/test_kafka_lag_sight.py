"""The broker that coordinates a community's group dies for a while, and nobody else knows what was committed there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from exporters.kafka_lag.collector import build
from tests.integration.test_kafka_lag_faults import NIGHT, Pair, eventually, samples
from zads.collector import CollectorLoop, Snapshot
from zads.config import parse
from zads.kafka import ClusterReader

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
BEHIND = {("lasair",): 24.0}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Offsets with one copy; forty alerts on the first broker, whichever is away."""
    made = Pair(tmp_path_factory.mktemp("single"), copies=1)
    try:
        admin = KafkaAdminClient(bootstrap_servers=made.bootstrap)
        eventually(lambda: len(admin.describe_cluster()["brokers"]) == 2)
        night = NewTopic(NIGHT, replica_assignments={0: [1], 1: [1]}, num_partitions=-1, replication_factor=-1)
        admin.create_topics([night])
        admin.close()
        producer = KafkaProducer(bootstrap_servers=made.one.address, acks=1)
        for number in range(40):
            producer.send(NIGHT, b"x" * 50, partition=number % 2)
        producer.flush(20)
        producer.close()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def coordinated(pair: Pair) -> dict[int, str]:
    """A group by the broker that coordinates it, which nobody else could."""
    reader = ClusterReader(pair.config.kafka["public"], client_id="test")
    for number in range(30):
        pair.commit(f"lasair-{number}", {(NIGHT, 0): 0})
        reader.metadata()
        found = {group.coordinator: group.name for group in reader.groups().values.values()}
        if len(found) == 2:
            break
    reader.close()
    assert set(found) == {1, 2}
    return found


def _loop(pair: Pair, *groups: str) -> CollectorLoop:
    """An exporter that watches lasair, whose groups these are."""
    names = ", ".join(f'"{name}"' for name in groups)
    before = f"[kafka.public]\nbootstrap = {pair.bootstrap}\n[exporters]\ninterval = '300ms'\n"
    state = f"state_dir = '{pair.one.folder.parent}/state-{len(groups)}'\n"
    return CollectorLoop(build(parse(f'{before}{state}[[community]]\nname = "lasair"\ngroups = [{names}]\n')), 0.3)


def _watch(loop: CollectorLoop, seconds: float, until: Callable[[Snapshot], bool]) -> set[float | None]:
    """Collect until the condition holds; return all that was said of lasair's lag meanwhile, None for nothing."""
    said: set[float | None] = set()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        snapshot = loop.once()
        said.add(samples(snapshot, "zads_community_lag_alerts", "community").get(("lasair",)))
        if until(snapshot):
            return said
        time.sleep(0.1)
    raise AssertionError(f"not in time; said was {said}")


def _through_an_outage(pair: Pair, loop: CollectorLoop) -> set[float | None]:
    """Kill the second broker, wait until the first knows it and longer, start it; return what was said of the lag."""
    eventually(lambda: samples(loop.once(), "zads_community_lag_alerts", "community") == BEHIND)
    without: list[float] = []

    def long_gone(snapshot: Snapshot) -> bool:
        gone = snapshot.ok and samples(snapshot, "kafka_brokers") == {(): 1.0}
        hidden = samples(snapshot, "zads_community_lag_alerts", "community") == {}
        without.extend([1.0] if gone and hidden else [])
        return len(without) == 12

    pair.two.kill()
    try:
        said = _watch(loop, 60, long_gone)
    finally:
        pair.two.start()
    said |= _watch(loop, 60, lambda now: samples(now, "zads_community_lag_alerts", "community") == BEHIND)
    end = time.monotonic() + 2
    return said | _watch(loop, 10, lambda _: time.monotonic() > end)


def test_a_community_whose_coordinator_is_away_is_absent_or_right(pair: Pair, coordinated: dict[int, str]) -> None:
    """It never looks as if it had committed nothing, and nothing is lost or delivered because sight came back."""
    pair.commit(coordinated[2], {(NIGHT, 0): 8, (NIGHT, 1): 8})
    loop = _loop(pair, coordinated[2])
    assert _through_an_outage(pair, loop) == {24.0, None}
    counters = ("zads_community_lost_alerts_total", "zads_community_committed_alerts_total")
    assert [samples(loop.snapshot(), name, "community") for name in counters] == [{("lasair",): 0.0}] * 2
    loop.stop()


def test_a_forgotten_group_does_not_stand_in_for_the_one_out_of_sight(pair: Pair, coordinated: dict[int, str]) -> None:
    """Of several groups the furthest counts: while that one cannot be seen, nothing is said."""
    pair.commit(coordinated[1], {(NIGHT, 0): 1, (NIGHT, 1): 1})
    pair.commit(coordinated[2], {(NIGHT, 0): 8, (NIGHT, 1): 8})
    loop = _loop(pair, coordinated[1], coordinated[2])
    assert _through_an_outage(pair, loop) == {24.0, None}
    loop.stop()
