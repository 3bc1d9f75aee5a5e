"""A provider that is away takes nothing, and the others go on."""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.unit.notifier.site import free_port
from zads.stack.inbox_store import Inbox
from zads.stack.standin_away import PROVIDERS, AwayOverHttp
from zads.stack.standin_smtp import SmtpServer

PATHS = {"slack": "/slack/api/chat.postMessage", "pagerduty": "/pagerduty/v2/enqueue", "webhook": "/webhook"}


@pytest.mark.parametrize("gone", PATHS)
def test_only_the_one_that_is_away_answers_503(gone: str) -> None:
    """What a person does at PagerDuty's page stays possible."""
    routes = [Route(path, lambda _: PlainTextResponse("here")) for path in (*PATHS.values(), "/pagerduty/person", "/inbox.json")]
    client = TestClient(AwayOverHttp(Starlette(routes=routes), lambda name: name == gone))
    answers = {name: client.get(path).status_code for name, path in PATHS.items()}
    assert answers == {name: 503 if name == gone else 200 for name in PATHS}
    assert client.get("/pagerduty/person").status_code == client.get("/inbox.json").status_code == 200
    assert set(PATHS) < set(PROVIDERS)


def test_smtp_says_that_it_shuts_down(tmp_path: Path) -> None:
    away = [True]
    server = SmtpServer(Inbox(tmp_path / "i"), "127.0.0.1", port := free_port(), away=lambda _name: away[0])
    server.start()
    try:
        for expected in (421, 250):
            with smtplib.SMTP("127.0.0.1", port, timeout=5) as smtp:
                smtp.ehlo("a.example")
                assert smtp.mail("a@example.org")[0] == expected
            away[0] = False
    finally:
        server.stop()
