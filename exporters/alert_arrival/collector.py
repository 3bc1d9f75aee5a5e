"""Watch both clusters: counts from offsets, content from the tail, and what the mirror has not passed on."""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric

from exporters.alert_arrival.counts import AlertTopic, Arrivals, TopicPartition, mirror_state, night_sums
from exporters.alert_arrival.mirror import MirrorOffsets
from exporters.alert_arrival.tail import Tail
from zads import kafka
from zads.collector import Reading
from zads.config import Config
from zads.kafka import ClusterReader
from zads.metrics import counter, gauge, histogram
from zads.offset_history import AGES_SECONDS, OffsetHistory

_LOG = logging.getLogger(__name__)
_SAVE_EVERY = 10.0
_SIZES_EVERY = 6
_PROBE_SECONDS = 1.0


class Cluster:
    """What was last read of one cluster."""

    def __init__(self, name: str, reader: ClusterReader, address: str) -> None:
        self.name, self.reader, self.address = name, reader, address
        self.topics: dict[str, AlertTopic] = {}
        self.ends: dict[TopicPartition, int] = {}
        self.starts: dict[TopicPartition, int] = {}
        self.newest: dict[int, float] = {}
        self.sizes: dict[TopicPartition, int] = {}
        self.readable = False


class AlertArrivalCollector:
    """Collect arrival from offsets of both clusters and from the tail of the public one."""

    name = "alert-arrival"

    def __init__(
        self,
        config: Config,
        clusters: list[Cluster],
        tail: Tail,
        mirror: MirrorOffsets,
        state: Path,
        *,
        probe: Callable[[str, float], float] = kafka.api_versions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._clusters, self._tail, self._mirror = config, clusters, tail, mirror
        self._file, self._probe, self._clock = state, probe, clock
        saved = self._load()
        self._arrivals = Arrivals(saved.get("arrivals") if saved else None)
        self._started: dict[TopicPartition, int] = {}
        self._bytes: dict[tuple[str, int], float] = defaultdict(float)
        self._bytes_seen: dict[tuple[str, TopicPartition], int] = {}
        self._histories: dict[TopicPartition, OffsetHistory] = {}
        self._judged: dict[tuple[str, str], tuple[int, int]] = {}
        self._saved_at = time.monotonic()
        self._round = 0

    def close(self) -> None:
        """End the tail, close the connections, keep the totals."""
        self._tail.close()
        self._save()
        self._mirror.close()
        for cluster in self._clusters:
            cluster.reader.close()

    def collect(self) -> Reading:
        """Look once; each cluster fails alone."""
        self._tail.start()
        errors: dict[str, int] = {}
        mirror_ok = self._mirror_offsets(errors)
        for cluster in self._clusters:
            self._read(cluster, errors)
        self._arrivals.done_first()
        self._round += 1
        if time.monotonic() - self._saved_at > _SAVE_EVERY:
            self._save()
        readable = gauge("zads_cluster_readable")
        for cluster in self._clusters:
            readable.add_metric([cluster.name], float(cluster.readable))
        families = [*self._counts(), *self._content()]
        by_name = {cluster.name: cluster for cluster in self._clusters}
        if mirror_ok and {"upstream", "public"} <= by_name.keys():
            families += self._mirrored(by_name["upstream"], by_name["public"])
        ok = any(cluster.readable for cluster in self._clusters)
        return Reading(families, [readable], errors=errors, ok=ok)

    def _mirror_offsets(self, errors: dict[str, int]) -> bool:
        public = next((c for c in self._clusters if c.name == "public"), None)
        if public is None or len(self._clusters) < 2 or not self._answers(public.address):
            return self._mirror.readable
        try:
            self._mirror.update()
        except (kafka.KafkaFailure, OSError, AssertionError) as error:
            errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1
        return self._mirror.readable

    def _answers(self, address: str) -> bool:
        try:
            self._probe(address, _PROBE_SECONDS)
        except OSError:
            return False
        return True

    def _read(self, cluster: Cluster, errors: dict[str, int]) -> None:
        cluster.readable = False
        if not self._answers(cluster.address):
            cluster.reader.close()
            errors["ClusterDoesNotAnswer"] = errors.get("ClusterDoesNotAnswer", 0) + 1
            return
        try:
            self._read_offsets(cluster)
            cluster.readable = True
        except (kafka.KafkaFailure, OSError, TimeoutError) as error:
            errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1

    def _read_offsets(self, cluster: Cluster) -> None:
        regex, reader = self._config.stream.topic_regex, cluster.reader
        metadata = reader.metadata()
        cluster.topics = {}
        for topic in metadata.topics.values():
            match = regex.fullmatch(topic.name)
            if match:
                entry = AlertTopic(topic.name, topic.topic_id, match["night"], int(match["program"]))
                cluster.topics[topic.name] = entry
        parts = [(name, p) for name in cluster.topics for p in metadata.topics[name].leaders]
        now = self._clock()
        cluster.ends = {k: v[0] for k, v in reader.list_offsets(dict.fromkeys(parts, kafka.LATEST)).values.items()}
        cluster.newest = {}
        newest = reader.list_offsets(dict.fromkeys(parts, kafka.MAX_TIMESTAMP)).values
        for (name, _), (_, timestamp) in newest.items():
            program = cluster.topics[name].program
            if timestamp > 0:
                cluster.newest[program] = max(cluster.newest.get(program, 0.0), timestamp / 1000.0)
        if self._round % _SIZES_EVERY == 0:
            starts = reader.list_offsets(dict.fromkeys(parts, kafka.EARLIEST)).values
            cluster.starts = {k: v[0] for k, v in starts.items()}
            cluster.sizes = {k: v for k, v in reader.log_dirs().values.items() if k in cluster.ends}
        self._arrivals.update(cluster.name, cluster.topics, cluster.ends)
        self._count_bytes(cluster)
        self._remember(cluster, self._histories if cluster.name == "upstream" else self._tail.histories, now)

    @staticmethod
    def _remember(cluster: Cluster, histories: dict[TopicPartition, OffsetHistory], now: float) -> None:
        """Keep when the log ends were where: for the age of what is not passed on, and for times of append."""
        fresh = [p for p, end in cluster.ends.items() if end > 0 and p not in histories]
        for part in cluster.ends:
            histories.setdefault(part, OffsetHistory())
        points: dict[TopicPartition, list[tuple[float, int]]] = defaultdict(list)
        for age in AGES_SECONDS if fresh else ():
            found = cluster.reader.list_offsets(dict.fromkeys(fresh, int((now - age) * 1000))).values
            for part, (offset, _) in found.items():
                points[part].append((now - age, cluster.ends[part] if offset < 0 else offset))
        for part, rows in points.items():
            histories[part].rebuild(rows)
        for part, end in cluster.ends.items():
            histories[part].add(now, end)
        for part in [p for p in histories if p not in cluster.ends and p[0] not in cluster.topics]:
            del histories[part]

    def _count_bytes(self, cluster: Cluster) -> None:
        """Add bytes: messages that came, times the mean size of the log's messages."""
        count: dict[str, int] = defaultdict(int)
        size: dict[str, int] = defaultdict(int)
        for part, end in cluster.ends.items():
            count[part[0]] += end - cluster.starts.get(part, 0)
            size[part[0]] += cluster.sizes.get(part, 0)
        for part, end in cluster.ends.items():
            before = self._bytes_seen.get((cluster.name, part))
            self._bytes_seen[cluster.name, part] = end
            if before is not None and end > before and count[part[0]] > 0:
                mean = size[part[0]] / count[part[0]]
                self._bytes[cluster.name, cluster.topics[part[0]].program] += (end - before) * mean

    def _counts(self) -> list[Metric]:
        night, arrived = gauge("zads_night_alerts"), counter("zads_alerts_arrived_total")
        size, newest = counter("zads_alerts_arrived_bytes_total"), gauge("zads_last_alert_timestamp_seconds")
        for cluster in self._clusters:
            if not cluster.readable:
                continue
            for (date, program), count in night_sums(cluster.topics, cluster.ends).items():
                night.add_metric([cluster.name, str(program), date], count)
            for program, at in cluster.newest.items():
                newest.add_metric([cluster.name, str(program)], at)
            for (name, program), total in self._arrivals.total.items():
                if name == cluster.name:
                    arrived.add_metric([name, str(program)], total)
                    size.add_metric([name, str(program)], self._bytes[name, program])
        return [night, arrived, size, newest]

    def _content(self) -> list[Metric]:
        latency, errors = histogram("zads_alert_latency_seconds"), counter("zads_alert_decode_errors_total")
        exposures, per_exposure = counter("zads_exposures_arrived_total"), gauge("zads_alerts_per_exposure")
        sampled, decoded = gauge("zads_sampled_ratio"), counter("zads_alert_packets_decoded_total")
        schema, restricted = gauge("zads_alert_schema_info"), counter("zads_restricted_alerts_total")
        tail = self._tail
        with tail.locked():
            for (stage, program), buckets, total in tail.latency.items():
                latency.add_metric([stage, program], buckets=buckets, sum_value=total)
            for reason in ("empty", "not_avro", "truncated", "bad_schema", "unknown_codec", "no_candidate"):
                errors.add_metric([reason], tail.errors[reason])
            for program_id, count in tail.exposures.items():
                exposures.add_metric([str(program_id)], count)
            for program_id, count in tail.alerts_per_exposure().items():
                per_exposure.add_metric([str(program_id)], count)
            ratio = tail.sampled_ratio()
            if ratio is not None:
                sampled.add_metric([], ratio)
            decoded.add_metric([], tail.decoded)
            for version, seen in tail.schemas.items():
                if self._clock() - seen < 86400:
                    schema.add_metric([version], 1)
            for program_id in self._config.stream.restricted_programs:
                by_topic = self._arrivals.total.get(("public", program_id), 0)
                restricted.add_metric([str(program_id)], max(by_topic, tail.restricted[program_id]))
        return [latency, errors, exposures, per_exposure, sampled, decoded, schema, restricted]

    def _mirrored(self, upstream: Cluster, public: Cluster) -> list[Metric]:
        """Compare both ends with MirrorMaker's own offsets, for the programs that the public may see."""
        behind, age = gauge("zads_mirror_behind_alerts"), gauge("zads_mirror_behind_seconds")
        surplus, missing = gauge("zads_mirror_surplus_alerts"), gauge("zads_night_missing_alerts")
        if not upstream.readable:
            return []
        now = self._clock()
        for topic in upstream.topics.values():
            if topic.program not in self._config.stream.public_programs:
                continue
            seen = public.ends if public.readable else {}
            state, waiting = mirror_state(topic.name, upstream.ends, seen, self._mirror.next_offsets, self._started)
            labels = [str(topic.program), topic.night]
            behind.add_metric(labels, state.behind)
            age.add_metric(labels, max((self._age(part, offset, now) for part, offset in waiting), default=0.0))
            key = (topic.name, topic.topic_id)
            if public.readable and not waiting:
                # Judged only while nothing is in flight; kept until it can be judged again.
                self._judged[key] = (state.surplus, state.missing)
            extra, gap = self._judged.get(key, (0, 0))
            surplus.add_metric(labels, extra)
            missing.add_metric([topic.night, str(topic.program)], gap)
        return [behind, age, surplus, missing]

    def _age(self, part: TopicPartition, offset: int, now: float) -> float:
        history = self._histories.get(part)
        return history.age(offset, now) if history else 0.0

    def _load(self) -> Mapping[str, Any] | None:
        try:
            return dict(json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial = self._file.with_suffix(".new")
            partial.write_text(json.dumps({"arrivals": self._arrivals.state()}), encoding="utf-8")
            partial.replace(self._file)
        except OSError as error:
            _LOG.warning("totals cannot be kept in %s: %s", self._file, error)


def build(config: Config) -> AlertArrivalCollector:
    """Return the collector for the config."""
    clusters = [
        Cluster(name, ClusterReader(cluster, client_id="zads-alert-arrival"), cluster.bootstrap[0])
        for name, cluster in config.kafka.items()
    ]
    file = config.exporters.state_dir / "alert-arrival.json"
    return AlertArrivalCollector(config, clusters, Tail(config), MirrorOffsets(config), file)
