"""The wall's HTTP side: one page that renews itself in place."""

from __future__ import annotations

from importlib.resources import files

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from wall.source import Source

_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_STATIC = {
    "/": ("wall.html", "text/html; charset=utf-8"),
    "/wall.css": ("wall.css", "text/css"),
    "/wall.js": ("wall.js", "text/javascript"),
}


def application(source: Source) -> Starlette:
    """Return the application."""

    async def health(_request: Request) -> Response:
        wall = await run_in_threadpool(source.wall)
        return JSONResponse(wall.as_dict(), headers=_SECURITY)

    async def healthy(_request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def static(request: Request) -> Response:
        name, kind = _STATIC[request.url.path]
        return Response(files("wall").joinpath("static", name).read_bytes(), media_type=kind, headers=_SECURITY)

    routes = [Route(path, static) for path in _STATIC]
    return Starlette(routes=[*routes, Route("/api/health.json", health), Route("/-/healthy", healthy)])
