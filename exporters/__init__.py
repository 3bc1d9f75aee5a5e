"""Prometheus exporters for Kafka lag, egress, arrival and services."""
