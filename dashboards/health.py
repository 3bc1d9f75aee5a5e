"""ZADS Health for Grafana: the wall's five rows, 1920 x 1080 in kiosk mode, from the same signals.

Every tile is a stat panel with its name inside, since panel titles are too small to read from across the room.
States are numbers that value mappings turn into words; a state is never made up, and no data says UNKNOWN.
"""

from __future__ import annotations

from typing import NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, text, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueJustifyMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DashboardSpecialValueMapOptions,
    DataSourceRef,
    DynamicConfigValue,
    GridPos,
    RangeMap,
    RegexMap,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.text import TextMode

from zads.signals import SIGNALS

OK, WARN, BAD, UNKNOWN, PLAIN = "#2f8f83", "#e69f00", "#d1480a", "#5b6470", "#3a414c"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
Steps = tuple[tuple[float | None, str], ...]
Words = dict[int, tuple[str, str]]
Mapping = ValueMap | RangeMap | RegexMap | SpecialValueMap


class At(NamedTuple):
    """Where a panel stands: the screen is 24 columns wide and 22 rows high."""

    x: int
    y: int
    w: int
    h: int


def _query(signal: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(SIGNALS[signal].expression).legend_format(legend).ref_id(ref).instant()


def _mappings(words: Words) -> list[Mapping]:
    """Return words for states; null and NaN are UNKNOWN whatever else stands there."""
    nothing = DashboardSpecialValueMapOptions(
        match=SpecialValueMatch.NULL_AND_NAN, result=ValueMappingResult(text="UNKNOWN", color=UNKNOWN, index=99)
    )
    maps: list[Mapping] = [SpecialValueMap(nothing)]
    if words:
        named = {str(v): ValueMappingResult(text=t, color=c, index=i) for i, (v, (t, c)) in enumerate(words.items())}
        maps.insert(0, ValueMap(named))
    return maps


def _steps(steps: Steps) -> dashboard.ThresholdsConfig:
    levels = [Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(levels)


def _tile(
    title: str,
    signal: str,
    at: At,
    *,
    legend: str = "",
    words: Words | None = None,
    steps: Steps = ((None, PLAIN),),
    size: int = 58,
    nothing: str = "UNKNOWN",
) -> stat.Panel:
    """Return one tile: the name inside, large, coloured by its state, `nothing` where there is no series."""
    source = SIGNALS[signal]
    return (
        stat.Panel()
        .title(title)
        .description(source.description)
        .datasource(_SOURCE)
        .unit(source.unit)
        .grid_pos(GridPos(h=at.h, w=at.w, x=at.x, y=at.y))
        .with_target(_query(signal, legend or title))
        .no_value(nothing)
        .color_mode(BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(BigValueGraphMode.NONE)
        .justify_mode(BigValueJustifyMode.AUTO)
        .orientation(VizOrientation.AUTO)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .text(common.VizTextDisplayOptions().title_size(min(30, size)).value_size(size))
        .thresholds(_steps(steps))
        .mappings(_mappings(words or {}))
        .reduce_options(common.ReduceDataOptions().calcs(["last"]).values(False))
    )


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    board = (
        dashboard.Dashboard("ZADS Health")
        .uid("zads-health")
        .description("What everybody in the room sees: is the distribution of alerts well, and if not, what is wrong.")
        .tags(["zads", "wall"])
        .readonly()
        .refresh("10s")
        .time("now-6h", "now")
        .timezone("utc")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .link(
            dashboard.DashboardLink("Runbook")
            .type(DashboardLinkType.LINK)
            .url("docs/runbook.md")
            .tooltip("What to do for each alert")
        )
    )
    for panel in (*_headline(), *_sky(), *_communities(), *_night(), *_foot()):
        board.with_panel(panel)
    return board


def _headline() -> list[stat.Panel]:
    """Row 1: the worst headline by name, how long, and who has it."""
    levels: Steps = ((None, OK), (1, WARN), (2, BAD))
    worst = _tile(
        "Headline", "worst", At(0, 0, 15, 5), legend="{{headline}}", steps=levels, size=104, nothing="CANNOT SEE ALL"
    )
    worst.text_mode(BigValueTextMode.NAME).text(common.VizTextDisplayOptions().title_size(104).value_size(104))
    lasting = _tile("FOR", "worst_seconds", At(15, 0, 4, 5), nothing="—").decimals(0)
    unnamed = "acknowledged by {{acknowledged_by}}"
    incidents = _tile("OPEN INCIDENTS", "open_incidents", At(19, 0, 5, 5), legend=unnamed, words={0: ("none", OK)})
    return [worst, lasting, incidents]


def _sky() -> list[stat.Panel]:
    """Row 2: the sky in words, how many, how old, how late."""
    words = {
        0: ("DAY", PLAIN),
        1: ("DAY, STILL ARRIVING", OK),
        2: ("NOTHING FROM IPAC", PLAIN),
        3: ("DARK, ARRIVING", OK),
        4: ("CANNOT SEE IPAC", UNKNOWN),
    }
    delay = _tile(
        "DELAY, 95th percentile", "delay", At(20, 5, 4, 4), steps=((None, OK), (1200, WARN)), nothing="—"
    ).decimals(0)
    return [
        _tile("SKY", "sky_state", At(0, 5, 7, 4), words=words),
        _tile("ALERTS TONIGHT", "tonight", At(7, 5, 5, 4), steps=((None, OK),)).decimals(0).unit("locale"),
        _tile("NOT PASSED ON", "held_up", At(12, 5, 4, 4), steps=((None, OK), (1, BAD))).decimals(0),
        _tile("LAST ALERT, AGE", "last_alert_age", At(16, 5, 4, 4), steps=((None, OK),)).decimals(0),
        delay,
    ]


def _communities() -> list[stat.Panel]:
    """Row 3: one tile per community, its name inside; above five the five worst; below, how late each is."""
    words = {
        0: ("ON TIME", OK),
        1: ("READING", PLAIN),
        2: ("WAITING", PLAIN),
        3: ("UNKNOWN", UNKNOWN),
        4: ("AWAY", WARN),
        5: ("BEHIND", WARN),
    }
    states = _tile("Communities", "community_state", At(0, 9, 24, 3), legend="{{community}}", words=words)
    states.targets([_worst("community_state")])
    late = _tile(
        "Communities, oldest alert not committed", "community_lag", At(0, 12, 24, 2), legend="{{community}}", size=30
    )
    late.targets([_worst("community_lag")]).decimals(0)
    return [states, late]


def _worst(signal: str) -> prometheus.Dataquery:
    return _query(signal, "{{community}}").expr(f"topk(5, {SIGNALS[signal].expression})")


def _night() -> list[timeseries.Panel | stat.Panel]:
    """Row 4: tonight as two lines, and the chain."""
    chart = (
        timeseries.Panel()
        .title("Public alerts per second, tonight")
        .description("What IPAC has and what was delivered to ZADS; where the lines part, the mirror is behind.")
        .datasource(_SOURCE)
        .unit(SIGNALS["rate_public"].unit)
        .grid_pos(GridPos(h=6, w=16, x=0, y=14))
        .show_points(VisibilityMode.NEVER)
        .line_width(3)
        .min(0)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.RIGHT)
            .calcs([])
        )
        .thresholds(_steps(((None, OK),)))
        .with_target(_line("rate_upstream", "IPAC", "A"))
        .with_target(_line("rate_public", "delivered", "B"))
        .override_by_name("IPAC", [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "#56b4e9"})])
        .override_by_name(
            "delivered",
            [
                DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "#e8eaed"}),
                # Dots: told apart without colour, and both are seen where they lie on each other.
                DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [3, 7]}),
            ],
        )
    )
    words = {0: ("DOWN", BAD), 1: ("OK", OK), 2: ("NO ANSWER", BAD), 3: ("UNKNOWN", UNKNOWN)}
    chain = _tile("Services", "service_state", At(16, 14, 8, 6), legend="{{label}}", words=words, size=54)
    chain.orientation(VizOrientation.HORIZONTAL)
    return [chart, chain]


