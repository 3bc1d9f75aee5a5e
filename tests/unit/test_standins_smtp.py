"""The SMTP stand-in, spoken to over a real port: what it refuses, takes, limits, and makes of odd mail."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zads.stack import standin_mail
from zads.stack.inbox_store import STATES, Inbox
from zads.stack.standin_rates import Rate
from zads.stack.standin_smtp import SmtpLimits, SmtpServer

# A certificate of nobody: for localhost, valid a hundred years, its key published right here.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRG3L/9KzJT/MZEva
UnckblT7JPvjGPeZiwnWXWNN0XWhRANCAASBl94LgGpXmSRqN2dYqYt/PIDnwtcM
U0BkMIZmYaFadDgERhspzAdrGd6QjXBLH224k1g0PNlXHrkDTk20g2FG
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUcREOsY3fkLtwcjIhf7e0efbLYD4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDIxMDUyOFoYDzIxMjYxMDMx
MjEwNTI4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASBl94LgGpXmSRqN2dYqYt/PIDnwtcMU0BkMIZmYaFadDgERhspzAdr
Gd6QjXBLH224k1g0PNlXHrkDTk20g2FGo28wbTAdBgNVHQ4EFgQUPm5sCnbfskLF
QyJi3RcMC4nHZmowHwYDVR0jBBgwFoAUPm5sCnbfskLFQyJi3RcMC4nHZmowDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgSVfSFU0hqNlpiGn7SvhchQCWl3T9btOA2Xw1lRiZqc4CIEn+
bIcP4W3MAfew+rF/qca8wD+CD3PrX+8zwO76WkK6
-----END CERTIFICATE-----
"""
FROM, TO = "MAIL FROM:<zads@example.org>", "RCPT TO:<oncall@example.org>"
HEADERS = "From: zads@example.org\r\nDate: Wed, 01 Apr 2026 08:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
Server = Callable[..., "Desk"]


