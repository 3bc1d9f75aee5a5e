"""Makers of the panel types that our dashboards use: stat, timeseries, table, state-timeline, gauge, text, row.

Each asks for what every panel has to have: title, description, unit, thresholds, and a word for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import common, gauge, prometheus, stat, statetimeline, table, text, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DataTransformerConfig, DynamicConfigValue
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from dashboards import style
from dashboards.style import Steps, Words
from zads.signals import SIGNALS

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
Panel = stat.Panel | timeseries.Panel | table.Panel | statetimeline.Panel | gauge.Panel | text.Panel
_Shown = TypeVar("_Shown", stat.Panel, timeseries.Panel, table.Panel, statetimeline.Panel, gauge.Panel)
_PLAIN: Steps = ((None, style.PLAIN),)


@dataclass(frozen=True)
class Q:
    """One query: PromQL, what its series are called, and how their lines look where that matters."""

    expr: str
    legend: str = ""
    color: str = ""
    dashed: bool = False


def or_none(expr: str, label: str) -> str:
    """Return the expression, and while it has nothing one series that says "none": an empty panel would say "No data"."""
    return f'{expr} or on () label_replace(vector(0), "{label}", "none", "", "")'


def signal(name: str, legend: str = "", color: str = "") -> Q:
    """Return the query of a signal."""
    return Q(SIGNALS[name].expression, legend, color)


def query(q: Q, ref: str, *, instant: bool) -> prometheus.Dataquery:
    """Return the target of a query."""
    target = prometheus.Dataquery().expr(q.expr).legend_format(q.legend or "__auto").ref_id(ref)
    return target.instant() if instant else target.range()


def _dress(
    panel: _Shown, title: str, description: str, unit: str, steps: Steps, words: Words | None, nothing: str
) -> _Shown:
    panel.title(title).description(description).datasource(SOURCE).unit(unit)
    panel.thresholds(style.thresholds(steps)).mappings(style.mappings(words, nothing)).no_value(nothing)
    return panel


def _aim(panel: _Shown, queries: Sequence[Q], *, instant: bool) -> _Shown:
    for number, q in enumerate(queries):
        ref = chr(ord("A") + number)
        panel.with_target(query(q, ref, instant=instant))
        look: list[DynamicConfigValue] = []
        if q.color:
            look.append(DynamicConfigValue("color", {"mode": "fixed", "fixedColor": q.color}))
        if q.dashed:
            # Told apart without colour, and both are seen where they lie on each other.
            look.append(DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [4, 8]}))
        if look:
            panel.override_by_query(ref, look)
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    *queries: Q,
    steps: Steps = _PLAIN,
    words: Words | None = None,
    nothing: str = "UNKNOWN",
    decimals: int | None = None,
    names: bool = False,
) -> stat.Panel:
    """Return numbers or words now; `names` shows the series' names too."""
    panel = _dress(stat.Panel(), title, description, unit, steps, words, nothing)
    mode = BigValueTextMode.VALUE_AND_NAME if names else BigValueTextMode.VALUE
    panel.color_mode(BigValueColorMode.VALUE).graph_mode(BigValueGraphMode.NONE).text_mode(mode)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    if decimals is not None:
        panel.decimals(decimals)
    return _aim(panel, queries, instant=True)


def dial(title: str, description: str, unit: str, *queries: Q, steps: Steps, top: float = 1) -> gauge.Panel:
    """Return gauges from 0 to `top`."""
    panel = _dress(gauge.Panel(), title, description, unit, steps, None, "UNKNOWN").min(0).max(top)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    return _aim(panel, queries, instant=True)


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: Q,
    steps: Steps = _PLAIN,
    stacked: bool = False,
    bars: bool = False,
    calcs: Sequence[str] = (),
    low: float | None = 0,
    high: float | None = None,
    nothing: str = "no data",
) -> timeseries.Panel:
    """Return lines over time; where nobody saw there is a gap, never a line across it."""
    panel = _dress(timeseries.Panel(), title, description, unit, steps, None, nothing)
    panel.show_points(VisibilityMode.NEVER).line_width(2).fill_opacity(60 if bars else 40 if stacked else 6).span_nulls(
        False
    )
    panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    mode = LegendDisplayMode.TABLE if calcs else LegendDisplayMode.LIST
    legend = common.VizLegendOptions().show_legend(True).display_mode(mode).placement(LegendPlacement.BOTTOM)
    panel.legend(legend.calcs(list(calcs)))
    if bars:
        panel.draw_style(GraphDrawStyle.BARS).line_width(1)
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if low is not None:
        panel.min(low)
    if high is not None:
        panel.max(high)
    if len(steps) > 1:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))
    return _aim(panel, queries, instant=False)


