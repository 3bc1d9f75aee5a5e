"""The dashboards' addresses: /d/ lists them, /d/UID is one, /api/d/UID what it shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wall.assets import SECURITY, Asset
from wall.boards import page
from wall.boards.ask import Asker
from wall.boards.library import UID, Library
from wall.boards.times import BadTime
from zads.config import Config

_LONGEST = 4000  # letters of an address's parameters


class Boards:
    """All dashboards of a folder, before one Prometheus."""

    def __init__(
        self, config: Config, folder: Path, *, asker: Asker | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._library, self._clock = Library(folder), clock
        self._asker = asker or Asker(config.prometheus.address, clock=clock)
        self._scrape = config.prometheus.scrape_interval

    def listed(self) -> list[dict[str, Any]]:
        """Return what the list shows of each."""
        boards = self._library.boards().items()
        return [{"uid": u, "title": b.get("title", u), "description": b.get("description", "")} for u, b in boards]

    def shown(self, uid: str, request: page.Request) -> dict[str, Any] | None:
        """Return one dashboard, None when there is none of this name; raises BadTime."""
        board = self._library.boards().get(uid)
        if board is None:
            return None
        return page.page(board, request, self._library, self._asker, self._scrape, self._clock())


def routes(boards: Boards, html: Asset, version: str) -> list[Route]:
    """Return the routes; the page is the same for all, its script reads the address."""

    async def one(request: HttpRequest) -> Response:
        uid = request.path_params.get("uid", "")
        if uid and uid not in {board["uid"] for board in await run_in_threadpool(boards.listed)}:
            return Response("There is no such dashboard. /d/ lists them.\n", 404, SECURITY, "text/plain")
        return await html.answer(request)

    async def listing(_request: HttpRequest) -> Response:
        return JSONResponse({"boards": await run_in_threadpool(boards.listed), "page": version}, headers=SECURITY)

    async def content(request: HttpRequest) -> Response:
        uid = request.path_params["uid"]
        if not UID.fullmatch(uid) or len(request.url.query) > _LONGEST:
            return JSONResponse({"error": "That address is too long."}, 400, SECURITY)
        asked = page.Request(request.query_params.multi_items())
        try:
            shown = await run_in_threadpool(boards.shown, uid, asked)
        except BadTime as error:
            return JSONResponse({"error": str(error)}, 400, SECURITY)
        if shown is None:
            return JSONResponse({"error": f"There is no dashboard {uid}."}, 404, SECURITY)
        return JSONResponse({**shown, "page": version}, headers=SECURITY)

    return [
        Route("/d/", one),
        Route("/d", one),
        Route("/d/{uid}", one),
        Route("/d/{uid}/{slug}", one),
        Route("/api/d", listing),
        Route("/api/d/{uid}", content),
    ]
