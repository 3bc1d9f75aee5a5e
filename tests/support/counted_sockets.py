"""Sockets that count what a Kafka consumer of kafka-python takes: the truth that egress is compared with."""

from __future__ import annotations

import socket

from kafka.net.inet import KafkaNetSocket


class Counted(socket.socket):
    """A socket that counts what it takes."""

    taken = 0

    def recv(self, *args: int) -> bytes:
        data = super().recv(*args)
        Counted.taken += len(data)
        return data


class CountedNet(KafkaNetSocket):  # type: ignore[misc]
    """kafka-python's own extension point for sockets: counted ones, from a given address."""

    SCHEMES = ("counted",)

    def __init__(self, proxy_url: str) -> None:
        self._source = proxy_url.removeprefix("counted://")

    def socket(self, *args: int) -> socket.socket:
        sock = Counted(*args)
        sock.bind((self._source, 0))
        return sock
