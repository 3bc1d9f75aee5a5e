"""The inbox as a whole: its page, its list, the dead-man's switch, and the process from start to SIGTERM."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient
from starlette.testclient import TestClient

from zads.stack import inbox_page
from zads.stack.inbox import DeadMan, application
from zads.stack.inbox_store import Inbox
from zads.stack.standins import PagerDuty, Slack

KEY, TOKEN = "0123456789abcdef0123456789abcdef", "xoxb-test"
SECRET = f"whsec_{base64.b64encode(KEY.encode()).decode()}"


# The outside dead-man's switch.


class Switch:
    """A switch with a clock that a test moves, and the disk that outlives it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.now = folder, 1000.0
        self.start()

    def start(self) -> None:
        self.inbox = Inbox(self._folder / "received.jsonl")
        self.switch = DeadMan(self.inbox, clock=lambda: self.now, file=self._folder / "heartbeat")

    def wait(self, seconds: int) -> list[str]:
        for _ in range(seconds):
            self.now += 1.0
            self.switch.check()
        return [message["state"] for message in self.inbox.all()]


@pytest.fixture
def switch(tmp_path: Path) -> Switch:
    return Switch(tmp_path)


def test_the_switch_pages_once_when_the_heartbeat_stops_and_says_when_it_is_heard_again(switch: Switch) -> None:
    """Not before 90 s, once for each silence, as a page; a switch that never heard anything misses nothing."""
    assert switch.wait(1000) == []
    switch.switch.beat()
    assert switch.wait(90) == []
    switch.switch.beat()
    assert switch.wait(90) == []
    assert switch.wait(500) == ["firing"]
    switch.switch.beat()
    assert switch.wait(50) == ["firing", "resolved"]
    assert switch.wait(50) == ["firing", "resolved", "firing"]
    message = switch.inbox.all()[0]
    assert (message["channel"], message["title"]) == (
        "pagerduty",
        "ZADS Monitor is silent: no heartbeat for 90 s, nobody watches ZADS",
    )


def test_the_switch_is_armed_after_a_restart(switch: Switch) -> None:
    """With five minutes for the monitor to start in; a monitor that does not come back is paged."""
    switch.switch.beat()
    switch.start()
    assert switch.wait(300) == []
    assert switch.wait(1) == ["firing"]


def test_a_silence_is_not_paged_twice_over_a_restart(switch: Switch) -> None:
    """And its end is told although the page was the last run's."""
    switch.switch.beat()
    assert switch.wait(100) == ["firing"]
    switch.start()
    assert switch.wait(1000) == ["firing"]
    switch.switch.beat()
    assert switch.wait(10) == ["firing", "resolved"]


# The page and the list.


@pytest.fixture
def desk(tmp_path: Path) -> tuple[Inbox, TestClient]:
    inbox = Inbox(tmp_path / "received.jsonl")
    return inbox, TestClient(application(inbox, Slack(inbox, TOKEN, "#a"), PagerDuty(inbox, KEY), DeadMan(inbox)))


def test_the_page_shows_the_newest_first_with_its_state_as_a_word(desk: tuple[Inbox, TestClient]) -> None:
    """Escaped, without a script, with a policy that allows only its own style, refreshed by itself, for phones."""
    inbox, client = desk
    inbox.add("email", "firing", "old", "text", "")
    inbox.add("slack", "resolved", "<script>alert(1)</script>", "a & b", "")
    answer = client.get("/")
    text = answer.text
    assert text.index("&lt;script&gt;") < text.index("old")
    assert "<script" not in text and "a &amp; b" in text
    assert '<span class="state">RESOLVED</span><span>Slack</span>' in text
    assert '<meta http-equiv="refresh" content="5">' in text
    assert "width=device-width" in text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy


def test_the_page_says_what_is_missing(tmp_path: Path) -> None:
    """Damaged lines of the record, and messages that the disk did not take."""
    file = tmp_path / "received.jsonl"
    file.write_text('{"chan')
    inbox = Inbox(file)
    file.unlink()
    file.mkdir()
    inbox.add("email", "firing", "t", "", "")
    client = TestClient(application(inbox, Slack(inbox, TOKEN, "#a"), PagerDuty(inbox, KEY), DeadMan(inbox)))
    text = client.get("/").text
    assert "1 damaged line" in text
    assert "1 message is only in memory" in text


