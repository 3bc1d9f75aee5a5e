"""What all pages share: the frame, who looks at them, times and tags; what comes from labels is escaped here."""

from __future__ import annotations

import html
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from notifier.page_public import public
from notifier.page_style import style
from notifier.words import clock

_PLACES = (("Now", "/"), ("History", "/history"), ("Statistics", "/statistics"), ("Runbook", "/runbook"))
# Seconds until a page with nothing to type into renews itself.
RENEWED = 15


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page.

    `may`: act, and see all. `possible`: there is a password to log in with. `name`: as she called herself at the
    log-in; "" where nobody has to. `token`: what her forms carry. `here`: the page's own address, to come back to.
    """

    may: bool = False
    possible: bool = False
    name: str = ""
    token: str = ""
    here: str = "/"

    def text(self, words: str) -> str:
        """Return words of labels, providers and people as HTML, without what only who is logged in may read."""
        return html.escape(words if self.may else public(words))

    @property
    def hidden(self) -> str:
        """Return the field that a form of hers carries."""
        return f'<input type="hidden" name="token" value="{html.escape(self.token)}">'

    @property
    def log_in(self) -> str:
        """Return the address of the log-in that leads back here."""
        return f"/login?next={quote(self.here, safe='/')}"


def frame(title: str, body: str, refresh: str | None = None, visitor: Visitor | None = None) -> str:
    """Return a whole page; `refresh`: the address from which it renews itself."""
    again = f'<meta http-equiv="refresh" content="{RENEWED};url={html.escape(refresh)}">' if refresh else ""
    here = visitor.here.partition("?")[0] if visitor else "/runbook"
    places = "".join(f'<a href="{path}"{" aria-current=page" if path == here else ""}>{name}</a>' for name, path in _PLACES)
    return _document(
        title,
        f'<a class="skip" href="#main">To the content</a><header class="bar"><div><strong>ZADS notifier</strong>'
        f'<nav aria-label="Pages">{places}</nav>{_who(visitor)}</div></header><main id="main">{body}</main>',
        again,
    )


def bare(title: str, body: str, refresh: str) -> str:
    """Return a page for a screen that nobody operates."""
    again = f'<meta http-equiv="refresh" content="{RENEWED};url={html.escape(refresh)}">'
    return _document(title, f"<main>{body}</main>", again, ' class="tv"')


def _document(title: str, body: str, head: str = "", attributes: str = "") -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'{head}<meta name="color-scheme" content="light dark"><title>{html.escape(title)}</title><style>{style()}</style></head>'
        f"<body{attributes}>{body}</body></html>"
    )


def _who(visitor: Visitor | None) -> str:
    if visitor is None or not visitor.possible:
        return ""
    if not visitor.may:
        return f'<div class="who"><a href="{html.escape(visitor.log_in)}">Log in</a></div>'
    return (
        f'<div class="who"><span>{html.escape(visitor.name) or "logged in"}</span><form method="post" action="/logout">{visitor.hidden}'
        '<button class="link">Log out</button></form></div>'
    )


def note(words: str, *, bad: bool = False) -> str:
    """Return what came of a deed, said aloud by a screen reader; "" for none."""
    kind, role = (" bad", "alert") if bad else ("", "status")
    return f'<div class="note{kind}" role="{role}">{html.escape(words)}</div>' if words else ""


def when(at: float, now: float | None = None) -> str:
    """Return a time of day for people and machines."""
    try:
        exact = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
    return f'<time datetime="{exact}">{clock(at, time.time() if now is None else now)}</time>'


def tag(words: str, kind: str = "") -> str:
    """Return a word in a coloured field; the word says all that the colour says."""
    return f'<span class="tag{f" {kind}" if kind else ""}">{html.escape(words)}</span>'


def severity_tag(severity: str) -> str:
    """Return an incident's severity."""
    return tag({"info": "note"}.get(severity, severity), severity if severity in ("page", "ticket") else "")


def counted(number: int, one: str, many: str = "") -> str:
    """Return "1 message", "2 messages"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