class Desk:
    """A server on a port of its own, and clients that talk to it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.now = 0.0
        self.inbox = Inbox(folder / "received.jsonl")
        self._server = SmtpServer(self.inbox, "127.0.0.1", 0, clock=lambda: self.now, **options)
        self._server.start()
        self.port = self._server.port
        self._clients: list[smtplib.SMTP] = []

    def connect(self) -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", self.port, timeout=10)
        self._clients.append(client)
        return client

    def talk(self, *lines: str) -> tuple[int, str]:
        """Say the lines in one session; return the last reply."""
        client = self.connect()
        reply = (0, b"")
        for line in lines:
            reply = client.docmd(line)
        return reply[0], reply[1].decode()

    def mail(self, content: str | bytes, sender: str = "zads@example.org", options: tuple[str, ...] = ()) -> None:
        with self.connect() as client:
            data = content if isinstance(content, bytes) else content.encode()
            client.sendmail(sender, ["oncall@example.org"], data, mail_options=options)

    def refused(self, content: str | bytes) -> str:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            self.mail(content)
        error = caught.value.smtp_error
        return f"{caught.value.smtp_code} {error.decode() if isinstance(error, bytes) else error}"

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._server.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    desks: list[Desk] = []

    def make(**options: Any) -> Desk:
        desks.append(Desk(tmp_path, **options))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context and one of a client that trusts only it."""
    (tmp_path / "both.pem").write_text(CERTIFICATE)
    own, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    own.load_cert_chain(tmp_path / "both.pem")
    client.load_verify_locations(tmp_path / "both.pem")
    return own, client


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        # Sequence.
        (["MAIL FROM:<a@example.org>"], 503, "HELO"),
        (["EHLO x", TO], 503, "MAIL"),
        (["EHLO x", FROM, "DATA"], 503, "RCPT"),
        (["EHLO x", FROM, FROM], 503, "nested"),
        # Syntax.
        (["EHLO"], 501, "EHLO"),
        (["EHLO b@d name"], 501, "5.5.4"),
        (["EHLO x", "MAIL zads@example.org"], 501, "MAIL FROM"),
        (["EHLO x", FROM, "RCPT oncall@example.org"], 501, "RCPT TO"),
        (["EHLO x", f"{FROM} BODY=9BIT"], 501, "BODY"),
        (["EHLO x", f"{FROM} SMTPUTF8=yes"], 501, "SMTPUTF8"),
        (["EHLO x", f"{FROM} SIZE=many"], 501, "MAIL FROM"),
        (["EHLO x", f"{FROM} COLOUR=red"], 555, "parameters"),
        (["EHLO x", FROM, TO, "DATA now"], 501, "DATA"),
        (["NONSENSE"], 500, "not recognized"),
        (["EHLO x", "NOOP " + "x" * 600], 500, "too long"),
        (["EHLO x", "EXPN staff"], 502, "EXPN"),
        (["EHLO x", "AUTH PLAIN AGEAYg=="], 503, "not enabled"),
        (["EHLO x", "STARTTLS"], 454, "TLS"),
        # Senders.
        (["EHLO x", "MAIL FROM:<a@>"], 553, "5.1.3"),
        (["EHLO x", "MAIL FROM:<"], 553, "5.1.3"),
        (["EHLO x", "MAIL FROM:<a@["], 553, "5.1.3"),
        (["EHLO x", 'MAIL FROM:<"'], 553, "5.1.3"),
        (["EHLO x", "MAIL FROM:<root>"], 553, "5.1.7"),
        (["EHLO x", f"{FROM} SIZE=99000000"], 552, "size"),
        # Recipients.
        (["EHLO x", FROM, "RCPT TO:<a@@b>"], 553, "5.1.3"),
        (["EHLO x", FROM, "RCPT TO:<oncall>"], 553, "5.1.3"),
        (["EHLO x", FROM, "RCPT TO:<a@example.com>"], 550, "5.7.1 Relaying denied"),
        (["EHLO x", FROM, "RCPT TO:<unknown@example.org>"], 550, "5.1.1"),
        (["EHLO x", FROM, "RCPT TO:<disabled@example.org>"], 550, "5.2.1"),
        (["EHLO x", FROM, "RCPT TO:<blocked@example.org>"], 550, "5.7.1"),
        (["EHLO x", FROM, "RCPT TO:<moved@example.org>"], 551, "5.1.6"),
        (["EHLO x", FROM, "RCPT TO:<overquota@example.org>"], 552, "5.2.2"),
        (["EHLO x", FROM, "RCPT TO:<full@EXAMPLE.org>"], 452, "4.2.2"),
        (["EHLO x", FROM, "RCPT TO:<busy@example.org>"], 450, "4.2.1"),
        (["EHLO x", FROM, "RCPT TO:<broken@example.org>"], 451, "4.3.0"),
        (["EHLO x", FROM, "RCPT TO:<closing@example.org>"], 421, "4.3.2"),
    ],
)
def test_a_wrong_command_is_refused_with_its_code(server: Server, lines: list[str], code: int, words: str) -> None:
    """RFC 5321's codes, RFC 3463's where there is one for it."""
    reply = server().talk(*lines)
    assert reply[0] == code and words in reply[1], reply


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        ("Subject: x\r\n\r\nbody", "554 5.6.0 Message has no From header"),
        (HEADERS.replace("zads@example.org\r", "ZADS\r") + "\r\nbody", "554 5.6.0 From header has no address"),
        ("From: a@example.org\r\nMessage-ID: <1@x>\r\n\r\nbody", "554 5.6.0 Message has no Date header"),
        (HEADERS.replace("Wed, 01 Apr 2026", "some day"), "554 5.6.0 Date header is not a date"),
        ("From: a@example.org\r\nDate: Wed, 01 Apr 2026 08:00:00 +0000\r\n\r\nbody", "554 5.6.0 Message has no Message-ID"),
        (HEADERS + "From: other@example.org\r\n\r\nbody", "554 5.6.0 From header occurs more than once"),
        (HEADERS + "Subject: a\r\nSubject: b\r\n\r\nbody", "554 5.6.0 Subject header occurs more than once"),
        (HEADERS + "\r\n" + "x" * 1200, "500 Line too long"),
    ],
)
def test_what_is_no_message_is_refused(server: Server, content: str, refusal: str) -> None:
    """RFC 5322, section 3.6, and the length of a line."""
    desk = server()
    assert desk.refused(content).startswith(refusal)
    assert desk.inbox.all() == []


def test_too_much_is_refused(server: Server) -> None:
    """Also when the size was not announced; the next mail in the session is taken."""
    desk = server(limits=SmtpLimits(size=2000))
    with desk.connect() as client:
        client.helo()
        client.mail("zads@example.org")
        client.rcpt("oncall@example.org")
        assert client.data((f"{HEADERS}\r\n" + ("y" * 70 + "\r\n") * 40).encode()) == (552, b"Error: Too much mail data")
        client.sendmail("zads@example.org", ["oncall@example.org"], f"{HEADERS}\r\nshort".encode())
    assert len(desk.inbox.all()) == 1


def test_too_many_recipients_are_put_off(server: Server) -> None:
    """452 4.5.3 for those over the limit, the others get the mail."""
    desk = server(limits=SmtpLimits(recipients=2))
    with desk.connect() as client:
        recipients = [f"user{number}@example.org" for number in range(4)]
        refused = client.sendmail("zads@example.org", recipients, f"{HEADERS}\r\nbody".encode())
    assert refused == dict.fromkeys(recipients[2:], (452, b"4.5.3 Error: too many recipients"))
    assert len(desk.inbox.all()) == 1


