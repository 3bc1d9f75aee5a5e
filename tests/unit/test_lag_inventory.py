"""What is read once a minute, lags of share groups, the part of the cap that goes to both: plain values, no Kafka."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric

from exporters.kafka_lag.inventory import Inventory
from exporters.kafka_lag.lag import Edges
from exporters.kafka_lag.rest import Rest, fitting
from exporters.kafka_lag.shares import ShareGroups, ShareLag, share_lags
from zads import kafka
from zads.config import KafkaCluster
from zads.kafka import Answer, Disks, Group, Metadata, ShareOffset, Topic, Volume
from zads.kafka.shares import DescribeShareGroupOffsetsResponse, share_offsets

TOPICS = {name: Topic(name, name, {0: 1}) for name in ("a", "b")}
METADATA = Metadata({1: ("h", 1), 2: ("h", 2)}, dict(TOPICS), "cluster", None, {2: "east"})


class Cluster:
    """Answers as it is told, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refused = False

    def disks(self) -> tuple[Disks, Answer[int]]:
        self.asked.append("disks")
        answer: Answer[int] = Answer()
        if self.refused:
            answer.errors["ClusterAuthorizationFailed"] += 1
            return Disks(), answer
        return Disks({("a", 0): 7}, {"a": 14}, {1: 7, 2: 7}, {(1, "/data"): Volume(100, 40)}), answer

    def topic_settings(self, topics: list[str], keys: tuple[str, ...]) -> Answer[dict[str, str]]:
        self.asked.append("settings " + ",".join(topics))
        answer: Answer[dict[str, str]] = Answer()
        if self.refused:
            answer.errors["TopicAuthorizationFailed"] += len(topics)
            return answer
        answer.values["a"] = {
            "retention.ms": "60000",
            "retention.bytes": "-1",
            "min.insync.replicas": "2",
            "cleanup.policy": "delete",
        }
        answer.values["b"] = {"retention.ms": "60000", "retention.bytes": "5", "cleanup.policy": "compact"}
        return Answer({name: answer.values[name] for name in topics if name in answer.values})

    def controller(self, metadata: Metadata) -> tuple[int | None, str]:
        self.asked.append("controller")
        return (None, "ClusterAuthorizationFailed") if self.refused else (3, "")

    def version(self, broker: int) -> str:
        return "4.2"


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


def text(inventory: Inventory, topics: dict[str, Topic]) -> list[str]:
    lines = b"".join(part.text() for part in inventory.parts(topics)).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_facts_are_read_once_a_minute_and_new_topics_at_once(clock: list[float]) -> None:
    """Not at every collection: the brokers' disks are walked for it."""
    cluster = Cluster()
    inventory = Inventory(cluster, lambda: clock[0])
    for moment in (0, 5, 10, 55):
        clock[0] = moment
        inventory.look(METADATA, {"a": TOPICS["a"]})
    assert cluster.asked == ["disks", "settings a", "controller"]
    clock[0] = 58
    inventory.look(METADATA, TOPICS)
    assert cluster.asked[3:] == ["settings b"]
    clock[0] = 120
    inventory.look(METADATA, TOPICS)
    assert cluster.asked[4:] == ["disks", "settings a,b", "controller"]


def test_limits_that_do_not_apply_are_infinite_and_topics_that_are_gone_are_not_shown(clock: list[float]) -> None:
    """-1 is not a second before the epoch, and a compacted topic loses nothing by age."""
    inventory = Inventory(Cluster(), lambda: clock[0])
    inventory.look(METADATA, TOPICS)
    assert text(inventory, TOPICS) == [
        'zads_topic_log_bytes{topic="a"} 14',
        'zads_topic_retention_seconds{topic="a"} 60.0',
        'zads_topic_retention_seconds{topic="b"} +Inf',
        'zads_topic_retention_bytes{topic="a"} +Inf',
        'zads_topic_retention_bytes{topic="b"} +Inf',
        'zads_topic_min_in_sync_replicas{topic="a"} 2',
        'zads_topic_info{topic="a",cleanup_policy="delete"} 1',
        'zads_topic_info{topic="b",cleanup_policy="compact"} 1',
    ]
    inventory.look(METADATA, {"b": TOPICS["b"]})
    assert not [line for line in text(inventory, {"b": TOPICS["b"]}) if '"a"' in line]
    found = {
        family.name: [(sample.labels, sample.value) for sample in family.samples] for family in inventory.families(METADATA)
    }
    assert found["zads_kafka_cluster_info"] == [({"cluster_id": "cluster"}, 1)]
    assert found["zads_kafka_controller_id"] == [({}, 3)]
    assert found["zads_kafka_broker_info"] == [
        ({"id": "1", "rack": "", "version": "4.2"}, 1),
        ({"id": "2", "rack": "east", "version": "4.2"}, 1),
    ]
    assert found["zads_kafka_volume_usable_bytes"] == [({"id": "1", "dir": "/data"}, 40)]
    assert found["zads_kafka_broker_log_bytes"] == [({"id": "1"}, 7), ({"id": "2"}, 7)]


