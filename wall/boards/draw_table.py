"""What a table shows: columns with their words, colours and links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wall.boards import fields, units
from wall.boards.draw_values import look
from wall.boards.frames import Field, Frame
from wall.boards.links import Context, of_value
from wall.boards.transform import sort, transform

_MOST = 200


def rows(panel: Mapping[str, Any], frames: Sequence[Frame], context: Context) -> dict[str, Any]:
    """Return the table of all frames."""
    frame = next(iter(frames), Frame(())) if len(frames) < 2 else transform(frames, [{"id": "merge"}])[0]
    for rule in (panel.get("options") or {}).get("sortBy") or ():
        name = str(rule.get("displayName", ""))
        named = {fields.name(fields.configure(panel, f), f): f.name for f in frame.fields}
        frame = sort(frame, named.get(name, name), bool(rule.get("desc")))
    columns = [(column, fields.configure(panel, column)) for column in frame.fields]
    columns = [(column, config) for column, config in columns if not _hidden(config)]
    count = len(frame)
    return {
        "columns": [
            {
                "name": fields.name(config, column),
                "number": column.kind == "number" and (config["custom"].get("align") or "auto") in {"auto", "right"},
                "width": config["custom"].get("width"),
            }
            for column, config in columns
        ],
        "rows": [
            [_cell(column, config, index, columns, context) for column, config in columns]
            for index in range(min(count, _MOST))
        ],
        "note": f"{_MOST} of {count} rows are shown" if count > _MOST else "",
        "nothing": "" if count else str((panel.get("fieldConfig") or {}).get("defaults", {}).get("noValue") or "none"),
    }


def _hidden(config: Mapping[str, Any]) -> bool:
    return bool(config["custom"].get("hidden")) or bool((config["custom"].get("hideFrom") or {}).get("viz"))


def _cell(
    column: Field, config: Mapping[str, Any], index: int, columns: Sequence[tuple[Field, Any]], context: Context
) -> dict[str, Any]:
    value = column.values[index]
    if column.kind == "time" and isinstance(value, float):
        return {"text": units.text(value, str(config.get("unit") or "time:YYYY-MM-DD HH:mm:ss"))}
    said = fields.show(config, value, index)
    text = said.text if value is not None or said.state else ""
    cell: dict[str, Any] = {"text": text}
    kind = str((config["custom"].get("cellOptions") or {}).get("type") or config["custom"].get("displayMode") or "auto")
    if kind.startswith("color-background") and text:
        cell |= {"color": said.color, "look": look(said, value)}
    elif kind == "color-text" and text:
        cell |= {"ink": said.color}
    row = {f.name: str(f.values[index] or "") for f, _ in columns}
    if href := of_value(config, column, row, said, value, context):
        cell["href"] = href
    return cell
