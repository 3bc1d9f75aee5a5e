"""What a text panel shows: Markdown as HTML that can do nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from markdown_it import MarkdownIt

from wall.boards.links import Context
from wall.boards.transform import Unsupported
from wall.boards.variables import substitute

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
_STYLE = re.compile(r' style="text-align:(left|right|center)"')
_HREF = re.compile(r'href="([^"]*)"')


def text(panel: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Return the panel's HTML: markup of its own is shown as text, and only links that may be followed stay."""
    options = panel.get("options") or {}
    mode, content = options.get("mode", "markdown"), str(options.get("content") or "")
    content = substitute(content, context.variables, {}, promql=False)
    if mode == "code":
        return {"html": f"<pre>{html.escape(content)}</pre>"}
    if mode != "markdown":
        raise Unsupported(f"a text panel in {mode}")
    made = _STYLE.sub(r' class="\1"', _MARKDOWN.render(content))

    def link(found: re.Match[str]) -> str:
        address = context.fill(html.unescape(found[1]))
        return f'href="{html.escape(address)}"' if address else ""

    return {"html": _HREF.sub(link, made)}
