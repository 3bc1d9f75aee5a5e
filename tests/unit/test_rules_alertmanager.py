"""The rendered alertmanager.yml in a real Alertmanager: one cause, one message; a dead notifier is told by Slack's Web API."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from zads import render
from zads.config import parse
from zads.stack import programs
from zads.stack.inbox_store import Inbox
from zads.stack.standins import Slack

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "xoxb-test"  # the stand-in's


@dataclass
class Desk:
    """Alertmanager, and in one server the notifier's webhook and Slack's stand-in."""

    alertmanager: str
    inbox: Inbox
    told: list[dict[str, Any]] = field(default_factory=list)

    def post(self, *alerts: dict[str, str], over: bool = False) -> None:
        now = datetime.now(UTC)
        ends = now - timedelta(seconds=1) if over else now + timedelta(minutes=10)
        body = [
            {
                "labels": labels,
                "annotations": {"summary": f"{labels['headline'].title()} since 08:01 UTC", "impact": "I.", "first": "F."},
                "startsAt": (now - timedelta(minutes=1)).isoformat(),
                "endsAt": ends.isoformat(),
            }
            for labels in alerts
        ]
        request = urllib.request.Request(
            f"http://{self.alertmanager}/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 200

    def names(self, status: str = "firing") -> list[str]:
        return [alert["labels"]["alertname"] for body in self.told for alert in body["alerts"] if alert["status"] == status]


def _until(found: Callable[[], Any], seconds: float = 10.0) -> Any:
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if result := found():
            return result
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:.0f} s")


def _fired(name: str, **wanted: str) -> dict[str, str]:
    """Return the labels with which the alert fires in the rules' own tests."""
    for file in sorted((ROOT / "alertrules" / "tests").glob("*_test.yml")):
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for case in test.get("alert_rule_test", ()):
                for alert in case["exp_alerts"] if case["alertname"] == name else ():
                    labels = {"alertname": name, **alert["exp_labels"]}
                    if wanted.items() <= labels.items():
                        return labels
    raise AssertionError(f"no test in which {name} fires with {wanted}")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    inbox = Inbox(tmp_path / "received.jsonl")
    slack = Slack(inbox, TOKEN, "#a")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    desk = Desk(address, inbox)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer: Any = {}
            if self.path.startswith("/slack/api/"):
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                answer = slack.call(self.path.rpartition("/")[2], token, body).body
            elif self.path == "/v1/alertmanager":
                desk.told.append(body)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"127.0.0.1:{server.server_address[1]}"
    for name in ("token", "slack"):
        (tmp_path / name).write_text(TOKEN)
    config = parse(
        f"""
        [kafka.public]
        bootstrap = ["127.0.0.1:9092"]
        [alertmanager]
        address = "{address}"
        [notifier]
        listen = "{here}"
        token_file = "{tmp_path}/token"
        [notifier.slack]
        channel = "#a"
        token_file = "{tmp_path}/slack"
        base_url = "http://{here}/slack/api/"
        """
    )
    (tmp_path / "alertmanager.yml").write_text(render.alertmanager(config))
    command = [str(programs.find("alertmanager")), f"--config.file={tmp_path}/alertmanager.yml"]
    command += [f"--storage.path={tmp_path}/data", f"--web.listen-address={address}", "--cluster.listen-address="]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _until(lambda: _ready(address), 20.0)
            yield desk
        finally:
            process.terminate()
            process.wait(10)
            server.shutdown()
            server.server_close()


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_one_cause_is_one_message(desk: Desk) -> None:
    """Kafka down silences its communities, the stream and the mirror; not a security alarm, not another host."""
    desk.post(_fired("ServiceDown", part="public", host="zads"))
    _until(desk.names)
    desk.post(
        _fired("AlertsNotArriving"),
        _fired("CommunityLagging"),
        _fired("CommunitiesBehind"),
        _fired("CommunityDisconnected"),
        _fired("MirrorLagging"),
        _fired("AlertsMissing"),
        _fired("ServiceNotAnswering", part="mirror"),
        _fired("RestrictedDataExposed"),
    )
    _until(lambda: "RestrictedDataExposed" in desk.names())
    time.sleep(2.5)
    assert sorted(desk.names()) == ["RestrictedDataExposed", "ServiceDown"]
    # Lost sight: what is silenced and over is not told as over either.
    desk.post(_fired("CommunityLagging"), over=True)
    time.sleep(2.5)
    assert not desk.names("resolved")


def test_a_host_that_is_gone_silences_what_runs_on_it(desk: Desk) -> None:
    """Its services and exporters, those of no other host; a late mirror does not hide that IPAC itself is late."""
    desk.post(_fired("HostDown"), _fired("ServiceNotAnswering", part="mirror"))
    _until(lambda: "HostDown" in desk.names())
    desk.post(
        _fired("ExporterDown"),
        _fired("CollectorFailing"),
        _fired("OpenFilesNearLimit") | {"host": "elsewhere"},
        _fired("AlertsArrivingSlowly", stage="mirror"),
        _fired("AlertsArrivingSlowly", stage="exposure"),
    )
    _until(lambda: {"OpenFilesNearLimit", "AlertsArrivingSlowly"} <= set(desk.names()))
    time.sleep(2.5)
    late = [a["labels"]["stage"] for body in desk.told for a in body["alerts"] if "stage" in a["labels"]]
    assert late == ["exposure"]
    assert not {"ExporterDown", "CollectorFailing"} & set(desk.names())


def test_a_dead_notifier_is_told_by_slack(desk: Desk) -> None:
    """By Alertmanager itself, with the bot's token: what to do stands in it, and so does its end."""
    desk.post(_fired("NotifierDown"))
    message = _until(lambda: [m for m in desk.inbox.all() if m["channel"] == "slack"])[0]
    assert "NOTIFIER DOWN (firing)" in json.dumps(message["raw"])
    assert "First: F." in json.dumps(message["raw"])
    desk.post(_fired("NotifierDown"), over=True)
    _until(lambda: [m for m in desk.inbox.all() if "NOTIFIER DOWN (resolved)" in json.dumps(m["raw"])], 20.0)
    assert not desk.told