def test_each_sender_has_sixty_messages_a_minute(server: Server) -> None:
    """The 61st is put off with Postfix's words, another sender's is not; a minute later it passes."""
    desk = server()
    with desk.connect() as client:
        client.ehlo()
        for _ in range(60):
            assert client.docmd(FROM)[0] == 250
            client.rset()
        code, text = client.docmd("MAIL FROM:<ZADS@Example.org>")
        assert (code, text.split()[0]) == (450, b"4.7.1")
        assert client.docmd("MAIL FROM:<other@example.org>")[0] == 250
        client.rset()
        desk.now += 60.0
        assert client.docmd(FROM)[0] == 250


def test_a_limit_of_a_test_is_a_tests(server: Server) -> None:
    """So that a notifier's test need not send sixty."""
    desk = server(limits=SmtpLimits(messages=Rate(1, 60.0)))
    desk.mail(f"{HEADERS}\r\nbody")
    with pytest.raises(smtplib.SMTPSenderRefused):
        desk.mail(f"{HEADERS}\r\nbody")


def test_a_greylisted_recipient_is_taken_the_second_time(server: Server) -> None:
    """450 for the first try of a sender and recipient, then 250."""
    desk = server()
    lines = ["EHLO x", FROM, "RCPT TO:<greylisted@example.org>"]
    assert desk.talk(*lines)[0] == 450
    assert desk.talk(*lines)[0] == 250


def test_a_server_that_closes_says_so_first(server: Server) -> None:
    """421, then the end of the connection."""
    desk = server()
    client = desk.connect()
    for line in ("EHLO x", FROM, "RCPT TO:<closing@example.org>"):
        code, _ = client.docmd(line)
    assert code == 421
    assert client.sock is not None
    client.sock.settimeout(5.0)
    assert client.sock.recv(1) == b""


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [("<>", "<b@EXAMPLE.ORG>"), ("<a@b.c>", "<b+tag@Example.Org>"), ("<a@b.c>", "<Postmaster>"), ("a@b.c", "b@example.org")],
)
def test_addresses_that_are_right_are_taken(server: Server, sender: str, recipient: str) -> None:
    """The null sender of a bounce, a domain in any case, the postmaster."""
    assert server().talk("EHLO [127.0.0.1]", f"MAIL FROM:{sender}", f"RCPT TO:{recipient}")[0] == 250


def test_eight_bits_and_international_addresses(server: Server) -> None:
    """8BITMIME and SMTPUTF8 are offered; an address that needs the latter is refused without it; junk is no crash."""
    desk = server()
    mail = f"{HEADERS}Subject: Größe\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nβ Lyræ".encode()
    with desk.connect() as client:
        client.ehlo()
        assert client.has_extn("8bitmime") and client.has_extn("smtputf8") and client.has_extn("size")
        assert not client.has_extn("auth") and not client.has_extn("starttls")
        for address in ("jürgen@example.org".encode(), b"j\xfcrgen@example.org"):
            client.send(b"MAIL FROM:<" + address + b">\r\n")
            assert client.getreply()[0] == 553
        client.sendmail("jürgen@example.org", ["oncall@example.org"], mail, mail_options=["BODY=8BITMIME", "SMTPUTF8"])
    message = desk.inbox.all()[0]
    assert (message["title"], message["text"]) == ("Größe", "β Lyræ\n")


