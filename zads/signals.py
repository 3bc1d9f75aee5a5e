"""What people look at: name, unit, description, expression; declared once for the wall, dashboards and alerts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Signal:
    """One thing to look at; `unit` is Grafana's name of the unit."""

    name: str
    unit: str
    description: str
    expression: str


SIGNALS: dict[str, Signal] = {}


def _add(name: str, unit: str, description: str, expression: str) -> None:
    SIGNALS[name] = Signal(name, unit, description, expression)


_PUBLIC = "* on (program) group_left () zads:public_program"
_add("data_timestamp", "dateTimeAsIso", "When Prometheus last scraped anything.", "max(timestamp(up))")
# A Prometheus that was restarted still gives out its former alerts for five minutes: only fresh ones count.
_add(
    "firing",
    "short",
    "Alerts that fire.",
    'ALERTS{alertstate="firing", severity=~"page|ticket"} and timestamp(ALERTS{alertstate="firing"}) > time() - 30',
)
_add(
    "active_since",
    "dateTimeAsIso",
    "When each alert's condition became true.",
    "ALERTS_FOR_STATE and timestamp(ALERTS_FOR_STATE) > time() - 30",
)
_add("incidents", "short", "Open incidents with their acknowledgements.", "zads_incident_info")
_add("services", "short", "Whether each service answers.", "min by (service) (zads_service_answering)")
_add("service_up", "short", "Whether each service's process is there.", "min by (service) (zads_service_up)")
_add("hosts", "short", "Whether each host answers.", "min by (host) (zads_host_answering)")
_add("dark", "short", "1 while the Sun is below the site's limit.", "max(zads_observing_night)")
_add("night_end", "dateTimeAsIso", "When the night ends.", "max(zads_night_end_timestamp_seconds)")
_add("upstream_readable", "short", "Whether IPAC's offsets can be read.", 'max(zads_cluster_readable{cluster="upstream"})')
_add(
    "arriving",
    "short",
    "Alerts of any program at IPAC in 5 minutes.",
    'sum(increase(zads_alerts_arrived_total{cluster="upstream"}[5m]))',
)
_add("tonight", "short", "Public alerts tonight at ZADS.", 'max(zads:night_alerts:tonight{cluster="public"})')
_add(
    "missing",
    "short",
    "Alerts that the mirror read and ZADS does not hold.",
    "sum(zads_night_missing_alerts * on (night) group_left () zads_night_info)",
)
_add("behind", "short", "Alerts at IPAC that are not passed on.", "sum(zads_mirror_behind_alerts)")
_add("behind_seconds", "s", "Age of the oldest alert that is not passed on.", "max(zads_mirror_behind_seconds)")
_add(
    "last_alert",
    "dateTimeAsIso",
    "When the newest public alert was put on record.",
    f'max(zads_last_alert_timestamp_seconds{{cluster="public"}} {_PUBLIC})',
)
_add(
    "last_upstream",
    "dateTimeAsIso",
    "When IPAC's newest alert was put on record.",
    'max(zads_last_alert_timestamp_seconds{cluster="upstream"})',
)
_add("delay", "s", "Exposure to ZADS, 95th percentile of 2 minutes.", 'max(zads:alert_latency_seconds:p95{stage="total"})')
_add(
    "delay_mirror", "s", "IPAC to ZADS, 95th percentile of 2 minutes.", 'max(zads:alert_latency_seconds:p95{stage="mirror"})'
)
_add("delay_goal", "s", "The promised delay.", "max(zads:threshold_latency_objective)")
_add("delay_mirror_goal", "s", "The most that the mirror may take.", "max(zads:threshold_latency_mirror)")
_add("community_known", "short", "Whether a community commits offsets.", "max by (community) (zads_community_lag_known)")
_add("community_lag", "s", "Age of the oldest alert that the community has not committed.", "zads:community_lag_seconds:max")
_add("community_waiting", "short", "Alerts that the community has not committed.", "zads:community_lag_alerts:sum")
_add(
    "community_batch",
    "short",
    "Alerts that the community commits at once.",
    "max by (community) (zads:community_commit_batch)",
)
# The alert, not the condition: a single alert that is read at once makes a community late for some seconds.
_LATE = 'max by (community) (ALERTS{alertname="CommunityLagging", alertstate="firing"} and timestamp(ALERTS) > time() - 30)'
_add(
    "community_late",
    "short",
    "1 while a community has been later than it may be for so long that it is told.",
    f"{_LATE} or max by (community) (zads:community_late:bool) * 0",
)
_add(
    "community_egress",
    "Bps",
    "Bytes sent to the community, on the wire.",
    'sum by (community) (rate(zads_community_egress_bytes_total{source="wire"}[2m]))',
)
_add(
    "community_connections", "short", "Open connections of the community.", "sum by (community) (zads_community_connections)"
)
_add("on_call", "short", "Who is on call.", "zads_on_call_info")
# Both are recorded once a minute; gone at once with the exporter that says which quarter it is.
_SKY = "and on () max(zads_quarter_dark_seconds)"
_add("budget_bad", "m", "Bad night minutes of this quarter.", f"max(zads:slo_bad_minutes:quarter) {_SKY}")
_add(
    "budget",
    "m",
    "Night minutes that may be bad in this quarter by the objective.",
    f"max(zads:slo_budget_minutes:quarter) {_SKY}",
)
_add(
    "rate_upstream",
    "short",
    "Public alerts per second at IPAC.",
    f'sum(rate(zads_alerts_arrived_total{{cluster="upstream"}}[2m]) {_PUBLIC})',
)
_add(
    "rate_public",
    "short",
    "Public alerts per second delivered to ZADS.",
    f'sum(rate(zads_alerts_arrived_total{{cluster="public"}}[2m]) {_PUBLIC})',
)

