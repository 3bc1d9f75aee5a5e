"""The only importer of kafka-python: reading a cluster for monitoring, and the local stack's clients.

`ClusterReader` sends its requests broker by broker, so that every broker, group and partition fails
alone. kafka-python's own admin calls raise at the first bad item and drop the rest, and its cache of
coordinators is never invalidated (3.0.12); requests built here go to the broker that listed the group,
which is its coordinator. One reader belongs to one thread.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import kafka as _kafka
from kafka.admin import KafkaAdminClient as _Admin
from kafka.admin import NewTopic as _NewTopic
from kafka.errors import KafkaError as KafkaFailure
from kafka.errors import TopicAlreadyExistsError as _TopicExists
from kafka.errors import for_code as _for_code
from kafka.net.inet import KafkaNetSocket as _NetSocket
from kafka.protocol.admin import DescribeGroupsRequest, DescribeLogDirsRequest, ListGroupsRequest
from kafka.protocol.consumer import ListOffsetsRequest, OffsetFetchRequest
from kafka.protocol.metadata import MetadataRequest

from zads.config import KafkaCluster, host_port, read_secret

_LOG = logging.getLogger(__name__)

LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3
TopicPartition = tuple[str, int]
V = TypeVar("V")
_GROUPS_PER_REQUEST = 500
__all__ = [
    "EARLIEST",
    "LATEST",
    "MAX_TIMESTAMP",
    "Answer",
    "ClusterReader",
    "Group",
    "KafkaFailure",
    "Metadata",
    "Producer",
    "Topic",
    "TopicPartition",
    "api_versions",
    "consumer",
    "create_topics",
    "partition",
    "read_all",
]


class _BoundSocket(_NetSocket):  # type: ignore[misc]
    """Sockets that leave from a given address: `proxy_url="bind://127.0.1.1"`, kafka-python's own extension point."""

    SCHEMES = ("bind",)

    def __init__(self, proxy_url: str) -> None:
        self._source = proxy_url.removeprefix("bind://")

    def socket(self, family: int = 0, sock_type: int = 0, proto: int = 0) -> socket.socket:
        sock = socket.socket(family, sock_type, proto)
        sock.bind((self._source, 0))
        return sock


@dataclass(frozen=True)
class Topic:
    """A topic: its id (changes when it is deleted and made again) and the leader of each partition (-1: none)."""

    name: str
    topic_id: str
    leaders: dict[int, int]


@dataclass(frozen=True)
class Metadata:
    """What the cluster consists of."""

    brokers: dict[int, tuple[str, int]]
    topics: dict[str, Topic]


@dataclass(frozen=True)
class Group:
    """A group as its coordinator lists it."""

    name: str
    state: str
    type: str
    coordinator: int


@dataclass
class Answer(Generic[V]):
    """Values by key, and how many parts failed for which reason; the values stay right when parts fail."""

    values: dict[Any, V] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def _security(cluster: KafkaCluster) -> dict[str, Any]:
    """Return kafka-python's settings for the cluster's security; secrets are read from their files."""
    settings: dict[str, Any] = {
        "bootstrap_servers": list(cluster.bootstrap),
        "security_protocol": cluster.security_protocol,
    }
    for key, path in (
        ("ssl_cafile", cluster.ca_file),
        ("ssl_certfile", cluster.cert_file),
        ("ssl_keyfile", cluster.key_file),
    ):
        if path:
            settings[key] = str(path)
    if cluster.sasl_mechanism:
        settings["sasl_mechanism"] = cluster.sasl_mechanism
    if cluster.sasl_username:
        settings["sasl_plain_username"] = cluster.sasl_username
    if cluster.sasl_password_file:
        settings["sasl_plain_password"] = read_secret(Path(cluster.sasl_password_file))
    return settings


def _reason(error: BaseException | int) -> str:
    """Return a short, stable reason for a metric's label."""
    if isinstance(error, int):
        return str(_for_code(error).__name__).removesuffix("Error")
    return type(error).__name__.removesuffix("Error")