def test_a_right_that_is_missing_is_counted_and_asked_for_again_after_ten_minutes(clock: list[float]) -> None:
    """DESCRIBE on the cluster and DESCRIBE_CONFIGS on topics are optional: nothing else suffers, nothing is made up."""
    cluster = Cluster()
    cluster.refused = True
    inventory = Inventory(cluster, lambda: clock[0])
    assert inventory.look(METADATA, TOPICS) == {"ClusterAuthorizationFailed": 2, "TopicAuthorizationFailed": 2}
    clock[0] = 300
    cluster.refused = False
    assert inventory.look(METADATA, TOPICS) == {}
    assert text(inventory, TOPICS) == []
    assert cluster.asked == ["disks", "settings a,b", "controller"]
    clock[0] = 601
    inventory.look(METADATA, TOPICS)
    assert 'zads_topic_log_bytes{topic="a"} 14' in text(inventory, TOPICS)
    cluster.refused = True
    inventory.again()
    inventory.look(METADATA, TOPICS)
    assert 'zads_topic_log_bytes{topic="a"} 14' not in text(inventory, TOPICS), "what is refused is not known any more"


def test_a_share_group_s_bound_counts_from_its_start_to_the_end_and_lag_is_only_what_the_broker_says() -> None:
    """Kafka before 4.2 tells the start offset alone; what retention took is nobody's lag."""
    edges = {"a": Edges({0: 10, 1: 0}, {0: 30, 1: 5})}
    old = {("a", 0): ShareOffset(4), ("a", 1): ShareOffset(5), ("a", 2): ShareOffset(1), ("gone", 0): ShareOffset(1)}
    assert share_lags({"g": old}, {"a"}, edges) == [ShareLag("g", "a", None, 20)]
    new = {("a", 0): ShareOffset(12, 7), ("a", 1): ShareOffset(9, 0)}
    assert share_lags({"g": new}, {"a"}, edges) == [ShareLag("g", "a", 7, 18)]


def test_a_share_group_whose_coordinator_is_silent_keeps_its_place_for_three_collections() -> None:
    """As ordinary groups do; one that is deleted is gone at once."""
    groups, kept = ShareGroups(), {("a", 0): ShareOffset(1, 1)}
    listed = {"g": Group("g", "Stable", "share", 1)}
    assert groups.update(listed, Answer({"g": kept})) == {"g": kept}
    for _ in range(3):
        assert groups.update(listed, Answer(failed={"g"})) == {"g": kept}
    assert groups.update(listed, Answer(failed={"g"})) == {}
    groups.update(listed, Answer({"g": kept}))
    assert groups.update({}, Answer(failed={"g"})) == {}


