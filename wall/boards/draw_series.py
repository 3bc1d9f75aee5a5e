"""What timeseries and state-timeline show: lines on one grid of times in the axis' own unit, and spans of states."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from wall.boards import fields, reduce, units
from wall.boards.frames import Cell, Field, Frame
from wall.boards.times import Range

_MOST_LINES = 60
_MOST_ROWS = 60
_NEWS = 120.0  # seconds: a line that ended before has nothing to say of now
_DASHES: tuple[list[int], ...] = ([], [10, 5], [2, 4], [12, 4, 2, 4])


class _Grid:
    """The times of a chart; what is not one of them has no place. A line that ends before `stale` has no newest value."""

    def __init__(self, times: Sequence[float], stale: float) -> None:
        self._place, self._count, self.stale = {round(at * 1000): n for n, at in enumerate(times)}, len(times), stale

    def values(self, times: Sequence[Cell], numbers: Sequence[float | None], by: float) -> list[float | None]:
        """Return a line's values, one for each time of the chart."""
        result: list[float | None] = [None] * self._count
        for at, value in zip(times, numbers, strict=False):
            spot = self._place.get(round(at)) if isinstance(at, float) else None
            if spot is not None and value is not None and math.isfinite(value):
                result[spot] = float(f"{value / by:.5g}")
        return result


def lines(panel: Mapping[str, Any], frames: Sequence[Frame], span: Range, step: float) -> dict[str, Any]:
    """Return a chart: times in seconds, lines divided by their axis' scale, thresholds, the legend's words."""
    columns = [(frame, column) for frame in frames for column in frame.fields if column.kind == "number"]
    configs = [fields.configure(panel, column) for _, column in columns]
    legend = (panel.get("options") or {}).get("legend") or {}
    times = sorted(
        {at for frame in frames for f in frame.fields if f.kind == "time" for at in f.values if isinstance(at, float)}
    )
    times = _steady([at / 1000 for at in times], step)
    grid = _Grid(times, span.stop - max(_NEWS, 3 * step))
    axes: dict[str, dict[str, Any]] = {}
    drawn = []
    for index, ((frame, column), config) in enumerate(list(zip(columns, configs, strict=True))[:_MOST_LINES]):
        unit = str(config.get("unit") or "short")
        if unit not in axes:
            axes[unit] = _axis(
                unit, config, [c for (_, c), k in zip(columns, configs, strict=True) if (k.get("unit") or "short") == unit]
            )
        drawn.append(_line(config, frame, column, index, axes[unit]["by"], grid, legend.get("calcs") or ()))
    more = len(columns) - _MOST_LINES
    return {
        "times": times,
        "lines": drawn,
        "axes": list(axes.values())[:2],
        "start": span.start,
        "stop": span.stop,
        "legend": {
            "mode": "hidden" if legend.get("showLegend") is False else legend.get("displayMode", "list"),
            "side": legend.get("placement") == "right",
            "calcs": [reduce.WORDS.get(name, name) for name in legend.get("calcs") or ()],
        },
        "note": f"{more} more are not shown" if more > 0 else "",
        "says": ", ".join(f"{line['name']} {line['now']}" for line in drawn) or "no data",
    }


def _steady(times: list[float], step: float) -> list[float]:
    """Return all times of the grid between the first and the last, so that what is missing is a gap in the line."""
    if len(times) < 2 or step <= 0:
        return times
    count = round((times[-1] - times[0]) / step)
    return [times[0] + n * step for n in range(count + 1)] if count < 5000 else times


def _axis(unit: str, config: Mapping[str, Any], columns: Sequence[Field]) -> dict[str, Any]:
    numbers = [v for column in columns for v in column.numbers() if v is not None and math.isfinite(v)]
    custom = config.get("custom") or {}
    stacked = (custom.get("stacking") or {}).get("mode") == "normal"
    most = max((abs(v) for v in numbers), default=0.0)
    if stacked:
        most = max(map(sum, zip(*([abs(v or 0) for v in c.numbers()] for c in columns), strict=False)), default=most)
    scale = units.scale(float(config["max"]) if config.get("max") is not None else most, unit, fields.decimals(config))
    style = (custom.get("thresholdsStyle") or {}).get("mode", "off")
    marks = []
    for rule in (config.get("thresholds") or {}).get("steps") or ():
        if style != "off" and rule.get("value") is not None and (config.get("thresholds") or {}).get("mode") != "percentage":
            text = units.text(float(rule["value"]), unit, fields.decimals(config))
            marks.append({"at": rule["value"] / scale.by, "color": fields.colour(str(rule.get("color", ""))), "text": text})
    return {
        "unit": unit,
        "by": scale.by,
        "prefix": scale.prefix,
        "suffix": scale.suffix,
        "digits": scale.digits,
        "label": str(custom.get("axisLabel") or ""),
        "min": _bound(config.get("min"), scale),
        "max": _bound(config.get("max"), scale),
        "softMin": _bound(custom.get("axisSoftMin"), scale),
        "softMax": _bound(custom.get("axisSoftMax"), scale),
        "log": (custom.get("scaleDistribution") or {}).get("type") == "log",
        "right": custom.get("axisPlacement") == "right",
        "stacked": stacked,
        "thresholds": marks,
        "area": style in {"area", "line+area", "dashed+area"},
    }


