"""One incident: what is wrong, what to do, the buttons for who may, what happened with every attempt to tell it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from notifier.model import Incident
from notifier.page_frame import Visitor, counted, frame, note, severity_tag, tag, when
from notifier.page_public import public_labels
from notifier.render import LATE_AFTER, name_of, summary_of
from notifier.store.history import Entry
from notifier.words import channel, duration, one_line, spoken

_KINDS = {
    "firing": "first message",
    "resolved": "end",
    "reminder": "told again",
    "acknowledged": "acknowledgement",
    "digest": "digest",
}
# What an outcome is called, and the colour that says the same.
_OUTCOMES = {
    "sent": ("sent", "ok"),
    "retry": ("failed", "wait"),
    "refused": ("refused for good", "bad"),
    "parked": ("refused for good: parked", "bad"),
    "folded": ("not sent", ""),
}
_RUNBOOK = re.compile(r"docs/([a-z_]{1,40})\.md(#[A-Za-z0-9_-]{1,100})?")
_HOURS = (1, 4, 12)


def details(
    incident: Incident, entries: Iterable[Entry], visitor: Visitor, now: float, *, words: str = "", bad: bool = False
) -> str:
    """Return one incident's page; `words`: what came of a deed."""
    labels = incident.labels if visitor.may else public_labels(incident.labels)
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in labels.items())
    kind = (
        "resolved"
        if incident.state == "resolved"
        else incident.severity
        if incident.severity in ("page", "ticket")
        else "info"
    )
    body = (
        f'{note(words, bad=bad)}<div class="card {kind}"><div>'
        f'<div class="meta">{severity_tag(incident.severity)} {_state(incident, visitor, now)}</div>'
        f"<h1>{visitor.text(summary_of(incident))}</h1>{_facts(incident, visitor)}</div></div>{_deeds(incident, visitor)}"
        f'<section><h2>What happened</h2><ol class="line sheet">{_line(entries, visitor, now)}</ol></section>'
        f'<section><details{" open" if len(labels) < 9 else ""}><summary>Labels</summary><dl class="sheet">{rows}</dl></details></section>'
    )
    return frame(visitor_title(incident, visitor), body, visitor=visitor)


def visitor_title(incident: Incident, visitor: Visitor) -> str:
    """Return the page's title, with nothing that this visitor may not read."""
    return html.unescape(visitor.text(name_of(incident)))


def _state(incident: Incident, visitor: Visitor, now: float) -> str:
    began = when(incident.began_at, now)
    if incident.state == "resolved":
        ended = incident.resolved_at or now
        return f"{tag('over', 'ok')} from {began} to {when(ended, now)}, {duration(ended - incident.began_at)}"
    since = f"firing for {duration(now - incident.began_at)}, since {began}"
    if incident.acknowledged_at:
        return f"{since} · acknowledged by {visitor.text(incident.acknowledged_by)} {when(incident.acknowledged_at, now)}"
    return f"{since} · nobody has acknowledged it"


def _facts(incident: Incident, visitor: Visitor) -> str:
    notes = incident.annotations
    facts = f"<p>{visitor.text(spoken(notes['impact']))}</p>" if notes.get("impact") else ""
    if notes.get("first") and incident.state != "resolved":
        facts += f"<p><b>First:</b> {visitor.text(one_line(notes['first']))}</p>"
    book = _RUNBOOK.fullmatch(notes.get("runbook_url", ""))
    return facts + (f'<p><a href="/{book[1]}{book[2] or ""}">What to do: the runbook</a></p>' if book else "")


# -- the timeline ----------------------------------------------------------------------------------


def _line(entries: Iterable[Entry], visitor: Visitor, now: float) -> str:
    rows = "".join(
        f"<li>{when(entry.at, now)}<div>{_entry(entry, count, first, visitor, now)}</div></li>"
        for entry, count, first in _together(entries)
    )
    return rows or "<li>Nothing is recorded.</li>"


