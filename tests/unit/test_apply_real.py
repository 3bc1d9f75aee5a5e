"""`zads config apply` with the real Prometheus and Alertmanager: what they loaded is what was written."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from zads.apply import ApplyRefused, apply
from zads.apply_record import read_outcome
from zads.config import ConfigErrors, load
from zads.render import render, write
from zads.stack import programs

_ALERTMANAGER = programs.find("alertmanager")


def _port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class Site:
    """A zads.toml, its rendered files and the two programs that read them."""

    folder: Path
    prometheus: str
    alertmanager: str

    @property
    def toml(self) -> Path:
        return self.folder / "zads.toml"

    @property
    def rendered(self) -> Path:
        return self.folder / "rendered"

    def write(self, *, gone: str = "20s", extra: str = "", lasair: int = 1_000_000) -> None:
        self.toml.write_text(
            f"""
            [kafka.public]
            bootstrap = ["127.0.0.1:9092"]
            [thresholds]
            service_recovering = "{gone}"
            [exporters]
            state_dir = "{self.folder}/state"
            [prometheus]
            address = "{self.prometheus}"
            [alertmanager]
            address = "{self.alertmanager}"
            [rendered]
            directory = "{self.rendered}"
            rules = "{self.folder}/rules"
            [[community]]
            name = "lasair"
            groups = ["lasair"]
            contracted_bytes_per_second = {lasair}
            {extra}
            """
        )

    def recorded(self, name: str) -> set[str]:
        with urllib.request.urlopen(f"http://{self.prometheus}/api/v1/rules?type=record", timeout=5) as answer:
            groups = json.load(answer)["data"]["groups"]
        return {rule["query"] for group in groups for rule in group["rules"] if rule["name"] == name}

    def rule(self, name: str, expression: str) -> None:
        text = f"groups:\n  - name: {name}\n    rules:\n      - record: {name}\n        expr: {expression}\n"
        (self.folder / "rules" / f"{name}.rules.yml").write_text(text)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "rules").mkdir()
    site = Site(folder, f"127.0.0.1:{_port()}", f"127.0.0.1:{_port()}")
    site.rule("some", "vector(1)")
    site.write()
    config = load(site.toml)
    write({**render(config, config.rendered.rules), "zads.toml": site.toml.read_text()}, site.rendered)
    programs = [
        [
            "prometheus",
            f"--config.file={site.rendered}/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address={site.prometheus}",
            "--web.enable-lifecycle",
        ],
        [
            _ALERTMANAGER,
            f"--config.file={site.rendered}/alertmanager.yml",
            f"--storage.path={folder}/alertmanager",
            f"--web.listen-address={site.alertmanager}",
            "--cluster.listen-address=",
        ],
    ]
    with (folder / "log").open("w") as log:
        running = [subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT) for argv in programs]
        try:
            for address in (site.prometheus, site.alertmanager):
                _wait_for(f"http://{address}/-/ready")
            yield site
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(20)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.1)


def test_a_change_is_loaded_and_recorded(site: Site) -> None:
    site.write(gone="25s", lasair=1_234_567)
    lines = apply(site.toml)
    assert "thresholds.rules.yml changed" in lines and "zads.toml changed" in lines
    assert site.recorded("zads:threshold_service_recovering") == {"vector(25)"}
    assert site.recorded("zads:community_contract_bytes") == {"vector(1.234567e+06)"}
    outcome = read_outcome(site.folder / "state")
    assert outcome is not None and outcome.success and outcome.applied_digest and outcome.errors == ()
    assert sorted(p.name for p in site.rendered.iterdir() if p.suffix in {".new", ".former"}) == []


def test_doing_it_again_changes_nothing(site: Site) -> None:
    site.write(gone="26s")
    apply(site.toml)
    assert apply(site.toml)[0] == "nothing changed"


def test_a_wrong_file_changes_nothing_and_is_recorded(site: Site) -> None:
    site.write(gone="27s")
    apply(site.toml)
    before = read_outcome(site.folder / "state")
    site.write(gone="never")
    with pytest.raises(ConfigErrors):
        apply(site.toml)
    assert site.recorded("zads:threshold_service_recovering") == {"vector(27)"}
    after = read_outcome(site.folder / "state")
    assert before is not None and after is not None
    assert not after.success and after.at > before.at
    assert "thresholds.service_recovering" in after.errors[0]
    assert (after.applied_digest, after.applied_at) == (before.applied_digest, before.applied_at)
    site.write(gone="27s")
    site.toml.write_text(site.toml.read_text() + "[broken")
    with pytest.raises(ConfigErrors):
        apply(site.toml)
    broken = read_outcome(site.folder / "state")
    assert broken is not None and not broken.success and "not valid TOML" in broken.errors[0]


def test_rules_that_promtool_refuses_change_nothing(site: Site) -> None:
    site.write(gone="28s")
    apply(site.toml)
    site.rule("bad", "sum(")
    try:
        site.write(gone="29s")
        with pytest.raises(ApplyRefused, match=r"promtool check(.|\n)*Nothing was changed"):
            apply(site.toml)
    finally:
        (site.folder / "rules" / "bad.rules.yml").unlink()
    assert site.recorded("zads:threshold_service_recovering") == {"vector(28)"}


def test_another_folder_than_the_one_that_prometheus_reads_is_noticed_and_cleared(site: Site, tmp_path: Path) -> None:
    """The reload succeeds, but of other files: only asking what was loaded finds that."""
    site.write(gone="30s")
    apply(site.toml)
    site.write(gone="31s")
    with pytest.raises(ApplyRefused, match="runs with another zads:threshold_service_recovering"):
        apply(site.toml, tmp_path / "elsewhere")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert site.recorded("zads:threshold_service_recovering") == {"vector(30)"}


def test_a_program_that_is_away_is_noticed_before_anything_changes(site: Site) -> None:
    site.write(gone="32s")
    apply(site.toml)
    text = (site.rendered / "thresholds.rules.yml").read_text()
    site.write(gone="33s")
    site.toml.write_text(site.toml.read_text().replace(site.alertmanager, f"127.0.0.1:{_port()}"))
    with pytest.raises(ApplyRefused, match=r"alertmanager: .* does not answer(.|\n)*Nothing was changed"):
        apply(site.toml)
    assert (site.rendered / "thresholds.rules.yml").read_text() == text


@pytest.mark.parametrize("interval", ["10s", "90s", "150s", "1.5s"])
def test_durations_that_prometheus_writes_differently_are_the_same(site: Site, interval: str) -> None:
    site.write()
    site.toml.write_text(site.toml.read_text().replace("[prometheus]", f'[prometheus]\nscrape_interval = "{interval}"'))
    apply(site.toml)


def test_every_channel_and_every_kind_of_secret_is_taken_by_alertmanager(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets of the environment reach Alertmanager as files that only owner and group can read."""
    for name in ("TOKEN", "SMTP", "SLACK", "KEY"):
        monkeypatch.setenv(f"ZADS_{name}", f"{name.lower()}-hunter2")
    site.write(
        extra="""
        [notifier]
        token_env = "ZADS_TOKEN"
        [notifier.email]
        smarthost = "smtp.example.org:587"
        sender = "zads@example.org"
        to = ["a@example.org", "b@example.org"]
        username = "zads"
        password_env = "ZADS_SMTP"
        [notifier.slack]
        channel = "#alerts"
        token_env = "ZADS_SLACK"
        [notifier.pagerduty]
        routing_key_env = "ZADS_KEY"
        """
    )
    apply(site.toml)
    secrets = site.rendered / "secrets"
    assert (secrets / "alertmanager_token").read_text() == "token-hunter2"
    assert {p.name: oct(p.stat().st_mode & 0o777) for p in secrets.iterdir()} == dict.fromkeys(
        ("alertmanager_token", "smtp_password", "slack_token", "pagerduty_key"), "0o640"
    )
    assert "hunter2" not in "".join(p.read_text() for p in site.rendered.iterdir() if p.is_file())
    site.write()
    apply(site.toml)
    assert list(secrets.iterdir()) == []
