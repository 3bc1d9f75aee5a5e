"""When certificates expire, on real TLS listeners whose certificates nobody trusts."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.services.certificates import expires, not_after
from exporters.services.collector import ServicesCollector
from exporters.services.probes import probe
from exporters.services.processes import Finder
from exporters.services.restarts import Restarts
from zads.config import Config, Host, KafkaCluster, Service


def _certificate(folder: Path, days: int, key: str) -> tuple[Path, Path]:
    private, public = folder / "key.pem", folder / "cert.pem"
    argv = ["openssl", "req", "-x509", "-newkey", *key.split(), "-nodes", "-keyout", str(private), "-out", str(public)]
    subprocess.run([*argv, "-days", str(days), "-subj", "/CN=kafka.example.org"], check=True, capture_output=True)
    return private, public


class Server:
    """A listener that speaks TLS, and HTTP to who asks; use as a context manager."""

    def __init__(self, context: ssl.SSLContext, port: int = 0) -> None:
        self._context, self._socket = context, socket.create_server(("127.0.0.1", port))

    def __enter__(self) -> int:
        """Serve, and return the port."""
        threading.Thread(target=self._serve, daemon=True).start()
        return int(self._socket.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), peer, self._context.wrap_socket(peer, server_side=True) as secure:
                if secure.recv(1000).startswith(b"GET "):
                    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[tuple[int, float]]:
    private, public = _certificate(tmp_path, 30, "ec -pkeyopt ec_paramgen_curve:prime256v1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    with Server(context) as port:
        end = subprocess.run(
            ["openssl", "x509", "-in", str(public), "-noout", "-enddate", "-dateopt", "iso_8601"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        moment = datetime.strptime(end.strip().removeprefix("notAfter="), "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)
        yield port, moment.timestamp()


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


def _issued(folder: Path, name: str, begin: datetime, end: datetime) -> None:
    """Write a certificate for that time, and its key: openssl's own authority may say any dates."""
    conf = (
        "[ca]\ndefault_ca = a\n[a]\ndatabase = index\nserial = serial\nnew_certs_dir = .\ndefault_md = sha256\npolicy = p\n"
    )
    (folder / "ca.cnf").write_text(conf + "unique_subject = no\n[p]\ncommonName = supplied\n")
    (folder / "index").write_text("")
    (folder / "serial").write_text("01\n")
    key = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}"]
    sign = ["openssl", "ca", "-batch", "-config", "ca.cnf", "-selfsign", "-keyfile", "key.pem", "-in", "req.pem", "-notext"]
    dates = ["-startdate", f"{begin:%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}"]
    for command in ([*key, "-keyout", "key.pem", "-out", "req.pem"], [*sign, *dates, "-out", "cert.pem"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("name", "days", "words"),
    [
        ("kafka.example.org", 300.0, None),  # self-signed, and for another name than it is asked by
        ("localhost", 300.0, None),
        ("localhost", 20.4, ", its certificate expires in 20 days"),
        ("localhost", 0.5, ", its certificate expires in 12 h"),
        ("localhost", -3.0, ", its certificate expired 3 days ago"),
    ],
)
@pytest.mark.parametrize("scheme", ["tls", "https"])
def test_whether_it_answers_is_one_question_and_when_its_certificate_expires_another(
    tmp_path: Path, name: str, days: float, words: str | None, scheme: str
) -> None:
    """Expired, soon, self-signed, of another name: it answers, the second of its end is a metric, and words warn in time."""
    now = datetime.now(UTC).replace(microsecond=0)
    end = now + timedelta(days=days)
    _issued(tmp_path, name, now - timedelta(days=10), end)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Server(context) as port:
        service = Service(name="archive", host="zads", role="http", probe=f"{scheme}://localhost:{port}")
        host = Host(name="zads", address="127.0.0.1", probe=f"127.0.0.1:{port}")
        config = Config(kafka={"public": KafkaCluster(bootstrap=("127.0.0.1:1",))}, host=(host,), service=(service,))
        collector = ServicesCollector(config, Finder(list), Restarts(tmp_path / "s.json"))
        reading = collector.collect()
        collector.close()
    samples = {sample.name: sample.value for family in reading.families for sample in family.samples}
    assert samples["zads_service_answering"] == 1, reading.seen
    assert samples["zads_service_certificate_expiry_timestamp_seconds"] == end.timestamp()
    assert reading.seen.partition(" ms")[2] == (words or "")


def test_an_expiry_that_could_not_be_read_is_asked_for_again_at_once(tmp_path: Path) -> None:
    """A listener that starts after the exporter is not blind for ten minutes; one that was read is left in peace."""
    now = datetime.now(UTC).replace(microsecond=0)
    _issued(tmp_path, "localhost", now, now + timedelta(days=5))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    service = Service(name="archive", host="zads", role="tcp", probe=f"tls://127.0.0.1:{port}")
    host = Host(name="zads", address="127.0.0.1", probe="127.0.0.1:1")
    config = Config(kafka={"public": KafkaCluster(bootstrap=("127.0.0.1:1",))}, host=(host,), service=(service,))
    collector = ServicesCollector(config, Finder(list), Restarts(tmp_path / "s.json"))
    name = "zads_service_certificate_expiry_timestamp_seconds"

    def expiry() -> list[float]:
        return [s.value for family in collector.collect().families for s in family.samples if s.name == name]

    assert expiry() == []
    with Server(context, port) as _:
        assert expiry() == [(now + timedelta(days=5)).timestamp()]
        assert not collector._certificates_due()
    assert expiry() == [(now + timedelta(days=5)).timestamp()], "what was read stays known while it is away"
    collector.close()
