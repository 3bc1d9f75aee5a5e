"""Turn an incident into words: a title that stands alone on a locked phone, then what, impact, what first.

What comes from labels and annotations is data, never markup: it is escaped for HTML and Slack, and
line breaks are taken out of what becomes a header.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from notifier.model import Delivery, Incident

_TITLE_MOST = 200
_NAMES = ("IPAC", "ZADS", "Kafka", "MirrorMaker", "Lasair", "ALeRCE", "ANTARES", "Fink", "AMPEL", "Alertmanager")


@dataclass(frozen=True)
class Message:
    """One message, for any channel; `state` is firing, acknowledged or resolved."""

    state: str
    severity: str
    subject: str
    title: str
    lines: tuple[str, ...]
    links: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The whole as plain text."""
        links = [f"{name}: {url}" for name, url in self.links]
        return "\n".join([self.title, "", *self.lines, "", *links]) + "\n"

    @property
    def html(self) -> str:
        """The whole as HTML, without anything remote."""
        colour = {"resolved": "#2f8f83", "acknowledged": "#e69f00"}.get(self.state)
        colour = colour or ("#d1480a" if self.severity == "page" else "#e69f00")
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self.lines)
        links = " · ".join(f'<a href="{html.escape(url, quote=True)}">{html.escape(name)}</a>' for name, url in self.links)
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><body style="font:16px/1.5 sans-serif;color:#16181d;'
            f'max-width:40rem;margin:0 auto;padding:1rem"><div style="border-left:8px solid {colour};padding-left:1rem">'
            f'<p style="color:#5b6470;margin:0">{html.escape(self.state.upper())}</p>'
            f'<h1 style="font-size:1.3rem;margin:.2rem 0 1rem">{html.escape(self.title)}</h1>{lines}<p>{links}</p></div>'
        )


def clock(seconds: float) -> str:
    """Return a time of day, with the date when it is not today's."""
    moment = datetime.fromtimestamp(seconds, UTC)
    today = datetime.now(UTC).date()
    return f"{moment:%H:%M:%S} UTC" if moment.date() == today else f"{moment:%a %d %b %H:%M} UTC"


def duration(seconds: float) -> str:
    """Return a duration as people say it: 40 s, 9 min, 2 h 5 min, 3 d."""
    seconds = max(0.0, seconds)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 86400 * 2:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{seconds / 86400:.0f} d"


def one_line(text: str) -> str:
    """Return the text without line breaks and control characters."""
    return re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", text).strip()


def name_of(incident: Incident) -> str:
    """Return the headline in a sentence's letters: "Kafka down", "Lasair behind"."""
    words = one_line(incident.headline).lower()
    own = (incident.labels.get("label", ""), incident.labels.get("community", "").title())
    for name in (*own, *_NAMES):
        if name:
            words = re.sub(re.escape(name), lambda _, n=name: n, words, flags=re.IGNORECASE)  # type: ignore[misc]
    return words[:1].upper() + words[1:]


def _back(incident: Incident) -> str:
    """Return what is good again."""
    label, community = incident.labels.get("label"), incident.labels.get("community")
    if label and incident.labels.get("service"):
        return f"{label} back"
    for end in (" down", " not answering", " gone", " silent"):
        if name_of(incident).endswith(end):
            return f"{name_of(incident).removesuffix(end)} back"
    if community and "BEHIND" in incident.headline:
        return f"{community.title()} on time again"
    if community and "AWAY" in incident.headline:
        return f"{community.title()} connected again"
    return f"{name_of(incident)}: over"


def render(delivery: Delivery, external_url: str, now: float) -> Message:
    """Return the message for a delivery."""
    incident = delivery.incident
    notes = incident.annotations
    summary = one_line(notes.get("summary") or name_of(incident))
    base = external_url.rstrip("/")
    links = [("Incident, acknowledge, silence", f"{base}/incident/{incident.id}")]
    runbook = notes.get("runbook_url", "")
    if runbook:
        path = runbook.removeprefix("docs/").replace(".md", "")
        links.append(("Runbook", runbook if runbook.startswith(("http://", "https://")) else f"{base}/{path}"))
    links.append(("Dashboard", f"{base}/dashboard/{notes.get('dashboard') or 'zads-health'}"))
    state, lines = incident.state, list[str]()
    started = incident.began_at
    late = now - delivery.created_at > 120 and delivery.attempts > 1
    if delivery.kind == "resolved" or (state == "resolved" and delivery.kind != "firing"):
        ended = incident.resolved_at or now
        state, title = "resolved", f"{_back(incident)} after {duration(ended - started)}"
        lines.append(f"{name_of(incident)} from {clock(started)} to {clock(ended)}.")
        lines.append(f"It was: {summary}")
    else:
        state = "acknowledged" if delivery.kind == "acknowledged" else "firing"
        title = summary
        if delivery.kind == "reminder":
            title = f"Still, for {duration(now - started)}: {summary}"
        if delivery.kind == "acknowledged":
            title = f"Acknowledged by {incident.acknowledged_by}: {summary}"
        where = f" on {incident.labels['host']}" if incident.labels.get("host") else ""
        lines.append(f"{name_of(incident)} since {clock(started)}{where}.")
        if notes.get("impact"):
            lines.append(one_line(notes["impact"]))
        if notes.get("first"):
            lines.append(f"First: {one_line(notes['first'])}")
    if late:
        lines.append(f"This message was delayed: written {clock(delivery.created_at)}, sent {clock(now)}.")
    if delivery.fallback_for:
        lines.append(f"Sent here because {delivery.fallback_for} refused it.")
    subject = f"[ZADS] {name_of(incident)}"
    return Message(state, incident.severity, subject[:_TITLE_MOST], title[:_TITLE_MOST], tuple(lines), tuple(links))


def digest(deliveries: Sequence[Delivery], external_url: str, now: float) -> Message:
    """Return one message for many: how many, since when, the worst, one link."""
    firing = [d for d in deliveries if d.kind == "firing"]
    ended = len(deliveries) - len(firing)
    order = {"page": 0, "ticket": 1}
    worst = min(firing or deliveries, key=lambda d: (order.get(d.incident.severity, 2), d.incident.began_at)).incident
    since = clock(min(d.incident.began_at for d in deliveries))
    subjects = len({d.incident.subject for d in deliveries})
    parts = [f"{len(firing)} alerts on {subjects} subjects since {since}"] if firing else []
    parts += [f"{ended} ended"] if ended else []
    title = f"{', '.join(parts)}; worst: {name_of(worst)}"
    shown = sorted(firing, key=lambda d: order.get(d.incident.severity, 2))[:15]
    lines = [one_line(d.incident.annotations.get("summary") or name_of(d.incident))[:160] for d in shown]
    if len(firing) > len(shown):
        lines.append(f"... and {len(firing) - len(shown)} more")
    link = ("The whole list", f"{external_url.rstrip('/')}/")
    state = "firing" if firing else "resolved"
    return Message(state, worst.severity, "[ZADS] Many alerts", title[:_TITLE_MOST], tuple(lines), (link,))
