"""The catalogue: every metric that we export, once. docs/metrics.md is generated from it.

Exporters build their families from here, so that no name, label or help text stands twice.
`python -m zads.metrics` prints the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True)
class Metric:
    """One exported metric: its name as it stands on /metrics, type, labels, one-sentence help."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    exporter: str


METRICS: dict[str, Metric] = {}


def _add(exporter: str, kind: Kind, name: str, labels: str, text: str) -> None:
    METRICS[name] = Metric(name, kind, tuple(labels.split()), text, exporter)


def gauge(name: str) -> GaugeMetricFamily:
    """Return an empty gauge family of the catalogue.

    Raises KeyError when the catalogue does not know the name.
    """
    metric = METRICS[name]
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


def counter(name: str) -> CounterMetricFamily:
    """Return an empty counter family of the catalogue (name with _total)."""
    metric = METRICS[name]
    return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)


def histogram(name: str) -> HistogramMetricFamily:
    """Return an empty histogram family of the catalogue."""
    metric = METRICS[name]
    return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)


_LAG = "kafka-lag"
_add(_LAG, "gauge", "kafka_brokers", "", "Brokers in the Kafka cluster.")
_add(_LAG, "gauge", "kafka_topic_partitions", "topic", "Partitions of the topic.")
_add(
    _LAG,
    "gauge",
    "kafka_topic_partition_current_offset",
    "topic partition",
    "Log end offset: the next to be written.",
)
_add(_LAG, "gauge", "kafka_topic_partition_oldest_offset", "topic partition", "Log start offset: the oldest kept.")
_add(
    _LAG,
    "gauge",
    "kafka_consumergroup_current_offset",
    "consumergroup topic partition",
    "Committed offset: the next to be read.",
)
_add(
    _LAG,
    "gauge",
    "kafka_consumergroup_lag",
    "consumergroup topic partition",
    "Messages not yet read: end - max(committed, start), never below 0.",
)
_add(
    _LAG,
    "gauge",
    "kafka_consumergroup_lag_sum",
    "consumergroup topic",
    "Messages not yet read, over the partitions that have a commit.",
)
_add(
    _LAG,
    "gauge",
    "kafka_consumergroup_current_offset_sum",
    "consumergroup topic",
    "Committed offsets, summed over the partitions that have a commit.",
)
_add(_LAG, "gauge", "kafka_consumergroup_members", "consumergroup", "Members of the consumer group.")
_add(_LAG, "gauge", "kafka_broker_info", "id address", "A broker and where clients reach it; always 1.")
_add(_LAG, "gauge", "kafka_topic_partition_leader", "topic partition", "Broker that leads the partition; -1 when none does.")
_add(_LAG, "gauge", "kafka_topic_partition_replicas", "topic partition", "Replicas of the partition.")
_add(_LAG, "gauge", "kafka_topic_partition_in_sync_replica", "topic partition", "Replicas that are in sync.")
_add(
    _LAG,
    "gauge",
    "kafka_topic_partition_leader_is_preferred",
    "topic partition",
    "1 when the preferred replica leads the partition.",
)
_add(
    _LAG,
    "gauge",
    "kafka_topic_partition_under_replicated_partition",
    "topic partition",
    "1 when a replica of the partition is not in sync.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_lag_seconds",
    "consumergroup topic",
    "Age of the oldest message that the group has not read; 0 exactly when lag is 0.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_state",
    "consumergroup state",
    "1 for the state that the group is in, 0 for the others.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_info",
    "consumergroup type",
    "A group and its type: classic, consumer (KIP-848), share (KIP-932, which commits no offsets) or streams; always 1.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_idle_members",
    "consumergroup",
    "Members to which no partition is assigned.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_assigned_partitions",
    "consumergroup topic",
    "Partitions of the topic that are assigned to members.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_sum_lag",
    "consumergroup",
    "Messages not yet read, over all topics that the group has commits for.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_max_lag",
    "consumergroup",
    "Messages not yet read on the partition where most wait.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_max_lag_seconds",
    "consumergroup",
    "Age of the oldest message that the group has not read on any topic.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_partition_lag_seconds",
    "consumergroup topic partition",
    "Age of the oldest message not read on the partition; only where exporters.kafka_lag.seconds_per_partition is on.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_retention_used_ratio",
    "consumergroup topic",
    "Share of the log that is not yet read, on the partition where it is largest; at 1 retention deletes unread messages.",
)
_add(
    _LAG,
    "counter",
    "zads_consumergroup_rewinds_total",
    "consumergroup topic",
    "Times that a committed offset of a partition went back.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_uncommitted_partitions",
    "consumergroup topic",
    "Partitions of a topic that the group reads and has no commit for.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_unknown_partitions",
    "consumergroup topic",
    "Partitions with a commit whose log end could not be read lately: the sum of lag counts them as they last were.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_lost_messages",
    "consumergroup topic",
    "Messages that retention deleted before the group had read them.",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_offset_beyond_end",
    "consumergroup topic",
    "Partitions whose committed offset lies beyond the log's end (topic recreated or truncated).",
)
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_idle_seconds",
    "consumergroup topic",
    "Time since a committed offset of the group last moved.",
)
_add(
    _LAG,
    "gauge",
    "zads_log_offset",
    "cluster edge topic partition night program",
    "Log start and end offset of an alert topic's partition; those of the cluster upstream come from alert-arrival.",
)
_add(
    _LAG,
    "gauge",
    "zads_community_lag_alerts",
    "community program night",
    "Alerts that the community has not yet committed.",
)
_add(
    _LAG,
    "gauge",
    "zads_community_lag_seconds",
    "community program night",
    "Age of the oldest alert that the community has not yet committed.",
)
_add(
    _LAG,
    "counter",
    "zads_community_delivered_alerts_total",
    "community program night",
    "Alerts of the night that the community has committed since the exporter began to count; gone with the night's topic.",
)
_add(
    _LAG,
    "counter",
    "zads_community_committed_alerts_total",
    "community program",
    "Alerts of all nights that the community has committed since the exporter began to count; never goes down.",
)
_add(
    _LAG,
    "gauge",
    "zads_community_lag_known",
    "community",
    "1 when the community commits offsets, so that its lag can be known.",
)
_add(_LAG, "gauge", "zads_community_idle_seconds", "community", "Time since the community last committed something new.")
_add(_LAG, "gauge", "zads_community_members", "community", "Members of the community's consumer groups.")
_add(
    _LAG,
    "counter",
    "zads_community_lost_alerts_total",
    "community program",
    "Alerts that were deleted before the community had committed them.",
)
_add(_LAG, "gauge", "zads_cluster_up", "cluster", "1 when at least one broker of the cluster answers.")
_add(
    _LAG,
    "gauge",
    "zads_consumergroup_status",
    "consumergroup status",
    "1 for how the group does on its worst topic, 0 else: ok, warn (lag only grows), stall, stop, rewind; absent while unknown.",
)
_add(
    _LAG,
    "gauge",
    "zads_sharegroup_lag",
    "sharegroup topic",
    "Messages that the share group has yet to take or to finish, as its coordinator counts them (Kafka 4.2 or newer).",
)
_add(
    _LAG,
    "gauge",
    "zads_sharegroup_lag_bound",
    "sharegroup topic",
    "Messages from the share group's start offset to the log's end: its lag is at most this, as some may be finished already.",
)
_add(_LAG, "gauge", "zads_kafka_cluster_info", "cluster_id", "The cluster by its id; always 1.")
_add(_LAG, "gauge", "zads_kafka_controller_id", "", "Id of the node that is the active controller.")
_add(
    _LAG,
    "gauge",
    "zads_kafka_broker_info",
    "id rack version",
    "A broker, its rack where it has one, its version as its requests tell; always 1.",
)
_add(_LAG, "gauge", "zads_kafka_broker_log_bytes", "id", "Bytes that the logs of the broker's partitions take.")
_add(_LAG, "gauge", "zads_kafka_volume_bytes", "id dir", "Size of the volume that the broker's log directory is on.")
_add(
    _LAG,
    "gauge",
    "zads_kafka_volume_usable_bytes",
    "id dir",
    "Bytes left on the volume that the broker's log directory is on.",
)
_add(_LAG, "gauge", "zads_topic_log_bytes", "topic", "Bytes that the topic's logs take, over all partitions and replicas.")
_add(
    _LAG,
    "gauge",
    "zads_topic_retention_seconds",
    "topic",
    "Age from which Kafka may delete the topic's messages; infinite when it does not by age.",
)
_add(
    _LAG,
    "gauge",
    "zads_topic_retention_bytes",
    "topic",
    "Size of a partition from which Kafka may delete its oldest messages; infinite when it does not by size.",
)
_add(_LAG, "gauge", "zads_topic_min_in_sync_replicas", "topic", "Replicas that have to be in sync for acks=all to be taken.")
_add(_LAG, "gauge", "zads_topic_info", "topic cleanup_policy", "A topic's cleanup.policy; always 1.")

