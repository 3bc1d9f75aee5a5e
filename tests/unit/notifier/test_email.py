"""Mail on the wire: each recipient by itself, nobody twice, every answer, certificates, threads, nothing injected."""

from __future__ import annotations

import email
import email.policy
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.unit.notifier.wire import certificate
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


@pytest.mark.parametrize("target", ["person@example.org", "one@example.org"])
def test_a_deliverys_own_recipient_may_be_anybody(tmp_path: Path, target: str) -> None:
    """A person on call, a community's contact: only that one gets it, as itself in the header."""
    channel, inbox, server = _channel(tmp_path, "one@example.org", "two@example.org")
    try:
        _send(channel, _incident(), target=target)
        mails = [email.message_from_string(m["raw"], policy=email.policy.default) for m in inbox.all()]
        assert [mail["To"] for mail in mails] == [target]
        with pytest.raises(DeliveryError, match=r"unknown@example\.org: 550") as caught:
            _send(channel, _incident(), target="unknown@example.org")
        assert (caught.value.permanent, caught.value.narrow) == (True, True)
    finally:
        server.stop()


# What a server answers, command by command.


class Scripted(socketserver.ThreadingTCPServer):
    """An SMTP server that answers a command as the test says, and otherwise as it should; "cut" ends the connection."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, extensions: str, tls: ssl.SSLContext | None, answers: dict[str, str]) -> None:
        self.answers, self.extensions, self.tls = answers, extensions, tls
        self.commands: list[str] = []
        self.mails: list[str] = []
        super().__init__(("127.0.0.1", 0), _Conversation)

    def settings(self, *to: str, **words: Any) -> Email:
        words = {"sender": "zads@example.org", "to": to or ("one@example.org",), "starttls": False, **words}
        return Email(smarthost=f"127.0.0.1:{self.server_address[1]}", **words)

    def handle_error(self, *_: Any) -> None:
        pass


class _Conversation(socketserver.StreamRequestHandler):
    server: Scripted

    def _say(self, name: str, otherwise: str) -> bool:
        """Answer; tell whether the conversation goes on."""
        text = self.server.answers.get(name, otherwise)
        if text == "slow":
            time.sleep(2)
        if text in ("cut", "slow"):
            return False
        self.wfile.write(text.replace("\n", "\r\n").encode() + b"\r\n")
        return not text.startswith("421")

    def handle(self) -> None:
        if not self._say("connect", "220 hello"):
            return
        while line := self.rfile.readline().decode().strip():
            command = line.split(" ")[0].split(":")[0].lower()
            self.server.commands.append(command)
            answers = {"ehlo": f"250-here\n250 {self.server.extensions or 'HELP'}", "data": "354 go on", "quit": "221 bye"}
            if not self._say(command, answers.get(command, "220 go" if command == "starttls" else "250 2.0.0 OK")):
                return
            if command == "starttls" and self.server.tls and "starttls" not in self.server.answers:
                self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
            if command == "data" and "data" not in self.server.answers:
                content = b""
                while not content.endswith(b"\r\n.\r\n"):
                    content += self.rfile.readline()
                self.server.mails.append(content.decode())
                if not self._say("dot", "250 2.0.0 queued"):
                    return


@contextmanager
def scripted(extensions: str = "", tls: ssl.SSLContext | None = None, **answers: Any) -> Iterator[Scripted]:
    server = Scripted(extensions, tls, answers)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("answer", "permanent", "narrow"),
    [
        ("421 4.3.2 Shutting down", False, False),
        ("450 4.2.1 Too quick", False, True),
        ("450 4.7.1 Greylisted", False, True),
        ("451 4.3.0 Local error", False, True),
        ("452 4.2.2 Mailbox full", False, True),
        ("452 4.3.1 Insufficient system storage", False, True),
        ("454 4.7.0 Temporary authentication failure", False, True),
        ("550 5.1.1 User unknown", True, True),
        ("550 no such user", True, True),
        ("550 5.7.1 Relaying denied", True, True),
        ("551 5.1.6 Moved", True, True),
        ("552 5.2.2 Over quota", True, True),
        ("553 5.1.3 Bad address", True, True),
        ("554 5.7.1 Blocked", True, True),
        ("556 5.1.10 Null MX", True, True),
        ("550 4.7.1 Policy, for now", False, True),
        ("530 5.7.0 Must issue a STARTTLS command first", True, False),
    ],
)
def test_an_answer_for_one_recipient_is_read_by_its_codes(answer: str, permanent: bool, narrow: bool) -> None:
    """To RCPT: 4xx passes, 5xx stays, and only this recipient's; the other one gets the mail unless the server is to blame."""
    with scripted(rcpt=answer) as server:
        with pytest.raises(DeliveryError) as caught:
            _send(EmailChannel(server.settings()), _incident())
        assert (caught.value.permanent, caught.value.narrow) == (permanent, narrow)
        assert answer in str(caught.value) and "one@example.org" in str(caught.value)


