"""Webhooks in: alerts and the Watchdog. Answered with 2xx only after the commit, with 503 when there is none."""

from __future__ import annotations

import asyncio
import hmac
import logging
import sqlite3

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from notifier.dispatch import Dispatcher
from notifier.emergency import Emergency
from notifier.gather import Gather
from notifier.intake import BadBodyError, Body, Refused, parse_webhook
from notifier.store import Store, Taken
from notifier.watch import Watch

_LOG = logging.getLogger(__name__)
_BODY_MOST = 8_000_000
_BODY_WITHIN = 10.0  # seconds
_AGAIN = "the record cannot be written; try again\n"


class _Answer(Exception):
    """A request that ends early: the status and the words for it."""

    def __init__(self, status: int, words: str) -> None:
        self.status, self.words = status, words
        super().__init__(words)


class Intake:
    """The two addresses that Alertmanager sends to."""

    def __init__(self, store: Store, dispatcher: Dispatcher, watch: Watch, emergency: Emergency, token: str) -> None:
        self._store, self._dispatcher, self._watch, self._emergency = store, dispatcher, watch, emergency
        self._token, self._gather = token, Gather(store)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v1/alertmanager", self._alerts, methods=["POST"]),
            Route("/v1/heartbeat/alertmanager", self._heartbeat, methods=["POST"]),
        ]

    async def _body(self, request: Request) -> bytes:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise _Answer(401, "a bearer token is needed: notifier.token_file")
        body = bytearray()
        try:
            async with asyncio.timeout(_BODY_WITHIN):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > _BODY_MOST:
                        raise _Answer(413, f"the body is larger than {_BODY_MOST} bytes")
        except TimeoutError:
            # Not 408: Alertmanager would give up.
            raise _Answer(503, f"the body did not arrive within {_BODY_WITHIN:.0f} s; try again") from None
        except ClientDisconnect:
            raise _Answer(400, "the body ended too early") from None
        return bytes(body)

    async def _alerts(self, request: Request) -> Response:
        try:
            raw = await self._body(request)
            words = await run_in_threadpool(self._take, raw)
        except _Answer as answer:
            return PlainTextResponse(f"{answer.words}\n", answer.status)
        except sqlite3.Error as error:
            # 503, never 429 or another 4xx: Alertmanager gives up on those.
            _LOG.error("the record cannot be written: %s", error)
            return PlainTextResponse(_AGAIN, 503)
        return PlainTextResponse(words)

    def _take(self, raw: bytes) -> str:
        """Commit a body; raise sqlite3.Error when that fails, after sending its pages from memory."""
        try:
            body = parse_webhook(raw)
        except BadBodyError as error:
            self._keep([Refused(str(error), raw.decode("utf-8", "replace"))])
            raise _Answer(400, str(error)) from None
        held = self._watch.disbelieved(body.alerts)
        believed = [alert for alert in body.alerts if alert.status == "firing" or alert.episode not in held]
        try:
            channels = self._gather.take(Taken(body.alerts, held, self._emergency.told(body.alerts)))
        except sqlite3.Error as error:
            self._emergency.failed(believed, error)
            raise
        self._emergency.recorded(believed)
        self._dispatcher.wake(channels)
        return self._rest(body)

    def _rest(self, body: Body) -> str:
        """Keep what could not be understood, and say so."""
        if not body.refused:
            return "accepted\n"
        self._keep(body.refused)
        reasons = "; ".join(one.reason for one in body.refused[:5])
        if not body.alerts:
            raise _Answer(400, reasons)
        return f"accepted {len(body.alerts)}, not understood {len(body.refused)}: {reasons}\n"

    def _keep(self, refused: list[Refused] | tuple[Refused, ...]) -> None:
        for one in refused[:5]:
            _LOG.warning("a webhook was not understood: %s; it is kept, and began with %r", one.reason, one.text[:200])
        self._store.keep_refused(refused)

    async def _heartbeat(self, request: Request) -> Response:
        try:
            body = parse_webhook(await self._body(request))
        except _Answer as answer:
            return PlainTextResponse(f"{answer.words}\n", answer.status)
        except BadBodyError as error:
            return PlainTextResponse(f"{error}\n", 400)
        if any(alert.status == "firing" for alert in body.alerts):
            self._watch.heard(body.source)
            return PlainTextResponse("heard\n")
        if body.alerts:
            # Its end says that Alertmanager does not hear Prometheus: the opposite of a sign of life.
            await run_in_threadpool(self._watch.lost)
        return PlainTextResponse("not a sign of life: the Watchdog does not fire\n")
