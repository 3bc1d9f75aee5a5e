"""Exporter of consumer lag: in messages and seconds, per group and per community."""

from exporters.kafka_lag.collector import build, take

__all__ = ["build", "take"]