@pytest.mark.parametrize(
    ("stage", "answer", "permanent", "narrow"),
    [
        ("connect", "421 4.7.0 Too many connections", False, False),
        ("connect", "554 5.7.1 You may not", True, False),
        ("mail", "421 4.7.0 Closing", False, False),
        ("mail", "450 4.7.1 Too much mail", False, False),
        ("mail", "451 4.7.1 Try later", False, False),
        ("mail", "530 5.7.0 Authentication required", True, False),
        ("mail", "535 5.7.8 Bad credentials", True, False),
        ("mail", "538 5.7.11 Encryption required", True, False),
        ("mail", "550 5.7.1 Sender refused", True, False),
        ("mail", "553 5.1.8 Sender's domain unknown", True, False),
        ("data", "451 4.3.0 Not now", False, False),
        ("dot", "421 4.3.0 Going down", False, False),
        ("dot", "450 4.2.1 Mailbox busy", False, True),
        ("dot", "452 4.3.1 System full", False, False),
        ("dot", "550 5.7.1 Looks like spam", True, True),
        ("dot", "552 5.3.4 Too large", True, True),
        ("dot", "554 5.6.0 Not a message", True, True),
    ],
)
def test_an_answer_of_the_server_is_for_all(stage: str, answer: str, permanent: bool, narrow: bool) -> None:
    """To the connection, MAIL or DATA: the server's own trouble is asked for once, whatever the number of recipients."""
    script: dict[str, Any] = {stage: answer}
    with scripted(**script) as server:
        with pytest.raises(DeliveryError) as caught:
            _send(EmailChannel(server.settings("one@example.org", "two@example.org")), _incident())
        assert (caught.value.permanent, caught.value.narrow, caught.value.doubtful) == (permanent, narrow, False)
        tries = server.commands.count("mail") if stage != "connect" else 1
        assert tries == (2 if narrow else 1)


@pytest.mark.parametrize(
    ("answer", "permanent"),
    [
        ("535 5.7.8 Credentials invalid", True),
        ("534 5.7.9 Mechanism too weak", True),
        ("538 5.7.11 Encryption required", True),
        ("454 4.7.0 Temporary failure", False),
    ],
)
def test_a_wrong_password_is_tried_once_for_all(answer: str, permanent: bool) -> None:
    """Not once for each recipient: the account would be locked; the password is not in the words."""
    with scripted("AUTH PLAIN", auth=answer) as server:
        settings = server.settings("one@example.org", "two@example.org", username="me", password_env="X")
        with pytest.raises(DeliveryError, match=answer[:9]) as caught:
            _send(EmailChannel(settings, "hunter2"), _incident())
        assert (caught.value.permanent, caught.value.narrow) == (permanent, False)
        assert server.commands.count("auth") == 1 and "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [({"starttls": True}, "STARTTLS .*only on a network you trust"), ({"username": "me"}, "AUTH .*log-ins")],
)
def test_a_server_that_lacks_what_we_need_gets_no_mail(words: dict[str, Any], said: str) -> None:
    """No STARTTLS, no AUTH: the mail does not go out in the clear or without the log-in; it waits."""
    with scripted() as server:
        with pytest.raises(DeliveryError, match=said) as caught:
            _send(EmailChannel(server.settings(**words), "hunter2"), _incident())
        assert not caught.value.permanent
        assert "mail" not in server.commands


@pytest.mark.parametrize(
    ("name", "expired", "trusted", "words"),
    [
        ("IP:127.0.0.1", False, False, "self-signed certificate"),
        ("IP:127.0.0.1", True, True, "certificate has expired"),
        ("DNS:other.example.org", False, True, "not valid for '127.0.0.1'"),
        ("IP:127.0.0.1", False, True, ""),
    ],
)
def test_a_certificate_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, expired: bool, trusted: bool, words: str
) -> None:
    """Nobody's, expired, another's: no mail, said as it is, tried again; the right one is taken."""
    file, context = certificate(tmp_path, name, expired=expired)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with scripted("STARTTLS", context) as server:
        channel = EmailChannel(server.settings(starttls=True))
        if not words:
            _send(channel, _incident())
            assert len(server.mails) == 1
            return
        with pytest.raises(DeliveryError, match="its certificate is not accepted") as caught:
            _send(channel, _incident())
        assert words in str(caught.value)
        assert (caught.value.permanent, caught.value.narrow, server.mails) == (False, False, [])


def test_starttls_that_fails_for_now_passes() -> None:
    """454 to STARTTLS (RFC 3207)."""
    with scripted("STARTTLS", starttls="454 4.7.0 TLS not available") as server, pytest.raises(DeliveryError) as caught:
        _send(EmailChannel(server.settings(starttls=True)), _incident())
    assert not caught.value.permanent and "454" in str(caught.value)


@pytest.mark.parametrize(
    ("stage", "how", "doubtful"),
    [
        ("connect", "cut", False),
        ("ehlo", "cut", False),
        ("connect", "slow", False),
        ("dot", "cut", True),
        ("dot", "slow", True),
    ],
)
def test_a_conversation_that_breaks_off_is_taken_up_again(stage: str, how: str, doubtful: bool) -> None:
    """Cut or endless; after the mail's end it may have arrived, and the second try has the same Message-ID."""
    script: dict[str, Any] = {stage: how}
    with scripted(**script) as server:
        channel = EmailChannel(server.settings(), timeout=0.5)
        delivery = Delivery(5, _incident(), "email", "firing", 1, 1000.0)
        message = Renderer("http://n").message(delivery)
        with pytest.raises(DeliveryError) as caught:
            channel.send(delivery, message)
        assert (caught.value.permanent, caught.value.doubtful) == (False, doubtful)
        del server.answers[stage]
        channel.send(delivery, message)
        names = [line for mail in server.mails for line in mail.splitlines() if line.startswith("Message-ID")]
        assert len(set(names)) == 1 and len(names) == (2 if doubtful else 1)


@pytest.mark.parametrize("how", ["cut", "500 what?"])
def test_an_odd_good_bye_changes_nothing(how: str) -> None:
    """The mail was taken before."""
    with scripted(quit=how) as server:
        assert _send(EmailChannel(server.settings()), _incident()).missed == {}
        assert len(server.mails) == 1


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