def _line(signal: str, legend: str, ref: str) -> prometheus.Dataquery:
    expression = SIGNALS[signal].expression.replace("[2m]", "[$__rate_interval]")
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(ref).range()


def _foot() -> list[stat.Panel | text.Panel]:
    """Row 5: the time, the age of the data, who is on call, what is left of the budget."""
    duty = _tile("on call", "on_call", At(10, 20, 5, 2), legend="on call {{name}}", size=34).text_mode(BigValueTextMode.NAME)
    left: Steps = ((None, BAD), (60, WARN), (180, OK))
    legend = (
        text.Panel()
        .title("What the words mean")
        .description("How to read the tiles without their colours.")
        .unit("none")
        .grid_pos(GridPos(h=2, w=4, x=20, y=20))
        .mode(TextMode.MARKDOWN)
        .content("READING: commits no offsets, lag unknown. WAITING: Kafka does not answer.")
        .transparent(True)
    )
    return [
        _tile("UTC", "now", At(0, 20, 5, 2), size=34),
        _tile("data age", "data_age", At(5, 20, 5, 2), steps=((None, OK), (30, BAD)), size=34, nothing="BLIND").decimals(0),
        duty,
        _tile("budget left this quarter", "budget_left", At(15, 20, 5, 2), steps=left, size=34).decimals(0),
        legend,
    ]
