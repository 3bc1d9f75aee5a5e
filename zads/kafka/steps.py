"""Connect step by step, so that what fails is told apart: name, TCP, TLS, a broker's answer."""

from __future__ import annotations

import socket
import time

from zads.config import KafkaCluster, host_port
from zads.kafka.probe import ask_api_versions
from zads.kafka.security import tls_context


class StepError(Exception):
    """A step failed: `step` is dns, tcp, tls or broker, `cause` what the system said."""

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
        ask_api_versions(sock, timeout, address)
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
