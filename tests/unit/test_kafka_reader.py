"""Reading a cluster without one: answers that brokers give when things move, and the fast reading of offsets."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaConnectionError
from kafka.protocol.consumer import OffsetFetchResponse

from zads.config import KafkaCluster
from zads.kafka import ClusterReader, Group, TopicOffsets, offset_fetch
from zads.kafka.describe import ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse

names = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
entries = st.dictionaries(
    st.integers(0, 2**31 - 1),
    st.tuples(st.integers(-1, 2**62), st.sampled_from([None, "", "", "", "état", "x" * 200]), st.sampled_from([0, 0, 0, 3])),
    max_size=20,
)
answers = st.dictionaries(
    names, st.tuples(st.dictionaries(names, entries, max_size=3), st.sampled_from([0, 0, 16])), max_size=4
)


def encode(groups: dict[str, Any]) -> bytes:
    """Return the answer as a broker sends it, by kafka-python's own encoder."""
    group = OffsetFetchResponse.OffsetFetchResponseGroup
    topic = group.OffsetFetchResponseTopics
    part = topic.OffsetFetchResponsePartitions
    rows = [
        group(
            group_id=name,
            error_code=error,
            topics=[
                topic(
                    name=topic_name,
                    partitions=[
                        part(partition_index=n, committed_offset=o, committed_leader_epoch=7, metadata=m, error_code=e)
                        for n, (o, m, e) in partitions.items()
                    ],
                )
                for topic_name, partitions in topics.items()
            ],
        )
        for name, (topics, error) in groups.items()
    ]
    return bytes(OffsetFetchResponse(version=8, throttle_time_ms=0, groups=rows).encode(version=8))


@given(answers)
def test_the_fast_reading_of_offsets_reads_what_was_written(groups: dict[str, Any]) -> None:
    """Any groups, topics, metadata and errors; twice, and the second time the same objects."""
    data = encode(groups)
    before: dict[str, dict[str, TopicOffsets]] = {}
    for _ in range(2):
        found = {row.group: row for row in offset_fetch.parse(data, before)}
        assert found.keys() == groups.keys()
        for name, (topics, error) in groups.items():
            assert found[name].error == error
            for topic, partitions in topics.items():
                expected = {n: o for n, (o, _, e) in partitions.items() if o >= 0 and not e}
                assert dict(found[name].topics[topic].items()) == expected
                if topic in before.get(name, {}):
                    assert found[name].topics[topic] is before[name][topic]
            failed = {(t, n, e) for t, partitions in topics.items() for n, (_, _, e) in partitions.items() if e}
            assert set(found[name].failed) == failed
        before = {name: row.topics for name, row in found.items()}


@given(answers, st.integers(1, 30))
def test_an_answer_that_is_cut_off_is_an_error_and_no_wrong_number(groups: dict[str, Any], cut: int) -> None:
    """Never offsets that nobody committed."""
    data = encode(groups)
    whole = {row.group: row.topics for row in offset_fetch.parse(data, {})}
    try:
        for row in offset_fetch.parse(data[:-cut], {}):
            assert row.group in whole
    except ValueError:
        pass


class Cluster:
    """A client whose brokers answer as they are told: by request name and broker."""

    def __init__(self, *brokers: int) -> None:
        self.known = {broker: ("localhost", 9000 + broker) for broker in brokers}
        self.answers: dict[tuple[str, int], Callable[[Any], Any]] = {}
        self.asked: list[tuple[str, int]] = []
        self.closed = 0

    def reader(self, **settings: Any) -> ClusterReader:
        reader = ClusterReader(KafkaCluster(bootstrap=("localhost:1",)), client_id="test", **settings)
        reader._connected = lambda: self  # type: ignore[assignment, method-assign, return-value]
        reader._client = self  # type: ignore[assignment]
        return reader

    def brokers(self) -> dict[int, tuple[str, int]]:
        return self.known

    def learn(self, metadata: Any) -> None:
        """Addresses do not matter here."""

    def close(self) -> None:
        self.closed += 1

    def ask(self, request: Any, broker: int) -> Any:
        name = request.name.removesuffix("Request")
        self.asked.append((name, broker))
        if (name, broker) in self.answers:
            return self.answers[name, broker](request)
        if name == "Metadata":
            rows = [SimpleNamespace(node_id=b, host=h, port=p) for b, (h, p) in self.known.items()]
            return SimpleNamespace(brokers=rows, topics=[])
        raise KafkaConnectionError("gone")


