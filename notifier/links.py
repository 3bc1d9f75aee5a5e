"""Links in messages: to the incident's page, the runbook, the dashboard; what comes from labels cannot break out."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode, urlsplit

from notifier.model import Incident

UID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a dashboard's name
# What a dashboard is about: the label that it takes as its variable.
_VARIABLES = {"zads-community": "community", "zads-kafka": "host"}
_LABEL_MOST = 100
_LONGEST = 1000  # Slack's section takes 3,000 characters for all links together
Link = tuple[str, str]


def safe(url: str) -> str | None:
    """Return an address with all quoted that ends one in Slack, HTML or a header; None where it is no web address."""
    if len(url) > _LONGEST:
        return None
    quoted = quote(url, safe=":/?#[]@!$&'()*+,;=%~", errors="replace")
    try:
        parts = urlsplit(quoted)
    except ValueError:
        return None
    return quoted if parts.scheme in {"http", "https"} and parts.netloc and len(quoted) <= _LONGEST else None


def _board(incident: Incident) -> str:
    """Return the dashboard's uid, and what it is about where it can show one community or one host."""
    uid = incident.annotations.get("dashboard", "")
    if not UID.fullmatch(uid):
        return "zads-health"
    about = incident.labels.get(_VARIABLES.get(uid, ""), "")
    query = urlencode({f"var-{_VARIABLES[uid]}": about[:_LABEL_MOST]}, errors="replace") if about else ""
    return f"{uid}?{query}" if query else uid


def links_of(incident: Incident, external_url: str) -> tuple[Link, ...]:
    """Return an incident's links, the first being the one to open first."""
    base = external_url.rstrip("/")
    # One that only memory knows has no page of its own.
    page = f"{base}/incident/{incident.id}" if incident.id > 0 else f"{base}/"
    links: list[Link] = []
    if incident.state == "firing" and incident.id > 0:
        links.append(("Acknowledge", f"{page}#acknowledge"))
    else:
        links.append(("Incident", page))
    book = incident.annotations.get("runbook_url", "")
    if book.startswith("docs/"):
        path = book.removeprefix("docs/").replace(".md", "")
        book = f"{base}/{path}"
    runbook = safe(book)
    if runbook and incident.state != "resolved":
        links.append(("Runbook", runbook))
    links.append(("Dashboard", f"{base}/dashboard/{_board(incident)}"))
    if incident.state != "resolved" and incident.id > 0:
        links.append(("Silence", f"{page}#silence"))
    return tuple(links)
