"""Lag in seconds of a group that catches up with a day's backlog, on a real Kafka, against the records' own times."""

from __future__ import annotations

import random
import time

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from exporters.kafka_lag.collector import KafkaLagCollector
from tests.integration.test_kafka_lag import read
from zads import kafka
from zads.collector import CollectorLoop
from zads.config import KafkaCluster, parse
from zads.kafka import ClusterReader

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


def test_a_group_that_catches_up_with_a_day_is_right_at_every_step(cluster: KafkaCluster) -> None:
    """After a restart a day is known by some twenty points; wherever the group is, what is published is within 5 %."""
    address, topic, dice = cluster.bootstrap[0], "catching-up", random.Random(3)
    kafka.create_topics(cluster, {topic: 1}, client_id="test")
    producer = KafkaProducer(bootstrap_servers=address, acks=1, max_in_flight_requests_per_connection=1)
    begin = time.time()
    times = [begin - dice.uniform(60, 86_400) for _ in range(600)]
    times += [begin - hour * 3600 - dice.uniform(0, 60) for hour in range(1, 24) for _ in range(26)]
    times.sort()
    for at in times:
        producer.send(topic, b"x", partition=0, timestamp_ms=int(at * 1000))
    producer.flush(30)
    producer.close()
    committer = KafkaConsumer(bootstrap_servers=address, group_id=topic, enable_auto_commit=False)
    committer.assign([TopicPartition(topic, 0)])
    config = parse(f'[kafka.public]\nbootstrap = ["{address}"]\n')
    loop = CollectorLoop(KafkaLagCollector(config, ClusterReader(cluster, client_id="test")), 5.0)
    wrong = []
    for offset in range(200, len(times), 37):
        committer.commit({TopicPartition(topic, 0): OffsetAndMetadata(offset, "", -1)})
        said = read(loop, "zads_consumergroup_lag_seconds", "consumergroup", "topic")[topic, topic]
        true = time.time() - times[offset]
        if abs(said - true) > max(5.0, 0.05 * true):
            wrong.append((offset, round(said), round(true)))
    committer.close(autocommit=False)
    loop.stop()
    assert not wrong, "offset, seconds said, seconds true"
