"""Mail on the wire: each recipient by itself, nobody twice, threads, nothing injected."""

from __future__ import annotations

import email
import email.policy
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from notifier.channels.email import EmailChannel
from notifier.intake import parse_webhook
from notifier.model import Delivery, DeliveryError, Incident
from notifier.render import Renderer
from tests.unit.notifier.record import as_json
from tests.unit.notifier.site import Site, alert, free_port, wait
from zads.config import Email
from zads.stack.inbox_store import Inbox
from zads.stack.standin_smtp import SmtpServer


def _site(tmp_path: Path, *to: str) -> Site:
    site = Site(tmp_path, to=to)
    site.start_providers()
    site.start()
    return site


def _mails(site: Site) -> list[EmailMessage]:
    found = [
        email.message_from_string(m["raw"], policy=email.policy.default) for m in site.inbox.all() if m["channel"] == "email"
    ]
    return [mail for mail in found if isinstance(mail, EmailMessage)]


def test_a_recipient_that_is_unknown_is_recorded_counted_and_told(tmp_path: Path) -> None:
    """The other has the mail; the attempt stands in the timeline; the channel is unhealthy; nothing is retried."""
    site = _site(tmp_path, "one@example.org", "unknown@example.org")
    try:
        site.post(alert())
        wait(lambda: site.got("email", "firing"))
        assert site.notifier
        store = site.notifier.store
        wait(lambda: store.parked().get("email") == 1)
        assert any("refused: unknown@example.org: 550" in words for _, words in store.timeline(1))
        metrics = site.request("/metrics")[1]
        assert 'zads_channel_healthy{channel="email"} 0.0' in metrics
        assert 'zads_notifications_total{channel="email",outcome="refused"} 1.0' in metrics
        assert "works, but not for every recipient" in site.request("/")[1]
        site.post(alert("resolved"))
        wait(lambda: site.got("email", "resolved"))
        assert len(_mails(site)) == 2
    finally:
        site.close()


def test_a_full_mailbox_delays_nobody_and_a_greylisted_one_gets_its_mail(tmp_path: Path) -> None:
    """Four pages and their ends reach the first at once; the greylisted one gets each once, later."""
    site = _site(tmp_path, "one@example.org", "full@example.org", "greylisted@example.org")
    try:
        for number in range(4):
            site.post(alert(mark=str(number), severity="ticket"))
        wait(lambda: sum(mail["To"] == "one@example.org" for mail in _mails(site)) == 4, 5)
        wait(lambda: sum(mail["To"] == "greylisted@example.org" for mail in _mails(site)) == 4, 25)
        assert site.notifier and site.notifier.dispatcher.books["email"].held_until == 0.0
        ids = [mail["Message-ID"] for mail in _mails(site) if mail["To"] == "greylisted@example.org"]
        assert sorted(ids) == sorted(mail["Message-ID"] for mail in _mails(site) if mail["To"] == "one@example.org")
    finally:
        site.close()


def test_a_digest_loses_no_alert_for_a_recipient_that_was_greylisted(tmp_path: Path) -> None:
    """The first mailbox took the digest of 22; ten more alerts come; the second gets all of both, the first nothing twice."""
    site = _site(tmp_path, "one@example.org", "greylisted@example.org")
    try:
        assert site.notifier
        store, dispatcher = site.notifier.store, site.notifier.dispatcher
        store.take(parse_webhook(as_json({"alerts": [alert(mark=f"a{n}") for n in range(22)]})).alerts)
        dispatcher.wake(["email"])
        wait(lambda: len(_mails(site)) == 1)
        site.post(*[alert(mark=f"b{n}") for n in range(30)])
        wait(lambda: sum(mail["To"] == "greylisted@example.org" for mail in _mails(site)) >= 2, 25)
        bodies: dict[str, list[str]] = {}
        for mail in _mails(site):
            part = mail.get_body(("plain",))
            assert part
            bodies.setdefault(mail["To"], []).append(part.get_content().split("\n")[0])
        for titles in bodies.values():
            assert sorted(title.split(" ")[0] for title in titles) == ["22", "30"]
        # The mailbox has it a moment before the record does.
        wait(lambda: store.queue().get("email") is None)
    finally:
        site.close()


def _incident(**labels: str) -> Incident:
    return Incident(1, "f1", "firing", "page", {"headline": "KAFKA DOWN", **labels}, {"summary": "Kafka down"}, 1.0, 1.0)


