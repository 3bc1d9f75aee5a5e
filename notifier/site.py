"""The notifier's web side for people and screens: what is open, one incident, the history, statistics; and the metrics.

Reading needs no log-in and shows no secret; what changes something stands in notifier.site_deeds.
"""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from notifier import page, page_api, page_history, page_incident, page_statistics, page_tv
from notifier.dispatch import Dispatcher
from notifier.exposition import metrics
from notifier.links import UID
from notifier.login import Login
from notifier.page_frame import Visitor
from notifier.page_state import Now, gather
from notifier.runbook import runbook
from notifier.site_answers import Handler, Refusal, data, guarded, headers, not_allowed, not_found, plain
from notifier.site_answers import page as answer
from notifier.site_deeds import Deeds, number_of
from notifier.store import Store
from notifier.store.search import Found, TooSlow
from notifier.watch import Watch
from zads.config import Config
from zads.runbook import runbook_text

Result = TypeVar("Result")
_PAST = 10
_AGAIN = 5.0  # seconds for which it is known whether the record can be written


class Site:
    """The routes and what they need."""

    def __init__(self, config: Config, store: Store, dispatcher: Dispatcher, watch: Watch, login: Login) -> None:
        self._config, self._store, self._dispatcher, self._watch = config, store, dispatcher, watch
        self._login = login
        self._deeds = Deeds(config, store, dispatcher, login, self._show, self._first_page)
        # Readers never take all threads: a webhook always finds one.
        self._threads = CapacityLimiter(8)
        self._writable = (-_AGAIN, False)

    def routes(self) -> list[Route]:
        """Return the routes."""
        pages: dict[str, Handler] = {
            "/metrics": self._metrics,
            "/-/healthy": self._healthy,
            "/-/ready": self._ready,
            "/": self._overview,
            "/incident/{number}": self._incident,
            "/history": self._history,
            "/statistics": self._statistics,
            "/runbook": self._runbook,
            "/dashboard/{uid}": self._dashboard,
            "/refused/{number}": self._refused,
            "/wall": self._wall,
            "/api/v1/incidents.json": self._incidents,
        }
        return [*(Route(path, guarded(handler)) for path, handler in pages.items()), *self._deeds.routes()]

    @staticmethod
    def handlers() -> dict[Any, Any]:
        """Return what answers for addresses and methods that there are not."""
        return {404: not_found, 405: not_allowed}

    async def _run(self, work: Callable[..., Result], *values: Any) -> Result:
        return await run_sync(work, *values, limiter=self._threads)

    # -- machines ----------------------------------------------------------------------------

    async def _metrics(self, _request: Request) -> Response:
        text = await self._run(metrics, self._watch.router, self._store, self._dispatcher, self._watch)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _healthy(self, _request: Request) -> Response:
        return plain("alive\n")

    async def _ready(self, _request: Request) -> Response:
        ready = await self._run(self._store.writable)
        return plain("ready\n" if ready else "the record cannot be written\n", 200 if ready else 503)

    async def _incidents(self, _request: Request) -> Response:
        now = await self._run(self._now)
        return data(page_api.incidents(now, self._config.notifier.external_url))

    # -- people ------------------------------------------------------------------------------

    def _now(self) -> Now:
        at, writable = self._writable
        if time.monotonic() - at >= _AGAIN:
            writable = self._store.writable()
            self._writable = (time.monotonic(), writable)
        return gather(
            self._store,
            self._dispatcher,
            self._watch.router,
            self._config.notifier.quiet_hours,
            heard=self._watch.last_heard,
            writable=writable,
            now=time.time(),
        )

    async def _overview(self, request: Request) -> Response:
        return await self._first_page(request)

    async def _first_page(self, request: Request, words: str = "", *, bad: bool = False) -> Response:
        visitor = self._visitor(request)
        return self._again(request, visitor) or answer(await self._run(self._first_text, visitor, words, bad))

    def _first_text(self, visitor: Visitor, words: str, bad: bool) -> str:
        past = self._store.ended_incidents(_PAST)
        return page.overview(self._now(), past, self._store.refused(10), visitor, note_words=words, bad=bad)

    async def _wall(self, _request: Request) -> Response:
        return answer(page_tv.wall(await self._run(self._now)))

    async def _incident(self, request: Request) -> Response:
        return await self._show(request, number_of(request))

    async def _show(self, request: Request, number: int | None, words: str = "", *, bad: bool = False) -> Response:
        visitor = self._visitor(request)
        again = self._again(request, visitor)
        if again is not None:
            return again
        incident = await self._run(self._store.incident, number) if number is not None else None
        if number is None or incident is None:
            raise Refusal(404, "there is no such incident")
        entries = await self._run(self._store.entries, number)
        return answer(
            page_incident.details(incident, entries, visitor, time.time(), words=words, bad=bad), 502 if bad else 200
        )

    async def _history(self, request: Request) -> Response:
        visitor = self._visitor(request)
        query = page_history.parse_query(request.query_params, self._config.site.longitude)
        found: Found | None = None
        problem, status = query.problem, 400 if query.problem else 200
        if not problem:
            try:
                found = await self._run(self._store.search, query.wanted)
            except TooSlow as error:
                problem, status = str(error), 503
        text = page_history.history(query, found, self._subjects(), visitor, time.time(), problem)
        return self._again(request, visitor) or answer(text, status)

    def _subjects(self) -> list[str]:
        config = self._config
        return sorted({one.name for rows in (config.communities, config.services, config.hosts) for one in rows})

    async def _statistics(self, request: Request) -> Response:
        days = {str(number): number for number in page_statistics.PERIODS}.get(request.query_params.get("days", "30"))
        visitor = self._visitor(request)
        if days is None:
            return answer(page_statistics.statistics(None, 30, visitor, "There are numbers for 7, 30 and 90 days."), 400)
        try:
            return answer(page_statistics.statistics(await self._run(self._store.numbers, days), days, visitor))
        except TooSlow as error:
            return answer(page_statistics.statistics(None, days, visitor, str(error)), 503)

    async def _runbook(self, _request: Request) -> Response:
        text = await self._run(runbook_text)
        return plain("the runbook is not installed here\n", 404) if text is None else answer(runbook(text))

    async def _dashboard(self, request: Request) -> Response:
        wall, uid = f"http://{self._config.wall.listen}/", request.path_params["uid"]
        if uid == "zads-health" or not UID.fullmatch(uid):
            return RedirectResponse(wall, headers=headers())
        about = [(name, value) for name, value in request.query_params.multi_items() if name.startswith("var-")]
        query = f"?{urlencode(about)}" if about else ""
        return RedirectResponse(f"{wall}d/{uid}{query}", headers=headers())

    async def _refused(self, request: Request) -> Response:
        # What came may hold anything, secrets too.
        if not self._visitor(request).may:
            raise Refusal(403, "log in first: what came may hold a secret")
        for one in await self._run(self._store.refused, 200):
            if one.id == number_of(request):
                return plain(f"{one.reason}\n\n{one.body}\n")
        raise Refusal(404, "it is no longer kept")

    def _visitor(self, request: Request) -> Visitor:
        return self._deeds.visitor(request)

    def _again(self, request: Request, visitor: Visitor) -> Response | None:
        """Ask a browser that followed a link in a mail or in Slack once more, from here: only then it shows our cookie."""
        linked = (
            request.headers.get("sec-fetch-site") == "cross-site" and request.headers.get("sec-fetch-mode") == "navigate"
        )
        if visitor.may or not visitor.possible or not linked or request.method != "GET":
            return None
        there = f"{visitor.here}{'&' if '?' in visitor.here else '?'}linked=1{'#acknowledge' if 'incident' in visitor.here else ''}"
        url = html.escape(there, quote=True)
        return answer(
            f'<!doctype html><meta http-equiv="refresh" content="0;url={url}"><title>ZADS notifier</title><a href="{url}">Go on</a>'
        )
