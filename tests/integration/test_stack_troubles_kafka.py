"""Troubles of `zads sim` on a real Kafka: alerts that are too large for the topic, a reader from an address of nobody."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from zads import kafka
from zads.config import KafkaCluster, host_port, load
from zads.kafka.change import set_topics
from zads.stack.stranger import ADDRESS, Stranger

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(200)]
CONFIG = load(Path(__file__).resolve().parents[2] / "zads.toml")
TOPIC, OTHER = "ztf_20260320_programid1", "not_a_night"


def _until(found: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def topics(cluster: KafkaCluster) -> KafkaCluster:
    kafka.create_topics(cluster, {TOPIC: 1, OTHER: 1}, client_id="test")
    return cluster


def _takes(cluster: KafkaCluster, topic: str) -> bool:
    """Tell whether the broker takes an alert's 60 kB, as the topic's settings are now."""
    results: list[bool] = []
    producer = kafka.producer(cluster, client_id="test")
    try:
        producer.send(topic, bytes(range(256)) * 240, partition=0, on_result=results.append)
        _until(lambda: results)
    finally:
        producer.close(timeout=5)
    return results[0]


def test_alerts_are_refused_as_too_large_until_that_is_taken_back(topics: KafkaCluster) -> None:
    """Only by topics of the stream; others take what they took."""
    regex = CONFIG.stream.topic_regex
    assert _takes(topics, TOPIC)
    assert set_topics(topics, regex, "max.message.bytes", "100", client_id="test") == [TOPIC]
    _until(lambda: not _takes(topics, TOPIC))
    assert _takes(topics, OTHER)
    assert set_topics(topics, regex, "max.message.bytes", None, client_id="test") == [TOPIC]
    _until(lambda: _takes(topics, TOPIC))
    assert set_topics(topics, re.compile("none"), "max.message.bytes", "100", client_id="test") == []


def test_a_stranger_reads_from_its_own_address_while_it_is_wanted(topics: KafkaCluster) -> None:
    """Kafka sees a connection from 127.0.9.9, and none when it is no longer wanted."""
    port = host_port(topics.bootstrap[0])[1]

    def connected() -> list[object]:
        return [
            one
            for one in psutil.net_connections("tcp")
            if one.laddr and one.laddr.ip == ADDRESS and one.raddr and one.raddr.port == port and one.status == "ESTABLISHED"
        ]

    wanted = True
    config = CONFIG.model_copy(update={"kafka": {**CONFIG.kafka, "public": topics}})
    stranger = Stranger(config, lambda: wanted)
    assert not connected()
    stranger.start()
    try:
        _until(connected)
        wanted = False
        _until(lambda: not connected())
    finally:
        stranger.stop()
