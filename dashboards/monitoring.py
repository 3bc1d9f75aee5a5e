"""Who watches the watchers: exporters, Prometheus and its rules, Alertmanager, the notifier and its channels."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards import style
from dashboards.frame import Line, Variable, board
from dashboards.panels import Column, Q, lines, number, or_none, rows, states
from dashboards.style import BAD, BLUE, OK, UP_DOWN, WARN, WHITE, YES_NO

_FIRING = 'ALERTS{alertstate="firing", severity=~"page|ticket"}'
_JOB = '{job=~"$job"}'


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return board(
        "zads-monitoring",
        "Monitoring",
        "Can what watches be trusted: does it see, does it decide, does it tell, and how fast.",
        [
            _now(),
            _exporters(),
            _collections(),
            _incidents(),
            _delivery(),
            _attempts(),
            _prometheus(),
            _rules(),
            _alertmanager(),
        ],
        variables=[Variable("job", "Job", "label_values(up, job)", "What Prometheus scrapes.")],
    )


def _now() -> Line:
    good = ((None, BAD), (1, OK))
    none = ((None, OK), (1, WARN))
    return Line(
        4,
        (
            (number("Targets seen", "Targets that Prometheus could scrape.", "none", Q("sum(up)"), steps=good), 3),
            (number("Targets lost", "Targets that it could not scrape.", "none", Q("count(up) - sum(up)"), steps=none), 3),
            (
                number(
                    "Data age",
                    "Age of the newest sample; above 30 s nothing is news.",
                    "s",
                    Q("time() - max(timestamp(up))"),
                    steps=((None, OK), (30, BAD)),
                    nothing="BLIND",
                    decimals=0,
                ),
                3,
            ),
            (
                number(
                    "Rules failing",
                    "Evaluations of rules that failed in an hour.",
                    "none",
                    Q("sum(increase(prometheus_rule_evaluation_failures_total[1h]))"),
                    steps=none,
                    decimals=0,
                ),
                3,
            ),
            (
                number(
                    "Channels broken",
                    "Channels whose provider does not accept.",
                    "none",
                    Q("count(zads_channel_healthy) - sum(zads_channel_healthy)"),
                    steps=none,
                ),
                3,
            ),
            (
                number(
                    "Waiting to be told",
                    "Deliveries in the notifier's queue.",
                    "none",
                    Q("sum(zads_notifications_queue_length)"),
                    steps=((None, OK), (5, WARN)),
                ),
                3,
            ),
            (
                number(
                    "Told within, 95th percentile",
                    "From the webhook to the provider's yes, over a day.",
                    "s",
                    Q("histogram_quantile(0.95, sum by (le) (increase(zads_notifications_delivery_seconds_bucket[1d])))"),
                    nothing="nothing told",
                    decimals=1,
                ),
                3,
            ),
            (
                number(
                    "Watchdog heard",
                    "Age of Alertmanager's last heartbeat at the notifier.",
                    "s",
                    Q("time() - max(zads_heartbeat_last_timestamp_seconds)"),
                    steps=((None, OK), (180, BAD)),
                    decimals=0,
                ),
                3,
            ),
        ),
        heading="Now",
    )


def _exporters() -> Line:
    return Line(
        8,
        (
            (
                states(
                    "Targets over time",
                    "Whether Prometheus could scrape each target.",
                    Q(f"min by (job, instance) (up{_JOB})", "{{job}} {{instance}}"),
                    words=UP_DOWN,
                ),
                10,
            ),
            (
                states(
                    "Collections over time",
                    "Whether each exporter's last collection succeeded; it cannot see what it watches while it says NO.",
                    Q("min by (collector) (zads_collector_success)", "{{collector}}"),
                    words=YES_NO,
                ),
                7,
            ),
            (
                rows(
                    "Exporters",
                    "The last good collection's age, how long it took and the series that are too many.",
                    [
                        Column("collector", "Exporter"),
                        Column("Value #A", "Age", "s", steps=((None, OK), (60, BAD)), decimals=0, width=80),
                        Column("Value #B", "Took", "s", decimals=2, width=90),
                        Column("Value #C", "Dropped", "locale", width=90),
                    ],
                    Q("time() - max by (collector) (zads_collector_last_success_timestamp_seconds)"),
                    Q("max by (collector) (zads_collector_duration_seconds)"),
                    Q(
                        "sum by (collector) (zads_collector_dropped_series_total)"
                        " or max by (collector) (zads_collector_success) * 0"
                    ),
                    sort="Exporter",
                    nothing="UNKNOWN",
                ),
                7,
            ),
        ),
        heading="Does it see: exporters",
    )


def _collections() -> Line:
    return Line(
        7,
        (
            (
                lines(
                    "Duration of collections",
                    "Seconds that a collection takes; above the interval it is skipped over, never stacked.",
                    "s",
                    Q("max by (collector) (zads_collector_duration_seconds)", "{{collector}}"),
                    Q("min(zads_collector_interval_seconds)", "the interval", WARN, dashed=True),
                ),
                8,
            ),
            (
                lines(
                    "Errors of collections",
                    "Failed collections and failed parts of them per minute, by reason.",
                    "cpm",
                    Q(
                        "sum by (collector, reason) (rate(zads_collector_errors_total[$__rate_interval])) * 60"
                        " or max by (collector) (zads_collector_success) * 0",
                        "{{collector}} {{reason}}",
                    ),
                ),
                8,
            ),
            (
                lines(
                    "Scrapes",
                    "Seconds that a scrape takes.",
                    "s",
                    Q(f"max by (job, instance) (scrape_duration_seconds{_JOB})", "{{job}} {{instance}}"),
                ),
                8,
            ),
        ),
    )


def _incidents() -> Line:
    minutes = f"sum by (alertname, headline, severity) (sum_over_time((max by (alertname, headline, severity) ({_FIRING}))[$__range:1m]))"
    return Line(
        8,
        (
            (
                rows(
                    "Incidents now",
                    "Open incidents of the notifier and who has them.",
                    [
                        Column("headline", "Headline"),
                        Column("severity", "Severity", width=90),
                        Column("acknowledged_by", "Acknowledged by"),
                        Column("since", "Since"),
                    ],
                    Q(
                        or_none(
                            'max by (headline, severity, acknowledged_by, since) (zads_incident_info{severity=~"page|ticket"})',
                            "headline",
                        )
                    ),
                ),
                8,
            ),
            (
                states(
                    "Alerts over time",
                    "Pages and tickets that fired.",
                    Q(or_none(f"max by (headline, severity) ({_FIRING})", "headline"), "{{headline}} {{severity}}"),
                    words=style.FIRING,
                    nothing="none",
                ),
                8,
            ),
            (
                rows(
                    "Alerts in the time shown",
                    "Pages and tickets that fired, and for how many minutes altogether.",
                    [
                        Column("headline", "Headline"),
                        Column("alertname", "Alert"),
                        Column("severity", "Severity", width=90),
                        Column("Value", "Minutes", "m", decimals=0, width=110),
                    ],
                    Q(or_none(minutes, "headline")),
                    sort="Minutes",
                    descending=True,
                ),
                8,
            ),
        ),
        heading="Incidents",
    )


def _delivery() -> Line:
    bucket = "histogram_quantile(%s, sum by (le, channel) (rate(zads_notifications_delivery_seconds_bucket[1h])))"
    idle = " >= 0 or max by (channel) (zads_channel_healthy) * 0"
    return Line(
        7,
        (
            (
                states(
                    "Channels over time",
                    "Whether each channel's provider accepts.",
                    Q("min by (channel) (zads_channel_healthy)", "{{channel}}"),
                    words=YES_NO,
                ),
                8,
            ),
            (
                lines(
                    "Delivery times",
                    "From the webhook to the provider's yes, 95th percentile of an hour; 0 while nothing was told.",
                    "s",
                    Q(bucket % "0.95" + idle, "{{channel}}"),
                ),
                8,
            ),
            (
                lines(
                    "Queue",
                    "Deliveries that wait, and those parked after an error that stays.",
                    "none",
                    Q("sum by (channel) (zads_notifications_queue_length)", "{{channel}}"),
                    Q("sum by (channel) (zads_notifications_dead_letters)", "parked {{channel}}", dashed=True),
                ),
                8,
            ),
        ),
        heading="Does it tell: the notifier",
    )


def _attempts() -> Line:
    return Line(
        7,
        (
            (
                lines(
                    "Attempts",
                    "Attempts to deliver in the time of a point, by channel and outcome.",
                    "none",
                    Q(
                        "sum by (channel, outcome) (increase(zads_notifications_total[$__rate_interval])) > 0"
                        " or max by (channel) (zads_channel_healthy) * 0",
                        "{{channel}} {{outcome}}",
                    ),
                    bars=True,
                    stacked=True,
                ),
                8,
            ),
            (
                lines(
                    "Oldest waiting",
                    "Age of the oldest delivery that waits.",
                    "s",
                    Q("max by (channel) (zads_notifications_oldest_pending_seconds)", "{{channel}}"),
                    steps=((None, OK), (300, WARN)),
                ),
                8,
            ),
            (
                lines(
                    "Incidents by state",
                    "Incidents that fire or are acknowledged.",
                    "none",
                    Q('sum by (state) (zads_incidents{state!="resolved"})', "{{state}}"),
                ),
                8,
            ),
        ),
    )


def _prometheus() -> Line:
    return Line(
        7,
        (
            (
                lines(
                    "Series",
                    "Series that Prometheus has in memory.",
                    "locale",
                    Q("sum(prometheus_tsdb_head_series)", "series", BLUE),
                ),
                6,
            ),
            (
                lines(
                    "Samples taken",
                    "Samples per second that were stored.",
                    "cps",
                    Q("sum(rate(prometheus_tsdb_head_samples_appended_total[$__rate_interval]))", "samples", BLUE),
                ),
                6,
            ),
            (
                lines(
                    "Queries",
                    "Seconds that a query takes, at the 90th percentile, by its part.",
                    "s",
                    Q('max by (slice) (prometheus_engine_query_duration_seconds{quantile="0.9"})', "{{slice}}"),
                ),
                6,
            ),
            (
                lines(
                    "Storage",
                    "Bytes on disk, and the size from which the oldest goes.",
                    "bytes",
                    Q("sum(prometheus_tsdb_storage_blocks_bytes)", "blocks", BLUE),
                    Q('sum(process_resident_memory_bytes{job="prometheus"})', "memory", WHITE, dashed=True),
                ),
                6,
            ),
        ),
        heading="Does it decide: Prometheus and its rules",
    )


def _rules() -> Line:
    group = 'label_replace(%s, "group", "$1", "rule_group", ".*;(.*)")'
    return Line(
        7,
        (
            (
                lines(
                    "Rule groups' duration",
                    "Seconds that the last evaluation of each group took.",
                    "s",
                    Q(f"max by (group) ({group % 'prometheus_rule_group_last_duration_seconds'})", "{{group}}"),
                ),
                8,
            ),
            (
                lines(
                    "Rules failing or missed",
                    "Evaluations per minute that failed or were skipped.",
                    "cpm",
                    Q("sum(rate(prometheus_rule_evaluation_failures_total[$__rate_interval])) * 60", "failed", BAD),
                    Q(
                        "sum(rate(prometheus_rule_group_iterations_missed_total[$__rate_interval])) * 60",
                        "missed",
                        WARN,
                        dashed=True,
                    ),
                ),
                8,
            ),
            (
                rows(
                    "Rule groups",
                    "When each group was last evaluated, and how long it took.",
                    [
                        Column("group", "Group"),
                        Column("Value #A", "Age", "s", steps=((None, OK), (120, BAD)), decimals=0, width=90),
                        Column("Value #B", "Took", "s", decimals=3, width=100),
                        Column("Value #C", "Rules", "none", width=80),
                    ],
                    Q(f"time() - max by (group) ({group % 'prometheus_rule_group_last_evaluation_timestamp_seconds'})"),
                    Q(f"max by (group) ({group % 'prometheus_rule_group_last_duration_seconds'})"),
                    Q(f"max by (group) ({group % 'prometheus_rule_group_rules'})"),
                    sort="Group",
                    nothing="UNKNOWN",
                ),
                8,
            ),
        ),
    )


def _alertmanager() -> Line:
    return Line(
        7,
        (
            (
                lines(
                    "Alertmanager's notifications",
                    "Notifications per minute to its receivers, and those that failed.",
                    "cpm",
                    Q(
                        "sum by (integration) (rate(alertmanager_notifications_total[$__rate_interval])) * 60 > 0 or on () vector(0)",
                        "sent {{integration}}",
                    ),
                    Q(
                        "sum(rate(alertmanager_notifications_failed_total[$__rate_interval])) * 60",
                        "failed",
                        BAD,
                        dashed=True,
                    ),
                ),
                8,
            ),
            (
                lines(
                    "Alerts at Alertmanager",
                    "Alerts that it holds, by state.",
                    "none",
                    Q("sum by (state) (alertmanager_alerts)", "{{state}}"),
                    Q('sum(alertmanager_silences{state="active"})', "silences", WHITE, dashed=True),
                ),
                8,
            ),
            (
                rows(
                    "Versions",
                    "What runs.",
                    [Column("job", "Job"), Column("instance", "Address"), Column("version", "Version")],
                    Q(
                        "max by (job, instance, version) (zads_build_info or prometheus_build_info"
                        " or alertmanager_build_info or node_exporter_build_info)"
                    ),
                    sort="Job",
                ),
                8,
            ),
        ),
        heading="Alertmanager and versions",
    )
