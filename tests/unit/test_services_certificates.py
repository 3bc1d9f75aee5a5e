"""When certificates expire, on real TLS listeners whose certificates nobody trusts."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.services.certificates import expires, not_after
from exporters.services.probes import probe


def _certificate(folder: Path, days: int, key: str) -> tuple[Path, Path]:
    private, public = folder / "key.pem", folder / "cert.pem"
    argv = ["openssl", "req", "-x509", "-newkey", *key.split(), "-nodes", "-keyout", str(private), "-out", str(public)]
    subprocess.run([*argv, "-days", str(days), "-subj", "/CN=kafka.example.org"], check=True, capture_output=True)
    return private, public


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[tuple[int, float]]:
    private, public = _certificate(tmp_path, 30, "ec -pkeyopt ec_paramgen_curve:prime256v1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(peer, server_side=True) as secure:
                        secure.recv(1)
                except OSError:
                    peer.close()

        threading.Thread(target=serve, daemon=True).start()
        end = subprocess.run(
            ["openssl", "x509", "-in", str(public), "-noout", "-enddate", "-dateopt", "iso_8601"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        moment = datetime.strptime(end.strip().removeprefix("notAfter="), "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)
        yield server.getsockname()[1], moment.timestamp()


def test_the_expiry_is_read_from_a_certificate_that_nobody_trusts(listener: tuple[int, float]) -> None:
    """As openssl reads it; the probe of the listener does not judge it."""
    port, end = listener
    assert expires("127.0.0.1", port, 2.0) == end
    assert probe(f"tls://127.0.0.1:{port}", 2.0) < 2.0


def test_a_listener_that_speaks_no_tls_has_no_expiry() -> None:
    """An OSError, in time."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        begin = time.monotonic()
        with pytest.raises(OSError):
            expires("127.0.0.1", server.getsockname()[1], 0.3)
        assert time.monotonic() - begin < 2


@pytest.mark.parametrize(("days", "key"), [(1, "rsa:2048"), (40_000, "rsa:2048"), (365, "ed25519")])
def test_both_forms_of_time_and_any_key(tmp_path: Path, days: int, key: str) -> None:
    """UTCTime before 2050, GeneralizedTime after it."""
    _, public = _certificate(tmp_path, days, key)
    end = not_after(ssl.PEM_cert_to_DER_cert(public.read_text()))
    assert end == pytest.approx(time.time() + days * 86_400, abs=120)


@given(st.binary(max_size=200))
def test_what_is_no_certificate_is_an_error_of_two_kinds(data: bytes) -> None:
    """Nothing else comes out."""
    with pytest.raises((IndexError, ValueError)):
        not_after(data)
