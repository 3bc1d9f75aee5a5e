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
_add(
    "community_late",
    "short",
    "1 while a community is later than it may be.",
    "max by (community) (zads:community_late:bool)",
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
_add("budget_bad", "m", "Bad night minutes of this quarter.", "max(zads:slo_bad_minutes:quarter)")
_add("budget", "m", "Night minutes that may be bad in a quarter.", "max(zads:slo_budget_minutes:quarter)")
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
