"""Protocol probes: does a service answer what its clients would ask? Each returns seconds or raises OSError."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping

from zads import kafka
from zads.config import KafkaCluster, host_port

TLS_SCHEMES = frozenset({"tls", "https"})
_ANSWER_MOST = 16_000_000


def probe(address: str, timeout: float, clusters: Mapping[str, KafkaCluster] | None = None) -> float:
    """Ask the service at "scheme://host:port/path" and return how long its answer took.

    `clusters` says by address how a Kafka is to be spoken to. Certificates are not judged here: whether a
    service answers is one question, when its certificate expires another.
    Raises OSError (also for a wrong answer) when it does not answer in time.
    """
    scheme, _, rest = address.partition("://")
    if scheme == "kafka":
        return kafka.api_versions(rest, timeout, (clusters or {}).get(rest))
    begin = time.monotonic()
    if scheme in {"http", "https"}:
        _http(scheme, rest, timeout)
    elif scheme == "zookeeper":
        _zookeeper(rest, timeout)
    else:
        _connect(rest, timeout, tls=scheme == "tls")
    return time.monotonic() - begin


def _http(scheme: str, rest: str, timeout: float) -> None:
    host, port = host_port(rest)
    deadline = time.monotonic() + timeout
    connection = (
        http.client.HTTPSConnection(host, port, timeout=timeout, context=_unjudged())
        if scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=timeout)
    )
    try:
        connection.request("GET", "/" + rest.partition("/")[2])
        answer = connection.getresponse()
        read = 0
        while chunk := answer.read1(65536):
            read += len(chunk)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{rest} did not finish its answer in {timeout} s")
            if read > _ANSWER_MOST:
                raise ConnectionError(f"{rest} does not stop answering")
    except http.client.HTTPException as error:
        raise ConnectionError(f"{rest}: {type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status >= 500:
        raise ConnectionError(f"{rest} answered {answer.status}")


def _zookeeper(rest: str, timeout: float) -> None:
    """Ask "are you ok?" (ruok, one of ZooKeeper's four letter words); it answers imok and closes."""
    deadline = time.monotonic() + timeout
    with socket.create_connection(host_port(rest), timeout=timeout) as sock:
        sock.sendall(b"ruok")
        answer = b""
        while len(answer) < 4 and (more := sock.recv(4 - len(answer))):
            answer += more
            sock.settimeout(max(0.01, deadline - time.monotonic()))
    if answer != b"imok":
        raise ConnectionError(f"{rest} did not answer ruok with imok (is it in 4lw.commands.whitelist?)")


def _connect(rest: str, timeout: float, *, tls: bool) -> None:
    host, port = host_port(rest)
    with socket.create_connection((host, port), timeout=timeout) as sock:
        if tls:
            with _unjudged().wrap_socket(sock, server_hostname=host):
                pass


def _unjudged() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
