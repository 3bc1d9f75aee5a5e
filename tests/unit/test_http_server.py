"""The exporters' HTTP server over real sockets: pages, truth of health and readiness, TLS, passwords, bad clients."""

from __future__ import annotations

import base64
import gzip
import http.client
import logging
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from zads.collector import CollectorLoop, Reading
from zads.http import Server
from zads.metrics import gauge
from zads.snapshot import Part, WideFamily
from zads.web_config import WebConfig, WebConfigError, load
from zads.web_config import _hash as hash_like


class Source:
    """A collector with a page worth compressing."""

    def __init__(self, name: str = "test", rows: int = 500) -> None:
        self.name, self.rows = name, rows
        self.error: Exception | None = None
        self.collect_more: tuple[tuple[str, float], ...] = ()

    def collect(self) -> Reading:
        if self.error:
            raise self.error
        family = gauge("zads_cluster_up")
        family.add_metric([self.name], 1)
        more = [gauge(name) for name, _ in self.collect_more]
        for one, (_, value) in zip(more, self.collect_more, strict=True):
            one.add_metric([], value)
        wide = WideFamily("kafka_consumergroup_lag")
        lines = wide.lines((("lasair", "ztf", n), n) for n in range(self.rows))
        return Reading([family, *more], wide=[Part(wide.head), Part(lines)], seen="1 broker, 3 topics")

    def close(self) -> None:
        """Nothing to close."""


class Site:
    """A server and its loops, which collect when told."""

    def __init__(
        self,
        *sources: Source,
        web: WebConfig | None = None,
        interval: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sources = sources or (Source(),)
        self.loops = {source.name: CollectorLoop(source, interval, monotonic=monotonic) for source in self.sources}
        self.server = Server("127.0.0.1", 0, self.loops, web)
        self.server.start()
        self.tls: ssl.SSLContext | None = None

    def collect(self) -> None:
        for loop in self.loops.values():
            loop.once()

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection("localhost", self.server.port, timeout=10, context=self.tls)
            if self.tls
            else http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        )
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.server.stop()


def test_metrics_with_and_without_gzip_are_the_same(site: Site) -> None:
    """Compressed once per collection; a client that refuses gzip gets text."""
    site.collect()
    status, headers, plain = site.get("/metrics")
    assert (status, headers.get("content-encoding")) == (200, None)
    assert int(headers["content-length"]) == len(plain)
    assert b"kafka_consumergroup_lag" in plain
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    for accepts in ("gzip", "deflate, gzip;q=0.5", "*"):
        _, headers, packed = site.get("/test/metrics", Accept_Encoding=accepts)
        assert headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed) == plain
    for refuses in ("identity", "gzip;q=0", "br"):
        assert "content-encoding" not in site.get("/metrics", Accept_Encoding=refuses)[1]
    status, headers, body = site.get("/metrics", "HEAD")
    assert (status, int(headers["content-length"]), body) == (200, len(plain), b"")


def test_ready_and_healthy_tell_the_truth(site: Site) -> None:
    """Ready: the last collection succeeded. Healthy: nothing that a restart would cure."""
    assert site.get("/-/ready")[0] == 503
    assert site.get("/-/ready")[2] == b"test: no collection has finished yet\n"
    assert site.get("/-/healthy")[::2] == (200, b"healthy\n")
    site.collect()
    assert site.get("/-/ready")[::2] == (200, b"ready\n")
    site.sources[0].error = ConnectionError("no broker answers")
    site.collect()
    status, _, body = site.get("/-/ready")
    assert (status, body) == (503, b"test: ConnectionError: no broker answers\n")
    assert site.get("/-/healthy")[0] == 200, "a cluster that is down is no reason to restart the exporter"


def test_a_loop_that_ended_is_not_healthy(site: Site) -> None:
    """Whatever ended it: a service manager may restart the process."""
    loop = site.loops["test"]
    loop.start()
    loop.ask_to_stop()
    deadline = time.monotonic() + 5
    while site.get("/-/healthy")[0] == 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert site.get("/-/healthy")[::2] == (503, b"test: its loop has ended\n")


def test_one_port_for_several_exporters() -> None:
    """A path each; what is on no path says which there are."""
    site = Site(Source("kafka-lag"), Source("services"))
    site.collect()
    try:
        assert site.get("/kafka-lag/metrics")[0] == 200
        assert b'collector="services"' in site.get("/services/metrics")[2]
        for path in ("/other/metrics", "/kafka-lag", "/kafka-lag/metrics/"):
            status, _, body = site.get(path)
            assert (status, path) == (404, path)
            assert b"/metrics, /kafka-lag/metrics, /services/metrics" in body
        assert "href='/metrics'" in site.get("/")[2].decode()
    finally:
        site.server.stop()


