"""One community: how late it is, what it takes, over which connections, what it got of each night, and its incidents."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards import style
from dashboards.frame import Line, Variable, board
from dashboards.panels import Column, Q, lines, number, or_none, rows, states
from dashboards.style import BAD, BLUE, OK, WARN, WHITE
from zads.signals import SIGNALS

_ONE = '{community="$community"}'
_STATE = f"max by (community) (({SIGNALS['community_state'].expression}) and on (community) zads:community_info{_ONE})"
_FIRING = 'ALERTS{alertstate="firing", community="$community"}'


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return board(
        "zads-community",
        "Community",
        "One community: is it on time, and if not, is it the community, the network or us.",
        [_now(), _lag(), _egress(), _network(), _connections(), _nights()],
        variables=[
            Variable(
                "community",
                "Community",
                "label_values(zads:community_info, community)",
                "The community that is shown.",
                one=True,
            )
        ],
    )


def _now() -> Line:
    limit = f"max(zads:community_lag_seconds:max{_ONE})"
    late = ((None, OK), (1800, WARN))
    return Line(
        4,
        (
            (number("State", SIGNALS["community_state"].description, "none", Q(_STATE), words=style.COMMUNITY), 4),
            (
                number(
                    "Lag", "Age of the oldest alert that it has not committed.", "s", Q(limit), steps=late, nothing="unknown"
                ),
                4,
            ),
            (
                number(
                    "Waiting",
                    "Alerts that it has not committed.",
                    "locale",
                    Q(f"sum(zads_community_lag_alerts{_ONE})"),
                    nothing="unknown",
                ),
                4,
            ),
            (
                number(
                    "Taking now",
                    "Bytes per second on the wire, in 2 minutes.",
                    "Bps",
                    Q('sum(rate(zads_community_egress_bytes_total{community="$community", source="wire"}[2m]))'),
                    decimals=1,
                ),
                4,
            ),
            (
                number(
                    "Contract",
                    "Bytes per second that it was promised.",
                    "Bps",
                    Q(f"max(zads:community_contract_bytes{_ONE})"),
                    nothing="none",
                    decimals=1,
                ),
                4,
            ),
            (
                number(
                    "Lost",
                    "Alerts that were deleted before it had committed them, since the exporter began to count.",
                    "locale",
                    Q(f"sum(zads_community_lost_alerts_total{_ONE}) or max(zads_community_lag_known{_ONE} == 1) * 0"),
                    steps=((None, OK), (1, BAD)),
                    nothing="unknown",
                ),
                4,
            ),
        ),
        heading="$community now",
    )


def _lag() -> Line:
    return Line(
        8,
        (
            (
                lines(
                    "Lag in seconds",
                    "Age of the oldest alert that it has not committed; the dashed line is the most that it may be.",
                    "s",
                    Q(f"max by (program) (zads_community_lag_seconds{_ONE})", "program {{program}}", BLUE),
                    Q("max(zads:threshold_community_lag)", "told from here on", WARN, dashed=True),
                    nothing="commits no offsets: lag unknown",
                ),
                12,
            ),
            (
                lines(
                    "Lag in alerts",
                    "Alerts that it has not committed; the dashed line is what it commits at once.",
                    "locale",
                    Q(f"sum by (program) (zads_community_lag_alerts{_ONE})", "program {{program}}", BLUE),
                    Q(f"max(zads:community_commit_batch{_ONE})", "a batch", WHITE, dashed=True),
                    nothing="commits no offsets: lag unknown",
                ),
                12,
            ),
        ),
        heading="How late",
    )


def _egress() -> Line:
    wire = 'sum by (source) (rate(zads_community_egress_bytes_total{community="$community", source="%s"}[$__rate_interval]))'
    return Line(
        8,
        (
            (
                lines(
                    "Egress, measured twice",
                    "Bytes per second on the wire, and by committed offsets times the mean size; where they part, one of them is wrong.",
                    "Bps",
                    Q(wire % "wire", "on the wire", BLUE),
                    Q(wire % "offsets", "by offsets", WHITE, dashed=True),
                    Q(f"max(zads:community_contract_bytes{_ONE})", "contract", WARN, dashed=True),
                    calcs=("lastNotNull", "mean", "max"),
                ),
                12,
            ),
            (
                lines(
                    "Taking, as a share of what arrives",
                    "Bytes that it takes on the wire over bytes that arrive, while alerts wait for it: below 1 it falls behind.",
                    "percentunit",
                    Q(
                        f"max(zads:community_taking:ratio{_ONE}) or max(zads:community_info{_ONE})",
                        "share",
                        BLUE,
                    ),
                    steps=((None, WARN), (0.6, OK)),
                ),
                12,
            ),
        ),
        heading="What it takes",
    )


def _network() -> Line:
    return Line(
        7,
        (
            (
                lines(
                    "Round-trip time",
                    "Smoothed by the kernel, the median over its connections: it tells a slow network from a slow community.",
                    "s",
                    Q(f"max(zads_community_rtt_seconds{_ONE})", "round trip", BLUE),
                    nothing="no connection",
                ),
                8,
            ),
            (
                lines(
                    "Segments sent again",
                    "TCP segments sent again per second: loss on the way.",
                    "pps",
                    Q(f"sum(rate(zads_community_retransmits_total{_ONE}[$__rate_interval]))", "sent again", BLUE),
                ),
                8,
            ),
            (
                lines(
                    "Send queue",
                    "Bytes that Kafka has written and it has not acknowledged: full while it reads slowly.",
                    "bytes",
                    Q(f"max(zads_community_send_queue_bytes{_ONE})", "queued", BLUE),
                    nothing="no connection",
                ),
                8,
            ),
        ),
        heading="Its connections",
    )


def _connections() -> Line:
    return Line(
        7,
        (
            (
                lines(
                    "Connections and members",
                    "Open connections to Kafka, and members of its consumer groups; one without groups has no members.",
                    "none",
                    Q(f"sum(zads_community_connections{_ONE})", "connections", BLUE),
                    Q(f"sum(zads_community_members{_ONE})", "members", WHITE, dashed=True),
                ),
                8,
            ),
            (
                lines(
                    "Connections opened",
                    "Connections that it opened per minute, however short.",
                    "opm",
                    Q(f"sum(rate(zads_community_sessions_total{_ONE}[$__rate_interval])) * 60", "opened", BLUE),
                ),
                8,
            ),
            (
                states(
                    "State over time",
                    SIGNALS["community_state"].description,
                    Q(_STATE, "$community"),
                    words=style.COMMUNITY,
                ),
                8,
            ),
        ),
    )


def _nights() -> Line:
    minutes = f"sum by (headline, severity) (sum_over_time((max by (headline, severity) ({_FIRING}))[$__range:1m]))"
    return Line(
        8,
        (
            (
                rows(
                    "Delivered by night",
                    "Alerts of each night that it has committed since the exporter began to count, beside what ZADS holds.",
                    [
                        Column("night", "Night"),
                        Column("program", "Program"),
                        Column("Value #A", "Delivered", "locale"),
                        Column("Value #B", "At ZADS", "locale"),
                    ],
                    Q(f"sum by (night, program) (zads_community_delivered_alerts_total{_ONE})"),
                    Q('sum by (night, program) (zads_night_alerts{cluster="public"}) and on (program) zads:public_program'),
                    sort="Night",
                    descending=True,
                    nothing="commits no offsets: not known",
                ),
                8,
            ),
            (
                states(
                    "Incidents over time",
                    "Alerts about it that fired.",
                    Q(or_none(f"max by (headline) ({_FIRING})", "headline"), "{{headline}}"),
                    words=style.FIRING,
                    nothing="none",
                ),
                8,
            ),
            (
                rows(
                    "Incidents in the time shown",
                    "Alerts about it that fired, and for how many minutes altogether.",
                    [
                        Column("headline", "Alert"),
                        Column("severity", "Severity", width=100),
                        Column("Value", "Minutes", "m", decimals=0, width=120),
                    ],
                    Q(or_none(minutes, "headline")),
                    sort="Minutes",
                    descending=True,
                ),
                8,
            ),
        ),
        heading="What it got, and what went wrong",
    )