_EGRESS = "broker-egress"
_add(
    _EGRESS,
    "counter",
    "zads_community_egress_bytes_total",
    "community source",
    "Bytes delivered to the community, from the wire (acknowledged by TCP) or from committed offsets.",
)
_add(
    _EGRESS,
    "counter",
    "zads_community_replayed_alerts_total",
    "community",
    "Alerts that the community's groups went back over; they are delivered, and counted, again.",
)
_add(_EGRESS, "counter", "zads_egress_unattributed_bytes_total", "", "Bytes sent to addresses that belong to no community.")
_add(_EGRESS, "gauge", "zads_egress_unattributed_connections", "", "Connections from addresses that belong to no community.")
_add(_EGRESS, "gauge", "zads_community_connections", "community", "Open connections of the community to Kafka.")
_add(
    _EGRESS,
    "counter",
    "zads_community_sessions_total",
    "community",
    "Connections that the community opened, however short.",
)
_add(
    _EGRESS,
    "gauge",
    "zads_community_rtt_seconds",
    "community",
    "Smoothed round-trip time, the median over the community's connections.",
)
_add(_EGRESS, "counter", "zads_community_retransmits_total", "community", "TCP segments sent again to the community.")
_add(_EGRESS, "gauge", "zads_community_send_queue_bytes", "community", "Bytes written by Kafka and not yet acknowledged.")
_add(_EGRESS, "gauge", "zads_egress_wire_readable", "", "1 when the kernel lets the exporter read socket diagnostics.")
_add(
    _EGRESS,
    "counter",
    "zads_egress_interface_bytes_total",
    "",
    "Bytes that the host's interfaces sent, from the kernel's own counter.",
)

