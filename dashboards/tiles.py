"""The wall's tiles: stat panels whose names stand inside, since a panel's title is too small to read from across the room.

A tile is quiet while all is well, and filled when somebody should look. Which query answers gives the colour; where the colour
is a state's own, the state's word brings it. No tile has a title: its description begins with its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, stat
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueJustifyMode,
    BigValueTextMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, ValueMap, ValueMappingResult

from dashboards import style
from dashboards.panels import SOURCE, Q, query
from dashboards.style import Fill, Steps, Word, Words
from dashboards.wall_queries import GONE, NONE

# What a tile says while its source is gone, and while there is nothing to say; both keep the tile's name.
NOTHING: Words = {GONE: Word("UNKNOWN", Fill.UNKNOWN), NONE: Word("—", Fill.QUIET)}
_QUIET: Steps = ((None, Fill.UNKNOWN), (0, Fill.QUIET))


@dataclass(frozen=True)
class Ask:
    """One query of a tile, the name that it shows, and the fill that it means; words of its own where the state's differ."""

    expr: str
    legend: str
    fill: str = ""
    words: Words | None = None


def tile(
    name: str,
    description: str,
    unit: str,
    asks: Sequence[Ask],
    *,
    words: Words | None = None,
    steps: Steps = _QUIET,
    size: int = style.WORD,
    line: int = style.LINE,
    nothing: str = "",
    decimals: int | None = 0,
    orientation: VizOrientation = VizOrientation.VERTICAL,
) -> stat.Panel:
    """Return one tile. Without any answer, as when Prometheus is gone, it says its name and UNKNOWN on grey."""
    panel = stat.Panel().title("").description(f"{name}: {description}").datasource(SOURCE).unit(unit)
    panel.no_value(nothing or f"{name}: UNKNOWN").thresholds(style.thresholds(steps))
    panel.mappings([_named({**NOTHING, **(words or {})})])
    panel.color_mode(BigValueColorMode.BACKGROUND).graph_mode(BigValueGraphMode.NONE)
    panel.text_mode(BigValueTextMode.VALUE_AND_NAME).justify_mode(BigValueJustifyMode.AUTO).orientation(orientation)
    panel.text(common.VizTextDisplayOptions().title_size(line).value_size(size))
    panel.reduce_options(common.ReduceDataOptions().calcs(["last"]).values(False))
    if decimals is not None:
        panel.decimals(decimals)
    for place, ask in enumerate(asks):
        ref = chr(ord("A") + place)
        panel.with_target(query(Q(ask.expr, ask.legend), ref, instant=True))
        look = []
        if ask.fill:
            look.append(DynamicConfigValue("color", {"mode": "fixed", "fixedColor": ask.fill}))
        if ask.words:
            look.append(DynamicConfigValue("mappings", [_named({**NOTHING, **ask.words})]))
        if look:
            panel.override_by_query(ref, look)
    return panel


def _named(words: Words) -> ValueMap:
    return ValueMap(
        {str(v): ValueMappingResult(text=w.text, color=w.color, index=i) for i, (v, w) in enumerate(words.items())}
    )
