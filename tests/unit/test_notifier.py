"""The notifier against the recording stand-ins, over the wire: nothing lost, nothing twice, order kept."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from aiosmtpd.controller import Controller

from notifier.cli import build_channels
from notifier.dispatch import Dispatcher, backoff
from notifier.model import BadBodyError, parse_webhook
from notifier.render import duration
from notifier.routing import channels_for, fallback_for
from notifier.store import Store
from notifier.watch import Watch
from notifier.webhook import Application
from zads.config import Config, parse
from zads.stack.inbox import DeadMan, _Smtp, application
from zads.stack.inbox_store import Inbox
from zads.stack.standins import PagerDuty, Slack

KEY, TOKEN = "0123456789abcdef0123456789abcdef", "xoxb-test"


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def _wait(found: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError("not in time")


class Site:
    """Stand-ins, a config that points at them, and a notifier that can be started and stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.http, self.smtp, self.own = folder, _port(), _port(), _port()
        for name, secret in (("slack", TOKEN), ("pagerduty", KEY), ("token", "bearer-secret")):
            (folder / name).write_text(secret)
        self.config: Config = parse(
            f"""
            [kafka.public]
            bootstrap = ["127.0.0.1:1"]
            [notifier]
            listen = "127.0.0.1:{self.own}"
            external_url = "http://127.0.0.1:{self.own}"
            store = "{folder}/notifier.sqlite3"
            token_file = "{folder}/token"
            [notifier.email]
            smarthost = "127.0.0.1:{self.smtp}"
            sender = "zads@example.org"
            to = ["one@example.org", "two@example.org"]
            starttls = false
            [notifier.slack]
            channel = "#alerts"
            token_file = "{folder}/slack"
            base_url = "http://127.0.0.1:{self.http}/slack/api/"
            [notifier.pagerduty]
            routing_key_file = "{folder}/pagerduty"
            base_url = "http://127.0.0.1:{self.http}/pagerduty"
            """
        )
        self.inbox = Inbox(folder / "inbox.jsonl")
        self._controller = Controller(_Smtp(self.inbox), hostname="127.0.0.1", port=self.smtp)
        self._servers: list[uvicorn.Server] = []
        self.slack = Slack(self.inbox, TOKEN, "#alerts")
        self.parts: tuple[Store, Dispatcher, Watch] | None = None

    def _serve(self, app: Any, port: int) -> uvicorn.Server:
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
        thread.start()
        _wait(lambda: server.started)
        self._servers.append(server)
        return server

    def start_providers(self) -> None:
        self._controller.start()
        self._serve(application(self.inbox, self.slack, PagerDuty(self.inbox, KEY), DeadMan(self.inbox)), self.http)

    def start(self) -> None:
        store = Store(self.config.notifier.store, lambda severity: channels_for(self.config, severity))
        channels = build_channels(self.config, "test")
        dispatcher = Dispatcher(
            store, channels, self.config.notifier.external_url, fallback=lambda c, s, b: fallback_for(self.config, c, s, b)
        )
        watch = Watch(self.config, store, dispatcher, None)
        app = Application(self.config, store, dispatcher, watch, "bearer-secret", None).build()
        dispatcher.start()
        self._notifier = self._serve(app, self.own)
        self.parts = (store, dispatcher, watch)

    def stop(self) -> None:
        assert self.parts
        store, dispatcher, _ = self.parts
        self._notifier.should_exit = True
        dispatcher.stop(5)
        store.close()
        self.parts = None
        _wait(lambda: not _listens(self.own))

    def close(self) -> None:
        if self.parts:
            self.stop()
        for server in self._servers:
            server.should_exit = True
        self._controller.stop()

    def post(self, *alerts: dict[str, Any], token: str = "bearer-secret", body: bytes | None = None) -> int:
        data = body if body is not None else json.dumps({"version": "4", "alerts": alerts, "status": "firing"}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.own}/v1/alertmanager", data, {"Authorization": f"Bearer {token}"}, method="POST"
        )
        try:
            return int(urllib.request.urlopen(request, timeout=10).status)
        except urllib.error.HTTPError as error:
            return error.code

    def got(self, channel: str, state: str) -> list[dict[str, Any]]:
        return [m for m in self.inbox.all() if m["channel"] == channel and m["state"] == state]


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.start_providers()
    site.start()
    yield site
    site.close()


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


