"""What every dashboard has: the data source, links to the others, annotations, and its panels in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    GridPos,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.panels import SOURCE, Panel

_WIDTH = 24


@dataclass(frozen=True)
class Variable:
    """A choice by a label's values; multi and all unless `one`. Its values are asked for at each change of the time."""

    name: str
    label: str
    values: str
    description: str
    one: bool = False
    last_first: bool = False


@dataclass
class Line:
    """Panels beside each other, with their widths; or a heading alone."""

    height: int
    panels: Sequence[tuple[Panel, int]] = field(default_factory=tuple)
    heading: str = ""


def board(
    uid: str,
    title: str,
    description: str,
    content: Sequence[Line],
    *,
    variables: Sequence[Variable] = (),
    begin: str = "now-6h",
    refresh: str = "30s",
    tags: Sequence[str] = (),
    wall: bool = False,
) -> dashboard.Dashboard:
    """Return the dashboard; on the wall choices are hidden, since nobody can reach them."""
    result = dashboard.Dashboard(title).uid(uid).description(description).tags(["zads", *tags]).readonly().refresh(refresh)
    result.time(begin, "now").timezone("utc").tooltip(DashboardCursorSync.CROSSHAIR)
    source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    source.description("The Prometheus that is asked.")
    result.with_variable(source.hide(VariableHide.HIDE_VARIABLE) if wall else source)
    for variable in variables:
        result.with_variable(_choice(variable))
    result.link(
        dashboard.DashboardLink("ZADS")
        .type(DashboardLinkType.DASHBOARDS)
        .tags(["zads"])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
        .tooltip("The other dashboards, at the same time")
    )
    y = 0
    for line in content:
        if line.heading:
            result.with_row(dashboard.Row(line.heading).grid_pos(GridPos(h=1, w=_WIDTH, x=0, y=y)))
            y += 1
        x = 0
        for panel, width in line.panels:
            result.with_panel(panel.grid_pos(GridPos(h=line.height, w=width, x=x, y=y)))
            x += width
        y += line.height if line.panels else 0
    for annotation in _annotations("page" if wall else "page|ticket", bands=not wall):
        result.annotation(annotation)
    return result


def _choice(variable: Variable) -> dashboard.QueryVariable:
    choice = dashboard.QueryVariable(variable.name).label(variable.label).description(variable.description)
    choice.datasource(SOURCE).query({"query": variable.values, "refId": variable.name})
    choice.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    choice.sort(VariableSort.ALPHABETICAL_DESC if variable.last_first else VariableSort.ALPHABETICAL_ASC)
    if variable.one:
        return choice.multi(False).include_all(False)
    everything = VariableOption(text="All", value="$__all", selected=True)
    return choice.multi(True).include_all(True).all_value(".+").current(everything)


def _annotations(severity: str, *, bands: bool) -> list[dashboard.AnnotationQuery]:
    """Nights as bands, alerts that fired, new versions of ZADS Monitor; the wall begins with its pages alone."""

    def note(name: str, expr: str, color: str, enabled: bool = bands) -> dashboard.AnnotationQuery:
        return dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(enabled).icon_color(color).expr(expr)

    firing = f'ALERTS{{alertstate="firing", severity=~"{severity}"}}'

    return [
        note("Nights", "max(zads_observing_night) == 1", "rgba(86, 180, 233, 0.4)"),
        note("Alerts", f"max by (alertname, headline, severity) ({firing})", "#d1480a", enabled=True),
        note(
            "Deployments",
            "count by (version) (zads_build_info) unless on (version) count by (version) (last_over_time(zads_build_info[1h] offset 2m))",
            "#aab2bd",
        ),
    ]