def test_all_together_on_one_path_each_family_and_each_series_once() -> None:
    """As Prometheus' format demands: for an operator with curl, and for a single scrape job."""
    first, second = Source("kafka-lag", 2000), Source("services")
    first.collect_more = (("zads_sun_altitude_degrees", -20.0),)
    site = Site(first, second)
    site.collect()
    try:
        status, headers, plain = site.get("/metrics")
        assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert gzip.decompress(site.get("/metrics", Accept_Encoding="gzip")[2]) == plain
        assert site.get("/metrics", "HEAD")[2] == b""
        text = plain.decode()
        heads = [line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE ")]
        assert len(heads) == len(set(heads))
        series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
        assert len(series) == len(set(series))
        for name in ("kafka-lag", "services"):
            assert f'zads_collector_success{{collector="{name}"}} 1.0' in text
            alone = site.get(f"/{name}/metrics")[2].decode().splitlines()
            lost = {line.rpartition(" ")[0] for line in alone if not line.startswith("#")} - set(series)
            assert not lost, lost
        assert text.count("process_resident_memory_bytes ") == 2 + 1, "the head's two lines and one sample"
        parsed = {family.name: family for family in text_string_to_metric_families(text)}
        assert len(parsed["kafka_consumergroup_lag"].samples) == 2000
        assert [s.value for s in parsed["zads_sun_altitude_degrees"].samples] == [-20.0]
        done = subprocess.run(["promtool", "check", "metrics"], input=plain, capture_output=True, check=False)
        assert done.returncode in {0, 3}, done.stderr
        assert b"error while linting" not in done.stderr
    finally:
        site.server.stop()


def test_the_page_says_in_words_what_is_seen_and_escapes_it(site: Site) -> None:
    """For a person with a browser."""
    site.collect()
    page = site.get("/")[2].decode()
    assert "sees 1 broker, 3 topics" in page
    site.sources[0].error = ValueError("<script>alert(1)</script>")
    site.collect()
    page = site.get("/")[2].decode()
    assert "does not see: ValueError: &lt;script&gt;" in page
    assert "<script" not in page


def test_bad_requests_get_one_line(site: Site) -> None:
    """No HTML with the server's version, no traceback."""
    status, headers, body = site.get("/metrics", "POST")
    assert status == 501
    assert headers["server"] == "zads-exporter"
    assert b"<" not in body
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=5) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        assert b"400" in sock.recv(1000)
    assert site.get("/-/healthy")[0] == 200


def test_connections_that_break_leave_no_trace_in_the_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Reset before, within and after a request; the server goes on."""
    site.sources[0].rows = 200_000
    site.collect()
    with caplog.at_level(logging.INFO):
        for request in (b"", b"GET /met", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
            sock = socket.create_connection(("127.0.0.1", site.server.port), timeout=5)
            sock.sendall(request)
            time.sleep(0.1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()  # a reset
        time.sleep(0.3)
        assert site.get("/-/healthy")[0] == 200
    assert not caplog.records


def test_too_many_connections_are_refused_and_the_others_served(site: Site) -> None:
    """Idle connections of a broken client do not take all threads."""
    socks = [socket.create_connection(("127.0.0.1", site.server.port), timeout=5) for _ in range(110)]
    time.sleep(0.5)
    for sock in socks:
        sock.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert site.get("/-/healthy")[0] == 200
            break
        except OSError:
            time.sleep(0.1)
    assert site.get("/-/healthy")[0] == 200


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's certificate (which is its own authority) and another one."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("server", "other"):
        command = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 1 -subj /CN={name}"
        command += " -addext subjectAltName=DNS:localhost"
        subprocess.run(command.split(), cwd=folder, capture_output=True, check=True)
    return folder


def write(folder: Path, text: str) -> WebConfig:
    file = folder / "web.yml"
    file.write_text(text, encoding="utf-8")
    return load(file)


def trusting(file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(file))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_tls_by_the_web_config_file_and_a_renewed_certificate_without_a_restart(certificates: Path, tmp_path: Path) -> None:
    """Relative paths are the file's; after a renewal the next connection sees the new certificate."""
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_bytes((certificates / name).read_bytes())
    web = write(tmp_path, "tls_server_config: {cert_file: server.pem, key_file: server.key, min_version: TLS13}")
    site = Site(web=web)
    site.collect()
    try:
        site.tls = trusting(certificates / "server.pem")
        assert site.get("/metrics")[0] == 200
        with pytest.raises(OSError):
            http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=2).request("GET", "/")
            socket.create_connection(("127.0.0.1", site.server.port), timeout=2).recv(1)
        # The certificate is written first: until its key is there too, the former one serves.
        (tmp_path / "server.pem").write_bytes((certificates / "other.pem").read_bytes())
        assert site.get("/metrics")[0] == 200
        (tmp_path / "server.key").write_bytes((certificates / "other.key").read_bytes())
        with pytest.raises(ssl.SSLCertVerificationError):
            site.get("/metrics")
        site.tls = trusting(certificates / "other.pem")
        assert site.get("/metrics")[0] == 200
    finally:
        site.server.stop()


