"""One panel: what it asks of Prometheus, and what of the answers it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wall.boards import ask, draw_series, draw_table, draw_text, draw_values, frames, times, transform
from wall.boards.links import Context
from wall.boards.transform import Unsupported
from wall.boards.variables import substitute

TYPES = frozenset({"stat", "timeseries", "table", "text", "bargauge", "gauge", "state-timeline", "row"})
_POINTS_A_COLUMN = 40  # of 24: a chart over the whole width has 960 points
_BLIND = "no data: Prometheus cannot be reached"


@dataclass(frozen=True)
class Query:
    """One target of a panel, ready to be asked."""

    question: ask.Question
    expression: str
    legend: str
    ref: str
    table: bool


class Panel:
    """A panel of the dashboard's JSON with the time and the variables that hold for it."""

    def __init__(self, source: Mapping[str, Any], context: Context, scrape: float, now: float) -> None:
        self.source, self.kind = source, str(source.get("type", ""))
        self.said = "" if self.kind in TYPES else f"panel type {self.kind} is not supported by zads wall; open it in Grafana"
        self.span, self._now, self._scrape = context.span, now, scrape
        try:
            if source.get("timeFrom"):
                self.span = times.between(f"now-{source['timeFrom']}", "now", now)
            if source.get("timeShift") or source.get("repeat"):
                raise Unsupported("a time shift" if source.get("timeShift") else "a panel repeated for each value")
        except (times.BadTime, Unsupported) as error:
            self.said = self.said or _unsupported(error)
        self.context = Context(context.variables, self.span)
        least = times.seconds(self._put(str(source.get("interval") or ""), {})) or scrape
        points = int(source.get("maxDataPoints") or _POINTS_A_COLUMN * int((source.get("gridPos") or {}).get("w", 12)))
        self.step = times.step(self.span, min(points, 2000), least)
        self.macros = macros(self.span, self.step, scrape)
        self.queries: list[Query] = []
        if not self.said and self.kind not in {"text", "row"}:
            try:
                self.queries = [self._query(t) for t in source.get("targets") or () if not t.get("hide") and t.get("expr")]
            except Unsupported as error:
                self.said = _unsupported(error)

    def _put(self, text: str, macros: Mapping[str, str], *, promql: bool = True) -> str:
        return substitute(text, self.context.variables, macros, promql=promql)

    def _query(self, target: Mapping[str, Any]) -> Query:
        source = target.get("datasource") or self.source.get("datasource") or {}
        kind = source.get("type", "prometheus") if isinstance(source, Mapping) else "prometheus"
        if kind != "prometheus":
            raise Unsupported(f"data source {kind}")
        least = times.seconds(self._put(str(target.get("interval") or ""), {}))
        step = times.step(self.span, 2000, least) if least > self.step else self.step
        known = self.macros if step == self.step else macros(self.span, step, self._scrape)
        expression = self._put(str(target["expr"]), known)
        if target.get("instant") and not target.get("range"):
            at = None if abs(self.span.stop - self._now) < 5 else self.span.stop
            question = ask.instant(expression, at)
        else:
            question = ask.span(expression, self.span.start, self.span.stop, step)
        legend = self._put(str(target.get("legendFormat") or ""), {}, promql=False)
        return Query(question, expression, legend, str(target.get("refId") or "A"), target.get("format") == "table")

    def view(self, answers: Mapping[ask.Question, ask.Answer]) -> dict[str, Any]:
        """Return what the browser shows; what is wrong stands in words under `error`, and nothing else then."""
        place = self.source.get("gridPos") or {}
        view: dict[str, Any] = {
            "id": self.source.get("id", 0),
            "type": self.kind,
            "title": self._put(str(self.source.get("title") or ""), self.macros, promql=False).strip(),
            "description": self._put(str(self.source.get("description") or ""), {}, promql=False),
            "place": [int(place.get(k, 0)) for k in ("x", "y", "w", "h")],
            "bare": bool(self.source.get("transparent")),
            "nothing": str(((self.source.get("fieldConfig") or {}).get("defaults") or {}).get("noValue") or ""),
            "error": self.said,
        }
        if self.source.get("timeFrom") and not self.source.get("hideTimeOverride"):
            view["title"] = f"{view['title']} · {times.words(self.span.begin, 'now')}"
        failed = [answers[q.question] for q in self.queries if answers[q.question].error]
        if failed and not self.said:
            view["error"] = _BLIND if any(a.lost for a in failed) else failed[0].error
            view["lost"] = any(a.lost for a in failed)
        if not view["error"]:
            try:
                view |= self._drawn(answers)
            except Unsupported as error:
                view["error"] = _unsupported(error)
        return view

    def _drawn(self, answers: Mapping[ask.Question, ask.Answer]) -> dict[str, Any]:
        if self.kind == "text":
            return draw_text.text(self.source, self.context)
        found = self._frames(answers)
        if self.kind == "table":
            return draw_table.rows(self.source, found, self.context)
        if self.kind == "timeseries":
            return draw_series.lines(self.source, found, self.span, self.step)
        if self.kind == "state-timeline":
            return draw_series.states(self.source, found, self.span, self.step)
        return draw_values.values(self.source, found, self.context)

    def _frames(self, answers: Mapping[ask.Question, ask.Answer]) -> Sequence[frames.Frame]:
        several = sum(query.table for query in self.queries) > 1
        found: list[frames.Frame] = []
        for query in self.queries:
            data = answers[query.question].data
            if query.table:
                found.append(frames.table(data, query.ref, several=several))
            else:
                found += frames.series(data, query.legend, query.expression, query.ref)
        return transform.transform(found, self.source.get("transformations") or ())


def macros(span: times.Range, step: float, scrape: float) -> dict[str, str]:
    """Return what Grafana's own variables stand for."""
    rate = max(step + scrape, 4 * scrape)
    return {
        "__interval": times.written(step),
        "__interval_ms": f"{step * 1000:.0f}",
        "__rate_interval": times.written(rate),
        "__rate_interval_ms": f"{rate * 1000:.0f}",
        "__range": times.written(span.seconds),
        "__range_s": f"{span.seconds:.0f}",
        "__range_ms": f"{span.seconds * 1000:.0f}",
        "__from": f"{span.start * 1000:.0f}",
        "__to": f"{span.stop * 1000:.0f}",
    }


def _unsupported(error: Exception) -> str:
    return f"{error} is not supported by zads wall; open it in Grafana" if isinstance(error, Unsupported) else str(error)
