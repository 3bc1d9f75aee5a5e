"""Groups of every kind on a real Kafka: the new protocol, share groups, dead, many and short-lived ones."""

from __future__ import annotations

import socket
import struct
import uuid

import pytest

from tests.integration.test_kafka_lag import Bench, read, wait
from zads.config import KafkaCluster, host_port
from zads.kafka import ClusterReader

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
