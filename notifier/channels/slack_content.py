"""What a message is in Slack: blocks, and the same as plain text for when Slack refuses them.

Limits: 3,000 characters in a section, some 13,000 in all blocks together, 4,000 of text in an edit (docs.slack.dev).
Only what stands between "<" and ">" here is markup; everything from outside is escaped, so that no label can mention or link.
"""

from __future__ import annotations

import re
from typing import Any

from notifier.message import Message

_SECTION_MOST, _PLAIN_MOST = 2900, 3000
_SIGNS = {"firing": ":red_circle:", "acknowledged": ":large_yellow_circle:", "resolved": ":large_green_circle:"}
_TICKET = ":large_orange_circle:"
_MEMBER = re.compile(r"[UW][A-Z0-9]{2,20}")
_CUT_ENTITY = re.compile(r"&[a-z]{0,3}$")


def escape(text: str) -> str:
    """Escape Slack's three special characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def blocks(message: Message) -> list[dict[str, Any]]:
    """Return the message as sections: what and who, the facts, the links."""
    texts = [
        _head(message),
        _cut("\n".join(_body(message, bold="*First:* {}", note="_{}_")), _SECTION_MOST),
        _links(message),
    ]
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in texts if text.strip()]


def short(message: Message) -> str:
    """Return the line that a phone shows of a message with blocks."""
    return escape(message.title)


def plain(message: Message) -> str:
    """Return the whole message as text."""
    lines = [_head(message), *_body(message, bold="First: {}", note="{}")]
    links = _links(message)
    text = _cut("\n".join(lines), _PLAIN_MOST - len(links) - 1)
    return f"{text}\n{links}" if links else text


def _head(message: Message) -> str:
    sign = _TICKET if message.state == "firing" and message.severity != "page" else _SIGNS[message.state]
    head = f"{sign} *{message.tag}* {escape(message.title)}"
    member = getattr(message, "mention", "")
    # Nobody is called for what is acknowledged or over, and for an id that is none.
    called = message.state == "firing" and _MEMBER.fullmatch(member)
    return f"{head} <@{member}>" if called else head


def _body(message: Message, *, bold: str, note: str) -> list[str]:
    lines = [escape(line) for line in message.what]
    lines += [escape(message.impact)] if message.impact else []
    lines += [bold.format(escape(message.first))] if message.first else []
    return lines + [note.format(escape(one)) for one in message.notes]


def _links(message: Message) -> str:
    """Return as many links as fit: one that is cut would be none. Addresses hold nothing that ends a link (links.safe)."""
    found = ""
    for name, url in message.links:
        link = f"<{escape(url)}|{escape(name)}>"
        joined = f"{found} · {link}" if found else link
        if len(joined) <= _SECTION_MOST:
            found = joined
    return found


def _cut(text: str, most: int) -> str:
    """Return the beginning; half an escaped letter at its end is left out."""
    return text if len(text) <= most else _CUT_ENTITY.sub("", text[: most - 4]) + " ..."
