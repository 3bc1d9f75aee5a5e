"""What stat, gauge and bargauge show: one number of each series, in words, with its colour."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from wall.boards import fields, reduce
from wall.boards.fields import Shown
from wall.boards.frames import Cell, Field, Frame
from wall.boards.links import Context, of_value
from wall.boards.transform import Unsupported

_MOST = 60
_SPARKS = 120
# The calm looks: a thin edge of colour, as on the wall; nothing is known is hatched; anything else fills the tile.
CALM = {"#2f8f83", "#3fb5a6", "#3a414c", "#aab2bd", "#161a20", "transparent"}
_FAINT = re.compile(r"rgba\((\d+), ?(\d+), ?(\d+), ?0?\.?([01]\d*|0)\)")
_UNKNOWN = ("UNKNOWN", "BLIND")  # the word decides: a colour is only how somebody drew it
NOTHING = {"#5b6470", "#8b93a1", "#848e9c"}
# In Grafana a run of hard spaces breaks a tile's name in two lines: what stands after it is the line below the word.
_LINE_BELOW = re.compile("\N{NO-BREAK SPACE}{4,} ?")
_PLAIN, _GONE = "#3a414c", "#8b93a1"


def values(panel: Mapping[str, Any], frames: Sequence[Frame], context: Context) -> dict[str, Any]:
    """Return the tiles, bars or dials of a panel."""
    options = panel.get("options") or {}
    picked = _picked(options, frames)
    configs = [fields.configure(panel, column) for column, _ in picked]
    seen = [value for _, value in picked if isinstance(value, float)]
    span = (min([0.0, *seen]), max(seen, default=100.0))
    shown = []
    for index, ((column, value), config) in enumerate(zip(picked, configs, strict=True)):
        said = fields.show(config, value, index, None if panel.get("type") == "stat" else span)
        name, _, line = _LINE_BELOW.sub("\n", fields.name(config, column)).partition("\n")
        row: dict[str, Any] = {
            "name": name,
            "line": line,
            "text": said.text,
            "color": edge(said.color),
            "look": look(said, value),
        }
        row["href"] = of_value(config, column, {}, said, value, context)
        low, high = fields.limits(config, span)
        if panel.get("type") != "stat":
            row["share"] = _share(value, low, high)
            row["steps"] = _bands(config, low, high)
        elif options.get("graphMode") == "area":
            row["spark"] = _spark(column)
        shown.append(row)
    if not shown:
        shown = [_none(panel)]
    more = len(shown) - _MOST
    return {
        "tiles": shown[:_MOST],
        "note": f"{more} more are not shown" if more > 0 else "",
        "textMode": options.get("textMode", "auto"),
        "colorMode": options.get("colorMode", "value"),
        "orientation": options.get("orientation", "auto"),
        "sizes": options.get("text") or {},
        "says": ", ".join(f"{t['name']} {t['text']}".strip() for t in shown[:_MOST]),
    }


def _none(panel: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tile where there is no series: what the panel says then. In capitals (UNKNOWN) it is a state, else calm (none)."""
    text = str(((panel.get("fieldConfig") or {}).get("defaults") or {}).get("noValue") or "UNKNOWN")
    unknown = text == text.upper() and text != text.lower()
    tile = {
        "name": "",
        "line": "",
        "text": text,
        "color": _GONE if unknown else _PLAIN,
        "href": "",
        "share": 0.0,
        "steps": [],
    }
    return {**tile, "plain": True, "look": "unknown" if unknown else "calm"}


def look(said: Shown, value: Cell) -> str:
    """Return how a tile looks: calm, unknown, or loud."""
    if (
        said.text.startswith(_UNKNOWN)
        or said.color.lower() in NOTHING
        or (value is None and said.color.lower() not in CALM and not said.state)
    ):
        return "unknown"
    return "calm" if said.color.lower() in CALM or _FAINT.fullmatch(said.color) else "loud"


def edge(color: str) -> str:
    """Return the colour of a calm tile's edge: Grafana gets it so thin that it fills the tile and calls nobody."""
    found = _FAINT.fullmatch(color)
    if not found:
        return color
    parts = [int(found[n]) for n in (1, 2, 3)]
    return "#2f8f83" if max(parts) - min(parts) > 60 else _PLAIN


def _picked(options: Mapping[str, Any], frames: Sequence[Frame]) -> list[tuple[Field, Cell]]:
    """Return each column with the value that is shown: one of each series, or each row."""
    rules = options.get("reduceOptions") or {}
    calc = next(iter(rules.get("calcs") or ()), "lastNotNull")
    wanted = str(rules.get("fields") or "")
    picked: list[tuple[Field, Cell]] = []
    for frame in frames:
        for column in frame.fields:
            if wanted and wanted.startswith("/"):
                if not fields.pattern(wanted).search(column.name):
                    continue
            elif (wanted and column.name != wanted) or (not wanted and column.kind != "number"):
                continue
            if rules.get("values"):
                picked += [(column, value) for value in column.values[: int(rules.get("limit") or 25)]]
                continue
            try:
                picked.append((column, reduce.reduce(calc, column.values)))
            except KeyError:
                raise Unsupported(f"calculation {calc}") from None
    return picked


def _share(value: Cell, low: float, high: float) -> float:
    if not isinstance(value, float) or high <= low:
        return 0.0
    return round(max(0.0, min(1.0, (value - low) / (high - low))), 4)


def _bands(config: Mapping[str, Any], low: float, high: float) -> list[list[Any]]:
    """Return where each threshold's colour begins, as a share of the whole."""
    rules = config.get("thresholds") or {}
    bands = []
    for step in rules.get("steps") or ():
        at = step.get("value")
        share = 0.0 if at is None else at / 100 if rules.get("mode") == "percentage" else _share(float(at), low, high)
        bands.append([share, fields.colour(str(step.get("color", "")))])
    return bands


def _spark(column: Field) -> list[float | None]:
    numbers = column.numbers()
    every = max(1, len(numbers) // _SPARKS)
    return [None if v is None else float(f"{v:.4g}") for v in numbers[::every]]
