"""The first page: what is open, who is on call, whether messages arrive, what waits and why. Readable without JavaScript."""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from notifier.model import Incident
from notifier.page_frame import Visitor, counted, frame, note, severity_tag, tag, when
from notifier.page_state import ChannelNow, Duty, Now
from notifier.render import name_of, summary_of
from notifier.store import Kept
from notifier.words import channel, duration

__all__ = ["frame", "overview"]
_SHOWN = 200
_SOON = 6 * 86400.0


def overview(
    now: Now, past: Iterable[Incident], refused: Sequence[Kept], visitor: Visitor, *, note_words: str = "", bad: bool = False
) -> str:
    """Return the first page; `past`: what ended lately, newest first."""
    cards = "".join(_card(incident, now.at, visitor) for incident in now.open[:_SHOWN])
    left = len(now.open) - _SHOWN
    more = f'<p><a href="/history?state=open">and {left:,} more</a></p>' if left > 0 else ""
    body = (
        f'{note(note_words, bad=bad)}<div class="two"><div><h1>{_headline(now)}</h1><p class="dim">{_below(now)}</p>'
        f'<section aria-label="Open incidents"><ul class="list">{cards}</ul>{more}{_noted(now, visitor)}</section>'
        f"{_past(past, now.at, visitor)}{_refused(refused, now.at, visitor)}</div>"
        f"<aside>{duty(now.duty, now.at, visitor)}{_channels(now, visitor)}{_held(now, visitor)}{_self(now)}</aside></div>"
    )
    return frame(_title(now), body, None if note_words else "/?renewed=1", visitor)


def _title(now: Now) -> str:
    return f"({len(now.open)}) ZADS notifier" if now.open else "ZADS notifier"


def _headline(now: Now) -> str:
    pages, tickets = now.pages, len(now.open) - now.pages
    parts = [counted(number, word) for number, word in ((pages, "page"), (tickets, "ticket")) if number]
    return f"{' and '.join(parts)} open" if parts else "Nothing is open"


def _below(now: Now) -> str:
    """Return the sentence under the headline: whether anybody has taken it, else that all is well."""
    alone = sum(i.severity == "page" and not i.acknowledged_at for i in now.open)
    if alone:
        if alone == now.pages:
            return f"Nobody has acknowledged {'the page' if alone == 1 else 'any of the pages'}."
        return f"{alone} of the {now.pages} pages {'is' if alone == 1 else 'are'} not acknowledged."
    if now.pages:
        return "Every page is acknowledged."
    broken = [one for one in now.channels if not one.healthy]
    return "No page is open." if now.open or broken else "No incident is open, and every channel works."


def _card(incident: Incident, now: float, visitor: Visitor) -> str:
    who = (
        f"acknowledged by {visitor.text(incident.acknowledged_by)}"
        if incident.acknowledged_at
        else "nobody has acknowledged it"
    )
    kind = incident.severity if incident.severity in ("page", "ticket") else "info"
    name, back = html.escape(name_of(incident), quote=True), '<input type="hidden" name="back" value="overview">'
    button = (
        f'<form method="post" action="/incident/{incident.id}/acknowledge">{visitor.hidden}{back}'
        f'<button aria-label="Acknowledge: {name}">Acknowledge</button></form>'
        if visitor.may and visitor.name and incident.state == "firing"
        else ""
    )
    return (
        f'<li class="card {kind}"><div><div class="meta">{severity_tag(incident.severity)} {duration(now - incident.began_at)} · since '
        f'{when(incident.began_at, now)}</div><a class="title" href="/incident/{incident.id}">{visitor.text(summary_of(incident))}</a>'
        f'<div class="meta">{who}</div></div>{button}</li>'
    )


def _noted(now: Now, visitor: Visitor) -> str:
    if not now.noted:
        return ""
    rows = "".join(
        f'<li><a href="/incident/{i.id}">{visitor.text(summary_of(i))}</a> <span class="dim">since {when(i.began_at, now.at)}</span></li>'
        for i in now.noted[:_SHOWN]
    )
    return f'<details><summary>{counted(len(now.noted), "note")}, told to nobody</summary><ul class="rows sheet">{rows}</ul></details>'


def _past(past: Iterable[Incident], now: float, visitor: Visitor) -> str:
    rows = "".join(
        f'<li>{severity_tag(i.severity)} <a href="/incident/{i.id}">{visitor.text(name_of(i))}</a>'
        f'<div class="dim small">{when(i.began_at, now)}, for {duration((i.resolved_at or i.began_at) - i.began_at)}</div></li>'
        for i in past
    )
    rest = '<p><a href="/history">The whole history</a></p>'
    return f'<section><h2>Over</h2><ul class="rows sheet">{rows or "<li>Nothing yet.</li>"}</ul>{rest}</section>'


def _refused(kept: Sequence[Kept], now: float, visitor: Visitor) -> str:
    if not kept:
        return ""
    if not visitor.may:
        text = f"<p>{counted(len(kept), 'webhook')} could not be understood: log in to read what came.</p>"
    else:
        rows = "".join(
            f'<li><a href="/refused/{one.id}">{when(one.at, now)}</a> {html.escape(one.reason)}</li>' for one in kept
        )
        text = f'<ul class="rows">{rows}</ul>'
    return f'<section><h2>Webhooks that were not understood</h2><div class="sheet">{text}</div></section>'


