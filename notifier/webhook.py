"""The notifier's HTTP side: webhooks in, pages and metrics out."""

from __future__ import annotations

import hmac
import logging
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qsl

import requests
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from notifier import page
from notifier.dispatch import Dispatcher
from notifier.exposition import metrics
from notifier.login import Login
from notifier.model import PAGE, Alert, BadBodyError, Incident, parse_webhook
from notifier.routing import channels_for, on_call
from notifier.store import Store
from notifier.watch import Watch
from zads.config import Config

_LOG = logging.getLogger(__name__)
_BODY_MOST = 8_000_000
_COOKIE = "zads_session"
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Application:
    """The routes and what they need."""

    def __init__(
        self, config: Config, store: Store, dispatcher: Dispatcher, watch: Watch, token: str, password: str | None
    ) -> None:
        self._config, self._store, self._dispatcher, self._watch = config, store, dispatcher, watch
        self._token, self._login = token, Login(password)
        self._emergencies: set[tuple[str, float]] = set()

    def build(self) -> Starlette:
        """Return the application."""
        return Starlette(
            routes=[
                Route("/v1/alertmanager", self._take, methods=["POST"]),
                Route("/v1/heartbeat/alertmanager", self._heartbeat, methods=["POST"]),
                Route("/metrics", self._metrics),
                Route("/-/healthy", self._healthy),
                Route("/-/ready", self._ready),
                Route("/", self._overview),
                Route("/runbook", self._runbook),
                Route("/dashboard/{uid}", self._dashboard),
                Route("/login", self._log_in, methods=["POST"]),
                Route("/incident/{number:int}", self._incident),
                Route("/incident/{number:int}/acknowledge", self._acknowledge, methods=["POST"]),
                Route("/incident/{number:int}/silence", self._silence, methods=["POST"]),
            ]
        )

    # -- taking in ---------------------------------------------------------------------------

    def _authorized(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode())

    async def _take(self, request: Request) -> Response:
        if not self._authorized(request):
            return PlainTextResponse("a bearer token is needed: notifier.token_file\n", 401)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_MOST:
                return PlainTextResponse(f"the body is larger than {_BODY_MOST} bytes\n", 413)
        try:
            alerts = parse_webhook(body)
        except BadBodyError as error:
            _LOG.warning("a webhook was refused: %s; it began with %r", error, body[:200])
            return PlainTextResponse(f"{error}\n", 400)
        try:
            channels = await run_in_threadpool(self._store.take, alerts)
        except sqlite3.Error as error:
            # 503, never 429 or another 4xx: Alertmanager gives up on those.
            _LOG.error("the record cannot be written: %s", error)
            self._emergency(alerts, str(error))
            return PlainTextResponse("the record cannot be written; try again\n", 503)
        self._dispatcher.wake(channels)
        return PlainTextResponse("accepted\n")

    def _emergency(self, alerts: list[Alert], reason: str) -> None:
        """Send pages from memory, each once."""
        pages = []
        for alert in alerts:
            key = (alert.fingerprint, alert.starts_at)
            if alert.severity == PAGE and alert.status == "firing" and key not in self._emergencies:
                self._emergencies.add(key)
                pages.append(
                    Incident(
                        0,
                        alert.fingerprint,
                        "firing",
                        PAGE,
                        alert.labels,
                        alert.annotations,
                        alert.starts_at,
                        time.time(),
                        None,
                        None,
                        "",
                    )
                )
        if pages:
            self._dispatcher.emergency(pages, channels_for(self._config, PAGE), reason)

    async def _heartbeat(self, request: Request) -> Response:
        if not self._authorized(request):
            return PlainTextResponse("a bearer token is needed: notifier.token_file\n", 401)
        self._watch.heard()
        return PlainTextResponse("heard\n")

    # -- looking -----------------------------------------------------------------------------

    async def _metrics(self, _request: Request) -> Response:
        text = await run_in_threadpool(metrics, self._config, self._store, self._dispatcher, self._watch)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _healthy(self, _request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _ready(self, _request: Request) -> Response:
        ready = await run_in_threadpool(self._store.writable)
        return PlainTextResponse("ready\n" if ready else "the record cannot be written\n", 200 if ready else 503)

    async def _overview(self, _request: Request) -> Response:
        name = on_call(self._config, datetime.now(UTC))
        return self._html(await run_in_threadpool(page.overview, self._store, self._dispatcher, name))

    async def _runbook(self, _request: Request) -> Response:
        for path in (Path("docs/runbook.md"), Path(str(files("notifier"))) / "runbook.md"):
            if path.exists():
                return self._html(page.runbook(path.read_text(encoding="utf-8")))
        return PlainTextResponse("the runbook is not installed here\n", 404)

    async def _dashboard(self, _request: Request) -> Response:
        return RedirectResponse(f"http://{self._config.wall.listen}/")

    @staticmethod
    def _html(text: str, status: int = 200) -> Response:
        return HTMLResponse(text, status, headers=_SECURITY)

    async def _incident(self, request: Request) -> Response:
        return self._show(request, request.path_params["number"])

    def _show(self, request: Request, number: int, note: str = "", status: int = 200) -> Response:
        incident = self._store.incident(number)
        if incident is None:
            return PlainTextResponse("there is no such incident\n", 404)
        session = request.cookies.get(_COOKIE)
        token, may = self._login.form_token(session), self._login.valid(session)
        return self._html(page.details(incident, self._store.timeline(number), token, may=may, note=note), status)

    # -- acting ------------------------------------------------------------------------------

    @staticmethod
    async def _form(request: Request) -> dict[str, str]:
        body = (await request.body())[:10_000]
        return dict(parse_qsl(body.decode("utf-8", "replace")))

    async def _log_in(self, request: Request) -> Response:
        form = await self._form(request)
        session = self._login.try_password(form.get("password", ""))
        if session is None:
            return PlainTextResponse("wrong password, or too many tries: wait a minute\n", 403)
        target = form.get("next", "/")
        answer = RedirectResponse(target if target.startswith("/") and not target.startswith("//") else "/", 303)
        answer.set_cookie(_COOKIE, session, httponly=True, samesite="strict", max_age=12 * 3600)
        return answer

    async def _allowed(self, request: Request) -> dict[str, str] | None:
        form, session = await self._form(request), request.cookies.get(_COOKIE)
        if not self._login.valid(session) or not self._login.form_valid(session, form.get("token", "")):
            return None
        return form

    async def _acknowledge(self, request: Request) -> Response:
        form = await self._allowed(request)
        if form is None:
            return PlainTextResponse("log in first\n", 403)
        number, by = request.path_params["number"], form.get("by", "").strip()[:60] or "somebody"
        self._dispatcher.wake(await run_in_threadpool(self._store.acknowledge, number, by))
        return RedirectResponse(f"/incident/{number}", 303)

    async def _silence(self, request: Request) -> Response:
        form = await self._allowed(request)
        if form is None:
            return PlainTextResponse("log in first\n", 403)
        number = request.path_params["number"]
        incident = self._store.incident(number)
        if incident is None:
            return PlainTextResponse("there is no such incident\n", 404)
        hours = {"1": 1, "4": 4, "12": 12}.get(form.get("hours", ""), 1)
        start = datetime.now(UTC)
        body = {
            "matchers": [{"name": k, "value": v, "isRegex": False, "isEqual": True} for k, v in incident.labels.items()],
            "startsAt": start.isoformat(),
            "endsAt": (start + timedelta(hours=hours)).isoformat(),
            "createdBy": "notifier's page",
            "comment": form.get("why", "")[:200] or "no reason given",
        }
        url = f"http://{self._config.alertmanager.address}/api/v2/silences"
        try:
            answer = await run_in_threadpool(requests.post, url, json=body, timeout=5)
            answer.raise_for_status()
        except requests.RequestException as error:
            return self._show(request, number, f"Alertmanager did not take the silence: {type(error).__name__}", 502)
        return self._show(request, number, f"Silenced for {hours} h.")
