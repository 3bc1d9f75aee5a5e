"""The notifier's pages, as text: open incidents, one incident's timeline, the runbook. Readable without JavaScript."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterable

from notifier.dispatch import Dispatcher
from notifier.model import Incident
from notifier.render import clock, duration, name_of, one_line
from notifier.store import Store

_STYLE = """
body{font:17px/1.5 Inter,sans-serif;background:#0c0e12;color:#e9ebee;max-width:60rem;margin:0 auto;padding:1.5rem}
a{color:#7cc4ff}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}code{background:#20252d;padding:.1em .3em;border-radius:4px}
article{background:#161a20;border-left:10px solid #2f8f83;border-radius:6px;padding:.8rem 1.2rem;margin:1rem 0}
article.page{border-color:#d1480a}article.ticket{border-color:#e69f00}article.resolved{border-color:#2f8f83}
.dim{color:#9aa3ad}button,input,select{font:inherit;padding:.4rem .9rem;border-radius:6px}
button,input,select{border:1px solid #3a414c;background:#232933;color:#fff}
table{border-collapse:collapse}td,th{padding:.2rem .9rem .2rem 0;text-align:left;vertical-align:top}pre{white-space:pre-wrap}
"""


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
    incidents = store.recent_incidents(40)
    # What is only noted wakes nobody and is no incident to the reader.
    order = {"page": 0, "ticket": 1}
    firing = sorted((i for i in incidents if i.state != "resolved" and i.severity in order), key=lambda i: order[i.severity])
    noted = [i for i in incidents if i.state != "resolved" and i.severity not in order]
    rows = "".join(_card(i, now) for i in firing) or "<p>Nothing fires.</p>"
    past = "".join(_row(i) for i in incidents if i.state == "resolved") or "<tr><td>None yet.</td></tr>"
    health = "".join(_channel(name, dispatcher, store) for name in dispatcher.books)
    notes = "".join(f"<tr><td>{clock(i.began_at)}</td><td>{html.escape(name_of(i))}</td></tr>" for i in noted)
    noted_below = f"<h2>Noted</h2><table>{notes}</table>" if notes else ""
    return frame(
        "ZADS notifier",
        f"<h1>{len(firing)} open {'incident' if len(firing) == 1 else 'incidents'}</h1>"
        f'<p class="dim">On call: {html.escape(on_call or "nobody is named")}</p>{rows}'
        f"<h2>Channels</h2><table>{health}</table>{noted_below}<h2>Before</h2><table>{past}</table>"
        '<p><a href="/runbook">Runbook</a></p>',
        refresh=10,
    )


def _channel(name: str, dispatcher: Dispatcher, store: Store) -> str:
    book, (length, age) = dispatcher.books[name], store.queue().get(name, (0, 0.0))
    state = "works" if book.healthy else "does not accept messages"
    queue = f"{length} waiting, the oldest for {duration(age)}" if length else "nothing waits"
    return f"<tr><th>{html.escape(name)}</th><td>{state}</td><td>{queue}</td><td>{book.outcomes['sent']} sent</td></tr>"


def _card(incident: Incident, now: float) -> str:
    summary = one_line(incident.annotations.get("summary") or name_of(incident))
    who = (
        f"acknowledged by {html.escape(incident.acknowledged_by)}"
        if incident.acknowledged_at
        else "nobody has acknowledged it"
    )
    return (
        f'<article class="{html.escape(incident.severity)}"><div class="dim">{html.escape(incident.severity)} · since '
        f"{clock(incident.began_at)} ({duration(now - incident.began_at)}) · {who}</div>"
        f'<a href="/incident/{incident.id}"><b>{html.escape(summary)}</b></a></article>'
    )


def _row(incident: Incident) -> str:
    lasted = duration((incident.resolved_at or incident.began_at) - incident.began_at)
    return (
        f"<tr><td>{clock(incident.began_at)}</td><td>{lasted}</td><td>{html.escape(incident.severity)}</td>"
        f'<td><a href="/incident/{incident.id}">{html.escape(name_of(incident))}</a></td></tr>'
    )


def details(incident: Incident, timeline: Iterable[tuple[float, str]], token: str, *, may: bool, note: str = "") -> str:
    """Return one incident's page with its timeline and, for who may, the buttons."""
    notes = incident.annotations
    words = (("impact", ""), ("first", "<b>First:</b> "))
    facts = "".join(f"<p>{label}{html.escape(one_line(notes[key]))}</p>" for key, label in words if notes.get(key))
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
        f"<h1>{html.escape(one_line(notes.get('summary') or name_of(incident)))}</h1>{facts}{link}</article>"
        f"{_buttons(incident, token, may=may)}<h2>What happened</h2><table>{rows}</table>"
        f"<h2>Labels</h2><table>{labels}</table>",
    )


def _buttons(incident: Incident, token: str, *, may: bool) -> str:
    if incident.state == "resolved":
        return ""
    if not may:
        return (
            f'<form method="post" action="/login"><input type="hidden" name="next" value="/incident/{incident.id}">'
            '<label>Password <input type="password" name="password" autocomplete="current-password"></label> '
            "<button>Log in to acknowledge or silence</button></form>"
        )
    hidden = f'<input type="hidden" name="token" value="{token}">'
    acknowledge = (
        f'<form method="post" action="/incident/{incident.id}/acknowledge">{hidden}<label>Your name '
        '<input name="by" required maxlength="60"></label> <button>Acknowledge</button></form>'
        if incident.state == "firing"
        else ""
    )
    silence = (
        f'<form method="post" action="/incident/{incident.id}/silence">{hidden}<label>Silence for '
        '<select name="hours"><option>1</option><option>4</option><option>12</option></select> h, because '
        '<input name="why" required maxlength="200"></label> <button>Silence</button></form>'
    )
    return acknowledge + silence


def runbook(text: str) -> str:
    """Return the runbook's Markdown as a page: headings with anchors, paragraphs, lists, code."""
    out, in_list, in_code = [], False, False
    for line in text.splitlines():
        if line.startswith("```"):
            out.append("</pre>" if in_code else "<pre>")
            in_code = not in_code
            continue
        if in_code:
            out.append(html.escape(line))
            continue
        item = re.match(r"(?:[-*]|\d+\.) (.*)", line)
        if in_list and not item:
            out.append("</ul>")
            in_list = False
        if item:
            if not in_list:
                out.append("<ul>")
                in_list = True
            out.append(f"<li>{_inline(item[1])}</li>")
        elif heading := re.match(r"(#{1,4}) (.*)", line):
            level = len(heading[1])
            anchor = re.sub(r"[^a-z0-9]+", "-", heading[2].lower()).strip("-")
            out.append(f'<h{level} id="{anchor}">{_inline(heading[2])}</h{level}>')
        elif line.strip():
            out.append(f"<p>{_inline(line)}</p>")
    return frame("Runbook", '<p><a href="/">All incidents</a></p>' + "\n".join(out))


def _inline(text: str) -> str:
    text = html.escape(text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)
