"""Put the books of arrival into metric families."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.metrics_core import Metric

from exporters.alert_arrival.cluster import Cluster
from exporters.alert_arrival.content import Content
from exporters.alert_arrival.counts import night_sums
from exporters.alert_arrival.mirror_books import MirrorState
from exporters.alert_arrival.packets import REASONS
from zads.config import Config
from zads.metrics import counter, gauge, histogram

_SCHEMA_SECONDS = 86_400.0
Mirrored = tuple[str, int, MirrorState, float | None]  # night, program, state, age of the oldest alert that waits


def counts(clusters: Iterable[Cluster], total: Mapping[tuple[str, int], int], public: Iterable[int]) -> list[Metric]:
    """Return what the offsets say. A cluster that is readable has its counters from the start, at 0."""
    night, arrived = gauge("zads_night_alerts"), counter("zads_alerts_arrived_total")
    size, newest = counter("zads_alerts_arrived_bytes_total"), gauge("zads_last_alert_timestamp_seconds")
    for cluster in clusters:
        if not cluster.readable:
            continue
        for (date, program), alerts in night_sums(cluster.topics.values(), cluster.ends).items():
            night.add_metric([cluster.name, str(program), date], alerts)
        for program, at in cluster.newest.items():
            newest.add_metric([cluster.name, str(program)], at)
        programs = {program for name, program in total if name == cluster.name}
        for program in sorted(programs.union(public)):
            labels = [cluster.name, str(program)]
            arrived.add_metric(labels, total.get((cluster.name, program), 0))
            if cluster.sizes.known:
                size.add_metric(labels, cluster.sizes.total.get(program, 0.0))
    return [night, arrived, size, newest]


def log_offsets(clusters: Iterable[Cluster]) -> Metric:
    """Return where the logs begin and end at IPAC; those at ZADS are kafka-lag's to tell, and no series stands twice.

    A partition that did not answer in this collection has none: its last offset is no longer known to be right.
    """
    offsets = gauge("zads_log_offset")
    for cluster in clusters:
        if not cluster.readable or cluster.name == "public":
            continue
        for topic in cluster.topics.values():
            for number in topic.partitions:
                part = (topic.name, number)
                if part not in cluster.fresh:
                    continue
                for edge, known in (("start", cluster.starts), ("end", cluster.ends)):
                    if part in known:
                        labels = [cluster.name, edge, topic.name, str(number), topic.night, str(topic.program)]
                        offsets.add_metric(labels, known[part])
    return offsets


def content(config: Config, books: Content, restricted: Mapping[int, int], now: float) -> list[Metric]:
    """Return what the packets say; the caller holds the books' lock."""
    latency, errors = histogram("zads_alert_latency_seconds"), counter("zads_alert_decode_errors_total")
    exposures, per_exposure = counter("zads_exposures_arrived_total"), gauge("zads_alerts_per_exposure")
    sampled, decoded = gauge("zads_sampled_ratio"), counter("zads_alert_packets_decoded_total")
    schema, leaked = gauge("zads_alert_schema_info"), counter("zads_restricted_alerts_total")
    for (stage, program), buckets, total in books.latency.items():
        latency.add_metric([stage, program], buckets=buckets, sum_value=total)
    for reason in REASONS:
        errors.add_metric([reason], books.errors[reason])
    for number, count in books.exposures.items():
        exposures.add_metric([str(number)], count)
    for number, count in books.alerts_per_exposure().items():
        per_exposure.add_metric([str(number)], count)
    ratio = books.sampled_ratio(now)
    if ratio is not None:
        sampled.add_metric([], ratio)
    decoded.add_metric([], books.decoded)
    for version, seen in books.schemas.items():
        if now - seen < _SCHEMA_SECONDS:
            schema.add_metric([version], 1)
    for number in config.stream.restricted_programs:
        leaked.add_metric([str(number)], restricted.get(number, 0))
    return [latency, errors, exposures, per_exposure, sampled, decoded, schema, leaked]


def mirror(rows: Iterable[Mirrored], source: str, *, compared: bool) -> list[Metric]:
    """Return where the mirror stands, by offsets of now (`source` "offsets") or as they were when Kafka died.

    Duplicates and gaps are there only while the end at ZADS was `compared` too.
    """
    behind, age = gauge("zads_mirror_behind_alerts"), gauge("zads_mirror_behind_seconds")
    surplus, missing = gauge("zads_mirror_surplus_alerts"), gauge("zads_night_missing_alerts")
    for night, program, state, oldest in rows:
        labels = [str(program), night]
        behind.add_metric(labels, state.behind)
        if oldest is not None:
            age.add_metric(labels, oldest)
        surplus.add_metric(labels, state.surplus)
        missing.add_metric([night, str(program)], state.missing)
    return [behind, age, *([surplus, missing] if compared else []), _source(source)]


def mirror_by_jmx(rows: Iterable[tuple[str, int, int]] | None) -> list[Metric]:
    """Return what MirrorMaker itself says is waiting (night, program, alerts); nothing when it says nothing."""
    if rows is None:
        return []
    behind = gauge("zads_mirror_behind_alerts")
    for night, program, alerts in rows:
        behind.add_metric([str(program), night], alerts)
    return [behind, _source("jmx")]


def _source(name: str) -> Metric:
    source = gauge("zads_mirror_behind_source")
    source.add_metric([name], 1)
    return source