def test_a_page_reaches_all_three_and_its_end_too(site: Site) -> None:
    """Within a second of the webhook; the mail goes to each recipient; Slack's markup is escaped."""
    assert site.post(alert()) == 200
    _wait(
        lambda: site.got("pagerduty", "firing") and site.got("slack", "firing") and len(site.got("email", "firing")) == 2, 3
    )
    assert "&lt;b&gt;" in site.got("slack", "firing")[0]["raw"]["blocks"][0]["text"]["text"]
    assert "<b>&amp;</b>" not in site.got("email", "firing")[0]["raw"].partition("text/html")[2]
    assert site.post(alert("resolved")) == 200
    _wait(
        lambda: (
            site.got("pagerduty", "resolved")
            and len(site.got("slack", "resolved")) == 2
            and len(site.got("email", "resolved")) == 2
        )
    )
    edited, reply = site.got("slack", "resolved")
    assert edited["raw"]["edited"] and reply["raw"]["thread_ts"] == edited["raw"]["ts"]
    subjects = {m["title"].removeprefix("Re: ") for m in site.inbox.all() if m["channel"] == "email"}
    assert subjects == {"[ZADS] Kafka down"}
    assert "Kafka back after 9 min" in reply["title"]


def test_repetitions_the_other_alertmanager_and_a_late_firing_tell_nothing_twice(site: Site) -> None:
    """The same event five times, its end twice, and its firing once more after the end."""
    for _ in range(5):
        assert site.post(alert(), alert()) == 200
    _wait(lambda: len(site.got("email", "firing")) == 2)
    for status in ("resolved", "resolved", "firing"):
        assert site.post(alert(status)) == 200
    _wait(lambda: len(site.got("email", "resolved")) == 2)
    time.sleep(0.5)
    assert len(site.got("pagerduty", "firing")) == 1
    assert len(site.got("slack", "firing")) == 1
    assert len(site.got("pagerduty", "resolved")) == 1


def test_a_ticket_pages_nobody(site: Site) -> None:
    """E-mail and Slack only; info is only recorded."""
    site.post(alert(severity="ticket"), alert(severity="info", mark="b"))
    _wait(lambda: site.got("slack", "firing") and len(site.got("email", "firing")) == 2)
    time.sleep(0.3)
    assert not site.got("pagerduty", "firing")
    assert len(site.got("slack", "firing")) == 1


def test_what_was_accepted_survives_a_restart_with_all_providers_away(tmp_path: Path) -> None:
    """Accepted while nobody could be told; told after the restart, once."""
    site = Site(tmp_path)
    site.start()
    try:
        assert site.post(alert()) == 200
        time.sleep(0.5)
        site.stop()
        site.start_providers()
        site.start()
        _wait(lambda: (site.parts and site.parts[0].queue()) or True)
        # What is queued behind a back-off is due at once after the first success; the first tries come within 10 s.
        _wait(
            lambda: (
                site.got("pagerduty", "firing") and site.got("slack", "firing") and len(site.got("email", "firing")) == 2
            ),
            25,
        )
        assert len(site.got("pagerduty", "firing")) == 1
    finally:
        site.close()


def test_a_slack_limit_is_obeyed_and_nothing_is_lost(site: Site) -> None:
    """12 different pages: Slack's ten in ten seconds; the rest after Retry-After; PagerDuty is not delayed."""
    begin = time.monotonic()
    for number in range(12):
        site.post(alert(mark=str(number)))
    _wait(lambda: len(site.got("pagerduty", "firing")) == 12, 5)
    assert time.monotonic() - begin < 5
    _wait(lambda: len(site.got("slack", "firing")) == 12, 25)


def test_a_storm_is_one_digest(site: Site) -> None:
    """60 alerts in one body: one mail and one Slack message that count them; PagerDuty knows each."""
    site.post(*[alert(mark=str(number)) for number in range(60)])
    _wait(lambda: len(site.got("pagerduty", "firing")) == 60, 15)
    _wait(lambda: site.got("slack", "firing") and site.got("email", "firing"))
    assert len(site.got("slack", "firing")) == 1
    assert "60 alerts" in site.got("slack", "firing")[0]["title"]