def listing(*groups: tuple[str, str], error: int = 0) -> Callable[[Any], Any]:
    rows = [SimpleNamespace(group_id=name, group_state=state, group_type="Classic") for name, state in groups]
    return lambda _: SimpleNamespace(error_code=error, groups=rows)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_group_that_two_brokers_list_is_one_group_and_the_living_answer_wins(order: tuple[int, int]) -> None:
    """While its coordinator moves both list it (ke #306, km #335): peers fail the whole scrape."""
    cluster = Cluster(*order)
    cluster.answers = {
        ("ListGroups", 1): listing(("g", "Dead")),
        ("ListGroups", 2): listing(("g", "Stable"), ("h", "Empty")),
    }
    reader = cluster.reader()
    reader.metadata()
    answer = reader.groups()
    assert answer.values == {"g": Group("g", "Stable", "classic", 2), "h": Group("h", "Empty", "classic", 2)}
    assert not answer.errors
    assert not answer.failed


def test_a_broker_that_fails_fails_alone_and_it_is_said_that_the_list_is_not_whole() -> None:
    """By an error code or by silence; the others' groups are there."""
    cluster = Cluster(1, 2, 3)
    cluster.answers = {("ListGroups", 1): listing(("g", "Stable")), ("ListGroups", 2): listing(error=14)}
    reader = cluster.reader()
    reader.metadata()
    answer = reader.groups()
    assert set(answer.values) == {"g"}
    assert answer.failed == {2, 3}
    assert dict(answer.errors) == {"CoordinatorLoadInProgress": 1, "KafkaConnection": 1}


def test_an_offsets_topic_without_a_leader_makes_the_list_incomplete() -> None:
    """Groups on that partition are listed by nobody, and no broker says so."""
    cluster = Cluster(1)
    part = SimpleNamespace(partition_index=0, leader_id=-1, replica_nodes=[2], isr_nodes=[])
    topic = SimpleNamespace(name="__consumer_offsets", topic_id="x", error_code=0, partitions=[part])
    broker = SimpleNamespace(node_id=1, host="localhost", port=1)
    cluster.answers = {
        ("Metadata", 1): lambda _: SimpleNamespace(brokers=[broker], topics=[topic]),
        ("ListGroups", 1): listing(("g", "Stable")),
    }
    reader = cluster.reader()
    reader.metadata()
    answer = reader.groups()
    assert answer.failed
    assert answer.errors["CoordinatorNotAvailable"] == 1


def test_that_the_offsets_topic_lost_its_leader_is_seen_by_the_look_that_misses_its_groups() -> None:
    """Not by the next one: the question for the brokers, just before the list, is one for that topic too."""
    cluster, leader = Cluster(1), [1]
    asked: list[list[str]] = []

    def metadata(request: Any) -> Any:
        asked.append([topic.name for topic in request.topics or ()])
        part = SimpleNamespace(partition_index=0, leader_id=leader[0], replica_nodes=[2], isr_nodes=[])
        topic = SimpleNamespace(name="__consumer_offsets", topic_id="x", error_code=0, partitions=[part])
        return SimpleNamespace(brokers=[SimpleNamespace(node_id=1, host="localhost", port=1)], topics=[topic])

    cluster.answers = {("Metadata", 1): metadata, ("ListGroups", 1): listing(("g", "Stable"))}
    reader = cluster.reader()
    reader.metadata()
    leader[0] = -1
    assert reader.brokers() == [1]
    assert reader.groups().errors["CoordinatorNotAvailable"] == 1
    leader[0] = 2
    reader.brokers()
    assert not reader.groups().failed
    assert asked == [[], ["__consumer_offsets"], ["__consumer_offsets"]]


def test_who_may_not_see_the_offsets_topic_asks_for_it_once() -> None:
    """Else each look would be a refusal in the broker's log."""
    cluster = Cluster(1)
    asked: list[list[str]] = []

    def metadata(request: Any) -> Any:
        asked.append([topic.name for topic in request.topics])
        refused = [SimpleNamespace(name=topic.name, error_code=29, partitions=[]) for topic in request.topics]
        return SimpleNamespace(brokers=[SimpleNamespace(node_id=1, host="localhost", port=1)], topics=refused)

    cluster.answers = {("Metadata", 1): metadata}
    reader = cluster.reader()
    for _ in range(3):
        assert reader.brokers() == [1]
    assert asked == [["__consumer_offsets"], [], []]


