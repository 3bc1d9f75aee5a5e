"""Does a component answer? One question per kind of address."""

from __future__ import annotations

import http.client
import socket
import struct
from contextlib import suppress

from zads.config import host_port


def answers(url: str, timeout: float = 1.5) -> bool:
    """Tell whether the address answers its own protocol (http, kafka, tcp); an empty one always does."""
    if not url:
        return True
    scheme = url.split("://", 1)[0]
    with suppress(OSError, http.client.HTTPException, ValueError):
        host, port = host_port(url)
        if scheme == "http":
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
            try:
                connection.request("GET", "/" + url.split("://", 1)[1].partition("/")[2])
                return connection.getresponse().status < 500
            finally:
                connection.close()
        with socket.create_connection((host, port), timeout=timeout) as sock:
            return scheme != "kafka" or _api_versions(sock)
    return False


def _api_versions(sock: socket.socket) -> bool:
    """Ask ApiVersions v0 (key 18, KIP-35): the one request that any broker answers before anything else.

    Written out here, since a supervisor that imports a Kafka client pays 40 MB for one request.
    """
    client = b"zads-stack"
    body = struct.pack(">hhih", 18, 0, 1, len(client)) + client
    sock.sendall(struct.pack(">i", len(body)) + body)
    head = sock.recv(4)
    return len(head) == 4 and struct.unpack(">i", head)[0] > 0
