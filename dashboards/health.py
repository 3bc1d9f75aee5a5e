"""ZADS Health for Grafana: the wall's five rows, 1920 x 1080 in kiosk mode, from the same signals."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, DatasourceVariable, ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueJustifyMode,
    BigValueTextMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DashboardSpecialValueMapOptions,
    DataSourceRef,
    GridPos,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

from zads.signals import SIGNALS

OK, WARN, BAD, UNKNOWN, PLAIN = "#2f8f83", "#e69f00", "#d1480a", "#5b6470", "#3a414c"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


def _query(name: str, *, expression: str | None = None, legend: str = "", instant: bool = True) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(expression or SIGNALS[name].expression).legend_format(legend).ref_id("A")
    return query.instant() if instant else query.range()


def _unknown() -> SpecialValueMap:
    """Return the mapping that keeps an absent value from being green."""
    result = ValueMappingResult(text="UNKNOWN", color=UNKNOWN)
    return SpecialValueMap(DashboardSpecialValueMapOptions(match=SpecialValueMatch.NULL_AND_NAN, result=result))


def _words(**words: tuple[str, str]) -> ValueMap:
    """Return a mapping of values to words and colours: v0=("DOWN", BAD)."""
    return ValueMap(
        {
            key[1:]: ValueMappingResult(text=text, color=color, index=i)
            for i, (key, (text, color)) in enumerate(words.items())
        }
    )


def _tile(
    title: str, signal: str, at: tuple[int, int, int, int], *, expression: str | None = None, legend: str = ""
) -> stat.Panel:
    """Return one tile: the name inside, large, coloured by its thresholds, UNKNOWN where there is nothing."""
    source = SIGNALS[signal]
    x, y, w, h = at
    return (
        stat.Panel()
        .title(title)
        .description(source.description)
        .datasource(_SOURCE)
        .unit(source.unit)
        .grid_pos(GridPos(h=h, w=w, x=x, y=y))
        .with_target(_query(signal, expression=expression, legend=legend or title))
        .no_value("UNKNOWN")
        .color_mode(BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(BigValueGraphMode.NONE)
        .justify_mode(BigValueJustifyMode.AUTO)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .text(common.VizTextDisplayOptions().title_size(28).value_size(58))
        .thresholds(_steps((None, PLAIN)))
        .mappings([_unknown()])
        .reduce_options(common.ReduceDataOptions().calcs(["last"]).values(False))
    )


def _steps(*steps: tuple[float | None, str]) -> ThresholdsConfig:
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=color) for value, color in steps])
    )


# The worst thing that fires: 2 for a page, 1 for a ticket, 0 for nothing, while data is fresh.
_WORST = (
    '(max(ALERTS{alertstate="firing", severity="page"}) * 2 or max(ALERTS{alertstate="firing", severity="ticket"})'
    " or max(zads:service_info) * 0) and on () (time() - max(timestamp(up)) < 30)"
)


def build() -> Dashboard:
    """Return the dashboard."""
    dashboard = (
        Dashboard("ZADS Health")
        .uid("zads-health")
        .description("What everybody in the room sees: is the distribution of alerts well, and if not, what is wrong.")
        .tags(["zads", "wall"])
        .readonly()
        .refresh("10s")
        .time("now-6h", "now")
        .timezone("utc")
        .with_variable(DatasourceVariable("datasource").label("Data Source").type("prometheus"))
        .link(
            DashboardLink("Runbook").type(DashboardLinkType.LINK).url("docs/runbook.md").tooltip("What to do for each alert")
        )
    )
    headline = _tile("ZADS · ZTF alert distribution", "firing", (0, 0, 24, 5), expression=_WORST).mappings(
        [_words(v0=("ALL WELL", OK), v1=("TROUBLE, see the tickets", WARN), v2=("DOWN, see the pages", BAD)), _unknown()]
    )
    headline.no_value("BLIND")
    dashboard.with_panel(headline)
    dashboard.with_panel(
        _tile("FIRING", "firing", (0, 5, 24, 3), legend="{{headline}}")
        .mappings([_words(v1=("FIRING", BAD)), _unknown()])
        .no_value("nothing fires")
    )
    _sky_row(dashboard)
    _community_row(dashboard)
    _night_row(dashboard)
    _foot_row(dashboard)
    return dashboard


def _sky_row(dashboard: Dashboard) -> None:
    sky = _tile("SKY", "dark", (0, 8, 7, 4)).mappings([_words(v0=("DAY", PLAIN), v1=("DARK", OK)), _unknown()])
    dashboard.with_panel(sky)
    dashboard.with_panel(_tile("ALERTS TONIGHT", "tonight", (7, 8, 5, 4)).thresholds(_steps((None, OK))))
    missing = _tile(
        "NOT PASSED ON",
        "behind",
        (12, 8, 4, 4),
        expression="sum(zads_mirror_behind_alerts) and on () (max(zads_mirror_behind_seconds) > 60) or sum(zads_mirror_behind_alerts) * 0",
    )
    dashboard.with_panel(missing.thresholds(_steps((None, OK), (1, BAD))))
    last = (
        _tile("LAST ALERT, AGE", "last_alert", (16, 8, 4, 4), expression=f"time() - {SIGNALS['last_alert'].expression}")
        .unit("s")
        .decimals(0)
    )
    dashboard.with_panel(last.thresholds(_steps((None, OK))))
    delay = _tile("DELAY, goal 20 min", "delay", (20, 8, 4, 4)).decimals(0)
    dashboard.with_panel(delay.thresholds(_steps((None, OK), (1200, WARN))))


def _community_row(dashboard: Dashboard) -> None:
    """One tile per community: BEHIND, AWAY, READING (commits nothing) or ON TIME."""
    expression = (
        "max by (community) (zads_community_connections == bool 0) * 3 > 0"
        " or max by (community) (zads:community_late:bool) * 2 > 0"
        " or max by (community) (zads_community_lag_known == bool 0) * 1 > 0"
        " or max by (community) (zads:community_lag_seconds:max) * 0"
    )
    tiles = _tile("COMMUNITIES", "community_known", (0, 12, 24, 5), expression=expression, legend="{{community}}")
    words = _words(v0=("ON TIME", OK), v1=("READING, lag unknown", PLAIN), v2=("BEHIND", WARN), v3=("AWAY", WARN))
    dashboard.with_panel(tiles.mappings([words, _unknown()]))


def _night_row(dashboard: Dashboard) -> None:
    chart = (
        timeseries.Panel()
        .title("Public alerts per second, tonight")
        .description("What IPAC has and what was delivered to ZADS; where the lines part, the mirror is behind.")
        .datasource(_SOURCE)
        .unit("short")
        .grid_pos(GridPos(h=8, w=16, x=0, y=17))
        .show_points(VisibilityMode.NEVER)
        .line_width(2)
        .thresholds(_steps((None, OK)))
        .with_target(_query("rate_upstream", expression=_range("rate_upstream"), legend="IPAC", instant=False))
        .with_target(_query("rate_public", expression=_range("rate_public"), legend="delivered", instant=False).ref_id("B"))
    )
    dashboard.with_panel(chart)
    for row, (title, service) in enumerate(
        (("IPAC", "kafka-upstream"), ("MIRROR", "mirrormaker"), ("KAFKA", "kafka-public"))
    ):
        expression = f'min(zads_service_answering{{service="{service}"}})'
        tile = _tile(title, "services", (16, 17 + row * 3, 8, 3 if row < 2 else 2), expression=expression)
        dashboard.with_panel(tile.mappings([_words(v0=("DOWN", BAD), v1=("OK", OK)), _unknown()]))


def _range(name: str) -> str:
    return SIGNALS[name].expression.replace("[2m]", "[$__rate_interval]")


def _foot_row(dashboard: Dashboard) -> None:
    age = _tile("data age", "data_timestamp", (0, 25, 6, 3), expression="time() - max(timestamp(up))").unit("s").decimals(0)
    dashboard.with_panel(age.thresholds(_steps((None, OK), (30, BAD))))
    duty = _tile("on call", "on_call", (6, 25, 6, 3), legend="{{name}}").text_mode(BigValueTextMode.NAME)
    dashboard.with_panel(duty)
    left = _tile(
        "budget left this quarter",
        "budget",
        (12, 25, 6, 3),
        expression=f"clamp_min({SIGNALS['budget'].expression} - {SIGNALS['budget_bad'].expression}, 0)",
    )
    dashboard.with_panel(left.thresholds(_steps((None, BAD), (60, WARN), (180, OK))))
    hosts = _tile("hosts", "hosts", (18, 25, 6, 3), legend="{{host}}").mappings(
        [_words(v0=("DOWN", BAD), v1=("OK", OK)), _unknown()]
    )
    dashboard.with_panel(hosts)
