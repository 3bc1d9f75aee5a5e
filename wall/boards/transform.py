"""The transformations that our dashboards use; of any other the panel says that it is not supported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wall.boards.fields import pattern
from wall.boards.frames import Cell, Field, Frame

Options = Mapping[str, Any]


class Unsupported(Exception):
    """A part of a dashboard that this page cannot show; the text says which."""


def transform(frames: Sequence[Frame], steps: Sequence[Mapping[str, Any]]) -> list[Frame]:
    """Return the frames after all steps."""
    result = list(frames)
    for step in steps:
        if step.get("disabled"):
            continue
        known = _KNOWN.get(str(step.get("id")))
        if known is None:
            raise Unsupported(f"transformation {step.get('id')}")
        result = known(result, step.get("options") or {})
    return result


def _organize(frames: Sequence[Frame], options: Options) -> list[Frame]:
    """Leave columns out, order them, rename them."""
    out, order, names = (options.get(k) or {} for k in ("excludeByName", "indexByName", "renameByName"))
    kept = options.get("includeByName") or {}
    result = []
    for frame in frames:
        columns = [f for f in frame.fields if not out.get(f.name) and (not kept or kept.get(f.name))]
        columns.sort(key=lambda f: order.get(f.name, len(order) + 1))
        result.append(frame.with_fields([replace(f, name=names.get(f.name) or f.name) for f in columns]))
    return result


def _merge(frames: Sequence[Frame], _options: Options) -> list[Frame]:
    """Make one table: rows that agree in the words that all tables have, and contradict each other nowhere, become one."""
    columns: dict[str, Field] = {f.name: f for frame in frames for f in frame.fields}
    words = [{f.name for f in frame.fields if f.kind == "string"} for frame in frames]
    shared = set.intersection(*words) if words else set()
    apart = not shared and any(words)
    rows: list[dict[str, Cell]] = []
    found: dict[tuple[Cell, ...], list[dict[str, Cell]]] = {}
    for frame in frames:
        for index in range(len(frame)):
            row = {f.name: f.values[index] for f in frame.fields}
            alike = found.setdefault(tuple(row.get(name) for name in sorted(shared)), [])
            fits = (r for r in alike if all(r.get(n, v) == v for n, v in row.items() if n != "Time"))
            there = None if apart else next(fits, None)
            if there is None:
                there = {}
                rows.append(there)
                alike.append(there)
            there.update(row)
    return [_table(columns, rows)] if frames else []


def _join(frames: Sequence[Frame], options: Options) -> list[Frame]:
    """Make one table by a column that all have: outer, or inner with only what all have."""
    by = str(options.get("byField") or "Time")
    joined = [frame for frame in frames if any(f.name == by for f in frame.fields)]
    columns: dict[str, Field] = {}
    rows: dict[Cell, dict[str, Cell]] = {}
    met: dict[Cell, int] = {}
    for number, frame in enumerate(joined, 1):
        names = {f.name: f.name if f.name == by or f.name not in columns else f"{f.name} {number}" for f in frame.fields}
        columns |= {names[f.name]: f for f in frame.fields if names[f.name] not in columns}
        keys = next(f for f in frame.fields if f.name == by).values
        for index, key in enumerate(keys):
            rows.setdefault(key, {}).update({names[f.name]: f.values[index] for f in frame.fields})
            met[key] = met.get(key, 0) + 1
    chosen = [row for key, row in rows.items() if options.get("mode") != "inner" or met[key] >= len(joined)]
    if columns.get(by) and columns[by].kind == "time":
        chosen.sort(key=lambda row: _number(row[by]))
    return [_table(columns, chosen)] if joined else []


def _rows(frames: Sequence[Frame], _options: Options) -> list[Frame]:
    """Make one table of series: time, the series' name, its value; the newest first."""
    rows: list[dict[str, Cell]] = []
    for frame in frames:
        times = next((f for f in frame.fields if f.kind == "time"), None)
        for column in (f for f in frame.fields if f.kind == "number"):
            for index, value in enumerate(column.values):
                rows.append({"Time": times.values[index] if times else None, "Metric": column.name, "Value": value})
    rows.sort(key=lambda row: -_number(row["Time"]))
    kinds = (("Time", "time"), ("Metric", "string"), ("Value", "number"))
    return [_table({name: Field(name, kind, ()) for name, kind in kinds}, rows)]  # type: ignore[arg-type]


def _labels(frames: Sequence[Frame], options: Options) -> list[Frame]:
    """Make columns of the labels of series, and one table of them all."""
    kept = options.get("keepLabels")
    result = []
    for frame in frames:
        columns = [f for f in frame.fields if f.kind == "time"]
        for column in (f for f in frame.fields if f.kind == "number"):
            names = [n for n in sorted(column.labels) if not kept or n in kept]
            columns += [Field(n, "string", (column.labels[n],) * len(frame), {}, column.ref) for n in names]
            columns.append(replace(column, name="Value", labels={}))
        result.append(frame.with_fields(columns))
    return _merge(result, {})


def _sort(frames: Sequence[Frame], options: Options) -> list[Frame]:
    rule: Options = next(iter(options.get("sort") or ()), {})
    return [sort(frame, str(rule.get("field", "")), bool(rule.get("desc"))) for frame in frames]


def sort(frame: Frame, name: str, descending: bool) -> Frame:
    """Return the frame with its rows in the order of a column; rows without a value come last."""
    column = next((f for f in frame.fields if f.name == name), None)
    if column is None:
        return frame
    order = sorted(
        (i for i, v in enumerate(column.values) if v is not None),
        key=lambda i: (isinstance(column.values[i], str), column.values[i]),
        reverse=descending,
    )
    order += [i for i, v in enumerate(column.values) if v is None]
    return frame.with_fields([replace(f, values=tuple(f.values[i] for i in order)) for f in frame.fields])


def _limit(frames: Sequence[Frame], options: Options) -> list[Frame]:
    most = int(options.get("limitField") or 10)
    return [frame.with_fields([replace(f, values=f.values[:most]) for f in frame.fields]) for frame in frames]


def _filter(frames: Sequence[Frame], options: Options) -> list[Frame]:
    include = options.get("include") or {}
    names, regex = include.get("names"), include.get("pattern")

    def kept(column: Field) -> bool:
        return column.name in (names or ()) or bool(regex and pattern(str(regex)).search(column.name))

    return [frame.with_fields([f for f in frame.fields if kept(f)]) for frame in frames]


def _number(value: Cell) -> float:
    return value if isinstance(value, float) else 0.0


def _table(columns: Mapping[str, Field], rows: Sequence[Mapping[str, Cell]]) -> Frame:
    fields = [replace(f, name=name, values=tuple(row.get(name) for row in rows)) for name, f in columns.items()]
    return Frame(tuple(fields))


_KNOWN: dict[str, Callable[[Sequence[Frame], Options], list[Frame]]] = {
    "organize": _organize,
    "merge": _merge,
    "joinByField": _join,
    "seriesToColumns": _join,
    "seriesToRows": _rows,
    "labelsToFields": _labels,
    "sortBy": _sort,
    "limit": _limit,
    "filterFieldsByName": _filter,
}
