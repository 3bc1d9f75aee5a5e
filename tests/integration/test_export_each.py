"""Each of the four exporters, and all in one, as a process on a real Kafka: once, check, TLS and password, reload, end."""

from __future__ import annotations

import base64
import ctypes
import http.client
import re
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.test_kafka_lag import Bench, wait
from tests.integration.test_kafka_lag_cli import Export, free_port
from tests.support.screenshot import opened
from zads.config import KafkaCluster
from zads.web_config import _hash as hash_like

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]
NAMES = ("kafka-lag", "broker-egress", "alert-arrival", "services")
EACH = pytest.mark.parametrize("name", [*NAMES, "all"])
NIGHT = "ztf_20260501_programid1"
PASSWORDS = ("xyzzy-4711", "plugh-4712")


class Site(Export):
    """A whole site: a community, this machine, Kafka as a service; each exporter's port is the one of the test."""

    def __init__(self, folder: Path, cluster: KafkaCluster, name: str) -> None:
        self.key = name.replace("-", "_")
        super().__init__(folder, cluster)

    def write(self, more: str = "", **exporters: object) -> None:
        port = exporters.pop("port", self.port)
        keys = {f"{name.replace('-', '_')}_port": free_port() for name in NAMES} | {f"{self.key}_port": port}
        super().write(
            f"""
            [internal]
            networks = []
            [[community]]
            name = "lasair"
            groups = ["lasair"]
            networks = ["127.0.0.0/8"]
            [[host]]
            name = "zads"
            address = "127.0.0.1"
            probe = "{self.bootstrap}"
            [[service]]
            name = "kafka-public"
            host = "zads"
            role = "kafka"
            probe = "kafka://{self.bootstrap}"
            process = 'kafka\\.Kafka .*server\\.properties'
            {more}
            """,
            **{**keys, "all_port": port if self.key == "all" else free_port(), **exporters},
        )

    def secure(self, password: str) -> None:
        """Let the web config file ask for TLS and this password."""
        if not (self.folder / "server.pem").exists():
            command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key"
            command += " -out server.pem -days 1 -subj /CN=monitor -addext subjectAltName=IP:127.0.0.1"
            subprocess.run(command.split(), cwd=self.folder, capture_output=True, check=True)
        hashed = hash_like(password, "$2b$04$abcdefghijklmnopqrstuu" + "." * 31)
        (self.folder / "web.yml").write_text(
            f"tls_server_config: {{cert_file: server.pem, key_file: server.key}}\nbasic_auth_users: {{ada: {hashed}}}\n"
        )

    def asked(self, path: str, password: str | None) -> tuple[int, str]:
        """Ask over TLS; (0, "") where nothing speaks it."""
        context = ssl.create_default_context(cafile=str(self.folder / "server.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)
        login = base64.b64encode(f"ada:{password}".encode()).decode()
        try:
            connection.request("GET", path, headers={"Authorization": f"Basic {login}"} if password else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()


@pytest.fixture
def site(tmp_path: Path, cluster: KafkaCluster, name: str) -> Site:
    return Site(tmp_path, cluster, name)


@pytest.fixture(scope="module", autouse=True)
def bench(cluster: KafkaCluster) -> Bench:
    """A night with thirty alerts, of which a community has read ten."""
    made = Bench(cluster)
    made.topic(NIGHT, 2)
    made.send(NIGHT, 30)
    made.commit("lasair", NIGHT, {0: 10})
    return made


@EACH
def test_check_says_all_that_is_wrong_at_once(site: Site, name: str) -> None:
    """What zads.toml says, then the files that it names: by line and dotted path, exit code 2; nothing is listened on."""
    done = site.run(name, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{site.file} is right for ")
    site.file.write_text('[kafka.public]\nbootstrap = [7]\n[exporters]\ninterval = "soon"\nweb_config = "x"\n')
    done = site.run(name, "--check")
    assert done.returncode == 2
    assert re.findall(r"^\S+zads\.toml:(\d+): ([\w.\[\]]+): ", done.stderr, re.MULTILINE) == [
        ("2", "kafka.public.bootstrap[0]"),
        ("4", "exporters.interval"),
        ("5", "exporters.web_config"),
    ]
    site.file.write_text(
        '[kafka.public]\nbootstrap = ["127.0.0.1:1"]\nsecurity_protocol = "SASL_SSL"\nsasl_mechanism = "PLAIN"\n'
        'sasl_username = "zads"\nsasl_password_file = "/nowhere/password"\nca_file = "/nowhere/ca.pem"\n'
        '[exporters]\nweb_config_file = "/nowhere/web.yml"\n'
    )
    done = site.run(name, "--check")
    assert done.returncode == 2
    paths = ["kafka.public.sasl_password_file", "kafka.public.ca_file", "exporters.web_config_file"]
    # The services' probe asks before anybody logs in: TLS has to be right, the password is not read.
    wanted = paths[1:] if name == "services" else paths
    assert re.findall(r"^\S+zads\.toml: ([\w.]+): ", done.stderr, re.MULTILINE) == wanted, done.stderr
    assert site.run(name).returncode == 2, "it does not start either"
    assert "Traceback" not in done.stderr


@EACH
def test_once_prints_what_it_sees_and_fails_when_it_cannot_look(site: Site, name: str) -> None:
    """Standard output is metrics; without Kafka the three that read it fail, the services say that it does not answer."""
    done = site.run(name, "--once")
    assert done.returncode == 0, done.stderr
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=done.stdout, capture_output=True, text=True, check=False
    )
    # Foreign names are as they are (3); what cannot be read at all is another thing.
    assert checked.returncode in {0, 3}, checked.stderr
    assert "error while linting" not in checked.stderr
    names = {sample.name for family in text_string_to_metric_families(done.stdout) for sample in family.samples}
    wanted = {
        "kafka-lag": "kafka_consumergroup_lag",
        "broker-egress": "zads_community_egress_bytes_total",
        "alert-arrival": "zads_night_alerts",
        "services": "zads_service_answering",
    }
    assert {wanted[one] for one in NAMES if name in {one, "all"}} <= names
    site.bootstrap = f"127.0.0.1:{free_port()}"
    site.write()
    done = site.run(name, "--once")
    assert done.returncode == (0 if name == "services" else 1)
    assert "Traceback" not in done.stderr
    assert "zads_collector_success" in done.stdout
    if name in {"services", "all"}:
        assert re.search(r'^zads_service_answering\{[^}]*service="kafka-public"[^}]*\} 0\.0$', done.stdout, re.MULTILINE)
    for one in (one for one in NAMES[:3] if name in {one, "all"}):
        assert re.search(rf"^{one}: .*(answers|cannot|can be read)", done.stderr, re.MULTILINE), done.stderr


@EACH
def test_it_serves_over_tls_with_a_password_reloads_and_ends(site: Site, name: str) -> None:
    """By the file that zads.toml names. SIGHUP takes another password, another port, and nothing of a file that is wrong.
    SIGTERM is an orderly end. No secret on a page."""
    site.secure(PASSWORDS[0])
    web = f'"{site.folder}/web.yml"'
    site.write(web_config_file=web)
    with site.serving(name) as process:
        wait(lambda: site.asked("/-/ready", PASSWORDS[0])[0] == 200, 40)
        for path in ("/", "/metrics", "/-/healthy", "/-/ready"):
            assert site.asked(path, None)[0] == site.asked(path, "guess")[0] == 401
            status, text = site.asked(path, PASSWORDS[0])
            assert status == 200
            assert not any(secret in text for secret in (*PASSWORDS, "$2b$"))
        assert site.get("/metrics")[0] == 0, "plain text is not spoken"
        site.secure(PASSWORDS[1])
        process.send_signal(signal.SIGHUP)
        wait(lambda: site.asked("/-/ready", PASSWORDS[1])[0] == 200, 40)
        assert site.asked("/metrics", PASSWORDS[0])[0] == 401
        (site.folder / "web.yml").write_text("basic_auth_users: {ada: plain}\n")
        process.send_signal(signal.SIGHUP)
        wait(lambda: "is not taken, the former configuration stays" in site.log())
        assert "exporters.web_config_file" in site.log()
        assert site.asked("/metrics", PASSWORDS[1])[0] == 200
        site.write()
        process.send_signal(signal.SIGHUP)
        wait(lambda: site.get("/-/ready")[0] == 200, 40)
        other = free_port()
        site.write(port=other)
        process.send_signal(signal.SIGHUP)
        wait(lambda: site.get("/-/ready", other)[0] == 200, 40)
        assert site.get("/-/ready")[0] == 0
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - begin < 10
    assert "Traceback" not in site.log()


@EACH
def test_a_taken_port_is_named_with_its_key(site: Site, name: str) -> None:
    """In one line, exit code 1."""
    with socket.create_server(("127.0.0.1", site.port)):
        done = site.run(name)
    assert done.returncode == 1
    assert f"exporters.{site.key}_port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["all"])
def test_the_page_says_in_words_what_each_sees(site: Site, name: str, bench: Bench) -> None:
    """In a real browser: Kafka, the night, who takes what, which service answers; and what it cannot see once Kafka is away."""
    with site.serving(name) as process:
        wait(lambda: site.get("/-/ready")[0] == 200, 40)
        wait(lambda: "in the last" in site.get("/")[1], 20)
        with opened(f"http://127.0.0.1:{site.port}/") as (page, errors):
            text = page.inner_text("body")
            page.screenshot(path=str(site.folder / "page.png"), full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not errors
        assert re.search(r"kafka-lag\nsees 1 broker, ", text), text
        assert re.search(
            r"broker-egress\nsees \d+ connections? of 1 community, \d+ kB/s in the last \d+ s\ncommitted offsets too\n", text
        ), text
        assert re.search(r"alert-arrival\nsees the public cluster\ntonight \d{8}: no topic here yet\nlast alert ", text), (
            text
        )
        assert re.search(r"services\nsees kafka-public: answers in \d+ ms, up since \w{3} \d\d:\d\d UTC", text), text
        assert text.count("Metrics") == 4
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize("name", ["services"])
def test_a_signal_that_another_thread_is_given_is_heard_all_the_same(site: Site, name: str) -> None:
    """The kernel may give a process' signal to any of its threads: SIGTERM ends it within seconds."""
    libc = ctypes.CDLL(None, use_errno=True)
    with site.serving(name) as process:
        wait(lambda: site.get("/-/ready")[0] == 200, 40)

        def give(number: signal.Signals) -> None:
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                status = (task / "status").read_text()
                blocked = int(re.search(r"^SigBlk:\s*(\w+)$", status, re.MULTILINE)[1], 16)  # type: ignore[index]
                if int(task.name) != process.pid and not blocked >> (number - 1) & 1:
                    assert libc.tgkill(process.pid, int(task.name), number) == 0
                    return
            raise AssertionError("each other thread blocks it")

        give(signal.SIGTERM)
        assert process.wait(15) == 0
