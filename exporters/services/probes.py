"""Protocol probes: does a service answer what its clients would ask? Each returns seconds or raises OSError."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping

from exporters.services.askers import CannotTellError
from zads import kafka
from zads.config import KafkaCluster, host_port

TLS_SCHEMES = frozenset({"tls", "https"})
_ANSWER_MOST = 16_000_000
_FOUR_LETTERS_MOST = 8_192
_REFUSED = b"not in the whitelist"


def probe(address: str, timeout: float, clusters: Mapping[str, KafkaCluster] | None = None) -> float:
    """Ask the service at "scheme://host:port/path" and return how long its answer took.

    `clusters` says by address how a Kafka is to be spoken to. Certificates are not judged here: whether a
    service answers is one question, when its certificate expires another.
    Raises OSError (also for a wrong answer) when it does not answer in time, CannotTellError when it refuses to
    say how it is.
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
    """Ask "are you ok?" (ruok, one of ZooKeeper's four letter words), which it answers with imok.

    ZooKeeper answers only the words of its 4lw.commands.whitelist, which is empty by default (since 3.5.3), and srvr,
    which its own script needs: that is asked where it refuses ruok.
    """
    deadline = time.monotonic() + timeout
    answer = _four_letters(rest, b"ruok", deadline)
    if answer == b"imok":
        return
    if _REFUSED not in answer:
        raise ConnectionError(f"{rest} answered ruok with {_shown(answer)} instead of imok")
    answer = _four_letters(rest, b"srvr", deadline)
    if answer.startswith(b"Zookeeper version"):
        return
    if _REFUSED in answer:
        raise CannotTellError(
            f"{rest} refuses to say: add ruok to its 4lw.commands.whitelist (it answers neither ruok nor srvr)"
        )
    raise ConnectionError(f"{rest} answered srvr with {_shown(answer)}")


def _four_letters(rest: str, word: bytes, deadline: float) -> bytes:
    """Return what ZooKeeper answers to one of its four letter words; it closes the connection then."""
    answer = b""
    with socket.create_connection(host_port(rest), timeout=max(0.01, deadline - time.monotonic())) as sock:
        sock.sendall(word)
        while answer != b"imok" and len(answer) < _FOUR_LETTERS_MOST:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{rest} did not finish its answer to {word.decode()} in time")
            sock.settimeout(left)
            more = sock.recv(4096)
            if not more:
                break
            answer += more
    return answer


def _shown(answer: bytes) -> str:
    """Return the first line of an answer, as it may stand in a message."""
    return repr(answer.split(b"\n", 1)[0][:80].decode("ascii", "replace"))


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
