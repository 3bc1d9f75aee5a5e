"""What the stream did: one night by program, community and stage, and the quarter against its promise."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards import style
from dashboards.frame import Line, Variable, board
from dashboards.panels import Column, Q, lines, number, or_none, rows, states
from dashboards.style import BAD, BLUE, OK, UNKNOWN, WARN, WHITE

# What was last known of the night within the time shown: series of a topic that is deleted end.
_NIGHT = 'max by (program) (last_over_time(zads_night_alerts{{cluster="{0}", night="$night"}}[$__range]))'
_PUBLIC = "and on (program) zads:public_program"
_BAD_MINUTES = "zads:night_minute:bad"
_STAGES = ("exposure", "mirror", "delivery", "total")


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return board(
        "zads-report",
        "ZADS Report",
        "A night and the quarter: how many alerts came and went on, how late, what was lost, what is left of the promise.",
        [_night(), _tables(), _latency(), _rates(), _down(), _quarter(), _quarter_nights()],
        variables=[
            Variable(
                "night",
                "Night",
                "label_values(zads_night_alerts, night)",
                "The night, by the UTC date of its solar midnight.",
                one=True,
                last_first=True,
            )
        ],
        begin="now-24h",
        refresh="1m",
    )


def _night() -> Line:
    upstream, public = (f"sum({_NIGHT.format(c)} {_PUBLIC})" for c in ("upstream", "public"))
    missing = 'sum(last_over_time(zads_night_missing_alerts{night="$night"}[$__range]))'
    bad = f'sum(sum_over_time({_BAD_MINUTES}{{night="$night"}}[$__range]))'
    seen = f'sum(count_over_time({_BAD_MINUTES}{{night="$night"}}[$__range]))'
    return Line(
        4,
        (
            (number("At IPAC", "Public alerts of the night at IPAC.", "locale", Q(upstream)), 4),
            (number("At ZADS", "Public alerts of the night at ZADS.", "locale", Q(public)), 4),
            (
                number(
                    "Complete",
                    "What is at ZADS over what is at IPAC; above 100 % there are duplicates, which MirrorMaker makes after a restart.",
                    "percentunit",
                    Q(f"{public} / {upstream}"),
                    steps=((None, BAD), (0.99, WARN), (0.9999, OK)),
                    decimals=2,
                ),
                4,
            ),
            (
                number(
                    "Missing",
                    "Alerts that MirrorMaker read and ZADS does not hold.",
                    "locale",
                    Q(missing),
                    steps=((None, OK), (1, BAD)),
                ),
                4,
            ),
            (
                number(
                    "Bad minutes",
                    "Dark minutes in which Kafka did not answer, or alerts waited at IPAC for too long.",
                    "m",
                    Q(bad),
                    steps=((None, OK), (1, WARN), (60, BAD)),
                    nothing="nobody saw",
                    decimals=0,
                ),
                4,
            ),
            (
                number(
                    "Minutes seen",
                    "Dark minutes that somebody saw: the others are unknown, neither good nor bad.",
                    "m",
                    Q(seen),
                    nothing="none",
                    decimals=1,
                ),
                4,
            ),
        ),
        heading="Night $night",
    )


def _tables() -> Line:
    arrived = _NIGHT.format("public")
    delivered = (
        'max by (community, program) (last_over_time(zads_community_delivered_alerts_total{night="$night"}[$__range]))'
    )
    waiting = 'max by (community, program) (last_over_time(zads_community_lag_alerts{night="$night"}[$__range]))'
    return Line(
        8,
        (
            (
                rows(
                    "Alerts by program",
                    "Programs that are not public stay at IPAC.",
                    [
                        Column("program", "Program", width=100),
                        Column("Value #A", "At IPAC", "locale"),
                        Column("Value #B", "At ZADS", "locale"),
                        Column("Value #C", "Complete", "percentunit", decimals=2),
                        Column("Value #D", "Missing", "locale", steps=((None, OK), (1, BAD))),
                    ],
                    Q(_NIGHT.format("upstream")),
                    Q(arrived),
                    Q(f"{arrived} / {_NIGHT.format('upstream')}"),
                    Q('max by (program) (last_over_time(zads_night_missing_alerts{night="$night"}[$__range]))'),
                    sort="Program",
                ),
                12,
            ),
            (
                rows(
                    "Delivered by community",
                    "Alerts that each community committed since the exporter began to count, and what waits; some commit nothing.",
                    [
                        Column("community", "Community"),
                        Column("program", "Program", width=100),
                        Column("Value #A", "Delivered", "locale"),
                        Column("Value #B", "Waiting", "locale"),
                        Column("Value #C", "Of ZADS's", "percentunit", decimals=1),
                    ],
                    Q(delivered),
                    Q(waiting),
                    Q(f"{delivered} / on (program) group_left () ({arrived} > 0)"),
                    sort="Community",
                ),
                12,
            ),
        ),
    )


def _latency() -> Line:
    bucket = "sum by (le, stage) (increase(zads_alert_latency_seconds_bucket[$__range]))"
    percentile = "histogram_quantile(%s, " + bucket + ") >= 0"
    return Line(
        8,
        (
            (
                rows(
                    "Delay by stage",
                    "Percentiles over the time shown: exposure's end to IPAC's record, that to ZADS, that to the community's commit, and"
                    " exposure to ZADS.",
                    [
                        Column("stage", "Stage"),
                        Column("Value #A", "50 %", "s", decimals=0),
                        Column("Value #B", "95 %", "s", decimals=0),
                        Column("Value #C", "99 %", "s", decimals=0),
                    ],
                    *(Q(percentile % q) for q in ("0.5", "0.95", "0.99")),
                    sort="Stage",
                    nothing="no alerts",
                ),
                10,
            ),
            (
                lines(
                    "Delay by stage over time",
                    "95th percentile of 2 minutes; the dashed line is the promise for the total.",
                    "s",
                    Q("zads:alert_latency_seconds:p95 >= 0", "{{stage}}"),
                    Q("max(zads:threshold_latency_objective)", "goal", WARN, dashed=True),
                ),
                14,
            ),
        ),
        heading="How late",
    )


def _rates() -> Line:
    rate = 'sum(rate(zads_alerts_arrived_total{cluster="%s"}[$__rate_interval]) * on (program) group_left () zads:public_program)'
    return Line(
        8,
        (
            (
                lines(
                    "Public alerts per second",
                    "What IPAC has and what was delivered to ZADS; where the lines part, the mirror is behind.",
                    "cps",
                    Q(rate % "upstream", "IPAC", BLUE),
                    Q(rate % "public", "delivered", WHITE, dashed=True),
                ),
                12,
            ),
            (
                lines(
                    "Committed by communities",
                    "Alerts per second that each community committed.",
                    "cps",
                    Q("sum by (community) (rate(zads_community_committed_alerts_total[$__rate_interval]))", "{{community}}"),
                ),
                12,
            ),
        ),
    )


def _down() -> Line:
    firing = 'ALERTS{alertstate="firing", severity=~"page|ticket"}'
    minutes = f"sum by (headline, severity) (sum_over_time((max by (headline, severity) ({firing}))[$__range:1m]))"
    words = {0: style.Word("GOOD", OK), 1: style.Word("BAD", BAD)}
    return Line(
        8,
        (
            (
                states(
                    "Minutes of darkness",
                    "Good or bad by the promise; a gap is daylight, or a minute that nobody saw.",
                    Q(f"max({_BAD_MINUTES})", "minutes"),
                    words=words,
                    nothing="no night in the time shown",
                ),
                12,
            ),
            (
                rows(
                    "Incidents in the time shown",
                    "Pages and tickets, and for how many minutes they fired altogether.",
                    [
                        Column("headline", "Alert"),
                        Column("severity", "Severity", width=100),
                        Column("Value", "Minutes", "m", decimals=0, width=120),
                    ],
                    Q(or_none(minutes, "headline")),
                    sort="Minutes",
                    descending=True,
                ),
                12,
            ),
        ),
        heading="What went wrong",
    )


def _quarter() -> Line:
    budget, bad = "max(zads:slo_budget_minutes:quarter)", "max(zads:slo_bad_minutes:quarter)"
    seen = f"sum(count_over_time({_BAD_MINUTES}[93d]) and on (quarter) zads_quarter_dark_seconds)"
    left = ((None, BAD), (60, WARN), (180, OK))
    return Line(
        4,
        (
            (
                number(
                    "Promise",
                    "Share of the quarter's dark minutes that are to be good.",
                    "percentunit",
                    Q("max(zads:slo_objective)"),
                    decimals=1,
                ),
                4,
            ),
            (
                number(
                    "Kept so far",
                    "Share of the dark minutes seen in this quarter that were good.",
                    "percentunit",
                    Q(f"1 - {bad} / ({seen} > 0)"),
                    steps=((None, BAD), (0.99, OK)),
                    nothing="no night yet",
                    decimals=3,
                ),
                5,
            ),
            (number("Budget", "Minutes that may be bad in this quarter.", "m", Q(budget), decimals=1), 5),
            (
                number(
                    "Spent",
                    "Bad minutes of this quarter, of nights with data.",
                    "m",
                    Q(bad),
                    steps=((None, OK), (60, WARN)),
                    decimals=1,
                ),
                5,
            ),
            (
                number(
                    "Left",
                    "Minutes of this quarter that may still be bad.",
                    "m",
                    Q(f"clamp_min({budget} - {bad}, 0)"),
                    steps=left,
                    decimals=1,
                ),
                5,
            ),
        ),
        heading="This quarter",
    )


def _quarter_nights() -> Line:
    return Line(
        9,
        (
            (
                rows(
                    "Nights of the quarter",
                    "Bad minutes, minutes that somebody saw, and public alerts at ZADS, by night.",
                    [
                        Column("night", "Night", width=110),
                        Column("Value #A", "Bad", "m", steps=((None, OK), (1, WARN), (60, BAD)), decimals=0),
                        Column("Value #B", "Seen", "m", decimals=1),
                        Column("Value #C", "Alerts", "locale"),
                    ],
                    Q(f"sum by (night) (sum_over_time({_BAD_MINUTES}[93d]))"),
                    Q(f"sum by (night) (count_over_time({_BAD_MINUTES}[93d]))"),
                    Q(
                        f'sum by (night) (max by (night, program) (max_over_time(zads_night_alerts{{cluster="public"}}[93d])) {_PUBLIC})'
                    ),
                    sort="Night",
                    descending=True,
                    nothing="no night yet",
                ),
                12,
            ),
            (
                lines(
                    "Budget over time",
                    "Minutes that may be bad in the quarter, and those that were.",
                    "m",
                    Q("max(zads:slo_budget_minutes:quarter)", "budget", UNKNOWN, dashed=True),
                    Q("max(zads:slo_bad_minutes:quarter)", "bad", BAD),
                ),
                12,
            ),
        ),
    )