class ClusterReader:
    """Read groups, offsets and sizes from one cluster.

    Connects at the first call; after a failed `metadata()` the next call begins with a new client, since a
    client of kafka-python may go on for ever with addresses that are gone.
    """

    def __init__(self, cluster: KafkaCluster, *, client_id: str, timeout: float = 4.0) -> None:
        self._cluster, self._client_id, self._timeout = cluster, client_id, timeout
        self._admin: Any = None
        self._leaders: dict[TopicPartition, int] = {}
        self._brokers: list[int] = []

    def close(self) -> None:
        """Close the connections."""
        admin, self._admin = self._admin, None
        if admin is not None:
            try:
                admin.close()
            except Exception:  # the library raises anything here; the client is thrown away
                _LOG.debug("closing a client failed", exc_info=True)

    def metadata(self) -> Metadata:
        """Return brokers and topics, fresh from a broker.

        Raises KafkaFailure or OSError when no broker answers.
        """
        try:
            response = self._run(self._send(MetadataRequest(topics=None, allow_auto_topic_creation=False)))
        except Exception:
            self.close()
            raise
        brokers = {b.node_id: (b.host, b.port) for b in response.brokers}
        topics = {}
        for topic in response.topics:
            if topic.error_code:
                continue
            leaders = {p.partition_index: p.leader_id for p in topic.partitions}
            topics[topic.name] = Topic(topic.name, str(getattr(topic, "topic_id", "")), leaders)
        self._brokers = list(brokers)
        self._leaders = {(t.name, p): leader for t in topics.values() for p, leader in t.leaders.items()}
        return Metadata(brokers, topics)

    def groups(self) -> Answer[Group]:
        """Return all groups by name, of every state and type, from every broker.

        A group that two brokers list while its coordinator moves is one group: the living answer wins.
        """
        answer: Answer[Group] = Answer()
        for broker, response in self._each_broker(ListGroupsRequest(min_version=0), self._brokers, answer):
            if response.error_code:
                answer.errors[_reason(response.error_code)] += 1
                continue
            for row in response.groups:
                state = getattr(row, "group_state", "") or "Unknown"
                kind = getattr(row, "group_type", "") or "classic"
                group = Group(row.group_id, state, kind.lower(), broker)
                known = answer.values.get(group.name)
                if known is None or (known.state == "Dead" and state != "Dead"):
                    answer.values[group.name] = group
        return answer

    def committed(self, groups: Iterable[Group]) -> Answer[dict[TopicPartition, int]]:
        """Return each group's committed offsets; partitions without a commit are left out.

        One OffsetFetch (v8, KIP-709) per coordinator and 500 groups. Share groups have no commits (KIP-932).
        """
        answer: Answer[dict[TopicPartition, int]] = Answer()
        by_broker: dict[int, list[str]] = defaultdict(list)
        for group in groups:
            if group.type != "share":
                by_broker[group.coordinator].append(group.name)
        row = OffsetFetchRequest.OffsetFetchRequestGroup
        for broker, names in by_broker.items():
            for start in range(0, len(names), _GROUPS_PER_REQUEST):
                part = [row(group_id=name, topics=None) for name in names[start : start + _GROUPS_PER_REQUEST]]
                request = OffsetFetchRequest(groups=part, min_version=8, max_version=8)
                for _, response in self._each_broker(request, [broker], answer):
                    self._take_offsets(response, answer)
        return answer

    @staticmethod
    def _take_offsets(response: Any, answer: Answer[dict[TopicPartition, int]]) -> None:
        for group in response.groups:
            if group.error_code:
                answer.errors[_reason(group.error_code)] += 1
                continue
            offsets = answer.values.setdefault(group.group_id, {})
            for topic in group.topics:
                for part in topic.partitions:
                    if part.error_code:
                        answer.errors[_reason(part.error_code)] += 1
                    elif part.committed_offset >= 0:
                        offsets[topic.name, part.partition_index] = part.committed_offset

    def list_offsets(self, wanted: Mapping[TopicPartition, int]) -> Answer[tuple[int, int]]:
        """Return (offset, timestamp in ms) per partition: LATEST, EARLIEST, or the first at or after a time in ms.

        One request per leader. Offset -1 means that no message is that young. Needs a metadata() before.
        """
        answer: Answer[tuple[int, int]] = Answer()
        by_leader: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        for (topic, part), timestamp in wanted.items():
            leader = self._leaders.get((topic, part), -1)
            if leader < 0:
                answer.errors["LeaderNotAvailable"] += 1
                continue
            by_leader[leader][topic].append((part, timestamp))
        new_topic = ListOffsetsRequest.ListOffsetsTopic
        new_part = new_topic.ListOffsetsPartition
        for leader, topics in by_leader.items():
            request = ListOffsetsRequest(
                replica_id=-1,
                isolation_level=0,
                timeout_ms=int(self._timeout * 1000),
                topics=[
                    new_topic(
                        name=name,
                        partitions=[new_part(partition_index=p, current_leader_epoch=-1, timestamp=t) for p, t in parts],
                    )
                    for name, parts in topics.items()
                ],
                min_version=1,
            )
            for _, response in self._each_broker(request, [leader], answer):
                for topic in response.topics:
                    for part in topic.partitions:
                        if part.error_code:
                            answer.errors[_reason(part.error_code)] += 1
                        else:
                            answer.values[topic.name, part.partition_index] = (part.offset, part.timestamp)
        return answer

    def members(self, groups: Iterable[Group]) -> Answer[int]:
        """Return the number of members of each classic group (DescribeGroups, by coordinator)."""
        answer: Answer[int] = Answer()
        by_broker: dict[int, list[str]] = defaultdict(list)
        for group in groups:
            if group.type == "classic":
                by_broker[group.coordinator].append(group.name)
        for broker, names in by_broker.items():
            request = DescribeGroupsRequest(groups=names, include_authorized_operations=False)
            for _, response in self._each_broker(request, [broker], answer):
                for row in response.groups:
                    if row.error_code:
                        answer.errors[_reason(row.error_code)] += 1
                    else:
                        answer.values[row.group_id] = len(row.members)
        return answer

    def log_dirs(self) -> Answer[int]:
        """Return the bytes that each partition's log takes: the largest replica."""
        answer: Answer[int] = Answer()
        for _, response in self._each_broker(DescribeLogDirsRequest(topics=None), self._brokers, answer):
            for directory in response.results:
                if directory.error_code:
                    answer.errors[_reason(directory.error_code)] += 1
                    continue
                for topic in directory.topics:
                    for part in topic.partitions:
                        key = (topic.name, part.partition_index)
                        answer.values[key] = max(answer.values.get(key, 0), part.partition_size)
        return answer

    def _each_broker(self, request: Any, brokers: Iterable[int], answer: Answer[Any]) -> Iterable[tuple[int, Any]]:
        for broker in brokers:
            try:
                yield broker, self._run(self._send(request, broker))
            except (KafkaFailure, OSError, TimeoutError) as error:
                answer.errors[_reason(error)] += 1

    def _client(self) -> Any:
        if self._admin is None:
            self._admin = _Admin(
                client_id=self._client_id,
                request_timeout_ms=int(self._timeout * 1000),
                bootstrap_timeout_ms=int(self._timeout * 1000),
                reconnect_backoff_max_ms=2000,
                **_security(self._cluster),
            )
        return self._admin

    def _send(self, request: Any, broker: int | None = None) -> Callable[[], Any]:
        async def call() -> Any:
            manager = self._client()._manager
            return await manager.wait_for(manager.send(request, node_id=broker), self._timeout * 1000)

        return call

    def _run(self, call: Callable[[], Any]) -> Any:
        return self._client()._manager.run(call)