def _together(entries: Iterable[Entry]) -> Sequence[tuple[Entry, int, float]]:
    """Return the entries with tries that failed alike as one: the last of them, how many, when the first was."""
    found: list[tuple[Entry, int, float]] = []
    latest: dict[tuple[str, str, str], int] = {}  # where the last attempt of a channel, kind and recipient stands
    for entry in entries:
        key = (entry.channel, entry.kind, entry.target)
        index = latest.get(key) if entry.outcome == "retry" else None
        if index is not None and found[index][0].outcome == "retry" and found[index][0].detail == entry.detail:
            found[index] = (replace(entry, at=found[index][0].at), found[index][1] + 1, entry.at)
            continue
        latest[key] = len(found)
        found.append((entry, 1, entry.at))
    return found


def _entry(entry: Entry, count: int, last: float, visitor: Visitor, now: float) -> str:
    if not entry.channel:
        return visitor.text(f"{entry.words[:1].upper()}{entry.words[1:]}")
    name = channel(entry.channel)
    # A person in Slack is known by a member id, which is no address.
    to = f" to {visitor.text(entry.target)}" if entry.target else ""
    what = f"{html.escape(name[:1].upper() + name[1:])}, {_KINDS.get(entry.kind, html.escape(entry.kind))}{to}"
    if entry.waits:
        words = "parked" if entry.next_at is None else "held back" if entry.detail else "waits"
        more = [visitor.text(entry.detail)] if entry.detail else []
        if entry.next_at is not None:
            more.append(f"goes out {when(entry.next_at, now)}" if entry.next_at > now else "due now")
        return f"{tag(words, 'wait')} {what}{_more(more)}"
    outcome, kind = _OUTCOMES.get(entry.outcome, (entry.outcome, ""))
    more = [visitor.text(entry.detail)] if entry.detail else []
    if count > 1:
        more.append(f"tried {count:,} times, last {when(last, now)}")
    if entry.next_at is not None:
        more.append(f"next try {when(entry.next_at, now)}")
    if entry.fallback_for:
        more.append(f"in place of {html.escape(channel(entry.fallback_for))}, which refused it")
    late = f" {tag(f'{duration(entry.took)} late', 'wait')}" if entry.took > LATE_AFTER else ""
    if entry.outcome == "sent" and not late:
        more.append(f"after {duration(entry.took)}")
    return f"{tag(outcome, kind)} {what}{late}{_more(more)}"


def _more(parts: Sequence[str]) -> str:
    return f'<div class="dim small">{" · ".join(parts)}</div>' if parts else ""


# -- the buttons -----------------------------------------------------------------------------------


def _deeds(incident: Incident, visitor: Visitor) -> str:
    if incident.state == "resolved":
        return ""
    if not visitor.may and not visitor.possible:
        return (
            '<p id="acknowledge" class="sheet">To acknowledge or silence here, set notifier.password_hash_file in zads.toml '
            "(zads notify hash-password prints what goes into it): this page can be reached from other machines.</p>"
        )
    if not visitor.may:
        link = html.escape(f"/login?next=/incident/{incident.id}")
        return f'<p id="acknowledge" class="actions"><a href="{link}">Log in to acknowledge or silence</a></p>'
    return f'<div class="actions">{_acknowledge(incident, visitor)}{_silence(incident, visitor)}</div>'


def _acknowledge(incident: Incident, visitor: Visitor) -> str:
    path = f"/incident/{incident.id}"
    if incident.state == "acknowledged":
        return (
            f'<form id="acknowledge" method="post" action="{path}/unacknowledge">{visitor.hidden}'
            "<button>Take the acknowledgement back</button></form>"
        )
    name = (
        ""
        if visitor.name
        else '<label class="grow">Your name <input name="by" required maxlength="60" autocomplete="name"></label>'
    )
    return (
        f'<form id="acknowledge" method="post" action="{path}/acknowledge" class="fields">{visitor.hidden}{name}'
        '<button class="main">Acknowledge</button></form>'
    )


def _silence(incident: Incident, visitor: Visitor) -> str:
    hours = "".join(f'<option value="{number}">{counted(number, "hour")}</option>' for number in _HOURS)
    return (
        f'<form id="silence" method="post" action="/incident/{incident.id}/silence" class="fields">{visitor.hidden}'
        f'<label>Silence for <select name="hours">{hours}</select></label><label class="grow">because '
        '<input name="why" required maxlength="200" autocomplete="off"></label><button>Silence</button></form>'
    )
