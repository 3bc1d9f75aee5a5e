"""The runbook's Markdown as a page: one title, headings with the anchors that links in messages name."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from notifier.page import frame

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def runbook(text: str) -> str:
    """Return the page."""
    tokens = _MARKDOWN.parse(text)
    titled = False
    for index, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        closing = next(one for one in tokens[index:] if one.type == "heading_close")
        if token.tag == "h1" and titled:
            token.tag = closing.tag = "h2"  # a page has one title; the file has parts of equal weight
        titled = True
        token.attrSet("id", re.sub(r"[^a-z0-9]+", "-", tokens[index + 1].content.lower()).strip("-"))
    body = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return frame("Runbook", f'<p><a href="/">All incidents</a></p>{body}')
