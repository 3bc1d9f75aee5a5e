"""The probe speaks the listener's own security, over a real socket; and what a broken answer means."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from zads import kafka
from zads.config import KafkaCluster

GOOD = struct.pack(">iih", 6, 7, 0)


@contextmanager
def listener(answer: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A broker that does as it is told with each connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with suppress(OSError), connection:
                answer(tls.wrap_socket(connection, server_side=True) if tls else connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"localhost:{server.getsockname()[1]}"
    finally:
        server.close()


def reply(data: bytes) -> Callable[[socket.socket], None]:
    def answer(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(data)
        sock.close()

    return answer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 1 -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost"
    subprocess.run(command.split(), cwd=folder, capture_output=True, check=True)
    return folder / "cert", folder / "key"


def test_a_plain_listener_answers_in_a_measured_time() -> None:
    """Seconds, as a float."""
    with listener(reply(GOOD)) as address:
        assert 0 < kafka.api_versions(address, 2.0) < 2


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_a_tls_listener_is_asked_in_tls(certificate: tuple[Path, Path], protocol: str) -> None:
    """Plain ApiVersions to a TLS listener is never answered; with the cluster's settings it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with listener(reply(GOOD), context) as address:
        with pytest.raises(OSError):
            kafka.api_versions(address, 1.0)
        cluster = KafkaCluster(bootstrap=(address,), security_protocol=protocol, ca_file=certificate[0])
        assert kafka.api_versions(address, 2.0, cluster) < 2
        assert kafka.prober(cluster)(address, 2.0) < 2


def test_a_certificate_of_somebody_else_is_refused(certificate: tuple[Path, Path]) -> None:
    """The reason is a certificate, not a timeout."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with listener(reply(GOOD), context) as address, pytest.raises(ssl.SSLCertVerificationError):
        kafka.api_versions(address, 2.0, KafkaCluster(bootstrap=(address,), security_protocol="SSL"))


def test_client_certificates_are_presented(certificate: tuple[Path, Path]) -> None:
    """Mutual TLS: refused without, answered with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(certificate[0])
    context.verify_mode = ssl.CERT_REQUIRED
    plain = KafkaCluster(bootstrap=("localhost:1",), security_protocol="SSL", ca_file=certificate[0])
    mutual = plain.model_copy(update={"cert_file": certificate[0], "key_file": certificate[1]})
    with listener(reply(GOOD), context) as address:
        with pytest.raises(OSError):
            kafka.api_versions(address, 2.0, plain)
        assert kafka.api_versions(address, 2.0, mutual) < 2


@pytest.mark.parametrize(
    "data", [b"", b"HTTP/1.1 400 Bad Request\r\n", struct.pack(">iih", 6, 8, 0), struct.pack(">iih", 6, 7, 35), GOOD[:6]]
)
def test_what_is_no_broker_does_not_answer(data: bytes) -> None:
    """Nothing, another protocol, another correlation, an error, a cut answer."""
    with listener(reply(data)) as address, pytest.raises(OSError):
        kafka.api_versions(address, 1.0)


def test_an_answer_that_trickles_does_not_outlast_the_timeout() -> None:
    """A byte every 0.2 s for ever: the deadline is for the whole answer."""
    stop = threading.Event()

    def trickle(sock: socket.socket) -> None:
        sock.recv(1000)
        for byte in GOOD:
            if stop.wait(0.2):
                return
            sock.sendall(bytes([byte]))

    with listener(trickle) as address, pytest.raises(TimeoutError):
        kafka.api_versions(address, 0.7)
    stop.set()
