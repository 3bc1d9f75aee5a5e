"""Providers in trouble, with a real notifier: away for an hour, all away, unknown names, certificates that are not accepted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.support.notifier_process import TroubleSite, expect
from tests.unit.notifier.site import alert, listens, wait
from tests.unit.notifier.wire import certificate
from zads.reload import hang_up
from zads.stack.inbox import DeadMan, application


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TroubleSite]:
    site = TroubleSite(tmp_path)
    try:
        yield site
    finally:
        site.close()


def test_a_provider_that_was_away_for_an_hour_is_told_the_truth_in_one_message(site: TroubleSite) -> None:
    """Mail goes on meanwhile. What is over is one message at Slack and names both; what fires is the first page, late.

    PagerDuty gets each event in its order. The hour is that of the notifier's wall clock.
    """
    site.set_clock(0)
    site.start_mail()
    process = site.run(shift=True)
    assert site.post(alert(mark="over"), alert(mark="on")) == 200
    expect(site, lambda: len(site.got("email", "firing")) == 4)
    expect(site, lambda: process.log().count("not sent") >= 3)
    site.set_clock(1200)
    assert site.post(alert("resolved", mark="over")) == 200
    expect(site, lambda: len(site.got("email", "resolved")) == 2, 30)
    site.set_clock(3600)
    site.start_http()
    expect(
        site, lambda: site.got("pagerduty", "resolved") and site.got("webhook", "firing") and site.got("slack", "firing"), 45
    )
    expect(site, lambda: site.got("slack", "resolved") and site.got("webhook", "resolved"), 45)
    (over,), (on, *_) = site.got("slack", "resolved"), site.got("slack", "firing")
    assert over["raw"]["metadata"]["event_payload"]["incident"] != on["raw"]["metadata"]["event_payload"]["incident"]
    assert "ate" in on["text"] and "Slack took it only at" in on["text"]
    assert "08:00" in over["text"] + over["title"] and "Slack" in over["text"], over["text"]
    events = [(m["raw"]["dedup_key"].split("-")[2], m["state"]) for m in site.inbox.all() if _new(m)]
    assert [state for mark, state in events if mark == "over"] == ["firing", "resolved"]
    assert [state for mark, state in events if mark == "on"] == ["firing"]
    assert all(site.twice(name) == {} for name in ("pagerduty", "slack", "webhook", "email"))
    assert process.metric('zads_channel_healthy{channel="slack"}') == 1


def test_while_all_providers_are_away_everything_is_accepted_kept_and_told_once_they_are_back(site: TroubleSite) -> None:
    """Also over kill -9; the metric says that no channel works; nothing comes twice."""
    process = site.run()
    for number in range(5):
        assert site.post(alert(mark=str(number))) == 200
    names = ("pagerduty", "slack", "webhook", "email")
    expect(site, lambda: all(process.metric(f'zads_channel_healthy{{channel="{name}"}}') == 0 for name in names), 60)
    assert process.metric('zads_notifications_queue_length{channel="pagerduty"}') == 5
    process.kill()
    process = site.run()
    site.start_providers()
    expect(site, lambda: site.everywhere("firing", 5), 90)
    expect(site, lambda: process.metric('zads_notifications_queue_length{channel="email"}') in (0, None))
    assert site.numbers("firing") == {"pagerduty": 5, "slack": 5, "webhook": 5, "email": 10}
    assert all(site.twice(name) == {} for name in names)


def test_a_name_that_does_not_resolve_is_said_and_tried_again_and_the_others_go_on(site: TroubleSite) -> None:
    """A sentence in the log and in the timeline; put right in zads.toml, the page goes out without a second report."""
    site.start_providers()
    right = site.toml
    site.toml = right.replace(f'smarthost = "127.0.0.1:{site.smtp}"', 'smarthost = "mail.invalid:25"')
    site.toml = site.toml.replace(f'url = "http://127.0.0.1:{site.http}/webhook"', 'url = "http://hooks.invalid/zads"')
    process = site.run()
    assert site.post(alert()) == 200
    expect(site, lambda: site.got("pagerduty", "firing") and site.got("slack", "firing"))
    expect(site, lambda: process.log().count("mail.invalid:25: the name cannot be resolved") >= 2, 30)
    expect(site, lambda: process.log().count("hooks.invalid: the name cannot be resolved") >= 2, 30)
    assert "the name cannot be resolved" in site.request("/incident/1")[1]
    process.file.write_text(right)
    assert hang_up(site.folder / "state") == []
    expect(site, lambda: site.everywhere("firing"), 60)
    assert site.numbers("firing") == {"pagerduty": 1, "slack": 1, "webhook": 1, "email": 2}


def _new(message: dict[str, Any]) -> bool:
    """Tell an event that reached somebody at PagerDuty from a later word about an alert that is open."""
    return message["channel"] == "pagerduty" and not message["raw"].get("duplicate")


class _Secured:
    """Mail with STARTTLS and a receiver of webhooks with https; their certificate can be changed under way."""

    def __init__(self, site: TroubleSite) -> None:
        self.site, self.trusted = site, site.folder / "trusted.pem"
        site.toml = site.toml.replace("starttls = false", "starttls = true")
        site.toml = site.toml.replace(
            f'url = "http://127.0.0.1:{site.http}/webhook"',
            f'url = "https://127.0.0.1:{(port := _port())}/webhook"\nca_file = "{self.trusted}"',
        )
        self.port = port
        self._server: uvicorn.Server | None = None

    def show(self, name: str, *, expired: bool, trusted: bool) -> None:
        """Begin to show a certificate, which the notifier knows or not."""
        self.end()
        public, context = certificate(self.site.folder, name, expired=expired)
        if trusted:
            self.trusted.write_bytes(public.read_bytes())
        else:
            folder = self.site.folder / "other"
            folder.mkdir(exist_ok=True)
            self.trusted.write_bytes(certificate(folder)[0].read_bytes())
        self.site.start_mail(tls=context)
        site = self.site
        app = application(site.inbox, site.slack, site.pagerduty, DeadMan(site.inbox), webhook=site.webhook)
        settings = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=self.port,
            log_level="critical",
            ssl_certfile=public,
            ssl_keyfile=site.folder / "private.pem",
        )
        server = self._server = uvicorn.Server(settings)
        threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True).start()
        wait(lambda: server.started)

    def end(self) -> None:
        self.site.stop_mail()
        if self._server:
            self._server.should_exit = True
            wait(lambda: not listens(self.port))


def _port() -> int:
    from tests.unit.notifier.site import free_port

    return free_port()


@pytest.mark.parametrize(
    ("name", "expired", "trusted", "words"),
    [
        ("IP:127.0.0.1", True, True, "certificate has expired"),
        ("DNS:mail.example.org", False, True, "127.0.0.1"),
        ("IP:127.0.0.1", False, False, "self-signed certificate"),
    ],
    ids=["expired", "wrong name", "unknown issuer"],
)
def test_a_certificate_that_is_not_accepted_is_said_and_what_waits_goes_out_once_it_is(
    site: TroubleSite, name: str, expired: bool, trusted: bool, words: str
) -> None:
    """For mail with STARTTLS and for the webhook: nothing is sent in the clear, the other channels go on, nobody replays."""
    site.set_clock(0)
    site.start_http()
    secured = _Secured(site)
    try:
        secured.show(name, expired=expired, trusted=trusted)
        process = site.run(shift=True, environment={"SSL_CERT_FILE": str(secured.trusted)})
        assert site.post(alert()) == 200
        expect(site, lambda: site.got("pagerduty", "firing") and site.got("slack", "firing"))
        hosts = (f"127.0.0.1:{site.smtp}", f"127.0.0.1:{secured.port}")
        expect(site, lambda: all(f"{host}: its certificate is not accepted" in process.log() for host in hosts))
        assert words in process.log().partition("its certificate is not accepted")[2]
        assert (site.got("email", "firing"), site.got("webhook", "firing")) == ([], [])
        secured.show("IP:127.0.0.1", expired=False, trusted=True)
        site.set_clock(240)
        expect(site, lambda: site.everywhere("firing"), 60)
        assert site.numbers("firing") == {"pagerduty": 1, "slack": 1, "webhook": 1, "email": 2}
    finally:
        secured.end()
