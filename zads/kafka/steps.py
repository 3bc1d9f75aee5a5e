"""Connect step by step, so that what fails is told apart: name, TCP, TLS, a broker's answer, its ways to log in."""

from __future__ import annotations

import socket
import struct
import time

from zads.config import KafkaCluster, host_port
from zads.kafka.probe import ask_api_versions
from zads.kafka.security import tls_context

_HANDSHAKE, _CORRELATION = 17, 8
_UNSUPPORTED_MECHANISM = 33
_MOST_BYTES = 10_000  # of an answer here: a broker's are a few hundred


class NoLoginError(ConnectionError):
    """The listener does not take this log-in; `offered` are the mechanisms that it takes, none where it takes no log-in."""

    def __init__(self, offered: tuple[str, ...]) -> None:
        self.offered = offered
        super().__init__(f"it takes {', '.join(offered) or 'no log-in'}")


class StepError(Exception):
    """A step failed: `step` is dns, tcp, tls, broker or mechanism, `cause` what the system said."""

    def __init__(self, step: str, address: str, cause: OSError) -> None:
        self.step, self.address, self.cause = step, address, cause
        super().__init__(f"{address}: {step}: {cause}")


def reach(address: str, cluster: KafkaCluster, timeout: float) -> dict[str, float]:
    """Connect to one broker, ask for its API versions, and return the seconds of each step.

    Nothing is logged in to: a broker answers this before (KIP-43). Raises StepError.
    """
    host, port = host_port(address)
    seconds: dict[str, float] = {}
    step, begin = "dns", time.monotonic()

    def done(following: str) -> None:
        nonlocal step, begin
        now = time.monotonic()
        seconds[step] = now - begin
        step, begin = following, now

    sock: socket.socket | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        done("tcp")
        sock = _connect([entry[4][:2] for entry in found], timeout)
        sock.settimeout(timeout)
        tls = tls_context(cluster)
        if tls is not None:
            done("tls")
            sock = tls.wrap_socket(sock, server_hostname=host)
        done("broker")
        left = ask_api_versions(sock, timeout, address)
        done("mechanism")
        if cluster.sasl_mechanism:
            sock.settimeout(timeout)
            _receive(sock, min(left, _MOST_BYTES))
            # kafka-python loses the broker's word on this when the connection is closed quickly after it.
            _ask_mechanism(sock, cluster.sasl_mechanism)
            done("")
    except OSError as error:
        raise StepError(step, address, error) from error
    finally:
        if sock is not None:
            sock.close()
    return seconds


def _connect(addresses: list[tuple[object, ...]], timeout: float) -> socket.socket:
    """Connect to the first address that takes us; raises the first one's failure when none does."""
    failure: OSError | None = None
    for host, port in dict.fromkeys(addresses):
        try:
            return socket.create_connection((str(host), int(str(port))), timeout=timeout)
        except OSError as error:
            failure = failure or error
    raise failure or ConnectionError("the name has no address")


def _ask_mechanism(sock: socket.socket, mechanism: str) -> None:
    """Ask whether a mechanism is taken (SaslHandshake, version 1); no secret is sent.

    Raises NoLoginError, or OSError when there is no answer.
    """
    client, name = b"zads-probe", mechanism.encode()
    body = struct.pack(f">hhih{len(client)}sh", _HANDSHAKE, 1, _CORRELATION, len(client), client, len(name)) + name
    sock.sendall(struct.pack(">i", len(body)) + body)
    (size,) = struct.unpack(">i", _receive(sock, 4))
    answer = _receive(sock, min(max(size, 0), _MOST_BYTES))
    try:
        _, error, count = struct.unpack_from(">ihi", answer)
        offered, at = [], 10
        for _ in range(count):
            (length,) = struct.unpack_from(">h", answer, at)
            offered.append(answer[at + 2 : at + 2 + length].decode())
            at += 2 + length
    except (struct.error, UnicodeDecodeError):
        raise ConnectionError("what it answers to SaslHandshake cannot be read") from None
    if error:
        raise NoLoginError(tuple(offered) if error == _UNSUPPORTED_MECHANISM else ())


def _receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionError("the connection was closed in the middle of an answer")
        data += more
    return data
