"""Exporter of alert arrival: how many, how late and at which stage, what is missing, what cannot be read."""

from exporters.alert_arrival.collector import build

__all__ = ["build"]
