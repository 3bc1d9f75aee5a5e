"""A report as one HTML page: no outside part, no script; prints well, and can be read as an e-mail without its plots."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from zads.report import plots
from zads.report.document import Document, Line, Plot

_WORDS = {"well": "ALL WELL", "warn": "LOOK CLOSER", "bad": "TROUBLE", "unknown": "UNKNOWN"}


@lru_cache(maxsize=1)
def _template() -> Template:
    # An e-mail or a label may hold anything: everything is escaped.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["sample"] = _sample
    return environment.get_template("page.html.j2")


def _sample(line: Line) -> Markup:
    """Return the bit of line that stands beside its name."""
    dashes = plots.DASHES.get(line.style, "")
    width = 10 if line.style == "bars" else 2.4
    return Markup(
        '<svg width="34" height="10" aria-hidden="true"><line x1="2" x2="32" y1="5" y2="5" stroke="{}" stroke-width="{}"'
        ' stroke-dasharray="{}" stroke-linecap="{}"/></svg>'
    ).format(line.colour, width, dashes, "round" if dashes else "butt")


def _drawn(plot: Plot, name: str) -> dict[str, Markup]:
    wide, narrow = plots.draw(plot, f"{name}w", plots.WIDE), plots.draw(plot, f"{name}n", plots.NARROW)
    return {"wide": Markup(wide), "narrow": Markup(narrow)}  # noqa: S704  pygal escapes what it writes


def page(document: Document, *, with_plots: bool = True) -> str:
    """Return the page; without plots it has their words alone, for e-mail programs, which drop SVG."""
    word = document.word or _WORDS.get(document.mood, "")
    if not with_plots:
        return _template().render(document=document, drawn={}, word=word, id=id)
    drawn = {
        id(plot): _drawn(plot, f"p{one}-{two}")
        for one, section in enumerate(document.sections)
        for two, plot in enumerate(section.plots)
    }
    return _template().render(document=document, drawn=drawn, word=word, id=id)
