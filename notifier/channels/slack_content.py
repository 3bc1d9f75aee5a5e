"""What a message is in Slack: blocks, and the same as plain text for when Slack refuses them.

Limits: 3,000 characters in a section, some 13,000 in all blocks together, 4,000 of text in an edit (docs.slack.dev).
Only what is written here is markup. What comes from outside is escaped, so that no label can mention or link, and marked
`verbatim`, so that Slack looks for no "@channel" or address in it; signs that would set it bold, strike it out or draw
a picture are replaced by others that look like them.
"""

from __future__ import annotations

import re
from typing import Any

from notifier.message import Message

_HEAD_MOST, _SECTION_MOST, _PART_MOST, _PLAIN_MOST = 1500, 2900, 1500, 3000
_SIGNS = {"firing": ":red_circle:", "acknowledged": ":large_yellow_circle:", "resolved": ":large_green_circle:"}
_TICKET, _NOTE = ":large_orange_circle:", ":white_circle:"
_MEMBER = re.compile(r"[UW][A-Z0-9]{2,20}")
_CUT_ENTITY = re.compile(r"&[a-z]{0,3}$")
# Two of a kind, at the edges of words, format what is between them; one alone is a letter, as in a command.
_ALIKE = {"*": "\N{ASTERISK OPERATOR}", "~": "\N{TILDE OPERATOR}", "_": "\N{MODIFIER LETTER LOW MACRON}"}
_EDGE = {sign: re.compile(rf"(?<!\w){re.escape(sign)}(?=\S)|(?<=\S){re.escape(sign)}(?!\w)") for sign in _ALIKE}
_EMOJI = re.compile(r":(?=[\w+'-]*[^\W\d][\w+'-]*:)")


def escape(text: str) -> str:
    """Escape Slack's three special characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def literal(text: str) -> str:
    """Return a line from outside so that Slack shows it as it is."""
    text = text.replace("`", "'")
    for sign, alike in _ALIKE.items():
        if text.count(sign) > 1:
            text = _EDGE[sign].sub(alike, text)
    text = _EMOJI.sub("\N{RATIO}", text)
    if text.startswith(">"):
        text = f"\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}{text[1:]}"
    return escape(text)


def blocks(message: Message) -> list[dict[str, Any]]:
    """Return the message as blocks: what and who, the facts, what first, the links, and small what is about the message."""
    facts = "\n".join(literal(line) for line in (*message.what, *((message.impact,) if message.impact else ())))
    first = f"*First:* {literal(message.first)}" if message.first else ""
    parts = [_cut(_head(message), _HEAD_MOST), _cut(facts, _SECTION_MOST), _cut(first, _PART_MOST), _links(message)]
    found: list[dict[str, Any]] = [{"type": "section", "text": _text(part)} for part in parts if part.strip()]
    notes = _cut("\n".join(literal(note) for note in message.notes), _PART_MOST)
    return [*found, {"type": "context", "elements": [_text(notes)]}] if notes.strip() else found


def _text(part: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": part, "verbatim": True}


def short(message: Message) -> str:
    """Return the line that a phone shows of a message with blocks."""
    return literal(message.title)


def plain(message: Message) -> str:
    """Return the whole message as text."""
    lines = [_head(message), *(literal(line) for line in message.lines)]
    links = _links(message)
    text = _cut("\n".join(lines), max(0, _PLAIN_MOST - len(links) - 1))
    return f"{text}\n{links}" if links else text


def _head(message: Message) -> str:
    signs = {"page": _SIGNS["firing"], "info": _NOTE}
    sign = signs.get(message.severity, _TICKET) if message.state == "firing" else _SIGNS[message.state]
    head = f"{sign} *{message.tag}* {literal(message.title)}"
    # Nobody is called for what is acknowledged or over, and for an id that is none.
    called = message.state == "firing" and _MEMBER.fullmatch(message.mention)
    return f"{head} <@{message.mention}>" if called else head


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
    return text if len(text) <= most else _CUT_ENTITY.sub("", text[: max(0, most - 4)]) + " ..."