def api_versions(address: str, timeout: float) -> float:
    """Ask a broker for its API versions (key 18, KIP-35) and return the seconds that it took.

    Raises OSError when it does not answer or answers something else.
    """
    client = b"zads-probe"
    body = struct.pack(">hhih", 18, 0, 7, len(client)) + client
    begin = time.monotonic()
    with socket.create_connection(host_port(address), timeout=timeout) as sock:
        sock.settimeout(timeout)
        sock.sendall(struct.pack(">i", len(body)) + body)
        head = b""
        while len(head) < 10:
            more = sock.recv(10 - len(head))
            if not more:
                raise ConnectionError(f"{address} closed the connection instead of answering ApiVersions")
            head += more
    size, correlation, error = struct.unpack(">iih", head)
    if size < 6 or correlation != 7 or error:
        raise ConnectionError(f"{address} is no Kafka broker: it answered ApiVersions with {head.hex()}")
    return time.monotonic() - begin


class Producer:
    """A producer for the simulator: lz4, acknowledged by the leader."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def send(self, topic: str, value: bytes, *, partition: int, on_result: Callable[[bool], None]) -> None:
        """Queue one message; `on_result` is called with whether the broker took it.

        Raises KafkaFailure when the queue is full.
        """
        future = self._inner.send(topic, value=value, partition=partition)
        future.add_callback(lambda _: on_result(True))
        future.add_errback(lambda _: on_result(False))

    def close(self, timeout: float) -> None:
        """Send what is queued, for at most `timeout` seconds."""
        self._inner.close(timeout=timeout)


def producer(cluster: KafkaCluster, *, client_id: str) -> Producer:
    """Return a producer with lz4 and leader acknowledgement."""
    inner = _kafka.KafkaProducer(
        client_id=client_id,
        acks=1,
        compression_type="lz4",
        linger_ms=20,
        max_request_size=12_000_000,
        max_block_ms=5000,
        **_security(cluster),
    )
    return Producer(inner)


def consumer(cluster: KafkaCluster, *, client_id: str, source_address: str | None = None, **settings: Any) -> Any:
    """Return a kafka-python consumer; `source_address` is where its connections come from."""
    if source_address:
        settings["proxy_url"] = f"bind://{source_address}"
    return _kafka.KafkaConsumer(client_id=client_id, **{**_security(cluster), **settings})


def partition(topic: str, number: int) -> Any:
    """Return kafka-python's own TopicPartition."""
    return _kafka.TopicPartition(topic, number)


def create_topics(cluster: KafkaCluster, partitions: Mapping[str, int], *, client_id: str) -> None:
    """Create topics with one replica; those that exist stay as they are."""
    admin = _Admin(client_id=client_id, bootstrap_timeout_ms=15000, **_security(cluster))
    try:
        for name, count in partitions.items():
            try:
                admin.create_topics([_NewTopic(name, num_partitions=count, replication_factor=1)])
            except _TopicExists:
                continue
    finally:
        admin.close()


def read_all(cluster: KafkaCluster, topic: str, *, client_id: str) -> Any:
    """Return a consumer at the start of every partition of a small topic, outside any group."""
    reader = consumer(cluster, client_id=client_id, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest")
    parts = [_kafka.TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic) or ())]
    reader.assign(parts)
    reader.seek_to_beginning()
    return reader