_ARRIVAL = "alert-arrival"
_add(
    _ARRIVAL,
    "gauge",
    "zads_night_alerts",
    "cluster program night",
    "Alerts of the night: the sum of its topic's end offsets.",
)
_add(
    _ARRIVAL,
    "counter",
    "zads_alerts_arrived_total",
    "cluster program",
    "Alerts that arrived, over all nights; kept over restarts.",
)
_add(
    _ARRIVAL,
    "counter",
    "zads_alerts_arrived_bytes_total",
    "cluster program",
    "Bytes that arrived in alert topics, as stored by Kafka.",
)
_add(
    _ARRIVAL,
    "gauge",
    "zads_mirror_behind_alerts",
    "program night",
    "Alerts at IPAC that MirrorMaker has not yet read: upstream end - MirrorMaker's own source offset.",
)
_add(
    _ARRIVAL,
    "gauge",
    "zads_mirror_behind_source",
    "source",
    "Where the mirror's lag comes from: offsets of both clusters; last_offsets, its position before ZADS's Kafka refused every "
    "connection (12 h at most); MirrorMaker's own word (jmx). Absent when none is known.",
)
_add(
    _ARRIVAL,
    "gauge",
    "zads_mirror_behind_seconds",
    "program night",
    "Age of the oldest alert at IPAC that is not yet passed on.",
)
_add(
    _ARRIVAL,
    "gauge",
    "zads_mirror_surplus_alerts",
    "program night",
    "Alerts at ZADS beyond MirrorMaker's source offset: duplicates. Absent while ZADS's Kafka cannot be read.",
)
_add(
    _ARRIVAL,
    "gauge",
    "zads_night_missing_alerts",
    "night program",
    "Alerts that MirrorMaker read and ZADS does not hold: a gap.",
)
_add(
    _ARRIVAL,
    "gauge",
    "zads_last_alert_timestamp_seconds",
    "cluster program",
    "When the newest alert was put on record (its record timestamp).",
)
_add(
    _ARRIVAL,
    "histogram",
    "zads_alert_latency_seconds",
    "stage program",
    "Delay of an alert by stage: exposure, mirror, delivery, total.",
)
_add(_ARRIVAL, "counter", "zads_exposures_arrived_total", "program", "Exposures seen in the packets that were decoded.")
_add(_ARRIVAL, "gauge", "zads_alerts_per_exposure", "program", "Alerts of the last complete exposure.")
_add(_ARRIVAL, "gauge", "zads_sampled_ratio", "", "Share of the arriving packets that is decoded under the byte budget.")
_add(_ARRIVAL, "counter", "zads_alert_packets_decoded_total", "", "Alert packets decoded.")
_add(_ARRIVAL, "counter", "zads_alert_decode_errors_total", "reason", "Packets that could not be decoded.")
_add(_ARRIVAL, "gauge", "zads_alert_schema_info", "version", "Schema version of the packets; the value is always 1.")
_add(
    _ARRIVAL,
    "counter",
    "zads_restricted_alerts_total",
    "program",
    "Packets of a restricted program seen on the public cluster.",
)
_add(
    _ARRIVAL,
    "gauge",
    "zads_cluster_readable",
    "cluster",
    "1 when the cluster's offsets could be read in the last collection.",
)