def test_a_client_that_does_not_speak_tls_holds_up_nobody(certificates: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Handshakes happen in the connection's own thread, and their failures are no news."""
    web = write(certificates, "tls_server_config: {cert_file: server.pem, key_file: server.key}")
    site = Site(web=web)
    site.tls = trusting(certificates / "server.pem")
    silent = [socket.create_connection(("127.0.0.1", site.server.port), timeout=5) for _ in range(5)]
    silent[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
    try:
        with caplog.at_level(logging.INFO):
            begin = time.monotonic()
            assert site.get("/-/healthy")[0] == 200
            assert time.monotonic() - begin < 3
        assert not caplog.records
    finally:
        for sock in silent:
            sock.close()
        site.server.stop()


def test_client_certificates_are_required_where_the_file_says_so(certificates: Path) -> None:
    """RequireAndVerifyClientCert: none or a stranger's is refused."""
    web = write(
        certificates,
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
        "  client_ca_file: server.pem\n  client_auth_type: RequireAndVerifyClientCert\n",
    )
    site = Site(web=web)
    try:
        site.tls = trusting(certificates / "server.pem")
        with pytest.raises(OSError):
            site.get("/-/healthy")
        site.tls.load_cert_chain(certificates / "other.pem", certificates / "other.key")
        with pytest.raises(OSError):
            site.get("/-/healthy")
        site.tls = trusting(certificates / "server.pem")
        site.tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        assert site.get("/-/healthy")[0] == 200
    finally:
        site.server.stop()


def test_passwords_by_bcrypt(tmp_path: Path) -> None:
    """Every path asks for one; a right one is quick from the second time on, also with a costly hash."""
    hashed = hash_like("s\u00e9cret:x", "$2b$11$abcdefghijklmnopqrstuu" + "." * 31)
    site = Site(
        web=write(
            tmp_path,
            f"basic_auth_users:\n  prometheus: {hashed}\nhttp_server_config:\n  headers:\n    X-Frame-Options: deny\n",
        )
    )
    site.collect()
    try:
        for path in ("/metrics", "/", "/-/healthy", "/-/ready"):
            status, headers, _ = site.get(path)
            assert (status, headers["www-authenticate"]) == (401, 'Basic realm="zads"')
        good = basic("prometheus", "s\u00e9cret:x")
        assert site.get("/metrics", Authorization=good)[0] == 200
        begin = time.monotonic()
        for _ in range(20):
            assert site.get("/metrics", Authorization=good)[0] == 200
        assert time.monotonic() - begin < 1.5
        assert site.get("/", Authorization=good)[1]["x-frame-options"] == "deny"
        for bad in (
            basic("prometheus", "secret"),
            basic("somebody", "s\u00e9cret:x"),
            "Basic ???",
            "Bearer x",
            "Basic",
            good[:-3],
        ):
            assert site.get("/metrics", Authorization=bad)[0] == 401
    finally:
        site.server.stop()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tls_server_config: {cert_file: a.pem}", "tls_server_config: needs both cert_file and key_file"),
        ("tls_server_config: {cert_file: none.pem, key_file: none.key}", "No such file"),
        ("basic_auth_users: {ada: plain-password}", "basic_auth_users.ada: is no bcrypt hash"),
        ("basic_auth_users: [ada]", "basic_auth_users: has to be a table"),
        (
            "tls_server_config: {cert_file: a, key_file: b, cipher_suites: [x]}",
            "tls_server_config.cipher_suites: is not supported",
        ),
        ("tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}", "'TLS10' is not supported"),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAnyClientCert}",
            "'RequireAnyClientCert' is not",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert}",
            "needs client_ca_file",
        ),
        ("tls: {}", "tls: is not supported here"),
        ("- a", "the file: has to be a table"),
        ("a: [", "is no valid YAML in line"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_without_a_password(tmp_path: Path, text: str, words: str) -> None:
    """By file and key, with what to write; nothing is ignored."""
    with pytest.raises(WebConfigError) as caught:
        write(tmp_path, text)
    assert words in str(caught.value)
    assert "web.yml" in str(caught.value)
    assert "plain-password" not in str(caught.value)


def test_the_file_is_prometheus_own(certificates: Path, tmp_path: Path) -> None:
    """promtool accepts what we accept: one file serves Prometheus, Alertmanager and our exporters."""
    hashed = hash_like("secret", "$2b$04$abcdefghijklmnopqrstuu" + "." * 31)
    text = (
        f"tls_server_config:\n  cert_file: {certificates}/server.pem\n  key_file: {certificates}/server.key\n"
        f"  min_version: TLS12\nbasic_auth_users:\n  prometheus: {hashed}\nhttp_server_config:\n  http2: false\n"
    )
    assert write(tmp_path, text).users == {"prometheus": hashed}
    done = subprocess.run(
        ["promtool", "check", "web-config", tmp_path / "web.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(WebConfigError, match=r"missing.yml cannot be read: No such file"):
        load(tmp_path / "missing.yml")


def test_ipv6() -> None:
    """An address with colons is one."""
    server = Server("::1", 0, {"test": CollectorLoop(Source(), 5.0)})
    server.start()
    try:
        connection = http.client.HTTPConnection("::1", server.port, timeout=5)
        connection.request("GET", "/-/healthy")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.stop()