def _bound(value: Any, scale: units.Scale) -> float | None:
    return None if value is None else float(value) / scale.by


def _line(
    config: Mapping[str, Any], frame: Frame, column: Field, index: int, by: float, grid: _Grid, calcs: Sequence[str]
) -> dict[str, Any]:
    custom = config.get("custom") or {}
    times = next((f.values for f in frame.fields if f.kind == "time"), ())
    mode = (config.get("color") or {}).get("mode", "palette-classic")
    newest, last = (column.values[-1], times[-1]) if column.values and times else (None, None)
    own = fields.PALETTE[index % len(fields.PALETTE)]
    over = not isinstance(last, float) or last / 1000 < grid.stale
    return {
        "name": fields.name(config, column),
        "values": grid.values(times, column.numbers(), by),
        "axis": str(config.get("unit") or "short"),
        "color": own if mode == "palette-classic" else fields.shade(config, newest, index),
        "dash": _dash(custom.get("lineStyle") or {}, index),
        "width": custom.get("lineWidth", 1),
        "fill": custom.get("fillOpacity", 0),
        "style": custom.get("drawStyle", "line"),
        "steps": str(custom.get("lineInterpolation", "linear")),
        "points": custom.get("showPoints", "auto"),
        "join": bool(custom.get("spanNulls")),
        "hidden": bool((custom.get("hideFrom") or {}).get("viz")),
        "now": "no data" if over else _word(config, "lastNotNull", column),
        "calcs": [_word(config, name, column) for name in calcs],
    }


def _dash(style: Mapping[str, Any], index: int) -> list[int]:
    """Return the line's dashes. Beyond the palette, colours come again with dashes: no two lines differ by colour alone."""
    if style.get("fill") in {"dash", "dot"}:
        return list(style.get("dash") or ([10, 10] if style["fill"] == "dash" else [2, 6]))
    return _DASHES[index // len(fields.PALETTE) % len(_DASHES)]


def _word(config: Mapping[str, Any], calc: str, column: Field) -> str:
    try:
        value = reduce.reduce(calc, column.values)
    except KeyError:
        return "?"
    return "no data" if value is None else fields.show(config, value).text


def states(panel: Mapping[str, Any], frames: Sequence[Frame], span: Range, step: float) -> dict[str, Any]:
    """Return one row of spans for each series: from, to, word, colour; where nothing was measured there is none."""
    rows: list[dict[str, Any]] = []
    for frame in frames:
        times = next((f.values for f in frame.fields if f.kind == "time"), ())
        for column in (f for f in frame.fields if f.kind in {"number", "string"}):
            config = fields.configure(panel, column)
            spans: list[list[Any]] = []
            for at, value in zip(times, column.values, strict=False):
                if value is None or not isinstance(at, float):
                    continue
                said, begin = fields.show(config, value, len(rows)), at / 1000
                last = spans[-1] if spans else None
                if last and last[2:] == [said.text, said.color] and begin - last[1] < step / 2:
                    last[1] = begin + step
                else:
                    spans.append([begin, begin + step, said.text, said.color])
            for one in spans:
                one[0], one[1] = max(one[0], span.start), min(one[1], span.stop)
            rows.append({"name": fields.name(config, column), "spans": [s for s in spans if s[1] > s[0]]})
    says = ", ".join(f"{row['name']} {row['spans'][-1][2] if row['spans'] else 'no data'}" for row in rows)
    more = len(rows) - _MOST_ROWS
    return {
        "rows": rows[:_MOST_ROWS],
        "start": span.start,
        "stop": span.stop,
        "note": f"{more} more are not shown" if more > 0 else "",
        "words": (panel.get("options") or {}).get("showValue", "auto") != "never",
        "says": says or "no data",
    }
