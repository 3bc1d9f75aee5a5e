"""Producers, consumers and topics for the tail, the mirror's offsets and the local stack."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

import kafka as _kafka
from kafka.admin import KafkaAdminClient as _Admin
from kafka.admin import NewTopic as _NewTopic
from kafka.errors import TopicAlreadyExistsError as _TopicExists
from kafka.net.inet import KafkaNetSocket as _NetSocket

from zads.config import KafkaCluster
from zads.kafka.security import client_settings


class _BoundSocket(_NetSocket):  # type: ignore[misc]
    """Sockets that leave from a given address: `proxy_url="bind://127.0.1.1"`, kafka-python's own extension point."""

    SCHEMES = ("bind",)

    def __init__(self, proxy_url: str) -> None:
        self._source = proxy_url.removeprefix("bind://")

    def socket(self, family: int = 0, sock_type: int = 0, proto: int = 0) -> socket.socket:
        sock = socket.socket(family, sock_type, proto)
        sock.bind((self._source, 0))
        return sock


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
        **client_settings(cluster),
    )
    return Producer(inner)


def consumer(cluster: KafkaCluster, *, client_id: str, source_address: str | None = None, **settings: Any) -> Any:
    """Return a kafka-python consumer; `source_address` is where its connections come from."""
    if source_address:
        settings["proxy_url"] = f"bind://{source_address}"
    return _kafka.KafkaConsumer(client_id=client_id, **{**client_settings(cluster), **settings})


def partition(topic: str, number: int) -> Any:
    """Return kafka-python's own TopicPartition."""
    return _kafka.TopicPartition(topic, number)


def create_topics(cluster: KafkaCluster, partitions: Mapping[str, int], *, client_id: str) -> None:
    """Create topics with one replica; those that exist stay as they are."""
    admin = _Admin(client_id=client_id, bootstrap_timeout_ms=15000, **client_settings(cluster))
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
