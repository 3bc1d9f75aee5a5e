"""Exporter of services: is the process there, does it answer its protocol, how often was it restarted."""

from exporters.services.collector import build

__all__ = ["build"]
