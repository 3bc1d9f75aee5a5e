"""The pages' own files, read once: what a browser is told about each, and the version of them all."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path, PurePosixPath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FILES = (
    "wall.html",
    "wall.css",
    "wall.js",
    "fit.js",
    "chart.js",
    "board.html",
    "board.css",
    "board.js",
    "board-parts.js",
    "board-values.js",
    "board-series.js",
    "board-table.js",
    "fonts/inter-5.3.0-latin.woff2",
    "fonts/inter-5.3.0-latin-ext.woff2",
)
BOARD = "/board.html"
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
# uPlot 1.6.31 as its author released it; the package that carries it is only a box, so what is in it is checked.
LIBRARY = {
    "uplot.js": ("vendor/uplot.iife.min.js", "2d27e8ad3d228164525ce213f9dc716f39b4e3aee0cc773fb3491c96cf4921a2"),
    "uplot.css": ("vendor/uplot.min.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
}
_A_YEAR = "public, max-age=31536000, immutable"


class LibraryMissing(Exception):
    """The chart library is not what it should be; the text says what to do."""


class Asset:
    """One file. A font is kept by browsers for a year, its name has its version; the rest is asked for again each time."""

    def __init__(self, name: str) -> None:
        self.path = "/" if name == "wall.html" else f"/{name}"
        self.body = _library(name) if name in LIBRARY else _own(name)
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


def _own(name: str) -> bytes:
    return files("wall").joinpath("static", *PurePosixPath(name).parts).read_bytes()


def _library(name: str) -> bytes:
    """Return a file of the chart library. It is found without importing the package that carries it: only data is taken."""
    path, digest = LIBRARY[name]
    mend = "Install the version that requirements.lock names."
    try:
        body = Path(str(distribution("youplot").locate_file(f"youplot/{path}"))).read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise LibraryMissing(f"The chart library's package youplot is not there ({error}). {mend}") from error
    if hashlib.sha256(body).hexdigest() != digest:
        raise LibraryMissing(f"{path} of the package youplot is not uPlot 1.6.31. {mend}")
    return body


def assets() -> tuple[Asset, ...]:
    """Read all files."""
    return tuple(Asset(name) for name in (*FILES, *LIBRARY))


def routes(served: tuple[Asset, ...]) -> list[Route]:
    """Return one route for each file: no other path of the disk can be asked for. The dashboards' page has its own."""
    return [Route(asset.path, asset.answer) for asset in served if asset.path != BOARD]


def version(served: tuple[Asset, ...]) -> str:
    """Return what changes whenever a file of the page does."""
    return hashlib.sha256(b"".join(asset.body for asset in served)).hexdigest()[:16]
