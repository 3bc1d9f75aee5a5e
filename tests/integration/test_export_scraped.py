"""A real Prometheus scrapes real exporters by what is rendered: over TLS, with a password, one process or several."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.test_kafka_lag_cli import free_port
from zads import apply_programs
from zads.config import load
from zads.web_config import _hash as hash_like

pytestmark = pytest.mark.timeout(120)
NAMES = ("kafka-lag", "broker-egress", "alert-arrival", "services")
PASSWORD = "xyzzy-4711"


def wait(happened: Callable[[], bool], seconds: float = 30.0, words: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, words()
        time.sleep(0.2)


class Site:
    """A zads.toml with a web config file, its certificate, and what is rendered from it; no Kafka answers."""

    def __init__(self, folder: Path, *, one_process: bool) -> None:
        self.folder, self.rendered = folder, folder / "rendered"
        self.ports = {name: free_port() for name in (*NAMES, "all", "prometheus", "kafka")}
        self.one_process = one_process
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key"
        command += " -out server.pem -days 1 -subj /CN=monitor -addext subjectAltName=DNS:monitor.example.org"
        subprocess.run(command.split(), cwd=folder, capture_output=True, check=True)
        self.password(PASSWORD)
        (folder / "password").write_text(f"{PASSWORD}\n")
        (folder / "rules").mkdir()
        rule = "groups: [{name: some, rules: [{record: some, expr: vector(1)}]}]\n"
        (folder / "rules" / "some.rules.yml").write_text(rule)
        self.write()

    def password(self, password: str) -> None:
        """Let the exporters ask for this password."""
        hashed = hash_like(password, "$2b$04$abcdefghijklmnopqrstuu" + "." * 31)
        (self.folder / "web.yml").write_text(
            f"tls_server_config: {{cert_file: server.pem, key_file: server.key}}\nbasic_auth_users: {{prometheus: {hashed}}}\n"
        )

    @property
    def toml(self) -> Path:
        return self.folder / "zads.toml"

    def write(self, secret: str = 'password_file = "password"') -> None:
        ports = "\n".join(f"{name.replace('-', '_')}_port = {self.ports[name]}" for name in (*NAMES, "all"))
        self.toml.write_text(
            f"""
            [kafka.public]
            bootstrap = ["127.0.0.1:{self.ports["kafka"]}"]
            [exporters]
            interval = "500ms"
            state_dir = "{self.folder}/state"
            web_config_file = "web.yml"
            one_process = {str(self.one_process).lower()}
            {ports}
            [exporters.scrape]
            ca_file = "server.pem"
            server_name = "monitor.example.org"
            username = "prometheus"
            {secret}
            [prometheus]
            address = "127.0.0.1:{self.ports["prometheus"]}"
            scrape_interval = "1s"
            [rendered]
            directory = "{self.rendered}"
            rules = "{self.folder}/rules"
            """
        )

    def zads(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "zads.cli", "--config", str(self.toml), *arguments],
            cwd=self.folder,
            env={"PATH": "/usr/bin", "ZADS_ALERTMANAGER_TOKEN": "x", "PYTHONPATH": str(Path.cwd()), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextlib.contextmanager
    def running(self, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(argv, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)

    def exporter(self, name: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        return self.running(sys.executable, "-m", "zads.cli", "--config", str(self.toml), "export", name)

    def prometheus(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        return self.running(
            "prometheus",
            f"--config.file={self.rendered}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}",
        )

    def asked(self, path: str) -> object:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['prometheus']}{path}", timeout=5) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def query(self, expression: str) -> dict[str, float]:
        """Return the values by job."""
        data = self.asked(f"/api/v1/query?query={urllib.parse.quote(expression)}")
        rows = data["result"] if isinstance(data, dict) else []
        return {row["metric"].get("job", ""): float(row["value"][1]) for row in rows}

    def log(self) -> str:
        return (self.folder / "log").read_text()


@pytest.fixture(params=[False, True], ids=["several", "one"])
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    return Site(tmp_path, one_process=request.param)


def test_prometheus_scrapes_over_tls_with_a_password(site: Site) -> None:
    """All four are up, by what promtool accepts too; no secret stands in a rendered file; another password is refused."""
    done = site.zads("config", "render")
    assert done.returncode == 0, done.stderr
    checked = subprocess.run(
        ["promtool", "check", "config", site.rendered / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for file in (path for path in site.rendered.rglob("*") if path.is_file()):
        assert PASSWORD not in file.read_text(), file
        assert "$2b$" not in file.read_text(), file
    with contextlib.ExitStack() as stack:
        for name in ("all",) if site.one_process else NAMES:
            stack.enter_context(site.exporter(name))
        stack.enter_context(site.prometheus())
        ours = 'up{job=~"kafka-lag|broker-egress|alert-arrival|services"}'
        wait(lambda: site.query(ours) == dict.fromkeys(NAMES, 1.0), words=lambda: f"{site.query(ours)} {site.log()}")
        wait(lambda: set(site.query("zads_collector_success")) == set(NAMES))
        collectors = {job: site.query(f'zads_collector_success{{job="{job}",collector="{job}"}}') for job in NAMES}
        assert all(collectors.values()), "each job's path is its own exporter's"
        assert site.query('zads_cluster_up{cluster="public"}') == {"kafka-lag": 0.0}
        # What `zads config apply` asks after a reload: Prometheus runs with what was written.
        files = {name: (site.rendered / name).read_text() for name in ("prometheus.yml", "thresholds.rules.yml")}
        apply_programs._prometheus_loaded(f"127.0.0.1:{site.ports['prometheus']}", files, site.rendered)
        port = site.ports["all" if site.one_process else "services"]
        context = ssl.create_default_context(cafile=str(site.folder / "server.pem"))
        context.check_hostname = False
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"https://127.0.0.1:{port}/metrics", timeout=5, context=context)
        (site.folder / "password").write_text("another\n")
        wait(lambda: site.query(ours) == dict.fromkeys(NAMES, 0.0), words=lambda: str(site.query(ours)))
        targets = site.asked("/api/v1/targets")
        assert isinstance(targets, dict)
        said = [target["lastError"] for target in targets["activeTargets"] if target["labels"]["job"] in NAMES]
        assert all("401" in words for words in said), said


def test_a_password_of_the_environment_is_written_for_prometheus_alone(tmp_path: Path) -> None:
    """Readable by its owner and group, beside the rendered files, which name it; who does not set it is told."""
    site = Site(tmp_path, one_process=True)
    site.write('password_env = "ZADS_SCRAPE_PASSWORD"')
    done = site.zads("config", "render")
    assert done.returncode == 2
    assert "exporters.scrape.password_env: the environment variable ZADS_SCRAPE_PASSWORD is not set" in done.stderr
    done = site.zads("config", "check", "--secrets")
    assert "exporters.scrape.password_env" in done.stderr
    done = site.zads("config", "render", ZADS_SCRAPE_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stderr
    file = site.rendered / "secrets" / "scrape_password"
    assert (file.read_text(), oct(file.stat().st_mode & 0o777)) == (PASSWORD, "0o640")
    assert f"password_file: {file}" in (site.rendered / "prometheus.yml").read_text()
    assert PASSWORD not in (site.rendered / "prometheus.yml").read_text()
    assert load(site.toml).exporters.scrape.username == "prometheus"
