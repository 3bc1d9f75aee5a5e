"""What every answer of the notifier's page has in common: its headers, and words instead of an internal error."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from notifier.page_frame import Visitor
from notifier.page_login import message_page
from notifier.page_style import style_hash

_LOG = logging.getLogger(__name__)
# Nothing is loaded, nothing runs, nobody frames us, no page is kept by a browser or a proxy. The origin of our own
# forms is sent with them (no-referrer would make it "null"), other sites learn nothing.
_POLICY = "default-src 'none'; style-src {style}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_FORM_MOST, _FIELDS_MOST = 10_000, 20
_NOWHERE = Visitor(here="")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def headers() -> dict[str, str]:
    """Return the headers of every answer."""
    return {"Content-Security-Policy": _POLICY.format(style=style_hash()), **_HEADERS}


class Refusal(Exception):
    """A request that is refused: the status and the words for it."""

    def __init__(self, status: int, words: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.words, self.headers = status, words, headers
        super().__init__(words)


def page(text: str, status: int = 200) -> Response:
    """Return a page."""
    return HTMLResponse(text, status, headers=headers())


def plain(text: str, status: int = 200, more: Mapping[str, str] | None = None) -> Response:
    """Return plain text; `more`: headers besides."""
    return PlainTextResponse(text, status, headers={**headers(), **(more or {})})


def data(content: Any) -> Response:
    """Return JSON."""
    return JSONResponse(content, headers=headers())


def guarded(handler: Handler) -> Handler:
    """Turn what a reader or the record may do into words: no address, form or cookie is an internal error."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return plain(f"{refusal.words}\n", refusal.status, refusal.headers)
        except ClientDisconnect:
            return plain("the form ended too early\n", 400)
        except sqlite3.Error as error:
            _LOG.error("a page cannot be shown, since the record cannot be used: %s", error)
            words = "The record cannot be used now. Pages still go out, from memory; the notifier's log says why."
            return page(message_page("No record", words, _NOWHERE), 503)

    return answer


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form.

    Raises Refusal (too large, too many fields), ClientDisconnect.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_MOST:
            raise Refusal(413, f"the form is larger than {_FORM_MOST} bytes")
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=_FIELDS_MOST))
    except ValueError:
        raise Refusal(400, "the form has too many fields") from None


async def not_found(_request: Request, _error: Exception) -> Response:
    """Answer for an address that is none of ours."""
    return page(message_page("Not here", "There is no such page.", _NOWHERE), 404)


async def not_allowed(_request: Request, error: Exception) -> Response:
    """Answer for a method that an address does not take; the header Allow says which it does."""
    more = error.headers if isinstance(error, HTTPException) else None
    return plain("this address does not take that method\n", 405, more)
