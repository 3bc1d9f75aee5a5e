"""The notifier's pages, as text: open incidents, one incident's timeline. Readable without JavaScript."""

from __future__ import annotations

import html
import time
from collections.abc import Iterable

from notifier.dispatch import Dispatcher
from notifier.model import Incident
from notifier.render import name_of, summary_of
from notifier.store import Kept, Store
from notifier.words import channel, clock, duration, one_line, spoken

_STYLE = """
body{font:17px/1.5 Inter,sans-serif;background:#0c0e12;color:#e9ebee;max-width:60rem;margin:0 auto;padding:1.5rem}
a{color:#7cc4ff}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}code{background:#20252d;padding:.1em .3em;border-radius:4px}
article{background:#161a20;border-left:10px solid #2f8f83;border-radius:6px;padding:.8rem 1.2rem;margin:1rem 0}
article.page{border-color:#d1480a}article.ticket{border-color:#e69f00}article.resolved{border-color:#2f8f83}
.dim{color:#9aa3ad}button,input,select{font:inherit;padding:.4rem .9rem;border-radius:6px}
button,input,select{border:1px solid #3a414c;background:#232933;color:#fff}form{margin:.8rem 0}
table{border-collapse:collapse}td,th{padding:.2rem .9rem .2rem 0;text-align:left;vertical-align:top}pre{white-space:pre-wrap}
td{overflow-wrap:anywhere}td:first-child{white-space:nowrap}
"""
# Who may act, and why not: by a session, not yet, not here.
MAY, LOG_IN, CANNOT = "may", "log in", "cannot"


def frame(title: str, body: str, refresh: int | None = None) -> str:
    """Return a whole page."""
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{again}'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def overview(store: Store, dispatcher: Dispatcher, on_call: str | None, now: float | None = None) -> str:
    """Return the first page: what fires, what was, whether the channels work, who is on call."""
    now = now or time.time()
    recent = store.recent_incidents(40)
    # What is only noted wakes nobody and is no incident to the reader; what is open is listed however old it is.
    order = {"page": 0, "ticket": 1}
    everything = store.open_incidents()
    firing = sorted((i for i in everything if i.severity in order), key=lambda i: order[i.severity])
    noted = [i for i in everything if i.severity not in order]
    rows = "".join(_card(i, now) for i in firing[:200]) or "<p>Nothing fires.</p>"
    past = "".join(_row(i, now) for i in recent if i.state == "resolved") or "<tr><td>None yet.</td></tr>"
    health = "".join(_channel(name, dispatcher, store) for name in dispatcher.books)
    notes = "".join(f"<tr><td>{clock(i.began_at, now)}</td><td>{html.escape(name_of(i))}</td></tr>" for i in noted[:200])
    noted_below = f"<h2>Noted</h2><table>{notes}</table>" if notes else ""
    return frame(
        "ZADS notifier",
        f"<h1>{len(firing)} open {'incident' if len(firing) == 1 else 'incidents'}</h1>"
        f'<p class="dim">On call: {html.escape(on_call or "nobody is named")}</p>{rows}'
        f"<h2>Channels</h2><table>{health}</table>{noted_below}<h2>Before</h2><table>{past}</table>"
        f'{_refused(store.refused(10), now)}<p><a href="/runbook">Runbook</a></p>',
        refresh=10,
    )


def _refused(kept: Iterable[Kept], now: float) -> str:
    rows = "".join(
        f'<tr><td><a href="/refused/{one.id}">{clock(one.at, now)}</a></td><td>{html.escape(one.reason)}</td></tr>'
        for one in kept
    )
    return f"<h2>Webhooks that were not understood</h2><table>{rows}</table>" if rows else ""