def test_a_provider_answers_as_ever_while_the_disk_is_full(tmp_path: Path) -> None:
    """The call is taken, the message can be read: a full disk here is no reason for the notifier to page again."""
    inbox = Inbox(tmp_path / "received.jsonl")
    (tmp_path / "received.jsonl").symlink_to("/dev/full")
    client = TestClient(application(inbox, Slack(inbox, TOKEN, "#a"), PagerDuty(inbox, KEY), DeadMan(inbox)))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client.post("/slack/api/chat.postMessage", json={"channel": "#a", "text": "x"}, headers=headers).json()["ok"]
    payload = {"summary": "s", "source": "h", "severity": "info"}
    assert (
        client.post(
            "/pagerduty/v2/enqueue", json={"routing_key": KEY, "event_action": "trigger", "payload": payload}
        ).status_code
        == 202
    )
    assert [m["channel"] for m in client.get("/inbox.json").json()] == ["slack", "pagerduty"]


def test_the_page_stays_readable_in_a_storm() -> None:
    """The newest two hundred, and how many more there are."""
    message = {"channel": "email", "state": "firing", "at": "2026-04-01T08:00:00.000Z", "title": "t", "text": "", "raw": ""}
    text = inbox_page.page([message] * 1000, 0, 0)
    assert text.count("<article") == 200
    assert "800 older" in text


# The process.


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


