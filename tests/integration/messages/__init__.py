"""Kafka's message formats that only a share group's consumer needs (KIP-932), in version 1, as kafka-python reads them."""
