"""Protocol probes: does a service answer what its clients would ask? Each returns seconds or raises OSError."""

from __future__ import annotations

import http.client
import socket
import ssl
import time

from zads import kafka
from zads.config import host_port


def probe(address: str, timeout: float) -> float:
    """Ask the service at "scheme://host:port/path" and return how long its answer took.

    Raises OSError (also for a wrong answer) when it does not answer in time.
    """
    scheme, _, rest = address.partition("://")
    if scheme == "kafka":
        return kafka.api_versions(rest, timeout)
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
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=timeout)
    try:
        connection.request("GET", "/" + rest.partition("/")[2])
        answer = connection.getresponse()
        answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{rest}: {type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status >= 500:
        raise ConnectionError(f"{rest} answered {answer.status}")


def _zookeeper(rest: str, timeout: float) -> None:
    with socket.create_connection(host_port(rest), timeout=timeout) as sock:
        sock.sendall(b"ruok")
        if sock.recv(4) != b"imok":
            raise ConnectionError(f"{rest} did not answer ruok with imok (is it in 4lw.commands.whitelist?)")


def _connect(rest: str, timeout: float, *, tls: bool) -> None:
    host, port = host_port(rest)
    with socket.create_connection((host, port), timeout=timeout) as sock:
        if tls:
            with ssl.create_default_context().wrap_socket(sock, server_hostname=host):
                pass