def test_starttls_and_auth_can_be_asked_for(server: Server, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """530 before each, 538 for a password in the clear, 535 for a wrong one, 504 and 501 for what is no AUTH."""
    desk = server(tls=tls[0], credentials={"zads": "secret"})
    assert desk.talk("EHLO x", FROM) == (530, "Must issue a STARTTLS command first")
    with desk.connect() as client:
        client.starttls(context=tls[1])
        client.ehlo()
        assert client.docmd(FROM) == (530, b"5.7.0 Authentication required")
        assert client.docmd("AUTH GSSAPI")[0] == 504
        assert client.docmd("AUTH PLAIN !!!")[0] == 501
        with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            client.login("zads", "wrong")
        assert caught.value.smtp_code == 535
        client.login("zads", "secret")
        client.sendmail("zads@example.org", ["oncall@example.org"], f"{HEADERS}\r\nbody".encode())
    assert len(desk.inbox.all()) == 1


def test_starttls_can_be_offered_only(server: Server, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """With a password in the clear refused all the same."""
    desk = server(tls=tls[0], tls_required=False, credentials={"zads": "secret"})
    assert desk.talk("EHLO x", "AUTH PLAIN AHphZHMAc2VjcmV0")[0] == 538


def test_tls_from_the_first_byte(server: Server, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """As on port 465."""
    desk = server(tls=tls[0], implicit_tls=True)
    with smtplib.SMTP_SSL("127.0.0.1", desk.port, context=tls[1], timeout=10) as client:
        client.sendmail("zads@example.org", ["oncall@example.org"], f"{HEADERS}\r\nbody".encode())
    assert len(desk.inbox.all()) == 1


@pytest.mark.parametrize(
    ("extra", "body", "text"),
    [
        ("Content-Type: text/plain; charset=x-nonsense", b"caf\xc3\xa9", "café"),
        ("Content-Type: text/plain; charset=undefined", b"caf\xc3\xa9", "café"),
        ("Content-Type: text/plain; charset=utf-8", b"\xff\xfe", "\ufffd\ufffd"),
        ("Content-Transfer-Encoding: base64", b"!!! not base64", None),
        ("Content-Type: multipart/mixed; boundary=x", b"no boundary at all", None),
        ("Content-Type: image/png", b"\x89PNG", ""),
        ("Subject: =?x-nonsense?B?////?= =?utf-8?B?!?=", b"body", "body"),
        ("Subject: \xff\xfe", b"body", "body"),
        ("Content-Type: ;;;=", b"body", "body"),
        ("Broken header without a colon", b"body", None),
    ],
)
def test_odd_mail_is_taken_and_shown_as_well_as_can_be(server: Server, extra: str, body: bytes, text: str | None) -> None:
    """An unknown charset, an undecodable body, a header that is none: 250, and something to read."""
    desk = server()
    desk.mail(HEADERS.encode() + extra.encode("latin-1") + b"\r\n\r\n" + body)
    message = desk.inbox.all()[0]
    assert message["state"] == "firing"
    assert text is None or message["text"].strip() == text


@pytest.mark.parametrize("identity", ["no brackets", "<>", "<a@b", "<[", "a@[", '"', "<\xfc@b>"])
def test_an_odd_message_id_is_taken(server: Server, identity: str) -> None:
    """The standard library's newer parser fails on some of them."""
    desk = server()
    desk.mail(HEADERS.replace("<1@example.org>", identity).encode("latin-1") + b"Subject: s\r\n\r\nbody")
    assert desk.inbox.all()[0]["title"] == "s"


@pytest.mark.parametrize(
    ("headers", "state"),
    [
        ("X-ZADS-State: resolved", "resolved"),
        ("X-ZADS-State: Acknowledged", "acknowledged"),
        ("X-ZADS-State: exploded\r\nSubject: RESOLVED: Kafka", "resolved"),
        ("Subject: Kafka acknowledged by ada", "acknowledged"),
        ("X-ZADS-State: <script>", "firing"),
    ],
)
def test_the_state_is_one_of_three(server: Server, headers: str, state: str) -> None:
    """What the header says when it is one, else what the subject says."""
    desk = server()
    desk.mail(f"{HEADERS}{headers}\r\n\r\nbody")
    assert desk.inbox.all()[0]["state"] == state


def test_a_reader_sees_the_plain_text_of_a_real_mail(server: Server) -> None:
    """Text beside HTML; HTML alone; an attachment is not read; encoded words in the subject are."""
    desk = server()
    both = EmailMessage()
    both["From"], both["Subject"] = "ZADS <zads@example.org>", "Kafka ↓"
    both["Date"], both["Message-ID"] = "Wed, 01 Apr 2026 08:00:00 +0000", "<1@example.org>"
    both.set_content("plain β", cte="quoted-printable")
    both.add_alternative("<p>html</p>", subtype="html")
    both.add_attachment("attached", filename="log.txt")
    desk.mail(both.as_bytes())
    desk.mail(f"{HEADERS}Content-Type: text/html\r\n\r\n<p>only html</p>")
    assert [(m["title"], m["text"].strip()) for m in desk.inbox.all()] == [("Kafka ↓", "plain β"), ("", "<p>only html</p>")]


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"From: a@b", b"Subject: ", b"=?utf-8?q?=ff?=", b"Content-Type: ", b"multipart/mixed; boundary=", b"x", b"--x", b"--x--",
             b"text/plain; charset=", b"message/rfc822", b"Content-Transfer-Encoding: base64", b"\r\n", b"\n", b"\xff", b";", b'"',
             b"Date: ", b"Message-ID: <", b"charset*0*=''%ff", b"Content-Disposition: attachment; filename*=a"]
        )
        | st.binary(max_size=8),
        max_size=25,
    )
)  # fmt: skip
def test_whatever_comes_can_be_read(pieces: list[bytes]) -> None:
    """A reader that returns for every mail there can be."""
    mail = standin_mail.read(b"".join(pieces))
    assert mail.state in STATES
