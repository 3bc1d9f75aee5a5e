"""Does a broker answer? ApiVersions (key 18, KIP-35): the one request that any broker answers first.

It is answered before authentication (KIP-35, KIP-43), so a SASL listener needs no password here, but a TLS
listener needs TLS.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

from zads.config import KafkaCluster, host_port
from zads.kafka.security import tls_context

_CORRELATION = 7


def api_versions(address: str, timeout: float, cluster: KafkaCluster | None = None) -> float:
    """Ask a broker for its API versions and return the seconds that it took.

    `cluster` says whether the listener speaks TLS; without it plain text is spoken.
    Raises OSError when it does not answer in time or answers something else.
    """
    begin = time.monotonic()
    host, port = host_port(address)
    tls = tls_context(cluster) if cluster else None
    with socket.create_connection((host, port), timeout=timeout) as plain:
        plain.settimeout(timeout)
        if tls is None:
            ask_api_versions(plain, begin + timeout - time.monotonic(), address)
        else:
            with tls.wrap_socket(plain, server_hostname=host) as secure:
                ask_api_versions(secure, begin + timeout - time.monotonic(), address)
    return time.monotonic() - begin


def ask_api_versions(sock: socket.socket, timeout: float, address: str) -> int:
    """Ask for the API versions over a connection; return how many bytes of the answer are still to come.

    Raises OSError when what is at its other end does not answer in time or answers something else.
    """
    client = b"zads-probe"
    body = struct.pack(">hhih", 18, 0, _CORRELATION, len(client)) + client
    head = _ask(sock, body, time.monotonic() + timeout, address)
    size, correlation, error = struct.unpack(">iih", head)
    if size < 6 or correlation != _CORRELATION or error:
        raise ConnectionError(f"{address} is no Kafka broker: it answered ApiVersions with {head.hex()}")
    return int(size) - 6


def prober(cluster: KafkaCluster | None) -> Callable[[str, float], float]:
    """Return api_versions() with the cluster's security."""
    return lambda address, timeout: api_versions(address, timeout, cluster)


def _ask(sock: socket.socket, body: bytes, deadline: float, address: str) -> bytes:
    sock.sendall(struct.pack(">i", len(body)) + body)
    head = b""
    while len(head) < 10:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{address} did not finish its answer to ApiVersions in time")
        sock.settimeout(left)  # the deadline is for the whole answer, not for each byte of it
        more = sock.recv(10 - len(head))
        if not more:
            raise ConnectionError(f"{address} closed the connection instead of answering ApiVersions")
        head += more
    return head