# What the wall needs to tell "gone" from "none".
_add("public_readable", "short", "Whether ZADS's offsets can be read.", 'max(zads_cluster_readable{cluster="public"})')
_add("exposure_rate", "short", "Exposures per second in 10 minutes.", "sum(rate(zads_exposures_arrived_total[10m])) > 0")
_add("notifier_up", "short", "Whether the notifier can be seen.", 'max(up{job="notifier"})')
_add(
    "lag_collected",
    "short",
    "1 while Kafka is read and holds no public topic: no lag is no news then.",
    f'min(zads_collector_success{{collector="kafka-lag"}}) unless on () (zads_log_offset{{cluster="public"}} {_PUBLIC})',
)
_add(
    "community_seen",
    "dateTimeAsIso",
    "When the community's connections were last seen, within an hour.",
    "max by (community) (max_over_time(timestamp(zads_community_connections)[1h:30s]))",
)
_add(
    "community_lag_seen",
    "dateTimeAsIso",
    "When the community's lag was last seen, within an hour.",
    "max by (community) (max_over_time(timestamp(zads_community_lag_alerts)[1h:30s]))",
)

# States as numbers, for panels that map them to words. A state is never made up: where its source is gone, the
# last limb says so, or there is no series and the panel says UNKNOWN.
_FIRING = '(ALERTS{alertstate="firing", severity="%s"} and timestamp(ALERTS) > time() - 30)'
_add(
    "worst",
    "short",
    "The headline of what fires: 2 a page, 1 a ticket. 0, ALL WELL, only while every exporter is seen and every service answers.",
    f"topk(1, max by (headline) ({_FIRING % 'page'}) * 2 or max by (headline) ({_FIRING % 'ticket'})"
    ' or label_replace((min(up{job=~"kafka-lag|broker-egress|alert-arrival|services"}) == 1)'
    ' and on () (min(zads_service_answering) == 1), "headline", "ALL WELL", "", "") * 0)',
)
_add(
    "worst_seconds",
    "s",
    "How long the oldest page has lasted, else the oldest ticket; none while nothing fires.",
    "time() - (min(ALERTS_FOR_STATE and ignoring (alertstate) "
    + _FIRING % "page"
    + ") or min(ALERTS_FOR_STATE and ignoring (alertstate) "
    + _FIRING % "ticket"
    + "))",
)
_add(
    "open_incidents",
    "short",
    "Open incidents by who has acknowledged them.",
    'count by (acknowledged_by) (zads_incident_info{severity=~"page|ticket"}) or max(up{job="notifier"} == 1) * 0',
)
_add(
    "sky_state",
    "short",
    "0 day, 1 day and still arriving, 2 dark and nothing from IPAC, 3 dark and arriving, 4 IPAC cannot be seen.",
    "(max(zads_observing_night) * 2"
    ' + (sum(increase(zads_alerts_arrived_total{cluster="upstream"}[5m])) > bool 0))'
    ' and on () (max(zads_cluster_readable{cluster="upstream"}) == 1)'
    " or on () max(zads_observing_night) * 0 + 4",
)
_add(
    "community_state",
    "short",
    "5 behind, 4 away, 3 unknown, 2 waiting for Kafka, 1 reading (commits no offsets), 0 on time: one that commits in batches"
    " is on time while no more than a batch waits.",
    "(max by (community) (zads_community_connections == bool 0) == 1) * 2"
    ' and on () (min(zads_service_answering and on (service) zads:service_info{part="public"}) == 0)'
    " or on (community) (max by (community) (zads_community_connections == bool 0) == 1) * 4"
    f" or on (community) ({_LATE} and on (community) zads:community_lag_alerts:sum) * 5"
    " or on (community) (max by (community) (zads_community_lag_known == bool 0) == 1"
    " and on (community) zads_community_connections)"
    " or on (community) zads:community_lag_alerts:sum * 0"
    " or on (community) max by (community) (zads:community_commit_batch) * 0 + 3",
)
_add(
    "service_state",
    "short",
    "1 answers, 0 down, 2 lives and does not answer, 3 unknown.",
    "max by (label) (("
    "max by (service) (zads_service_answering == 1)"
    " or on (service) (max by (service) (zads_service_up == bool 1) * 2 and on (service) zads_service_answering)"
    " or on (service) max by (service) (zads:service_info) * 0 + 3"
    ") * on (service) group_left (label) zads:service_info)",
)
_add("data_age", "s", "Age of the newest data; above 30 s nothing on this page is news.", "time() - max(timestamp(up))")
_add(
    "last_alert_age",
    "s",
    "Age of the newest public alert at ZADS, by its record's timestamp.",
    f"time() - {SIGNALS['last_alert'].expression}",
)
_add(
    "held_up",
    "short",
    "Public alerts at IPAC that have waited for more than a minute to be passed on.",
    # Where MirrorMaker's own lag stands in there are no seconds: then all of it counts.
    "sum(zads_mirror_behind_alerts) and on () (max(zads_mirror_behind_seconds) > 60)"
    " or on () (sum(zads_mirror_behind_alerts) * 0 and on () max(zads_mirror_behind_seconds))"
    " or on () sum(zads_mirror_behind_alerts)",
)
_add(
    "budget_left",
    "m",
    "Night minutes of this quarter that may still be bad under the objective.",
    f"clamp_min(({SIGNALS['budget'].expression}) - ({SIGNALS['budget_bad'].expression}), 0)",
)
_add("now", "time:HH:mm", "The time by Prometheus' clock, UTC.", "vector(time() * 1000)")
