"""A report for programs. Times are RFC 3339 in UTC; null is what nobody measured."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from zads.report.minutes import Figure, Samples, Span
from zads.report.model import NightReport, QuarterReport
from zads.report.record import Gap

VERSION = 1


def _moment(when: float | None) -> str | None:
    return None if when is None else f"{datetime.fromtimestamp(when, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else round(value, 6)


def _plain(value: Any, name: str = "") -> Any:
    """Return a value as JSON knows it; a count is {"low", "high"}, with high null for "at least"."""
    if isinstance(value, bool) or value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return _moment(value) if name in {"at", "start", "end", "worst_at"} else _number(value)
    if isinstance(value, datetime):
        return _moment(value.timestamp())
    if isinstance(value, Gap):
        return {"who": value.who, "unknown": value.what, "minutes": value.minutes, "times": _plain(value.stretches)}
    if isinstance(value, Figure | Span):
        return {one.name: _plain(getattr(value, one.name), one.name) for one in fields(value)}
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name), one.name) for one in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(one, name) for key, one in value.items()}
    return [_plain(one, name) for one in value]


def _samples(samples: Samples) -> list[list[Any]]:
    return [[_moment(when), _number(value)] for when, value in samples]


def night(report: NightReport) -> dict[str, Any]:
    """Return a night's report."""
    plotted = {"rates", "percentiles", "lags"}
    left_out = {*plotted, "promise", "shown"}
    plain = {one.name: _plain(getattr(report, one.name), one.name) for one in fields(report) if one.name not in left_out}
    minutes, promise = report.minutes, report.promise
    return {
        "version": VERSION,
        **plain,
        "dark_minutes": round(report.dark_seconds / 60),
        "complete": _plain(report.public.complete if report.public else None),
        "bad_minutes": None if minutes is None else minutes.bad,
        "good_minutes": None if minutes is None else minutes.good,
        "unknown_minutes": None if minutes is None else minutes.unknown,
        "without_data_minutes": None if minutes is None else minutes.without_data,
        "incidents": [_incident(one) for one in report.incidents],
        "quarter": None if promise is None else _budget(promise),
        "over_time": {
            name: {str(key): _samples(rows) for key, rows in getattr(report, name).items()} for name in sorted(plotted)
        },
    }


def _incident(one: Any) -> dict[str, Any]:
    return {
        "night": one.night,
        "start": _moment(one.start.timestamp()),
        "end": _moment(one.end.timestamp()),
        "bad_minutes": one.minutes,
        "cause": one.cause,
        "alerts": list(one.alerts),
    }


def _budget(promise: Any) -> dict[str, Any]:
    return {
        "quarter": promise.quarter,
        "objective": promise.objective,
        "budget_minutes": round(promise.budget, 2),
        "left_minutes": round(max(0.0, promise.left), 2),
        "kept": promise.left >= 0,
        **{f"{kind}_minutes": promise.total(kind) for kind in ("dark", "good", "bad", "unknown", "without_data")},
    }


def quarter(report: QuarterReport) -> dict[str, Any]:
    """Return a quarter's report."""
    plain = {one.name: _plain(getattr(report, one.name), one.name) for one in fields(report) if one.name != "promise"}
    incidents = [_incident(one) for one in report.promise.incidents]
    return {"version": VERSION, **plain, "incidents": incidents, "promise": _budget(report.promise)}