def test_metadata_is_asked_of_another_broker_when_one_is_silent() -> None:
    """And of the one that answers first, from then on."""
    cluster = Cluster(1, 2)

    def silent(_: Any) -> Any:
        raise KafkaConnectionError("gone")

    cluster.answers = {("Metadata", 1): silent}
    reader = cluster.reader(patience=10)
    reader.metadata()
    reader.metadata()
    assert cluster.asked == [("Metadata", 1), ("Metadata", 2), ("Metadata", 2)]
    cluster.answers[("Metadata", 2)] = silent
    with pytest.raises(KafkaConnectionError):
        reader.metadata()
    assert (cluster.closed, reader.replaced) == (1, 1)


def test_a_client_is_replaced_when_a_broker_was_silent_for_too_long() -> None:
    """Three collections; a good answer begins the count anew."""
    cluster = Cluster(1, 2)
    cluster.answers = {("ListGroups", 1): listing()}
    reader = cluster.reader()
    for turn in range(6):
        reader.metadata()
        if turn == 2:
            cluster.answers["ListGroups", 2] = listing()
        elif turn == 3:
            del cluster.answers["ListGroups", 2]
        reader.groups()
    assert reader.replaced == 0
    for _ in range(2):
        reader.metadata()
        reader.groups()
    assert reader.replaced == 1


def test_whatever_the_library_raises_fails_one_broker_alone() -> None:
    """Its thread may be gone (RuntimeError), its decoder may fail (ValueError)."""
    cluster = Cluster(1, 2)

    def broken(_: Any) -> Any:
        raise RuntimeError("NetworkSelector closed!")

    cluster.answers = {("ListGroups", 1): broken, ("ListGroups", 2): listing(("g", "Stable"))}
    reader = cluster.reader()
    reader.metadata()
    answer = reader.groups()
    assert set(answer.values) == {"g"}
    assert dict(answer.errors) == {"Runtime": 1}


def test_groups_of_a_broken_answer_have_failed() -> None:
    """What cannot be decoded, and what an answer leaves out, is not "no commit"."""
    cluster = Cluster(1)
    groups = [Group("a", "Stable", "classic", 1), Group("b", "Stable", "classic", 1)]
    cluster.answers = {("OffsetFetch", 1): lambda _: SimpleNamespace(data=b"\x00" * 4 + b"\x05")}
    reader = cluster.reader()
    answer = reader.offsets(groups)
    assert answer.failed == {"a", "b"}
    assert dict(answer.errors) == {"Unreadable": 1}
    cluster.answers = {("OffsetFetch", 1): lambda _: SimpleNamespace(data=encode({"a": ({"t": {0: (5, "", 0)}}, 0)}))}
    answer = reader.offsets(groups)
    assert answer.failed == {"b"}
    assert dict(answer.values["a"]["t"].items()) == {0: 5}


def test_a_group_description_of_the_new_protocol_is_read_back() -> None:
    """Our own definition of the message encodes and decodes to the same, in both versions."""
    member = ConsumerGroupDescribeResponse.DescribedGroup.Member
    group = ConsumerGroupDescribeResponse.DescribedGroup
    part = member.Assignment.TopicPartitions
    for version in (0, 1):
        empty = member.Assignment(topic_partitions=[])
        made = ConsumerGroupDescribeResponse(
            version=version,
            throttle_time_ms=0,
            groups=[
                group(
                    error_code=0,
                    error_message=None,
                    group_id="g",
                    group_state="Stable",
                    group_epoch=1,
                    assignment_epoch=1,
                    assignor_name="uniform",
                    authorized_operations=-1,
                    members=[
                        member(
                            member_id="m",
                            instance_id=None,
                            rack_id=None,
                            member_epoch=1,
                            client_id="c",
                            client_host="h",
                            subscribed_topic_names=["t"],
                            subscribed_topic_regex=None,
                            assignment=member.Assignment(
                                topic_partitions=[
                                    part(topic_id="0" * 8 + "-0000-0000-0000-" + "0" * 12, topic_name="t", partitions=[0, 3])
                                ]
                            ),
                            target_assignment=empty,
                            member_type=1,
                        )
                    ],
                )
            ],
        )
        read = ConsumerGroupDescribeResponse.decode(made.encode(version=version), version=version)
        assert read.groups[0].members[0].assignment.topic_partitions[0].partitions == [0, 3]
    assert ConsumerGroupDescribeRequest.API_KEY == 69
