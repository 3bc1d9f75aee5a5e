"""The only package that imports kafka-python: reading a cluster for monitoring, and the local stack's clients."""

from kafka.errors import KafkaError as KafkaFailure

from zads.kafka.clients import Producer, consumer, create_topics, partition, producer, read_all
from zads.kafka.disks import Disks, Volume
from zads.kafka.model import (
    EARLIEST,
    LATEST,
    MAX_TIMESTAMP,
    Answer,
    Group,
    Membership,
    Metadata,
    ShareOffset,
    Topic,
    TopicPartition,
)
from zads.kafka.offset_fetch import TopicOffsets
from zads.kafka.probe import api_versions, prober
from zads.kafka.reader import ClusterReader
from zads.kafka.security import faults

__all__ = [
    "EARLIEST",
    "LATEST",
    "MAX_TIMESTAMP",
    "Answer",
    "ClusterReader",
    "Disks",
    "Group",
    "KafkaFailure",
    "Membership",
    "Metadata",
    "Producer",
    "ShareOffset",
    "Topic",
    "TopicOffsets",
    "TopicPartition",
    "Volume",
    "api_versions",
    "consumer",
    "create_topics",
    "faults",
    "partition",
    "prober",
    "producer",
    "read_all",
]
