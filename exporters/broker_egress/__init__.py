"""Exporter of what each community broker is sent: on the wire, and from committed offsets."""

from exporters.broker_egress.collector import build

__all__ = ["build"]