def duty(one: Duty, now: float, visitor: Visitor) -> str:
    """Return who is on call now and next."""
    after = ""
    if one.next and one.hand_over:
        moment = one.hand_over.astimezone(one.zone)
        left = duration(one.hand_over.timestamp() - now)
        after = (
            f'<dt>Next</dt><dd>{visitor.text(one.next)}<br><span class="dim small">takes over '
            f'<time datetime="{moment.isoformat()}">{moment:%a %d %b %H:%M %Z}</time>, in {left}</span></dd>'
        )
    name = visitor.text(one.now) if one.now else "nobody is named"
    return f'<div class="sheet"><h2>On call</h2><dl><dt>Now</dt><dd><b>{name}</b></dd>{after}</dl></div>'


def _channels(now: Now, visitor: Visitor) -> str:
    rows = (
        "".join(_channel(one, now.at, visitor) for one in now.channels)
        or "<li>No channel is configured: nobody is told.</li>"
    )
    parked = sum(one.parked for one in now.channels)
    replay = (
        f'<form method="post" action="/replay">{visitor.hidden}<button>Send what was parked again ({parked:,})</button></form>'
        if parked and visitor.may
        else ""
    )
    return f'<div class="sheet"><h2>Channels</h2><ul class="rows">{rows}</ul>{replay}</div>'


def _channel(one: ChannelNow, now: float, visitor: Visitor) -> str:
    name, lines = channel(one.name), list[str]()
    if one.since is not None:
        lines.append(f"since {when(one.since, now)} ({duration(now - one.since)})")
    if one.again_at is not None:
        lines.append(f"next try {when(one.again_at, now)}")
    if one.waiting:
        lines.append(f"{counted(one.waiting, 'message')} waiting, the oldest for {duration(one.oldest)}")
    if one.parked:
        lines.append(f"{counted(one.parked, 'message')} parked: refused for good")
    if not one.waiting and not one.parked and one.healthy:
        lines.append("nothing waits")
    if one.failed_at is not None and (not one.healthy or one.waiting or one.parked):
        lines.append(f"{when(one.failed_at, now)}: {visitor.text(one.failure)}")
    test = (
        f'<form method="post" action="/channel/{html.escape(one.name)}/test">{visitor.hidden}'
        f'<button class="link" aria-label="Send a test message by {html.escape(name)}">Send a test message</button></form>'
        if visitor.may
        else ""
    )
    # Whether it works is said in words, the colour only repeats them.
    state = tag("works", "ok") if one.healthy else tag(one.state, "bad")
    details = "".join(f'<div class="dim small">{line}</div>' for line in lines)
    return f"<li><b>{html.escape(name[:1].upper() + name[1:])}</b> {state}{details}{test}</li>"


def _held(now: Now, visitor: Visitor) -> str:
    """Return what waits by decision: quiet hours, planned work; also what is planned for the next week."""
    zone, rows = now.duty.zone, list[str]()
    if now.quiet_until is not None:
        rows.append(f"<b>Quiet hours</b> until {_local(now.quiet_until, zone)}: tickets wait, pages do not")
    for window in now.windows:
        if window.begins > now.at + _SOON:
            continue
        matches = ", ".join(visitor.text(text) for text in window.match)
        times = (
            f"until {_local(window.ends, zone)}"
            if window.begins <= now.at
            else f"from {_local(window.begins, zone)} to {_local(window.ends, zone)}"
        )
        rows.append(f'<b>Planned work</b> {times}: {visitor.text(window.why)}<div class="dim small">{matches}</div>')
    for held in now.held:
        messages = f"{counted(held.messages, 'message')} about {counted(held.incidents, 'incident')}"
        rows.append(f'{messages} held until {_local(held.until, zone)}<div class="dim small">{visitor.text(held.why)}</div>')
    text = "".join(f"<li>{row}</li>" for row in rows) or "<li>Nothing: every message goes out at once.</li>"
    return f'<div class="sheet"><h2>Held back</h2><ul class="rows">{text}</ul></div>'


def _local(at: float, zone: ZoneInfo) -> str:
    moment = datetime.fromtimestamp(at, zone)
    words = f"{moment:%a %H:%M %Z}" if at - time.time() < _SOON else f"{moment:%d %b %Y}"
    return f'<time datetime="{moment.isoformat()}">{words}</time>'


def _self(now: Now) -> str:
    heard = f"{duration(now.at - now.heard)} ago" if now.heard is not None else "not heard since the notifier started"
    # It comes every 30 seconds; after two minutes the notifier itself pages.
    late = now.heard is None or now.at - now.heard > 120.0
    record = tag("writable", "ok") if now.writable else tag("cannot be written: pages go out from memory", "bad")
    watchdog = tag("heard", "ok") if not late else tag("not heard", "wait" if now.heard is None else "bad")
    return (
        f'<div class="sheet"><h2>This notifier</h2><dl><dt>Watchdog</dt><dd>{watchdog} <span class="dim small">{heard}</span></dd>'
        f"<dt>Record</dt><dd>{record}</dd></dl></div>"
    )