def states(title: str, description: str, *queries: Q, words: Words, nothing: str = "UNKNOWN") -> statetimeline.Panel:
    """Return states over time as bars with words in them; a gap is a time that nobody saw."""
    panel = _dress(statetimeline.Panel(), title, description, "none", ((None, style.UNKNOWN),), words, nothing)
    panel.merge_values(True).show_value(VisibilityMode.AUTO).row_height(0.85).fill_opacity(55).line_width(0)
    panel.legend(
        common.VizLegendOptions().show_legend(False).display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    )
    return _aim(panel, queries, instant=False)


@dataclass(frozen=True)
class Column:
    """A column of a table: the label, or `Value` or `Value #B`; its heading, unit, words and colours."""

    name: str
    heading: str
    unit: str = ""
    words: Words | None = None
    steps: Steps = ()
    decimals: int | None = None
    width: int | None = None


def rows(
    title: str,
    description: str,
    columns: Sequence[Column],
    *queries: Q,
    sort: str = "",
    descending: bool = False,
    nothing: str = "—",
) -> table.Panel:
    """Return a table: one row per series, the columns that are named and no other; several queries are joined by their labels."""
    panel = _dress(table.Panel(), title, description, "none", _PLAIN, None, nothing)
    # A special mapping for NaN takes any text for one: numbers' columns have their own.
    panel.mappings([])
    for place, q in enumerate(queries):
        panel.with_target(query(q, chr(ord("A") + place), instant=True).format(PromQueryFormat.TABLE))
    if len(queries) > 1:
        panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    # What is left out is filtered by name, so that no label that is not known here shows up as a column.
    chosen: dict[str, Any] = {"include": {"names": [c.name for c in columns]}}
    panel.with_transformation(DataTransformerConfig(id_val="filterFieldsByName", options=chosen))
    order = {c.name: i for i, c in enumerate(columns)}
    renamed = {c.name: c.heading for c in columns}
    arrange = {"excludeByName": {}, "indexByName": order, "renameByName": renamed}
    panel.with_transformation(DataTransformerConfig(id_val="organize", options=arrange))
    if sort:
        by = {"sort": [{"field": sort, "desc": descending}]}
        panel.with_transformation(DataTransformerConfig(id_val="sortBy", options=by))
    for column in columns:
        look = list(_look(column))
        if look:
            panel.override_by_name(column.heading, look)
    return panel


def _look(column: Column) -> list[DynamicConfigValue]:
    look: list[DynamicConfigValue] = []
    if column.unit:
        look.append(DynamicConfigValue("unit", column.unit))
    if column.decimals is not None:
        look.append(DynamicConfigValue("decimals", column.decimals))
    if column.words:
        look.append(DynamicConfigValue("mappings", style.mappings(column.words)))
    if column.steps:
        look.append(DynamicConfigValue("thresholds", style.thresholds(column.steps).build()))
    if column.words or column.steps:
        # Both the name of 9.4 and the one that later versions know.
        look.append(DynamicConfigValue("custom.displayMode", "color-text"))
        look.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    if column.width:
        look.append(DynamicConfigValue("custom.width", column.width))
    return look


def words(title: str, description: str, content: str, *, transparent: bool = True) -> text.Panel:
    """Return a text panel."""
    panel = text.Panel().title(title).description(description).unit("none").thresholds(style.thresholds(_PLAIN))
    return panel.mode(TextMode.MARKDOWN).content(content).transparent(transparent)
