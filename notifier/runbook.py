"""The runbook's Markdown as a page: headings with anchors, paragraphs, lists, code."""

from __future__ import annotations

import html
import re

from notifier.page import frame


def runbook(text: str) -> str:
    """Return the page."""
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
