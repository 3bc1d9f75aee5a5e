"""Kafka's message formats that kafka-python 3.0.12 lacks, as its schema loader reads them.

Field names, types and versions are the protocol's own: ConsumerGroupDescribe (key 69: KIP-848, KIP-1099),
ShareGroupDescribe (77: KIP-932) and DescribeShareGroupOffsets (90: KIP-932, with lag since KIP-1226).
"""
