"""One number of many: the calculations that panels and legends name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wall.boards.frames import Cell

_OF_NUMBERS: dict[str, Callable[[Sequence[float]], float]] = {
    "lastNotNull": lambda v: v[-1],
    "firstNotNull": lambda v: v[0],
    "mean": lambda v: sum(v) / len(v),
    "max": max,
    "min": min,
    "sum": sum,
    "range": lambda v: max(v) - min(v),
    "diff": lambda v: v[-1] - v[0],
    "median": lambda v: sorted(v)[len(v) // 2],
}
WORDS = {
    "last": "last",
    "lastNotNull": "last",
    "first": "first",
    "firstNotNull": "first",
    "mean": "mean",
    "max": "max",
    "min": "min",
    "sum": "total",
    "count": "count",
    "range": "range",
    "diff": "change",
    "median": "median",
}


def reduce(name: str, values: Sequence[Cell]) -> Cell:
    """Return the number that a calculation makes of the values, None of none; a calculation that is not known is an error."""
    if name in {"last", "first"}:
        return (values[-1] if name == "last" else values[0]) if values else None
    there = [v for v in values if v is not None]
    if name == "count":
        return float(len(values))
    if not there:
        return None
    if name in {"lastNotNull", "firstNotNull"}:
        return there[-1] if name == "lastNotNull" else there[0]
    if name not in _OF_NUMBERS:
        raise KeyError(name)
    numbers = [v for v in there if isinstance(v, float)]
    return _OF_NUMBERS[name](numbers) if numbers else None