_SERVICES = "services"
_add(
    _SERVICES,
    "gauge",
    "zads_config_last_apply_success",
    "",
    "1 when the last `zads config apply` took effect, 0 when it was refused.",
)
_add(_SERVICES, "gauge", "zads_config_last_apply_timestamp_seconds", "", "When `zads config apply` was last run.")
_add(_SERVICES, "gauge", "zads_service_up", "service role host", "1 when the service's process is there.")
_add(_SERVICES, "gauge", "zads_service_answering", "service role host", "1 when the service answers its own protocol.")
_add(_SERVICES, "gauge", "zads_service_probe_seconds", "service role host", "Duration of the last successful probe.")
_add(
    _SERVICES,
    "counter",
    "zads_service_restarts_total",
    "service role host",
    "Restarts seen, kept over the exporter's own restarts.",
)
_add(
    _SERVICES,
    "gauge",
    "zads_service_certificate_expiry_timestamp_seconds",
    "service role host",
    "When the certificate of the service's TLS listener expires.",
)
_add(_SERVICES, "gauge", "zads_service_start_time_seconds", "service role host", "When the service's process started.")
_add(_SERVICES, "counter", "zads_service_cpu_seconds_total", "service role host", "CPU time of the service's process.")
_add(
    _SERVICES,
    "gauge",
    "zads_service_resident_memory_bytes",
    "service role host",
    "Resident memory of the service's process.",
)
_add(_SERVICES, "gauge", "zads_service_open_files", "service role host", "Open files of the service's process.")
_add(_SERVICES, "gauge", "zads_service_max_open_files", "service role host", "Limit of open files of the service's process.")
_add(_SERVICES, "gauge", "zads_service_threads", "service role host", "Threads of the service's process.")
_add(_SERVICES, "gauge", "zads_host_answering", "host", "1 when the host's own TCP probe answers.")
_add(_SERVICES, "gauge", "zads_sun_altitude_degrees", "", "The Sun's geometric altitude at the telescope.")
_add(_SERVICES, "gauge", "zads_observing_night", "", "1 while the Sun is below the site's limit.")
_add(
    _SERVICES,
    "gauge",
    "zads_night_info",
    "night",
    "The night that observing belongs to, by UTC date of solar midnight; always 1.",
)
_add(_SERVICES, "gauge", "zads_night_end_timestamp_seconds", "", "When the Sun next rises above the site's limit.")
_add(_SERVICES, "gauge", "zads_site_utc_offset_seconds", "", "The site's local time minus UTC: dashboards know no time zones.")
_add(
    _SERVICES,
    "gauge",
    "zads_quarter_dark_seconds",
    "quarter",
    "Dark time of tonight's whole quarter (2026Q4) by the Sun: what the objective's budget is a share of.",
)

_ALL = "every exporter"
_add(_ALL, "gauge", "zads_collector_success", "collector", "1 when the last collection succeeded.")
_add(_ALL, "gauge", "zads_collector_duration_seconds", "collector", "Duration of the last collection.")
_add(
    _ALL,
    "gauge",
    "zads_collector_interval_seconds",
    "collector",
    "Time from the last collection's begin to the next: the configured interval, or more so that there is as much rest as work.",
)
_add(
    _ALL,
    "counter",
    "zads_collector_errors_total",
    "collector reason",
    "Failed collections and failed parts of collections.",
)
_add(_ALL, "gauge", "zads_collector_last_success_timestamp_seconds", "collector", "When a collection last succeeded.")
_add(_ALL, "counter", "zads_collector_dropped_series_total", "collector reason", "Series dropped by the cap on cardinality.")
_add(
    _ALL,
    "counter",
    "zads_collector_overruns_total",
    "collector",
    "Collections skipped since the one before took longer than the interval.",
)
_add(_ALL, "gauge", "zads_build_info", "version", "Version of ZADS Monitor; always 1.")

