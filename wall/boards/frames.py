"""Results as tables: fields of equal length with names and labels, as panels and transformations take them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Kind = Literal["time", "number", "string"]
Cell = float | str | None
_LEGEND = re.compile(r"{{\s*([\w.]+)\s*}}")


@dataclass(frozen=True)
class Field:
    """One column. Times are milliseconds since 1970, as Grafana's formats take them; None is no value."""

    name: str
    kind: Kind
    values: tuple[Cell, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    ref: str = "A"

    def numbers(self) -> list[float | None]:
        """Return the values that are numbers, None in the place of others."""
        return [v if isinstance(v, float) else None for v in self.values]


@dataclass(frozen=True)
class Frame:
    """Columns of one result."""

    fields: tuple[Field, ...]
    ref: str = "A"
    name: str = ""

    def __len__(self) -> int:
        return len(self.fields[0].values) if self.fields else 0

    def with_fields(self, fields: Sequence[Field]) -> Frame:
        """Return the frame with other columns."""
        return replace(self, fields=tuple(fields))


def number(text: str) -> float | None:
    """Return Prometheus' number; NaN is no value."""
    value = float(text)
    return None if math.isnan(value) else value


def legend(pattern: str, labels: Mapping[str, str], expression: str) -> str:
    """Return the name of a series."""
    if pattern and pattern != "__auto":
        return _LEGEND.sub(lambda found: labels.get(found[1], ""), pattern)
    own = {k: v for k, v in labels.items() if k != "__name__"}
    if not own:
        return labels.get("__name__", "") or expression
    if pattern == "__auto" and len(own) == 1:
        return next(iter(own.values()))
    return labels.get("__name__", "") + "{" + ", ".join(f'{k}="{v}"' for k, v in sorted(own.items())) + "}"


def series(data: Mapping[str, Any], pattern: str, expression: str, ref: str) -> list[Frame]:
    """Return one frame for each series: its times and its values."""
    frames = []
    for labels, points in _rows(data):
        name = legend(pattern, labels, expression)
        times = tuple(at * 1000 for at, _ in points)
        values = tuple(number(value) for _, value in points)
        frames.append(Frame((Field("Time", "time", times, {}, ref), Field(name, "number", values, labels, ref)), ref, name))
    return frames


def table(data: Mapping[str, Any], ref: str, *, several: bool) -> Frame:
    """Return all series as rows: the time, a column for each label, the value."""
    rows = [(labels, at, value) for labels, points in _rows(data) for at, value in points]
    names = sorted({name for labels, _, _ in rows for name in labels})
    columns = [Field("Time", "time", tuple(at * 1000 for _, at, _ in rows), {}, ref)]
    columns += [Field(n, "string", tuple(labels.get(n, "") for labels, _, _ in rows), {}, ref) for n in names]
    value = f"Value #{ref}" if several else "Value"
    columns.append(Field(value, "number", tuple(number(v) for _, _, v in rows), {}, ref))
    return Frame(tuple(columns), ref)


def _rows(data: Mapping[str, Any]) -> list[tuple[dict[str, str], list[tuple[float, str]]]]:
    kind, result = data.get("resultType"), data.get("result", [])
    if kind in {"scalar", "string"}:
        return [({}, [(float(result[0]), result[1])])]
    rows = []
    for row in result:
        points = row["values"] if kind == "matrix" else [row["value"]]
        rows.append((dict(row["metric"]), [(float(at), value) for at, value in points]))
    return rows
