"""The page's own files, read once: what a browser is told about each, and the version of them all."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FILES = (
    "wall.html",
    "wall.css",
    "wall.js",
    "fit.js",
    "chart.js",
    "fonts/inter-5.3.0-latin.woff2",
    "fonts/inter-5.3.0-latin-ext.woff2",
)
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; font-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".woff2": "font/woff2",
}
_A_YEAR = "public, max-age=31536000, immutable"


class Asset:
    """One file. A font is kept by browsers for a year, its name has its version; the rest is asked for again each time."""

    def __init__(self, name: str) -> None:
        self.path = "/" if name == "wall.html" else f"/{name}"
        self.body = files("wall").joinpath("static", *PurePosixPath(name).parts).read_bytes()
        suffix = PurePosixPath(name).suffix
        self._tag = f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'
        self._headers = {**SECURITY, "Content-Type": _KINDS[suffix], "ETag": self._tag}
        if suffix == ".woff2":
            self._headers["Cache-Control"] = _A_YEAR

    async def answer(self, request: Request) -> Response:
        """Return the file, or that the browser's copy is still good."""
        if self._tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=self._headers)
        return Response(self.body, headers=self._headers)


def assets() -> tuple[Asset, ...]:
    """Read all files."""
    return tuple(Asset(name) for name in FILES)


def routes(served: tuple[Asset, ...]) -> list[Route]:
    """Return one route for each file: no other path of the disk can be asked for."""
    return [Route(asset.path, asset.answer) for asset in served]


def version(served: tuple[Asset, ...]) -> str:
    """Return what changes whenever a file of the page does."""
    return hashlib.sha256(b"".join(asset.body for asset in served)).hexdigest()[:16]
