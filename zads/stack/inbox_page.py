"""The page that shows what the stand-ins received: newest first, readable on a phone, without a script.

What is open at PagerDuty has buttons for what a person does in PagerDuty's app.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from typing import Any

from zads.stack.standin_pagerduty_incidents import Incident

_CARDS_MOST = 200
_INCIDENTS_MOST = 50
_STYLE = """
:root{color-scheme:dark}
body{font:16px/1.45 Inter,system-ui,sans-serif;background:#0c0e12;color:#eef0f3;max-width:60rem;margin:1rem auto;padding:0 1rem}
h1{font-size:1.3rem}h2{font-size:1.1rem;margin:.4rem 0}p.note{color:#b6bec8}p.trouble{color:#ffb08a;font-weight:600}
article{background:#161a20;border-left:8px solid #f2662b;padding:.7rem 1rem;margin:1rem 0;border-radius:6px}
article.resolved{border-color:#2fa393}article.acknowledged{border-color:#e69f00}
header{display:flex;flex-wrap:wrap;gap:.3rem .8rem;align-items:center;color:#b6bec8;font-size:.9rem}
.state{background:#f2662b;color:#0c0e12;font-weight:700;border-radius:4px;padding:.05rem .5rem}
.resolved .state{background:#2fa393}.acknowledged .state{background:#e69f00}
form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin:.5rem 0}
input,button{font:inherit;padding:.5rem .8rem;border-radius:4px;border:1px solid #6b7480;background:#22272f;color:inherit}
h2,pre{overflow-wrap:anywhere}pre{white-space:pre-wrap;margin:0;font:inherit}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_NAMES = {"email": "E-mail", "slack": "Slack", "pagerduty": "PagerDuty", "webhook": "Webhook"}
_DEEDS = {"triggered": ("acknowledge", "resolve"), "acknowledged": ("unacknowledge", "resolve")}


def _card(message: dict[str, Any]) -> str:
    state, at = html.escape(message["state"]), html.escape(message["at"])
    channel = html.escape(_NAMES.get(message["channel"], message["channel"]))
    text = html.escape(message["text"])
    return (
        f'<article class="{state}"><header><span class="state">{state.upper()}</span><span>{channel}</span>'
        f'<time datetime="{at}">{at[:19].replace("T", " ")} UTC</time></header>'
        f"<h2>{html.escape(message['title'])}</h2>{f'<pre>{text}</pre>' if text != html.escape(message['title']) else ''}</article>"
    )


def _incident(one: Incident) -> str:
    buttons = "".join(
        f'<button name="deed" value="{deed}">{deed.capitalize()}</button>' for deed in _DEEDS.get(one.status, ())
    )
    return (
        f'<form method="post" action="/pagerduty/person"><span>{html.escape(one.title)} ({html.escape(one.status)})</span>'
        f'<input type="hidden" name="incident" value="{html.escape(one.identity, quote=True)}">'
        f'<label>as <input name="name" value="operator 1" size="12"></label>{buttons}</form>'
    )


def page(messages: list[dict[str, Any]], skipped: int, unsaved: int, incidents: Sequence[Incident] = ()) -> str:
    """Return the page; `skipped` and `unsaved` are said, since a reader would miss those messages.

    `incidents`: what is open at PagerDuty.
    """
    shown = messages[-_CARDS_MOST:]
    notes = []
    if skipped:
        notes.append(f"{skipped} damaged {'lines' if skipped > 1 else 'line'} of the record could not be read.")
    if unsaved:
        notes.append(f"The disk takes nothing: {unsaved} {'messages are' if unsaved > 1 else 'message is'} only in memory.")
    trouble = "".join(f'<p class="trouble" role="status">{note}</p>' for note in notes)
    older = (
        f'<p class="note">{len(messages) - len(shown)} older ones are in inbox.json.</p>'
        if len(messages) > len(shown)
        else ""
    )
    cards = "".join(_card(message) for message in reversed(shown)) or '<p class="note">Nothing yet.</p>'
    at_pagerduty = "".join(_incident(one) for one in incidents[-_INCIDENTS_MOST:])
    if at_pagerduty:
        at_pagerduty = f"<section><h2>Open at PagerDuty</h2>{at_pagerduty}</section>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta http-equiv="refresh" content="5">'
        f"<title>Inbox of the stand-ins</title><style>{_STYLE}</style></head><body>"
        f"<h1>Inbox: what e-mail, Slack, PagerDuty and the webhook received</h1>{trouble}{at_pagerduty}"
        f"<main>{cards}</main>{older}</body></html>"
    )