@pytest.mark.parametrize("version", [0, 1])
def test_share_offsets_are_read_from_both_versions_of_the_answer(version: int) -> None:
    """Version 0 (Kafka 4.1) has no lag; a start of -1 is no place; errors stand by group and by partition."""
    group = DescribeShareGroupOffsetsResponse.DescribeShareGroupOffsetsResponseGroup
    topic = group.DescribeShareGroupOffsetsResponseTopic
    part = topic.DescribeShareGroupOffsetsResponsePartition

    def partition(number: int, start: int, lag: int, error: int = 0) -> Any:
        return part(
            partition_index=number, start_offset=start, leader_epoch=0, lag=lag, error_code=error, error_message=None
        )

    rows = [partition(0, 5, 3), partition(1, -1, -1), partition(2, 6, -1), partition(3, 9, 9, error=29)]
    found = topic(topic_name="t", topic_id="00000000-0000-0000-0000-000000000000", partitions=rows)
    made = DescribeShareGroupOffsetsResponse(
        version=version,
        throttle_time_ms=0,
        groups=[
            group(group_id="g", topics=[found], error_code=0, error_message=None),
            group(group_id="h", topics=[], error_code=16, error_message=None),
        ],
    )
    response = DescribeShareGroupOffsetsResponse.decode(made.encode(version=version), version=version)
    groups = [Group(name, "Stable", "share", 1) for name in "gh"] + [Group("classic", "Stable", "classic", 1)]
    asked: list[Any] = []
    answer = share_offsets(groups, lambda request, broker, _: asked.append((request, broker)) or response)
    lag = 3 if version else None
    assert answer.values == {"g": {("t", 0): ShareOffset(5, lag), ("t", 2): ShareOffset(6, None)}}
    assert answer.failed == {"h"}
    assert dict(answer.errors) == {"TopicAuthorizationFailed": 1, "NotCoordinator": 1}
    assert [g.group_id for g in asked[0][0].groups] == ["g", "h"]


def test_what_is_not_lag_takes_at_most_a_quarter_of_the_cap_and_the_widest_share_group_goes_first() -> None:
    """Each kind whole or not at all, and what is left out is counted."""
    shares = [ShareLag("wide", name, 1, 1) for name in "abcd"] + [ShareLag("thin", "a", 1, 1)]
    rest = Rest(shares, TOPICS, 3, 10_000)
    assert (len(rest.shares), rest.statuses, rest.facts, rest.dropped, rest.left) == (5, True, True, 0, 10_000 - 35)
    rest = Rest(shares, TOPICS, 3, 100)  # room for 25: shares 10, statuses 15, facts 10
    assert (len(rest.shares), rest.statuses, rest.facts, rest.dropped, rest.left) == (5, True, False, 10, 75)
    rest = Rest(shares, TOPICS, 3, 20)
    assert (len(rest.shares), rest.statuses, rest.facts, rest.dropped, rest.left) == (1, False, False, 8 + 15 + 10, 18)


def test_families_that_do_not_fit_are_left_out_whole_and_counted() -> None:
    """The first ones first; a smaller one behind one that does not fit may still fit."""
    families = []
    for name, count in (("first", 3), ("second", 5), ("third", 2)):
        families.append(Metric(name, name, "gauge"))
        for number in range(count):
            families[-1].add_sample(name, {"n": str(number)}, 1)
    for most, kept, dropped in ((10, "first second third", 0), (9, "first second", 2), (5, "first third", 5), (0, "", 10)):
        found, left_out = fitting(families, most)
        assert (" ".join(family.name for family in found), left_out) == (kept, dropped)


def test_the_controller_of_a_cluster_with_zookeeper_comes_from_its_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows no DescribeQuorum; where that fails for another reason, the controller is not known, and why is said."""
    from kafka.errors import IncompatibleBrokerVersion, RequestTimedOutError

    reader = kafka.ClusterReader(KafkaCluster(bootstrap=("localhost:1",)), client_id="test")
    reader._brokers = [1]
    for error, expected in (
        (IncompatibleBrokerVersion("no"), (7, "")),
        (RequestTimedOutError("no"), (None, "RequestTimedOut")),
    ):

        def ask(*_: Any, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(reader, "_connected", lambda ask=ask: SimpleNamespace(ask=ask))
        assert reader.controller(Metadata({}, {}, "", 7)) == expected
    for code, expected in ((0, (5, "")), (31, (None, "ClusterAuthorizationFailed"))):
        part = SimpleNamespace(error_code=0, leader_id=5)
        answer = SimpleNamespace(error_code=code, topics=[SimpleNamespace(partitions=[part] if not code else [])])
        monkeypatch.setattr(reader, "_connected", lambda answer=answer: SimpleNamespace(ask=lambda *_: answer))
        assert reader.controller(Metadata({}, {}, "", 7)) == expected
