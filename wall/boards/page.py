"""One dashboard, put together: variables first, then all questions at once, then what each panel shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wall.boards import ask, links, marks, times, variables
from wall.boards.library import Board, Library
from wall.boards.panel import Panel
from zads.signals import SIGNALS

STALE_AFTER = 30.0
_MOST = 300  # questions of one dashboard
_NEWEST = ask.instant(SIGNALS["data_timestamp"].expression, None)
_EVERY = re.compile(r"(\d+)(s|m|h)")


class Request:
    """What a browser may say: the time, values of variables by name, which folded rows are open."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.begin = next((v for k, v in pairs if k == "from"), "")
        self.end = next((v for k, v in pairs if k == "to"), "")
        self.open = {v for k, v in pairs if k == "open"}
        self.values: dict[str, list[str]] = {}
        for name, value in pairs:
            if name.startswith("var-"):
                self.values.setdefault(name[4:], []).append(value)


def page(board: Board, request: Request, library: Library, asker: ask.Asker, scrape: float, now: float) -> dict[str, Any]:
    """Return everything that the browser shows; raises BadTime."""
    declared = board.get("time") or {}
    begin, end = request.begin or str(declared.get("from", "now-6h")), request.end or str(declared.get("to", "now"))
    span = times.between(begin, end, now)
    listed = (board.get("templating") or {}).get("list") or ()
    macros = {"__from": f"{span.start * 1000:.0f}", "__to": f"{span.stop * 1000:.0f}"}
    chosen = variables.resolve(listed, request.values, span, macros, asker.ask)
    context = links.Context(chosen, span)
    sections = _sections(board, request)
    for section in sections:
        section["title"] = variables.substitute(section["title"], chosen, {}, promql=False)
    panels = [Panel(source, context, scrape, now) for section in sections for source in section["panels"]]
    noted = marks.sources(board, context, scrape)
    questions = [_NEWEST, *(s.question for s in noted), *(q.question for p in panels for q in p.queries)]
    answers = asker.ask(questions[:_MOST])
    over = {q: ask.Answer(error=f"This dashboard asks more than {_MOST} questions.") for q in questions[_MOST:]}
    answers = over | answers
    views = iter(panels)
    for section in sections:
        section["panels"] = [_view(next(views), answers, context, library) for _ in section["panels"]]
    return {
        "uid": board.get("uid"),
        "title": board.get("title", ""),
        "description": board.get("description", ""),
        "wall": "wall" in (board.get("tags") or ()),
        "every": _every(str(board.get("refresh") or "")),
        "begin": begin,
        "end": end,
        "choices": _choices(begin, end),
        "variables": [v.as_dict() for v in chosen.values() if not v.hidden and v.kind != "datasource"],
        "links": links.of_board(board.get("links") or (), context, _others(library, board)),
        "marks": marks.marks(noted, answers, span),
        "sections": sections,
        "state": _state(answers[_NEWEST], asker, now),
    }


def _others(library: Library, board: Board) -> Callable[[Sequence[str]], list[tuple[str, str]]]:
    own = f"/d/{board.get('uid')}"
    return lambda tags: [pair for pair in library.tagged(tags) if pair[1] != own]


def _view(
    panel: Panel, answers: Mapping[ask.Question, ask.Answer], context: links.Context, library: Library
) -> dict[str, Any]:
    view = panel.view(answers)
    view["links"] = links.of_board(panel.source.get("links") or (), context, library.tagged)
    return view


def _choices(begin: str, end: str) -> list[dict[str, str]]:
    pairs = [(choice, "now") for choice in times.CHOICES]
    if (begin, end) not in pairs:
        pairs.insert(0, (begin, end))
    return [{"begin": b, "end": e, "text": times.words(b, e)} for b, e in pairs]


def _every(text: str) -> float:
    """Return the seconds between two refreshes."""
    found = _EVERY.fullmatch(text)
    return max(5.0, float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]) if found else 30.0


def _sections(board: Board, request: Request) -> list[dict[str, Any]]:
    """Return the panels under their rows; those of a folded row only when it is open. Libraries' panels have no type."""
    sections: list[dict[str, Any]] = [{"id": "", "title": "", "folded": False, "open": True, "panels": []}]
    for panel in sorted(board.get("panels") or (), key=_place):
        if panel.get("type") != "row":
            sections[-1]["panels"].append(panel)
            continue
        name, folded = str(panel.get("id", len(sections))), bool(panel.get("collapsed"))
        shown = (name in request.open) != (not folded)
        inside = sorted(panel.get("panels") or (), key=_place) if folded and shown else []
        title = str(panel.get("title") or "")
        sections.append({"id": name, "title": title, "folded": folded, "open": shown, "panels": inside})
    for section in sections:
        if not section["open"]:
            section["panels"] = []
    return [section for section in sections if section["id"] or section["panels"]]


def _place(panel: Mapping[str, Any]) -> tuple[int, int]:
    place = panel.get("gridPos") or {}
    return (int(place.get("y", 0)), int(place.get("x", 0)))


def _state(newest: ask.Answer, asker: ask.Asker, now: float) -> dict[str, Any]:
    """Return whether anything on the page is news: since when Prometheus is gone, or how old its data is."""
    if newest.error:
        return {"blind": True, "why": newest.error.rstrip("."), "since": asker.lost_since or asker.seen_at}
    rows = (newest.data or {}).get("result") or ()
    at = float(rows[0]["value"][1]) if rows else None
    if at is None or now - at > STALE_AFTER:
        return {"blind": True, "why": "Prometheus collects nothing", "since": at}
    return {"blind": False, "why": "", "since": at}
