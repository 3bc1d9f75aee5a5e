"""The night's report by e-mail: a real Prometheus, mail on the wire."""

from __future__ import annotations

import argparse
import email
import email.policy
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from notifier import cli_mail_report
from tests.support.backfilled import backfilled
from tests.support.played_night import NIGHT, TROUBLE, play, site
from zads.config import ConfigErrors, load
from zads.stack.inbox_store import Inbox
from zads.stack.standin_smtp import SmtpServer


class Post:
    """A mail server, and a zads.toml that sends by it."""

    def __init__(self, folder: Path, prometheus: str) -> None:
        self.inbox = Inbox(folder / "inbox.jsonl")
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        self.server = SmtpServer(self.inbox, "127.0.0.1", port)
        self.toml = site(prometheus, folder)
        text = self.toml.read_text().replace("mail.example.org:587", f"127.0.0.1:{port}")
        text = text.replace("[notifier.email]", "[notifier.email]\nstarttls = false")
        self.toml.write_text(text.replace("[notifier]", '[notifier]\nreport_to = ["one@example.org", "two@example.org"]'))

    def run(self, *argv: str) -> int:
        parser = argparse.ArgumentParser()
        parser.add_argument("--config", type=Path)
        cli_mail_report.register(parser.add_subparsers())
        args = parser.parse_args(["--config", str(self.toml), "mail-report", *argv])
        return int(args.func(args))

    def mails(self) -> list[EmailMessage]:
        found = [email.message_from_string(one["raw"], policy=email.policy.default) for one in self.inbox.all()]
        return [mail for mail in found if isinstance(mail, EmailMessage)]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with backfilled(tmp_path_factory.mktemp("mail"), play(TROUBLE).series) as address:
        yield address


@pytest.fixture
def post(tmp_path: Path, prometheus: str) -> Iterator[Post]:
    post = Post(tmp_path, prometheus)
    post.server.start()
    try:
        yield post
    finally:
        post.server.stop()


def test_each_recipient_has_the_report(post: Post, capsys: pytest.CaptureFixture[str]) -> None:
    """As text, as a page without plots (an e-mail program would drop them), and the page with them attached."""
    assert post.run(NIGHT) == 0
    assert capsys.readouterr().out == "one@example.org: sent\ntwo@example.org: sent\n"
    mails = post.mails()
    assert [mail["To"] for mail in mails] == ["one@example.org", "two@example.org"]
    mail = mails[0]
    assert mail["Subject"].startswith("ZADS, night 20260320 (Fri 20 Mar 2026): A clear night")
    assert mail["Auto-Submitted"] == "auto-generated"
    plain, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None and page is not None
    assert "12 minutes of darkness were bad" in plain.get_content().replace("\n", " ")
    assert max(map(len, plain.get_content().splitlines())) <= 80
    assert "<svg" not in page.get_content() and "At IPAC at most" in page.get_content()
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == "zads-20260320.html"
    assert attached.get_content().count("<svg") > 6


def test_sent_again_it_is_the_same_mail(post: Post) -> None:
    """By its Message-ID, which differs between recipients."""
    assert (post.run(NIGHT), post.run(NIGHT)) == (0, 0)
    names = [mail["Message-ID"] for mail in post.mails()]
    assert names[:2] == names[2:]
    assert len(set(names)) == 2


def test_who_does_not_take_it_is_named(post: Post, capsys: pytest.CaptureFixture[str]) -> None:
    """And the others have it."""
    assert post.run(NIGHT, "--to", "unknown@example.org", "--to", "three@example.org") == 1
    said = capsys.readouterr()
    assert said.err.startswith("unknown@example.org: 550 ")
    assert said.out == "three@example.org: sent\n"
    assert [mail["To"] for mail in post.mails()] == ["three@example.org"]


def test_without_a_report_nothing_is_sent(post: Post, capsys: pytest.CaptureFixture[str]) -> None:
    """A night that is not on record: a sentence for the timer's log."""
    before = (datetime(2026, 3, 10, tzinfo=UTC)).strftime("%Y%m%d")
    assert post.run(before) == 1
    assert "zads notify mail-report: Prometheus at " in capsys.readouterr().err
    assert post.mails() == []


def test_without_recipients_it_says_what_to_add(post: Post, capsys: pytest.CaptureFixture[str]) -> None:
    post.toml.write_text(post.toml.read_text().replace("report_to", "# report_to"))
    assert post.run(NIGHT) == 2
    assert "add [notifier.email] and notifier.report_to" in capsys.readouterr().err


def test_recipients_without_a_server_are_a_wrong_config(post: Post) -> None:
    text = post.toml.read_text()
    begin = text.index("[notifier.email]")
    end = text.index("[notifier.pagerduty]")
    post.toml.write_text(text[:begin] + text[end:])
    with pytest.raises(ConfigErrors, match=r"notifier.report_to.*needs \[notifier.email\]"):
        load(post.toml)
