"""A whole notifier on ports of its own, with stand-ins for the providers, Prometheus and Alertmanager."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from notifier.daemon import Notifier, build_channels, open_store, read_access
from notifier.routing import Router
from tests.unit.notifier.monitoring import Monitoring
from zads.config import Config, parse
from zads.stack.inbox import DeadMan, application
from zads.stack.inbox_store import Inbox
from zads.stack.standin_smtp import SmtpLimits, SmtpServer
from zads.stack.standins import PagerDuty, Slack

KEY, TOKEN = "0123456789abcdef0123456789abcdef", "xoxb-test"
_PORTS = random.SystemRandom()
OURS = "http://alertmanager.example.org:9093"


def free_port() -> int:
    """Return a port that nobody has now: below those that the kernel gives to clients, which would take it meanwhile."""
    while True:
        port = _PORTS.randrange(10_000, 20_000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait(found: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError("not in time")


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


class Site:
    """Stand-ins, a config that points at them, and a notifier that can be started and stopped."""

    def __init__(
        self, folder: Path, *, to: tuple[str, ...] = ("one@example.org", "two@example.org"), more: str = ""
    ) -> None:
        self.folder = folder
        self.http, self.smtp, self.own = free_port(), free_port(), free_port()
        self.prometheus, self.alertmanager = free_port(), free_port()
        for name, secret in (("slack", TOKEN), ("pagerduty", KEY), ("token", "bearer-secret")):
            (folder / name).write_text(secret)
        self.toml = f"""
            [kafka.public]
            bootstrap = ["127.0.0.1:1"]
            [exporters]
            state_dir = "{folder}/state"
            [prometheus]
            address = "127.0.0.1:{self.prometheus}"
            [alertmanager]
            address = "127.0.0.1:{self.alertmanager}"
            [notifier]
            listen = "127.0.0.1:{self.own}"
            external_url = "http://127.0.0.1:{self.own}"
            store = "{folder}/notifier.sqlite3"
            token_file = "{folder}/token"
            {more}
            [notifier.email]
            smarthost = "127.0.0.1:{self.smtp}"
            sender = "zads@example.org"
            to = {json.dumps(to)}
            starttls = false
            [notifier.slack]
            channel = "#alerts"
            token_file = "{folder}/slack"
            base_url = "http://127.0.0.1:{self.http}/slack/api/"
            [notifier.pagerduty]
            routing_key_file = "{folder}/pagerduty"
            base_url = "http://127.0.0.1:{self.http}/pagerduty"
            """
        self.config: Config = parse(self.toml)
        self.inbox = Inbox(folder / "inbox.jsonl")
        self.slack: Any = Slack(self.inbox, TOKEN, "#alerts")
        self.pagerduty = PagerDuty(self.inbox, KEY)
        self.monitoring = Monitoring()
        self._mail: SmtpServer | None = None
        self.mail_limits: SmtpLimits | None = None
        self._servers: list[tuple[uvicorn.Server, int]] = []
        self.notifier: Notifier | None = None

    def serve(self, app: Any, port: int) -> uvicorn.Server:
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
        threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True).start()
        wait(lambda: server.started)
        self._servers.append((server, port))
        return server

    def start_providers(self) -> None:
        self._mail = SmtpServer(self.inbox, "127.0.0.1", self.smtp, limits=self.mail_limits)
        self._mail.start()
        self.serve(application(self.inbox, self.slack, self.pagerduty, DeadMan(self.inbox)), self.http)

    def start_monitoring(self) -> None:
        self.serve(self.monitoring.application(), self.prometheus)
        self.serve(self.monitoring.application(), self.alertmanager)

    def stop_port(self, port: int) -> None:
        for server, number in self._servers:
            if number == port:
                server.should_exit = True
        wait(lambda: not listens(port))

    def build(self, **words: Any) -> Notifier:
        """Put a notifier together without starting anything."""
        token, password = read_access(self.config, "test")
        router = Router(self.config)
        store, channels = open_store(self.config, router), build_channels(self.config, "test")
        self.notifier = Notifier(self.config, store, router, channels, token, password, **words)
        return self.notifier

    def start(self, *, watch: bool = False, **words: Any) -> Notifier:
        notifier = self.build(**words)
        if watch:
            notifier.start()
        else:
            notifier.store.own()
            notifier.dispatcher.start()
        self.serve(notifier.application, self.own)
        return notifier

    def stop(self) -> None:
        assert self.notifier
        self.stop_port(self.own)
        self.notifier.stop()
        self.notifier = None

    def close(self) -> None:
        for server, _ in self._servers:
            server.should_exit = True
        if self.notifier:
            self.notifier.stop()
        if self._mail:
            self._mail.stop()

    def post(
        self,
        *alerts: Any,
        token: str = "bearer-secret",
        body: bytes | None = None,
        source: str = OURS,
        path: str = "alertmanager",
    ) -> int:
        content = {"version": "4", "alerts": alerts, "status": "firing", "externalURL": source}
        data = body if body is not None else json.dumps(content).encode()
        return self.request(f"/v1/{path}", data, {"Authorization": f"Bearer {token}"})[0]

    def heartbeat(self, status: str = "firing") -> int:
        watchdog = {**alert(status, mark="watchdog", severity="info"), "labels": {"alertname": "Watchdog"}}
        return self.post(watchdog, path="heartbeat/alertmanager")

    def request(self, path: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.own}{path}", data, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def form(self, path: str, **fields: str) -> int:
        return self.request(path, urllib.parse.urlencode(fields).encode())[0]

    def got(self, channel: str, state: str) -> list[dict[str, Any]]:
        return [m for m in self.inbox.all() if m["channel"] == channel and m["state"] == state]

    def all_told(self, state: str) -> bool:
        """Tell whether PagerDuty, Slack and both mailboxes have a message of this state."""
        return bool(self.got("pagerduty", state) and self.got("slack", state) and len(self.got("email", state)) >= 2)


def alert(
    status: str = "firing", *, starts: str = "2026-04-01T08:00:00Z", severity: str = "page", mark: str = "a"
) -> dict[str, Any]:
    return {
        "status": status,
        "fingerprint": f"f-{mark}",
        "startsAt": starts,
        "endsAt": "2026-04-01T08:09:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "labels": {
            "alertname": "ServiceDown",
            "severity": severity,
            "headline": "KAFKA DOWN",
            "service": "kafka-public",
            "label": "Kafka",
        },
        "annotations": {
            "summary": "Kafka down on zads <b>&amp;</b>",
            "impact": "No alerts.",
            "first": "look",
            "runbook_url": "docs/runbook.md#servicedown",
        },
    }
