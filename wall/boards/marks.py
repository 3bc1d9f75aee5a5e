"""Annotations: what happened when, as marks on every chart of a dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wall.boards import ask, fields, frames, times
from wall.boards.links import Context
from wall.boards.panel import macros
from wall.boards.variables import substitute

_MOST = 200
_POINTS = 500


@dataclass(frozen=True)
class Source:
    """One of the dashboard's annotations, ready to be asked."""

    question: ask.Question
    expression: str
    declared: Mapping[str, Any]
    step: float


def sources(board: Mapping[str, Any], context: Context, scrape: float) -> list[Source]:
    """Return the annotations that ask Prometheus and are switched on."""
    found = []
    for declared in (board.get("annotations") or {}).get("list") or ():
        target = declared.get("target") or {}
        expression = str(declared.get("expr") or target.get("expr") or "")
        if not expression or not declared.get("enable", True):
            continue
        least = times.seconds(str(declared.get("step") or target.get("step") or "")) or scrape
        step = times.step(context.span, _POINTS, least)
        ready = substitute(expression, context.variables, macros(context.span, step, scrape))
        found.append(Source(ask.span(ready, context.span.start, context.span.stop, step), ready, declared, step))
    return found


def marks(found: Sequence[Source], answers: Mapping[ask.Question, ask.Answer], span: times.Range) -> list[dict[str, Any]]:
    """Return the marks: from, to (the same for a moment), words, colour, in the order of time."""
    result: list[dict[str, Any]] = []
    for source in found:
        answer = answers[source.question]
        if answer.error:
            continue
        tint = fields.colour(str(source.declared.get("iconColor") or ""), "#8b93a1")
        for frame in frames.series(answer.data, "", source.expression, "A"):
            words = _words(source.declared, frame.fields[1].labels)
            for begin, end in _spans(source, frame):
                if end >= span.start and begin <= span.stop:
                    result.append({"from": begin, "to": end, "text": words, "color": tint})
    result.sort(key=lambda mark: mark["from"])
    return result[-_MOST:]


def _words(declared: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    title = frames.legend(str(declared.get("titleFormat") or ""), labels, "") if declared.get("titleFormat") else ""
    more = frames.legend(str(declared.get("textFormat") or ""), labels, "") if declared.get("textFormat") else ""
    return ": ".join(part for part in (title.strip(), more.strip()) if part) or str(declared.get("name") or "")


def _spans(source: Source, frame: frames.Frame) -> list[tuple[float, float]]:
    when, value = frame.fields
    if str(source.declared.get("useValueForTime")).lower() in {"true", "on"}:
        moments = sorted({v / 1000 for v in value.values if isinstance(v, float)})
        return [(at, at) for at in moments]
    spans: list[tuple[float, float]] = []
    for at, number in zip(when.values, value.values, strict=True):
        if not isinstance(at, float) or not isinstance(number, float) or number == 0:
            continue
        if spans and at / 1000 - spans[-1][1] < source.step * 1.5:
            spans[-1] = (spans[-1][0], at / 1000)
        else:
            spans.append((at / 1000, at / 1000))
    return spans
