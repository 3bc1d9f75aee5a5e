"""A notifier as a process of its own, told by posts as Alertmanager makes them, and a real Alertmanager beside it."""

from __future__ import annotations

import base64
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import requests

from benchmarks.notifier.recorder import Recorder

ZADS = str(Path(sys.executable).parent / "zads")
TOKEN = "bench"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait(what: object, seconds: float, condition: object) -> float:
    """Return the seconds until the condition holds; end the run where it does not in time."""
    begin = time.monotonic()
    while not condition():  # type: ignore[operator]
        if time.monotonic() - begin > seconds:
            raise SystemExit(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.02)
    return time.monotonic() - begin


class Notifier:
    """`zads notify serve` in a folder of its own."""

    def __init__(self, folder: Path, recorder: Recorder, channels: Sequence[str]) -> None:
        self.folder, self.port = folder, free_port()
        self.store = folder / "notifier.sqlite3"
        base = f"http://127.0.0.1:{recorder.port}"
        names = ", ".join(f'"{name}"' for name in channels)
        (folder / "secret").write_text(TOKEN)
        (folder / "signing").write_text(f"whsec_{base64.b64encode(bytes(32)).decode()}")
        tables = {
            "email": f'smarthost = "127.0.0.1:{recorder.mail_port}"\nsender = "a@example.org"\nto = ["b@example.org"]\nstarttls = false',
            "slack": f'channel = "#c"\ntoken_file = "{folder}/secret"\nbase_url = "{base}/slack/api/"',
            "pagerduty": f'routing_key_file = "{folder}/secret"\nbase_url = "{base}/pagerduty"',
            "webhook": f'url = "{base}/hook"\nsecret_file = "{folder}/signing"',
        }
        text = f"""[kafka.public]
bootstrap = ["127.0.0.1:1"]
[exporters]
state_dir = "{folder}"
[prometheus]
address = "127.0.0.1:2"
[alertmanager]
address = "127.0.0.1:3"
[notifier]
listen = "127.0.0.1:{self.port}"
store = "{self.store}"
token_file = "{folder}/secret"
[notifier.routes]
page = [{names}]
ticket = [{names}]
"""
        text += "".join(f"[notifier.{name}]\n{tables[name]}\n" for name in channels)
        (folder / "zads.toml").write_text(text)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; return the seconds until it says that it is ready."""
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [ZADS, "--config", str(self.folder / "zads.toml"), "notify", "serve"], stdout=log, stderr=log
        )
        return wait("the notifier's start", 120, self._ready)

    def _ready(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/-/ready", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    @property
    def megabytes(self) -> float:
        assert self.process
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def rows(self, query: str) -> list[tuple[float, ...]]:
        with sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=30) as db:
            return db.execute(query).fetchall()

    def post(self, session: requests.Session, alerts: Sequence[dict[str, object]]) -> None:
        body = json.dumps({"version": "4", "status": "firing", "alerts": alerts, "externalURL": "http://am"})
        answer = session.post(
            f"http://127.0.0.1:{self.port}/v1/alertmanager",
            data=body,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=60,
        )
        answer.raise_for_status()


def alert(number: int, severity: str = "page") -> dict[str, object]:
    now = datetime.now(UTC).isoformat()
    labels = {"alertname": "ServiceDown", "severity": severity, "headline": "KAFKA DOWN", "service": f"s{number:06d}"}
    notes = {"summary": f"Service n={number:06d} is down", "impact": "alerts wait", "first": "look at it"}
    return {
        "status": "firing",
        "labels": labels,
        "annotations": notes,
        "startsAt": now,
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{number:016x}",
    }


def paced(rate: float, count: int, send: object) -> dict[int, float]:
    """Call send(session, number) at a rate from four threads; return when each was accepted."""
    accepted: dict[int, float] = {}
    local, begin = threading.local(), time.monotonic() + 0.2

    def one(number: int) -> None:
        session = local.__dict__.setdefault("session", requests.Session())
        time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        send(session, number)  # type: ignore[operator]
        accepted[number] = time.time()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(count)))
    return accepted


@contextmanager
def alertmanager(folder: Path, receiver: str) -> Iterator[int]:
    """Run a real Alertmanager with one receiver, each alert a group of its own, told at once."""
    port = free_port()
    (folder / "am.yml").write_text(
        "route: {receiver: r, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\n"
        f"receivers: [{{name: r, {receiver}}}]\n"
    )
    program = os.environ.get("ALERTMANAGER") or "prometheus-alertmanager"
    process = subprocess.Popen(
        [
            *(program, f"--config.file={folder}/am.yml", f"--storage.path={folder}/am"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="),
        ],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "am.log").open("wb"),
    )
    try:
        wait("Alertmanager's start", 60, lambda: _answers(f"http://127.0.0.1:{port}/-/ready"))
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
