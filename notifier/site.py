"""The notifier's web side for people: incidents, runbook, acknowledging and silencing; and the metrics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qsl

import requests
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from notifier import page
from notifier.dispatch import Dispatcher
from notifier.exposition import metrics
from notifier.login import Login
from notifier.model import Incident
from notifier.routing import on_call
from notifier.runbook import runbook
from notifier.store import Store
from notifier.watch import Watch
from notifier.words import one_line
from zads.config import Config

_COOKIE = "zads_session"
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Site:
    """The routes and what they need."""

    def __init__(self, config: Config, store: Store, dispatcher: Dispatcher, watch: Watch, login: Login) -> None:
        self._config, self._store, self._dispatcher, self._watch = config, store, dispatcher, watch
        self._login = login

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/metrics", self._metrics),
            Route("/-/healthy", self._healthy),
            Route("/-/ready", self._ready),
            Route("/", self._overview),
            Route("/runbook", self._runbook),
            Route("/dashboard/{uid}", self._dashboard),
            Route("/refused/{number:int}", self._refused),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/incident/{number:int}", self._incident),
            Route("/incident/{number:int}/acknowledge", self._acknowledge, methods=["POST"]),
            Route("/incident/{number:int}/silence", self._silence, methods=["POST"]),
        ]

    # -- looking -----------------------------------------------------------------------------

    async def _metrics(self, _request: Request) -> Response:
        text = await run_in_threadpool(metrics, self._watch.router, self._store, self._dispatcher, self._watch)
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
                return self._html(runbook(path.read_text(encoding="utf-8")))
        return PlainTextResponse("the runbook is not installed here\n", 404)

    async def _dashboard(self, _request: Request) -> Response:
        return RedirectResponse(f"http://{self._config.wall.listen}/")

    async def _refused(self, request: Request) -> Response:
        for one in await run_in_threadpool(self._store.refused, 200):
            if one.id == request.path_params["number"]:
                return PlainTextResponse(f"{one.reason}\n\n{one.body}\n", headers=_SECURITY)
        return PlainTextResponse("it is no longer kept\n", 404)

    @staticmethod
    def _html(text: str, status: int = 200) -> Response:
        return HTMLResponse(text, status, headers=_SECURITY)

    async def _incident(self, request: Request) -> Response:
        return await self._show(request, request.path_params["number"])

    async def _show(self, request: Request, number: int, note: str = "", status: int = 200) -> Response:
        incident = await self._found(number)
        if incident is None:
            return PlainTextResponse("there is no such incident\n", 404)
        session, login = request.cookies.get(_COOKIE), self._login
        access = page.MAY if login.valid(session) else page.LOG_IN if login.possible else page.CANNOT
        timeline = await run_in_threadpool(self._store.timeline, number)
        return self._html(page.details(incident, timeline, login.form_token(session), access=access, note=note), status)

    async def _found(self, number: int) -> Incident | None:
        # A number that SQLite cannot hold is none of ours.
        return await run_in_threadpool(self._store.incident, number) if number < 2**63 else None

    # -- acting ------------------------------------------------------------------------------

    @staticmethod
    async def _form(request: Request) -> dict[str, str]:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > 10_000:
                break
        return dict(parse_qsl(body.decode("utf-8", "replace")))

    async def _log_in(self, request: Request) -> Response:
        form = await self._form(request)
        address = request.client.host if request.client else ""
        session = self._login.try_password(form.get("password", ""), address)
        if session is None:
            return PlainTextResponse("wrong password, or too many tries: wait a minute\n", 403)
        target = form.get("next", "/")
        # "//host" and "/\host" are other hosts to a browser.
        ours = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
        answer = RedirectResponse(target if ours else "/", 303)
        secure = self._config.notifier.external_url.startswith("https://")
        answer.set_cookie(_COOKIE, session, httponly=True, samesite="strict", secure=secure, max_age=12 * 3600)
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
        number, by = request.path_params["number"], one_line(form.get("by", ""))[:60] or "somebody"
        if await self._found(number) is None:
            return PlainTextResponse("there is no such incident\n", 404)
        self._dispatcher.wake(await run_in_threadpool(self._store.acknowledge, number, by))
        return RedirectResponse(f"/incident/{number}", 303)

    async def _silence(self, request: Request) -> Response:
        form = await self._allowed(request)
        if form is None:
            return PlainTextResponse("log in first\n", 403)
        number = request.path_params["number"]
        incident = await self._found(number)
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
            return await self._show(request, number, f"Alertmanager did not take the silence: {type(error).__name__}", 502)
        return await self._show(request, number, f"Silenced for {hours} h.")
