"""The profile `monitor`: the monitor machine alone, watching a Kafka of somebody else, here the simulated night's."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import yaml

from tests.compose.engine import ROOT, Failed, say
from tests.compose.project import Project

_MOST_MB = 900
_SECRETS = ("alertmanager_token", "page_password", "slack_token")


def watch(night: Project, project: Project, hours: float) -> None:
    """Start it, wait until it sees the Kafka, and measure its memory."""
    with tempfile.TemporaryDirectory(prefix="zads-compose-") as folder:
        Path(folder).chmod(0o755)
        _site(Path(folder), night)
        project.env |= {"ZADS_TOML": f"{folder}/zads.toml", "ZADS_SECRETS": f"{folder}/secrets", "ZADS_DEADMAN_URL": ""}
        project.engine = type(project.engine)(project.engine.folder, project.env)
        project.up()
        # The Kafka is on another network: the exporters get a way to it, as a real monitor has one.
        project.engine.podman("network", "connect", f"{night.name}_inside", project.container("exporters"))
        project.wait(
            120, "the monitor sees the Kafka", lambda: project.query('sum(zads_night_alerts{cluster="public"}) > 0')
        )
        project.wait(60, "all its targets are scraped", lambda: project.query("min(up) == 1"))
        most, end = _measure(project), time.monotonic() + max(30.0, hours * 3600)
        while time.monotonic() < end:
            time.sleep(10)
            most = max(most, _measure(project), key=lambda found: sum(found.values()))
    total = sum(most.values())
    content = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    grafana = int(content["grafana"]["mem_limit"].removesuffix("m"))
    parts = ", ".join(f"{name} {megabytes:.0f}" for name, megabytes in most.items())
    say(f"  the monitor's memory: {total:.0f} MB at most ({parts}); Grafana may take {grafana} more")
    if total + grafana > _MOST_MB:
        raise Failed(f"the monitor takes {total:.0f} MB and Grafana may take {grafana}: more than {_MOST_MB}")


def _measure(project: Project) -> dict[str, float]:
    return project.memory()


def _site(folder: Path, night: Project) -> None:
    """Write a site's zads.toml as short as `zads init` makes it, and its secrets."""
    kafka = night.container("kafka-host")
    (folder / "secrets").mkdir()
    (folder / "secrets").chmod(0o755)
    for name in _SECRETS:
        (folder / "secrets" / name).write_text("xoxb-a-key-of-these-tests-0123456789\n", encoding="utf-8")
        (folder / "secrets" / name).chmod(0o644)
    (folder / "zads.toml").write_text(
        f"""[site]
name = "ZADS"

[kafka.public]
bootstrap = ["{kafka}:22092"]

[[community]]
name = "lasair"
groups = ["lasair"]
commit_batch = 250

[prometheus]
address = "127.0.0.1:29090"

[notifier]
listen = "127.0.0.1:29380"
external_url = "http://127.0.0.1:29380"
token_file = "/etc/zads/secrets/alertmanager_token"
password_file = "/etc/zads/secrets/page_password"

[notifier.slack]
channel = "#zads-alerts"
token_file = "/etc/zads/secrets/slack_token"
base_url = "http://192.0.2.1/api/"

[wall]
listen = "127.0.0.1:28080"
""",
        encoding="utf-8",
    )
