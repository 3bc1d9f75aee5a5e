"""How messages read: a small rendering of Slack's mrkdwn, a locked phone, and the page that shows all of them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PHONE_LETTERS = 80
# Drawn, not written: not every machine has letters for them.
_SIGNS = {
    "red_circle": "#dd2e44",
    "large_orange_circle": "#f4900c",
    "large_yellow_circle": "#fdcb58",
    "large_green_circle": "#78b159",
    "white_circle": "#e6e7e8",
}
_TOKEN = re.compile(
    r"<(?P<link>https?://[^|>\s]+)(?:\|(?P<name>[^>]*))?>|<(?P<call>[@!#][^>]*)>"
    r"|(?<![\w:]):(?P<emoji>[a-z_]+):|(?<![\w`])`(?P<code>[^`\n]+)`(?![\w`])"
    r"|(?<![\w*])\*(?P<bold>[^*\n]+)\*(?![\w*])|(?<!\w)_(?P<italic>[^_\n]+)_(?!\w)|(?<![\w~])~(?P<struck>[^~\n]+)~(?![\w~])"
)
_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:1rem auto;max-width:84rem;padding:0 1rem}
h1{font-size:1.3rem}h2{font-size:1.05rem;margin:2.2rem 0 .4rem;border-top:1px solid #8888;padding-top:.8rem}
.row{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}
.phone{width:24rem;background:#1b2430;color:#fff;border-radius:14px;padding:.6rem .9rem;font-size:.95rem}
.phone b{display:block;font-size:.75rem;opacity:.8}
.slack{width:40rem;max-width:100%;box-sizing:border-box;background:#fff;color:#1d1c1d;border:1px solid #ddd;border-radius:8px;
 padding:.6rem .9rem;font:15px/1.46 Lato,system-ui,sans-serif;overflow-wrap:anywhere}
.slack>p{margin:0 0 .5rem;white-space:pre-wrap}.slack .context{font-size:13px;color:#616061}
.slack a{color:#1264a3}.slack .call{background:#e8f5fa;color:#1264a3;border-radius:3px;padding:0 2px}
.slack code{border:1px solid #ddd;border-radius:3px;background:#f8f8f8;color:#c01343;padding:0 3px;font-size:12px}
.sign{display:inline-block;width:.85em;height:.85em;border-radius:50%;vertical-align:-.05em;border:1px solid #0003}
.emoji{background:#fd0;color:#000}
.slack .how{font-size:12px;color:#616061;margin:0 0 .3rem}
@media(prefers-color-scheme:dark){.slack{background:#1a1d21;color:#d1d2d3;border-color:#383a3f}.slack a,.slack .call{color:#1d9bd1}
.slack .context,.sign{display:inline-block;width:.85em;height:.85em;border-radius:50%;vertical-align:-.05em;border:1px solid #0003}
.emoji{background:#fd0;color:#000}
.slack .how{color:#ababad}.slack .call{background:#163a4e}.slack code{background:#222529;color:#e8912d;border-color:#444}}
iframe{width:390px;height:640px;border:1px solid #8888;border-radius:8px;background:canvas}
td{padding:.1rem .8rem .1rem 0;vertical-align:top}td:last-child{color:#888}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px;max-width:44rem}
"""


@dataclass
class Shown:
    """One case as it was handed over: per channel the files that hold it, and what is drawn of it."""

    name: str
    about: str
    title: str = ""
    push: str = ""
    slack: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    mail: str = ""


def mrkdwn(text: str) -> str:
    """Return a text of Slack's as HTML; only what Slack takes for markup becomes some."""
    parts, at = [], 0
    for match in _TOKEN.finditer(text):
        parts.append(_letters(text[at : match.start()]))
        parts.append(_piece(match))
        at = match.end()
    return "".join([*parts, _letters(text[at:])])


def _letters(text: str) -> str:
    # Slack knows three entities; all else is letters.
    for entity, letter in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, letter)
    return html.escape(text)


def _piece(match: re.Match[str]) -> str:
    if match["link"]:
        href = html.escape(html.unescape(match["link"]), quote=True)
        return f'<a href="{href}">{_letters(match["name"] or match["link"])}</a>'
    if match["call"]:
        return f'<span class="call">{_letters(match["call"])}</span>'
    if match["emoji"]:
        colour = _SIGNS.get(match["emoji"])
        return (
            f'<span class="sign" style="background:{colour}"></span>'
            if colour
            else f'<span class="emoji">{match["emoji"]}</span>'
        )
    for name, tag in (("code", "code"), ("bold", "b"), ("italic", "i"), ("struck", "s")):
        if match[name]:
            return f"<{tag}>{_letters(match[name]) if name == 'code' else mrkdwn(match[name])}</{tag}>"
    return html.escape(match[0])


def slack(method: str, body: Mapping[str, Any]) -> str:
    """Return how one call reads in Slack."""
    how = "edited in place" if method == "chat.update" else "a message"
    if body.get("thread_ts"):
        how = "a reply in the thread" + (", also shown in the channel" if body.get("reply_broadcast") else "")
    drawn = [f'<p class="how">{how}</p>']
    for block in body.get("blocks") or []:
        if block["type"] == "section":
            drawn.append(f"<p>{mrkdwn(block['text']['text'])}</p>")
        elif block["type"] == "context":
            words = " ".join(mrkdwn(element["text"]) for element in block["elements"])
            drawn.append(f'<p class="context">{words}</p>')
    return f'<div class="slack">{"".join(drawn)}</div>'


def phone(app: str, text: str) -> str:
    """Return a notification on a locked phone: the first letters and no more."""
    shown = text if len(text) <= PHONE_LETTERS else f"{text[: PHONE_LETTERS - 1]}…"
    return f'<div class="phone"><b>{html.escape(app)} · now</b>{html.escape(shown)}</div>'


def document(title: str, content: str) -> str:
    """Return a whole page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{content}</body></html>"
    )


def index(cases: Sequence[Shown]) -> str:
    """Return the page of all: first the titles one under the other, then each in all its forms."""
    rows = "".join(
        f'<tr><td><a href="#{c.name}">{c.name}</a></td><td>{html.escape(c.title)}</td><td>{len(c.title)}</td></tr>'
        for c in cases
    )
    return document(
        "Messages", f"<h1>Messages: {len(cases)}</h1><table>{rows}</table>{''.join(_section(case) for case in cases)}"
    )


def _section(case: Shown) -> str:
    links = " · ".join(f'<a href="{path}">{name}</a>' for name, path in case.files.items())
    mail = f'<iframe src="{case.mail}" loading="lazy" title="mail"></iframe>' if case.mail else ""
    push = phone("PAGERDUTY", case.push) if case.push else ""
    drawn = "".join(slack(method, body) for method, body in case.slack)
    return (
        f'<section id="{case.name}"><h2>{case.name}: {html.escape(case.about)}</h2><p>{links}</p>'
        f'<div class="row">{mail}<div>{push}{drawn}</div></div></section>'
    )


def picture(case: Shown) -> str:
    """Return a page with what Slack and a locked phone show of one case."""
    drawn: Iterable[str] = (slack(method, body) for method, body in case.slack)
    return document(case.name, (phone("PAGERDUTY", case.push) if case.push else "") + "".join(drawn))