def _channel(tmp_path: Path, *to: str) -> tuple[EmailChannel, Inbox, SmtpServer]:
    port, inbox = free_port(), Inbox(tmp_path / "inbox.jsonl")
    server = SmtpServer(inbox, "127.0.0.1", port)
    server.start()
    settings = Email(smarthost=f"127.0.0.1:{port}", sender="zads@example.org", to=to, starttls=False)
    return EmailChannel(settings), inbox, server


def _send(channel: EmailChannel, incident: Incident, **words: Any) -> Any:
    delivery = Delivery(5, incident, "email", "firing", 1, time.time(), **words)
    return channel.send(delivery, Renderer("http://n").message(delivery))


@pytest.mark.parametrize(
    ("to", "permanent", "narrow"),
    [
        (("unknown@example.org", "blocked@example.org"), True, True),
        (("unknown@example.org", "full@example.org"), False, True),
        (("closing@example.org", "one@example.org"), False, False),
    ],
)
def test_what_nobody_took_is_one_failure(tmp_path: Path, to: tuple[str, ...], permanent: bool, narrow: bool) -> None:
    """Permanent only when it is for all; a server that closes the channel is in trouble for the others too."""
    channel, inbox, server = _channel(tmp_path, *to)
    try:
        with pytest.raises(DeliveryError) as caught:
            _send(channel, _incident())
        assert (caught.value.permanent, caught.value.narrow) == (permanent, narrow)
        assert inbox.all() == []
    finally:
        server.stop()


def test_a_server_that_is_away_is_not_one_recipients_fault(tmp_path: Path) -> None:
    """Connection refused: nobody is tried in vain, all is tried again."""
    settings = Email(smarthost=f"127.0.0.1:{free_port()}", sender="z@example.org", to=("a@example.org", "b@example.org"))
    with pytest.raises(DeliveryError) as caught:
        _send(EmailChannel(settings), _incident())
    assert not caught.value.permanent and not caught.value.narrow


def test_who_is_no_longer_a_recipient_gets_nothing(tmp_path: Path) -> None:
    """The address was taken out of zads.toml while its mail waited."""
    channel, inbox, server = _channel(tmp_path, "one@example.org")
    try:
        with pytest.raises(DeliveryError, match="no longer a recipient"):
            _send(channel, _incident(), target="old@example.org")
        assert inbox.all() == []
    finally:
        server.stop()


def test_nothing_in_a_label_breaks_a_header(tmp_path: Path) -> None:
    """Line breaks of every kind in labels and in the fingerprint: the mail is sent, no header is added."""
    body = {
        "alerts": [
            {
                "status": "firing",
                "fingerprint": "f\nBcc: x@example.org",
                "startsAt": "2026-04-01T08:00:00Z",
                "labels": {"severity": "page\r\nX-Evil: 1", "headline": "KAFKA\x85X-Evil: 1\u2028DOWN\x0b\x1c!"},
                "annotations": {"summary": "a\r\nX-Evil: 1", "impact": "\u202eevil"},
            }
        ]
    }
    one = parse_webhook(as_json(body)).alerts[0]
    channel, inbox, server = _channel(tmp_path, "one@example.org")
    try:
        incident = Incident(1, one.fingerprint, "firing", one.severity, one.labels, one.annotations, 1.0, 1.0)
        _send(channel, incident)
        raw = inbox.all()[0]["raw"]
        mail = email.message_from_string(raw, policy=email.policy.default)
        assert mail["X-Evil"] is None and mail["Bcc"] is None
        assert "\u202e" not in raw
    finally:
        server.stop()


def test_a_thread_is_one_for_its_incident_and_a_name_is_never_used_twice(tmp_path: Path) -> None:
    """The same subject and root; a record that was begun anew counts from 1 again and must not repeat old names."""
    channel, inbox, server = _channel(tmp_path, "one@example.org")
    try:
        incident = _incident()
        renderer = Renderer("http://n")
        for created, kind in ((1000.0, "firing"), (2000.0, "resolved"), (9000.0, "firing")):
            delivery = Delivery(1, incident, "email", kind, 1, created)  # type: ignore[arg-type]
            channel.send(delivery, renderer.message(delivery))
        mails = [email.message_from_string(m["raw"], policy=email.policy.default) for m in inbox.all()]
        assert len({mail["Message-ID"] for mail in mails}) == 3
        assert len({mail["References"] for mail in mails}) == 1
        assert {mail["Subject"].removeprefix("Re: ") for mail in mails} == {"[ZADS] Kafka down"}
    finally:
        server.stop()