def _channel(name: str, dispatcher: Dispatcher, store: Store) -> str:
    book, (length, age) = dispatcher.books[name], store.queue().get(name, (0, 0.0))
    state = "works" if dispatcher.healthy(name) else "does not accept messages"
    if book.works and book.complaints:
        state = "works, but not for every recipient"
    if not dispatcher.running(name):
        state = "stands still: restart the notifier"
    queue = f"{length} waiting, the oldest for {duration(age)}" if length else "nothing waits"
    parked = store.parked().get(name, 0)
    left = f"{parked} refused for good (zads notify replay)" if parked else ""
    cells = (state, queue, f"{book.outcomes['sent']} sent", left)
    return f"<tr><th>{html.escape(channel(name))}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _card(incident: Incident, now: float) -> str:
    who = (
        f"acknowledged by {html.escape(incident.acknowledged_by)}"
        if incident.acknowledged_at
        else "nobody has acknowledged it"
    )
    return (
        f'<article class="{html.escape(incident.severity)}"><div class="dim">{html.escape(incident.severity)} · since '
        f"{clock(incident.began_at, now)} ({duration(now - incident.began_at)}) · {who}</div>"
        f'<a href="/incident/{incident.id}"><b>{html.escape(summary_of(incident))}</b></a></article>'
    )


def _row(incident: Incident, now: float) -> str:
    lasted = duration((incident.resolved_at or incident.began_at) - incident.began_at)
    return (
        f"<tr><td>{clock(incident.began_at, now)}</td><td>{lasted}</td><td>{html.escape(incident.severity)}</td>"
        f'<td><a href="/incident/{incident.id}">{html.escape(name_of(incident))}</a></td></tr>'
    )


def details(incident: Incident, timeline: Iterable[tuple[float, str]], token: str, *, access: str, note: str = "") -> str:
    """Return one incident's page with its timeline and, for who may, the buttons."""
    notes = incident.annotations
    facts = f"<p>{html.escape(spoken(notes['impact']))}</p>" if notes.get("impact") else ""
    facts += f"<p><b>First:</b> {html.escape(one_line(notes['first']))}</p>" if notes.get("first") else ""
    rows = "".join(f"<tr><td>{clock(at)}</td><td>{html.escape(what)}</td></tr>" for at, what in timeline)
    labels = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in incident.labels.items())
    book = notes.get("runbook_url", "")
    path = html.escape(book.removeprefix("docs/").replace(".md", ""), quote=True)
    link = f'<p><a href="/{path}">Runbook</a></p>' if book.startswith("docs/") else ""
    state = {"resolved": "over", "acknowledged": f"acknowledged by {incident.acknowledged_by}", "firing": "firing"}[
        incident.state
    ]
    return frame(
        name_of(incident),
        f'<p><a href="/">All incidents</a></p>{f"<p><b>{html.escape(note)}</b></p>" if note else ""}'
        f'<article class="{html.escape("resolved" if incident.state == "resolved" else incident.severity)}">'
        f'<div class="dim">{html.escape(state)} · since {clock(incident.began_at)}</div>'
        f"<h1>{html.escape(summary_of(incident))}</h1>{facts}{link}</article>"
        f"{_buttons(incident, token, access)}<h2>What happened</h2><table>{rows}</table>"
        f"<h2>Labels</h2><table>{labels}</table>",
    )


def _buttons(incident: Incident, token: str, access: str) -> str:
    if incident.state == "resolved":
        return ""
    if access == CANNOT:
        return (
            '<p id="acknowledge">To acknowledge or silence here, set notifier.password_file in zads.toml: '
            "this page can be reached from other machines.</p>"
        )
    if access == LOG_IN:
        return (
            f'<form id="acknowledge" method="post" action="/login">'
            f'<input type="hidden" name="next" value="/incident/{incident.id}">'
            '<label>Password <input type="password" name="password" autocomplete="current-password"></label> '
            "<button>Log in to acknowledge or silence</button></form>"
        )
    hidden = f'<input type="hidden" name="token" value="{token}">'
    acknowledge = (
        f'<form id="acknowledge" method="post" action="/incident/{incident.id}/acknowledge">{hidden}<label>Your name '
        '<input name="by" required maxlength="60"></label> <button>Acknowledge</button></form>'
        if incident.state == "firing"
        else ""
    )
    silence = (
        f'<form id="silence" method="post" action="/incident/{incident.id}/silence">{hidden}<label>Silence for '
        '<select name="hours"><option>1</option><option>4</option><option>12</option></select> h, because '
        '<input name="why" required maxlength="200"></label> <button>Silence</button></form>'
    )
    return acknowledge + silence
