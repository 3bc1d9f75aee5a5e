"""Kafka's message formats that kafka-python 3.0.12 lacks, as its schema loader reads them.

Field names, types and versions are the protocol's own (ConsumerGroupDescribe, key 69: KIP-848, KIP-1099).
"""