class Process:
    """The stand-ins as `zads stack run-inbox` runs them, with ports and a folder of their own."""

    def __init__(self, folder: Path, http: int = 0, smtp: int = 0) -> None:
        self.http, self.smtp = http or _port(), smtp or _port()
        self.url = f"http://127.0.0.1:{self.http}"
        call = (
            "import sys; from pathlib import Path; from zads.stack.inbox import run; "
            "sys.exit(run(Path(sys.argv[1]), sys.argv[2], sys.argv[3], slack_token=sys.argv[4], slack_channel='#a', "
            "routing_key=sys.argv[5], slack_hook='T/B/x', api_token='u+token', webhook_secret=sys.argv[6]))"
        )
        words = [str(folder / "received.jsonl"), f"127.0.0.1:{self.http}", f"127.0.0.1:{self.smtp}", TOKEN, KEY, SECRET]
        self.process = subprocess.Popen(
            [sys.executable, "-c", call, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def get(self, path: str) -> bytes:
        return bytes(urllib.request.urlopen(f"{self.url}{path}", timeout=5).read())

    def ready(self) -> Process:
        deadline = time.monotonic() + 30.0
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.get("/-/healthy")
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
            else:
                return self
        raise AssertionError(self.process.communicate()[0] if self.process.poll() is not None else "not in time")

    def end(self, number: signal.Signals) -> tuple[int, str, float]:
        """Send the signal; return the exit code, what was printed, and how long it took."""
        begin = time.monotonic()
        self.process.send_signal(number)
        text, _ = self.process.communicate(timeout=20)
        return self.process.returncode, text, time.monotonic() - begin


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Process]]:
    running: list[Process] = []

    def make() -> Process:
        running.append(Process(tmp_path))
        return running[-1]

    yield make
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_with_0_at_once(start: Callable[[], Process], number: signal.Signals) -> None:
    """Also while a browser keeps its connection open, a mail is half sent, and a request hangs in its body."""
    one = start().ready()
    browser = socket.create_connection(("127.0.0.1", one.http))
    browser.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    browser.recv(100)
    slow = socket.create_connection(("127.0.0.1", one.http))
    slow.sendall(b"POST /pagerduty/v2/enqueue HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    mail = smtplib.SMTP("127.0.0.1", one.smtp, timeout=10)
    mail.ehlo()
    code, text, took = one.end(number)
    for connection in (browser, slow, mail):
        connection.close()
    assert (code, "Traceback" in text) == (0, False), text
    assert took < 5.0


def test_kill_9_loses_nothing_that_was_answered(start: Callable[[], Process]) -> None:
    """Slack's client edits, and PagerDuty's resolves, what the killed process had taken; a mail is still listed."""
    one = start().ready()
    client = WebClient(TOKEN, base_url=f"{one.url}/slack/api/", retry_handlers=[])
    metadata = {"event_type": "zads_incident", "event_payload": {"state": "firing", "delivery": "1"}}
    posted = client.chat_postMessage(channel="#a", text="before", metadata=metadata)
    _enqueue(one, "trigger")
    with smtplib.SMTP("127.0.0.1", one.smtp, timeout=10) as mail:
        head = "From: a@example.org\r\nDate: Wed, 01 Apr 2026 08:00:00 +0000\r\nMessage-ID: <1@x>\r\nSubject: mail\r\n"
        mail.sendmail("a@example.org", ["b@example.org"], f"{head}\r\nbody")
    assert one.end(signal.SIGKILL)[0] == -signal.SIGKILL
    two = start().ready()
    client = WebClient(TOKEN, base_url=f"{two.url}/slack/api/", retry_handlers=[])
    client.chat_update(channel=str(posted["channel"]), ts=str(posted["ts"]), text="after")
    history = client.conversations_history(channel=str(posted["channel"]), limit=50, include_all_metadata=True)
    assert [(m["text"], m["metadata"]) for m in history["messages"]] == [("after", metadata)]
    _enqueue(two, "resolve")
    seen = [(m["channel"], m["state"], m["title"]) for m in json.loads(two.get("/inbox.json"))]
    assert seen == [
        ("slack", "firing", "before"),
        ("pagerduty", "firing", "Kafka down"),
        ("email", "firing", "mail"),
        ("slack", "firing", "after"),
        ("pagerduty", "resolved", "Kafka down"),
    ]


def _enqueue(one: Process, action: str) -> None:
    payload = {"summary": "Kafka down", "source": "zads", "severity": "critical"}
    event: dict[str, Any] = {"routing_key": KEY, "event_action": action, "dedup_key": "k"}
    if action == "trigger":
        event["payload"] = payload
    request = urllib.request.Request(f"{one.url}/pagerduty/v2/enqueue", json.dumps(event).encode(), method="POST")
    assert urllib.request.urlopen(request, timeout=5).status == 202


def test_the_process_takes_what_each_secret_lets_in(start: Callable[[], Process]) -> None:
    """A signed webhook, a post to Slack's secret address, PagerDuty's incidents with the REST key, a person's deed there."""
    one = start().ready()
    body, seconds = b'{"version": 1, "message": {"state": "firing", "title": "signed"}}', str(int(time.time()))
    mark = base64.b64encode(hmac.new(KEY.encode(), f"m.{seconds}.".encode() + body, hashlib.sha256).digest()).decode()
    signed = {"webhook-id": "m", "webhook-timestamp": seconds, "webhook-signature": f"v1,{mark}"}
    _enqueue(one, "trigger")
    rest = {"Authorization": "Token token=u+token", "Accept": "application/vnd.pagerduty+json;version=2"}
    for path, data, headers in (
        ("/webhook", body, signed),
        ("/slack/services/T/B/x", b'{"text": "posted"}', {"Content-Type": "application/json"}),
        ("/pagerduty/person", b"incident=Q000001&deed=acknowledge&name=operator+1", {}),
        ("/pagerduty/incidents", None, rest),
    ):
        request = urllib.request.Request(f"{one.url}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=5) as answer:
            found = answer.read()
    assert json.loads(found)["incidents"][0]["acknowledgements"][0]["acknowledger"]["summary"] == "operator 1"
    seen = [(m["channel"], m["state"], m["title"]) for m in json.loads(one.get("/inbox.json"))]
    assert seen == [
        ("pagerduty", "firing", "Kafka down"),
        ("webhook", "firing", "signed"),
        ("slack", "firing", "posted"),
        ("pagerduty", "acknowledged", "Kafka down"),
    ]


@pytest.mark.parametrize("which", ["http", "smtp"])
def test_a_taken_port_is_said_plainly(tmp_path: Path, which: str) -> None:
    """Exit code 1 and the address, no traceback, at once."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        process = Process(tmp_path, **{which: taken}).process
        text, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"127.0.0.1:{taken}" in text and "in use" in text and "Traceback" not in text


def test_many_at_once_are_all_kept(start: Callable[[], Process]) -> None:
    """Three providers in parallel, from threads: the list has each once and stays readable while it grows."""
    one = start().ready()

    def mails() -> None:
        with smtplib.SMTP("127.0.0.1", one.smtp, timeout=10) as mail:
            for number in range(20):
                head = f"From: a@x\r\nDate: Wed, 01 Apr 2026 08:00:00 +0000\r\nMessage-ID: <{number}@x>\r\nSubject: m{number}\r\n"
                mail.sendmail("a@example.org", ["b@example.org"], f"{head}\r\nbody")

    def events() -> None:
        for number in range(20):
            event = {"summary": f"p{number}", "source": "h", "severity": "info"}
            body = {"routing_key": KEY, "event_action": "trigger", "payload": event}
            request = urllib.request.Request(f"{one.url}/pagerduty/v2/enqueue", json.dumps(body).encode(), method="POST")
            urllib.request.urlopen(request, timeout=5).close()

    threads = [threading.Thread(target=target) for target in (mails, events)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        json.loads(one.get("/inbox.json"))
    titles = [message["title"] for message in json.loads(one.get("/inbox.json"))]
    assert sorted(titles) == sorted([f"{kind}{number}" for kind in "mp" for number in range(20)])