_add(
    "the hosts' own scripts, by node_exporter's textfile collector",
    "gauge",
    "zads_backup_last_success_timestamp_seconds",
    "backup",
    "When the backup last ended well; each backup writes it as its last step.",
)

_PROBE = "probe"
_add(_PROBE, "gauge", "zads_probe_success", "", "1 when the last probe could read the stream and kept its objective.")
_add(_PROBE, "gauge", "zads_probe_state_info", "state", "What the last probe found, in one word; always 1.")
_add(_PROBE, "gauge", "zads_probe_last_run_timestamp_seconds", "", "When the last probe ended.")
_add(_PROBE, "gauge", "zads_probe_last_success_timestamp_seconds", "", "When a probe last succeeded.")
_add(_PROBE, "counter", "zads_probe_alerts_total", "", "Alerts that the probe read, since it was started.")
_add(_PROBE, "counter", "zads_probe_received_bytes_total", "", "Bytes of alerts that came over the wire, as they were sent.")
_add(_PROBE, "counter", "zads_probe_duplicate_alerts_total", "", "Alerts whose candid the same probe had seen before.")
_add(_PROBE, "counter", "zads_probe_missing_offsets_total", "", "Offsets that the logs left out between alerts.")
_add(_PROBE, "counter", "zads_probe_undecodable_total", "reason", "Packets that the probe could not decode.")
_add(_PROBE, "gauge", "zads_probe_connect_seconds", "step", "Time that each step of the last connection took.")
_add(
    _PROBE,
    "gauge",
    "zads_probe_delay_seconds",
    "stage percentile",
    "Delay in the last probe (p50, p95, p99, max): exposure's end to record, record to here, total to here.",
)
_add(_PROBE, "gauge", "zads_probe_lag_alerts", "", "Alerts that still waited for the probe at its end.")
_add(_PROBE, "gauge", "zads_probe_bytes_per_second", "", "Bytes per second that the last probe received.")
_add(_PROBE, "gauge", "zads_probe_peak_bytes_per_second", "", "Bytes in the best second of the last probe.")

_NOTIFIER = "notifier"
_add(_NOTIFIER, "counter", "zads_notifications_total", "channel outcome", "Delivery attempts by outcome.")
_add(_NOTIFIER, "gauge", "zads_notifications_queue_length", "channel", "Deliveries that wait.")
_add(_NOTIFIER, "gauge", "zads_notifications_oldest_pending_seconds", "channel", "Age of the oldest delivery that waits.")
_add(_NOTIFIER, "histogram", "zads_notifications_delivery_seconds", "channel", "Webhook accepted to provider accepted.")
_add(_NOTIFIER, "counter", "zads_notifications_retries_total", "channel", "Attempts after the first one.")
_add(_NOTIFIER, "gauge", "zads_notifications_dead_letters", "channel", "Deliveries parked after a permanent error.")
_add(_NOTIFIER, "gauge", "zads_channel_healthy", "channel", "1 while the channel's provider accepts.")
_add(_NOTIFIER, "gauge", "zads_incidents", "state", "Incidents by state.")
_add(
    _NOTIFIER,
    "gauge",
    "zads_incident_info",
    "headline state severity subject acknowledged_by since",
    "Open incidents, for the wall; always 1.",
)
_add(_NOTIFIER, "gauge", "zads_on_call_info", "name", "Who is on call; always 1.")
_add(_NOTIFIER, "gauge", "zads_heartbeat_last_timestamp_seconds", "", "When Alertmanager's Watchdog last arrived.")
_add(
    _NOTIFIER,
    "gauge",
    "zads_record_renewed_timestamp_seconds",
    "",
    "When a damaged or missing record was last begun anew; absent where none was.",
)


def table() -> str:
    """Return the catalogue as Markdown."""
    lines = [
        "# Metrics",
        "",
        "<!-- generated by `make generate` from zads/metrics.py -->",
        "",
        "Units are base units and stand in the names. Timestamps are seconds since 1970.",
    ]
    for exporter in dict.fromkeys(metric.exporter for metric in METRICS.values()):
        lines += ["", f"## {exporter}", "", "| name | type | labels | meaning |", "|---|---|---|---|"]
        for metric in METRICS.values():
            if metric.exporter == exporter:
                labels = ", ".join(metric.labels)
                lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")  # noqa: T201 - this is what the command is for
