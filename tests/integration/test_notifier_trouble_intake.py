"""What comes in, with a real notifier: two Alertmanagers, 10,000 alerts at once, bodies and senders that mean no good."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from tests.support.notifier_process import TroubleSite, expect
from tests.unit.notifier.site import alert, free_port, listens, wait


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TroubleSite]:
    site = TroubleSite(tmp_path)
    try:
        site.start_providers()
        yield site
    finally:
        site.close()


class _Alertmanagers:
    """Two real ones that send to the notifier: a pair that gossips, or two that know nothing of each other."""

    def __init__(self, site: TroubleSite, *, pair: bool) -> None:
        program = shutil.which("prometheus-alertmanager")
        assert program, "prometheus-alertmanager is needed: `make up` unpacks it"
        file = site.folder / "am.yml"
        receiver = {
            "url": f"http://127.0.0.1:{site.own}/v1/alertmanager",
            "send_resolved": True,
            "http_config": {"authorization": {"type": "Bearer", "credentials": "bearer-secret"}},
        }
        route = {"receiver": "n", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "4h"}
        content = {"route": route, "receivers": [{"name": "n", "webhook_configs": [receiver]}]}
        file.write_text(json.dumps(content))  # YAML reads JSON
        self.ports = [free_port(), free_port()]
        gossip = [free_port(), free_port()]
        self._running: list[subprocess.Popen[bytes]] = []
        for mine, port in enumerate(self.ports):
            command = [program, f"--config.file={file}", f"--storage.path={site.folder}/am{mine}"]
            command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
            if pair:
                command[-1] += f"127.0.0.1:{gossip[mine]}"
                command += [f"--cluster.peer=127.0.0.1:{gossip[1 - mine]}", "--cluster.peer-timeout=2s"]
            with (site.folder / f"am{mine}.log").open("wb") as out:
                self._running.append(subprocess.Popen(command, stdout=out, stderr=out))
        wait(lambda: all(listens(port) for port in self.ports), 30)
        wait(lambda: all(self._ready(port) for port in self.ports), 30)

    @staticmethod
    def _ready(port: int) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def tell(self, begins: str, ends: str | None = None) -> None:
        """Tell both what a Prometheus tells each of its Alertmanagers."""
        one = alert()
        content = {
            "labels": one["labels"],
            "annotations": one["annotations"],
            "startsAt": begins,
            **({"endsAt": ends} if ends else {}),
        }
        for port in self.ports:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/v2/alerts",
                json.dumps([content]).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200

    def sent(self) -> int:
        """Return how many webhooks the two have delivered."""
        total = 0.0
        for port in self.ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                for line in answer.read().decode().splitlines():
                    if line.startswith('alertmanager_notifications_total{integration="webhook"'):
                        total += float(line.rpartition(" ")[2])
        return int(total)

    def close(self) -> None:
        for process in self._running:
            process.kill()
            process.wait(10)


def _utc(ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago))


@pytest.mark.parametrize("pair", [True, False], ids=["a pair", "two strangers"])
def test_two_alertmanagers_that_send_the_same_are_told_once(site: TroubleSite, pair: bool) -> None:
    """Beginning, end, beginning again: each reaches everybody once, whatever both of them send."""
    process = site.run()
    both = _Alertmanagers(site, pair=pair)
    try:
        begins = _utc(60)
        both.tell(begins)
        expect(site, lambda: site.everywhere("firing"), 30)
        if not pair:
            expect(site, lambda: both.sent() >= 2)
        both.tell(begins, _utc(0))
        expect(site, lambda: site.everywhere("resolved"), 30)
        if not pair:
            expect(site, lambda: both.sent() >= 4)
        assert site.numbers("firing") == {"pagerduty": 1, "slack": 1, "webhook": 1, "email": 2}
        assert {**site.numbers("resolved"), "slack": 0} == {"pagerduty": 1, "slack": 0, "webhook": 1, "email": 2}
        assert all(site.twice(name) == {} for name in ("pagerduty", "slack", "webhook", "email"))
        assert process.running
    finally:
        both.close()


def test_ten_thousand_alerts_at_once(site: TroubleSite) -> None:
    """All are accepted and recorded within a minute, people read a digest, and a page among them is told within seconds."""
    process = site.run()
    bodies: Queue[list[dict[str, Any]]] = Queue()
    for number in range(100):
        bodies.put([alert(mark=f"s{number}-{one}", severity="ticket") for one in range(100)])
    answers: list[int] = []

    def send() -> None:
        with suppress(Empty):
            while True:
                alerts = bodies.get_nowait()
                while (status := site.post(*alerts)) == 503:
                    time.sleep(0.1)
                answers.append(status)

    senders = [threading.Thread(target=send, daemon=True) for _ in range(8)]
    begun = time.monotonic()
    for sender in senders:
        sender.start()
    while bodies.qsize() > 50:
        time.sleep(0.01)
    assert site.post(alert(mark="page")) == 200
    accepted = time.monotonic()
    expect(site, lambda: "f-page" in site.incidents_of("pagerduty"), 10)
    assert time.monotonic() - accepted < 10
    for sender in senders:
        sender.join(60)
    assert answers == [200] * 100
    assert process.metric('zads_incidents{state="firing"}') == 10_001
    expect(site, lambda: process.metric('zads_notifications_queue_length{channel="slack"}') in (0, None), 60)
    expect(site, lambda: process.metric('zads_notifications_queue_length{channel="email"}') in (0, None), 60)
    assert time.monotonic() - begun < 100
    assert len(site.got("slack", "firing")) < 150
    assert (process.metric('zads_notifications_total{channel="slack",outcome="digest"}') or 0) >= 9_000


def _raw(site: TroubleSite, head: str, body: bytes, *, declared: int | None = None) -> str:
    """Send a request as it stands and return the first line of the answer, "" where there is none."""
    with socket.create_connection(("127.0.0.1", site.own), timeout=15) as sock:
        length = len(body) if declared is None else declared
        with suppress(OSError):
            sock.sendall(f"POST /v1/alertmanager HTTP/1.1\r\nHost: n\r\nContent-Length: {length}\r\n{head}\r\n".encode())
            sock.sendall(body)
            sock.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            return sock.recv(200).decode("latin-1").partition("\r\n")[0]
    return ""


_TOKEN = "Authorization: Bearer bearer-secret\r\n"


def test_bodies_that_are_no_webhook_are_refused_with_a_reason_and_harm_nobody(site: TroubleSite) -> None:
    """Huge, deep, no JSON, no UTF-8, cut off, not authenticated: each its answer, no traceback, and a page right after it."""
    process = site.run()
    assert site.post(body=b"{nonsense") == 400
    assert site.post(body=b'{"alerts": [' + b"\xff\xfe" + b"]}") == 400
    assert site.post(body=b"[]") == 400
    assert site.post(body=b"") == 400
    for depth in (10, 200, *range(960, 1000, 2), 100_000):
        deep = b"[" * depth + b"]" * depth
        assert site.post(body=deep) == 400
        assert site.post(body=b'{"version": "4", "alerts": ' + deep + b"}") in (200, 400)
        entry = (
            b'{"status": "firing", "startsAt": "2026-04-01T08:00:00Z", "labels": {"severity": "info", "a": ' + deep + b"}}"
        )
        assert site.post(body=b'{"version": "4", "alerts": [' + entry + b"]}") in (200, 400)
    assert site.post(alert(), token="wrong") == 401
    assert "401" in _raw(site, "", b"{}")
    assert "401" in _raw(site, "Authorization: Bearer \xff\r\n", b"{}")
    assert "413" in _raw(site, _TOKEN, b" " * 9_000_000) or site.post(alert(mark="alive")) == 200
    assert _raw(site, _TOKEN, json.dumps({"alerts": [alert()]}).encode()[:50], declared=5000) in (
        "",
        "HTTP/1.1 400 Bad Request",
    )
    assert site.post(alert(mark="after")) == 200
    expect(site, lambda: "f-after" in site.incidents_of("pagerduty"))
    assert "f-a" not in site.incidents_of("pagerduty")
    assert "Traceback" not in process.log()


def test_senders_that_never_finish_keep_nobody_from_being_heard(site: TroubleSite) -> None:
    """Two hundred that send a byte now and then, with and without a token; a page is taken and told within seconds.

    Who has a token and does not finish within ten seconds is told 503, so that Alertmanager comes again.
    """
    process = site.run()
    slow: list[socket.socket] = []
    try:
        for number in range(200):
            sock = socket.create_connection(("127.0.0.1", site.own), timeout=30)
            slow.append(sock)
            token = (_TOKEN, "", None)[number % 3]
            sock.sendall(b"POST /v1/alertmanager HTTP/1.1\r\nHost: n\r\n")
            if token is not None:
                sock.sendall(f"Content-Length: 1000\r\n{token}\r\n{{".encode())
        begun = time.monotonic()
        assert site.post(alert()) == 200
        expect(site, lambda: site.everywhere("firing"))
        assert time.monotonic() - begun < 8
        assert b"401" in slow[1].recv(100)
        for _ in range(8):
            for sock in slow[::3]:
                with suppress(OSError):
                    sock.sendall(b" ")
            time.sleep(1.0)
        answer = slow[0].recv(1000)
        assert b"503" in answer.partition(b"\r\n")[0]
        assert "Traceback" not in process.log()
        assert process.terminate() == 0
    finally:
        for sock in slow:
            sock.close()
