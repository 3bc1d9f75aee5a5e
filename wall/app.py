"""The wall's HTTP side: pages that renew themselves in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from wall.assets import BOARD, SECURITY, assets, routes, version
from wall.boards.routes import Boards
from wall.boards.routes import routes as board_routes
from wall.source import Source

DASHBOARDS = Path(__file__).resolve().parent.parent / "dashboards" / "json"


def dashboards(folder: Path = DASHBOARDS) -> list[dict[str, Any]]:
    """Return the dashboards' panels: title, description, type, unit, expressions; none where there is no checkout."""
    result = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        panels = [
            {
                "title": panel.get("title", ""),
                "description": panel.get("description", ""),
                "type": panel.get("type", ""),
                "unit": panel.get("fieldConfig", {}).get("defaults", {}).get("unit", ""),
                "expressions": [target["expr"] for target in panel.get("targets", ()) if "expr" in target],
            }
            for panel in content.get("panels", ())
        ]
        result.append({"uid": content.get("uid", ""), "title": content.get("title", ""), "panels": panels})
    return result


def application(source: Source, folder: Path = DASHBOARDS, boards: Boards | None = None) -> Starlette:
    """Return the application."""
    served = assets()
    page = version(served)
    html = next(asset for asset in served if asset.path == BOARD)

    async def health(_request: Request) -> Response:
        wall = await run_in_threadpool(source.wall)
        return JSONResponse({**wall.as_dict(), "page": page}, headers=SECURITY)

    async def panels(_request: Request) -> Response:
        return JSONResponse({"dashboards": await run_in_threadpool(dashboards, folder)}, headers=SECURITY)

    async def healthy(_request: Request) -> Response:
        return PlainTextResponse("alive\n", headers=SECURITY)

    return Starlette(
        routes=[
            *routes(served),
            *board_routes(boards or Boards(source.config, folder), html, page),
            Route("/api/health.json", health),
            Route("/api/dashboards", panels),
            Route("/-/healthy", healthy),
        ]
    )
