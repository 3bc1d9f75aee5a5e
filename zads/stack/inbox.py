"""The stand-ins' process: SMTP, Slack, PagerDuty, a webhook's receiver, the outside dead-man's switch, and a page of all.

They listen on loopback only and answer like the real services.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from zads.config import host_port
from zads.stack import inbox_page
from zads.stack.inbox_store import Inbox
from zads.stack.standin_away import Away, AwayOverHttp, nobody
from zads.stack.standin_deadman import DeadMan
from zads.stack.standin_http import Reply, read_body, slack_call
from zads.stack.standin_pagerduty import BODY_MOST, PagerDuty
from zads.stack.standin_pagerduty_rest import PagerDutyRest
from zads.stack.standin_slack import Slack
from zads.stack.standin_slack_hook import SlackHook
from zads.stack.standin_smtp import Smtp, SmtpServer
from zads.stack.standin_webhook import BODY_MOST as WEBHOOK_MOST
from zads.stack.standin_webhook import Webhook

__all__ = ["DeadMan", "application", "run"]
_Smtp = Smtp  # the notifier's tests know it by this name


def _response(reply: Reply) -> Response:
    return JSONResponse(reply.body, reply.status, headers=reply.headers)


def application(
    inbox: Inbox,
    slack: Slack,
    pagerduty: PagerDuty,
    dead_man: DeadMan,
    *,
    rest: PagerDutyRest | None = None,
    hook: SlackHook | None = None,
    webhook: Webhook | None = None,
) -> Starlette:
    """Return the HTTP side; what is None refuses everybody, as a provider does who does not know the key."""
    rest, hook = rest or PagerDutyRest(pagerduty.incidents, ""), hook or SlackHook(slack, "")
    receiver = webhook or Webhook(inbox, "")

    async def slack_api(request: Request) -> Response:
        call = await slack_call(request)
        if isinstance(call, Reply):
            return _response(call)
        return _response(slack.call(request.path_params["method"], call.token, call.fields))

    async def enqueue(request: Request) -> Response:
        return _response(pagerduty.enqueue(await read_body(request, BODY_MOST)))

    async def incidents(request: Request) -> Response:
        headers = request.headers
        query = request.query_params.multi_items()
        return _response(rest.listing(headers.get("authorization", ""), headers.get("accept", ""), query))

    async def person(request: Request) -> Response:
        """Do what a person does in PagerDuty's app: the page's buttons, or a script with a form."""
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return PlainTextResponse("only from this page", 403)
        fields = dict(parse_qsl((await read_body(request, 10_000) or b"").decode("utf-8", "replace")))
        done = pagerduty.person(fields.get("incident", ""), fields.get("deed", ""), fields.get("name", "somebody")[:100])
        if request.headers.get("sec-fetch-site") == "same-origin":
            return RedirectResponse("/", 303)
        return PlainTextResponse("done", 200) if done else PlainTextResponse("no such open incident, or no such deed", 404)

    async def slack_hook(request: Request) -> Response:
        body = await read_body(request, 1_000_000)
        answer = hook.post(request.path_params["path"], request.headers.get("content-type", ""), body)
        return PlainTextResponse(answer.text, answer.status, headers=answer.headers)

    async def signed(request: Request) -> Response:
        return _response(receiver.receive(request.headers, await read_body(request, WEBHOOK_MOST)))

    async def heartbeat(_request: Request) -> Response:
        dead_man.beat()
        return PlainTextResponse("OK")

    async def as_json(_request: Request) -> Response:
        return JSONResponse(inbox.all())

    async def page(_request: Request) -> Response:
        still = [one for one in pagerduty.incidents.all() if one.status != "resolved"]
        text = inbox_page.page(inbox.all(), inbox.skipped, inbox.unsaved, still)
        return HTMLResponse(text, headers=inbox_page.HEADERS)

    async def healthy(_request: Request) -> Response:
        return PlainTextResponse("OK")

    async def gone(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("the client went away before the end of its body", 400)

    return Starlette(
        routes=[
            Route("/slack/api/{method}", slack_api, methods=["POST", "GET"]),
            Route("/slack/services/{path:path}", slack_hook, methods=["POST"]),
            Route("/pagerduty/v2/enqueue", enqueue, methods=["POST"]),
            Route("/pagerduty/incidents", incidents, methods=["GET"]),
            Route("/pagerduty/person", person, methods=["POST"]),
            Route("/webhook", signed, methods=["POST"]),
            Route("/heartbeat", heartbeat, methods=["POST", "GET"]),
            Route("/inbox.json", as_json),
            Route("/-/healthy", healthy),
            Route("/", page),
        ],
        exception_handlers={ClientDisconnect: gone},
    )


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End with 0 on SIGTERM and SIGINT; uvicorn would raise the signal again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._drain)
        yield

    def _drain(self) -> None:
        self.should_exit = True


def run(
    file: Path,
    http: str,
    smtp: str,
    *,
    slack_token: str,
    slack_channel: str,
    routing_key: str,
    slack_hook: str = "",
    api_token: str = "",
    webhook_secret: str = "",
    away: Away = nobody,
) -> int:
    """Serve until SIGTERM; return the exit code.

    `slack_hook`: the last part of the incoming webhook's address, after /slack/services/; `api_token`: PagerDuty's
    REST API key; `webhook_secret`: what signs for the receiver at /webhook. What is "" refuses everybody. `away`
    tells whether a provider is away at the moment.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    inbox = Inbox(file)
    dead_man = DeadMan(inbox, file=file.with_name("heartbeat"))
    mail, address = SmtpServer(inbox, *host_port(smtp), away=away), http
    try:
        web = socket.create_server(host_port(address))
        address = smtp
        mail.start()
    except OSError as error:
        print(f"The stand-ins can not listen on {address}: {error.strerror}.", file=sys.stderr)
        mail.loop.close()  # made by its constructor; left open, it complains at the interpreter's end
        return 1
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(1.0):
            dead_man.check()

    watcher = threading.Thread(target=watch, daemon=True, name="dead-man")
    watcher.start()
    slack, pagerduty = Slack(inbox, slack_token, slack_channel), PagerDuty(inbox, routing_key)
    app = application(
        inbox,
        slack,
        pagerduty,
        dead_man,
        rest=PagerDutyRest(pagerduty.incidents, api_token),
        hook=SlackHook(slack, slack_hook),
        webhook=Webhook(inbox, webhook_secret),
    )
    server = _Server(
        uvicorn.Config(AwayOverHttp(app, away), log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    )
    try:
        asyncio.run(server.serve(sockets=[web]))
    finally:
        stop.set()
        watcher.join(2.0)
        mail.stop()
    return 0 if server.started else 1
