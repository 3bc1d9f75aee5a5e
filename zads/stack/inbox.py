"""The stand-ins' process: SMTP, Slack, PagerDuty, the outside dead-man's switch, and a page that shows all.

They listen on loopback only and answer like the real services.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import html
import threading
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from aiosmtpd.controller import Controller
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from zads.config import host_port
from zads.stack.inbox_store import Inbox
from zads.stack.standins import PagerDuty, Reply, Slack

_MAIL_MOST = 10_000_000
_SILENT_AFTER = 90.0


class _Smtp:
    """Accept mail for example.org; refuse what a real server refuses (RFC 5321)."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if "@" not in (address or ""):
            return "553 5.1.7 Sender address has no domain"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:
        local, _, domain = address.rpartition("@")
        if not local:
            return "553 5.1.3 Recipient address has no domain"
        if domain != "example.org":
            return "550 5.7.1 Relaying denied: this server takes mail for example.org"
        if local == "unknown":
            return "550 5.1.1 No such user here"
        if local == "full":
            return "452 4.2.2 Mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        if not message["From"]:
            return "554 5.6.0 Message has no From header"
        if not message["Date"] or not message["Message-ID"]:
            return "554 5.6.0 Message lacks Date or Message-ID"
        body = message.get_body(("plain",)) or message.get_body(("html",))
        text = body.get_content() if body else ""
        state = str(message.get("X-ZADS-State", "")) or (
            "resolved" if "resolved" in str(message["Subject"]).lower() else "firing"
        )
        raw = envelope.content.decode("utf-8", "replace")
        self._inbox.add("email", state.strip().lower(), str(message["Subject"] or ""), text, raw)
        return "250 2.0.0 Queued"


class DeadMan:
    """An outside dead-man's switch: pages by itself when the heartbeat stops."""

    def __init__(self, inbox: Inbox, silent_after: float = _SILENT_AFTER) -> None:
        self._inbox, self._after = inbox, silent_after
        self._last: float | None = None
        self._fired = False

    def beat(self) -> None:
        """Note a heartbeat."""
        self._last = time.monotonic()
        if self._fired:
            self._fired = False
            self._say("resolved", "ZADS Monitor is heard again")

    def check(self) -> None:
        """Page when the heartbeat has stopped."""
        if self._last is not None and not self._fired and time.monotonic() - self._last > self._after:
            self._fired = True
            self._say("firing", f"ZADS Monitor is silent: no heartbeat for {round(self._after)} s, nobody watches ZADS")

    def _say(self, state: str, title: str) -> None:
        self._inbox.add("pagerduty", state, title, title, {"source": "outside dead-man's switch"})


def _response(reply: Reply) -> Response:
    return JSONResponse(reply.body, reply.status, headers=reply.headers)


def application(inbox: Inbox, slack: Slack, pagerduty: PagerDuty, dead_man: DeadMan) -> Starlette:
    """Return the HTTP side."""

    async def slack_call(request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if "json" in request.headers.get("content-type", ""):
            try:
                fields = await request.json()
            except ValueError:
                return JSONResponse({"ok": False, "error": "invalid_json"})
        else:
            form = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
            fields = {**request.query_params, **dict(form)}
        if not isinstance(fields, dict):
            return JSONResponse({"ok": False, "error": "invalid_arguments"})
        return _response(slack.call(request.path_params["method"], token or str(fields.get("token", "")), fields))

    async def enqueue(request: Request) -> Response:
        return _response(pagerduty.enqueue(await request.body()))

    async def heartbeat(_request: Request) -> Response:
        dead_man.beat()
        return PlainTextResponse("OK")

    async def as_json(_request: Request) -> Response:
        return JSONResponse(inbox.all())

    async def page(_request: Request) -> Response:
        return HTMLResponse(_page(inbox.all()))

    async def healthy(_request: Request) -> Response:
        return PlainTextResponse("OK")

    return Starlette(
        routes=[
            Route("/slack/api/{method}", slack_call, methods=["POST", "GET"]),
            Route("/pagerduty/v2/enqueue", enqueue, methods=["POST"]),
            Route("/heartbeat", heartbeat, methods=["POST", "GET"]),
            Route("/inbox.json", as_json),
            Route("/-/healthy", healthy),
            Route("/", page),
        ]
    )


def _page(messages: list[dict[str, Any]]) -> str:
    """Return the page: newest first, one card per message."""
    cards = "".join(
        f'<article class="{html.escape(m["state"])}"><header>{html.escape(m["channel"])} · {html.escape(m["state"])}'
        f" · {html.escape(m['at'])}</header><h2>{html.escape(m['title'])}</h2><pre>{html.escape(m['text'])}</pre></article>"
        for m in reversed(messages)
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        "<meta http-equiv=refresh content=5><title>Inbox of the stand-ins</title><style>"
        "body{font:16px/1.4 Inter,sans-serif;background:#0c0e12;color:#eee;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "article{background:#161a20;border-left:8px solid #d1480a;padding:.6rem 1rem;margin:1rem 0;border-radius:6px}"
        "article.resolved{border-color:#2f8f83}article.acknowledged{border-color:#e69f00}"
        "header{color:#9aa3ad}h2{font-size:1.1rem;margin:.3rem 0}pre{white-space:pre-wrap;margin:0;font:inherit}"
        f"</style><h1>Inbox: what e-mail, Slack and PagerDuty received</h1>{cards or '<p>Nothing yet.</p>'}"
    )


def run(file: Path, http: str, smtp: str, *, slack_token: str, slack_channel: str, routing_key: str) -> int:
    """Serve until SIGTERM."""
    inbox = Inbox(file)
    dead_man = DeadMan(inbox)
    host, port = host_port(smtp)
    controller = Controller(_Smtp(inbox), hostname=host, port=port, data_size_limit=_MAIL_MOST)
    controller.start()

    def watch() -> None:
        while True:
            time.sleep(1.0)
            dead_man.check()

    threading.Thread(target=watch, daemon=True, name="dead-man").start()
    host, port = host_port(http)
    app = application(inbox, Slack(inbox, slack_token, slack_channel), PagerDuty(inbox, routing_key), dead_man)
    try:
        asyncio.run(uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning", access_log=False)).serve())
    finally:
        controller.stop()
    return 0