def test_bad_bodies_and_strangers_are_refused(site: Site) -> None:
    """401 without the token, 400 with a reason, 413 for too much; unknown fields are fine."""
    assert site.post(alert(), token="wrong") == 401
    assert site.post(body=b"not json") == 400
    assert site.post(body=b'{"alerts": [{"status": "odd"}]}') == 400
    assert site.post(body=b"[" * 100_000) == 400
    assert site.post(body=b" " * 8_100_000) == 413
    assert site.post({**alert(), "newField": 1}) == 200


def test_a_record_that_cannot_be_written_is_503_and_the_page_goes_out_from_memory(site: Site) -> None:
    """Alertmanager has to send it again, and nobody sleeps through it."""
    assert site.parts
    site.parts[0]._connection.execute("PRAGMA query_only=ON")  # type: ignore[union-attr]
    assert site.post(alert()) == 503
    message = _wait(lambda: site.got("pagerduty", "firing"))[0]
    assert "from memory" in message["text"]
    site.parts[0]._connection.execute("PRAGMA query_only=OFF")  # type: ignore[union-attr]
    assert site.post(alert()) == 200


def test_a_revoked_slack_token_parks_the_message_and_the_channel_is_unhealthy(site: Site) -> None:
    """The others are told; the metric says so; replay sends it after the repair."""
    site.slack._token = "another"
    site.post(alert())
    _wait(lambda: site.got("pagerduty", "firing"))
    store, dispatcher, _ = site.parts or pytest.fail("not started")
    _wait(lambda: store.parked().get("slack") == 1)
    assert not dispatcher.books["slack"].healthy
    site.slack._token = TOKEN
    assert store.replay() == 1
    dispatcher.wake(["slack"])
    _wait(lambda: site.got("slack", "firing"))
    assert dispatcher.books["slack"].healthy


def test_an_acknowledgement_is_told_to_pagerduty_and_ends_reminders(site: Site) -> None:
    """By the page's form; a form without our token is refused."""
    site.post(alert())
    _wait(lambda: site.got("pagerduty", "firing") and site.got("slack", "firing"))
    base = f"http://127.0.0.1:{site.own}"
    text = urllib.request.urlopen(f"{base}/incident/1", timeout=5).read().decode()
    token = text.partition('name="token" value="')[2].partition('"')[0]
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{base}/incident/1/acknowledge", b"by=eve&token=x", timeout=5)
    urllib.request.urlopen(f"{base}/incident/1/acknowledge", f"by=ada&token={token}".encode(), timeout=5)
    _wait(lambda: site.got("pagerduty", "acknowledged"))
    store = (site.parts or pytest.fail("not started"))[0]
    assert store.remind(0.0) == set()
    metrics = urllib.request.urlopen(f"{base}/metrics", timeout=5).read().decode()
    assert 'acknowledged_by="ada"' in metrics


def test_no_secret_reaches_a_page_or_a_metric(site: Site) -> None:
    """Neither key nor token."""
    site.post(alert())
    _wait(lambda: site.got("slack", "firing"))
    for path in ("/", "/metrics", "/incident/1"):
        text = urllib.request.urlopen(f"http://127.0.0.1:{site.own}{path}", timeout=5).read().decode()
        assert KEY not in text and TOKEN not in text and "bearer-secret" not in text


def test_a_store_that_is_damaged_raises_a_database_error(tmp_path: Path) -> None:
    """The command moves it aside and says so."""
    file = tmp_path / "n.sqlite3"
    file.write_bytes(os.urandom(8192))
    with pytest.raises(sqlite3.DatabaseError):
        Store(file, lambda _: ())


def test_backoff_is_jittered_and_bounded() -> None:
    """Between 1 s and 15 min."""
    assert all(1.0 <= backoff(n) <= 900.0 for n in range(1, 60))
    assert backoff(1, lambda: 1.0) == 5.0
    assert backoff(30, lambda: 1.0) == 900.0


def test_times_and_durations_are_read_and_written() -> None:
    """Go's nanoseconds, zones and zero time; durations as people say them."""
    one = parse_webhook(json.dumps({"alerts": [{**alert(), "startsAt": "2026-04-01T10:00:00.123456789+02:00"}]}).encode())[0]
    assert one.starts_at == pytest.approx(1775030400.123456)
    assert one.ends_at is None
    assert [duration(s) for s in (12, 540, 7500, 400_000)] == ["12 s", "9 min", "2 h 5 min", "5 d"]
    with pytest.raises(BadBodyError):
        parse_webhook(b'{"alerts": {}}')
