"""Read groups, commits and log ends in the order in which lag cannot come out negative, and publish them.

Groups first, then their commits, then fresh metadata, then log ends and starts: an end that is read
after the commit is never smaller. Every broker, group and partition fails alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping

from prometheus_client.metrics_core import Metric

from exporters.kafka_lag.communities import AlertTopic, Communities
from exporters.kafka_lag.lag import Edges, PartitionLag, group_lags
from zads import kafka
from zads.collector import Reading
from zads.config import Config
from zads.kafka import ClusterReader, Group, Metadata, TopicPartition
from zads.metrics import counter, gauge
from zads.offset_history import AGES_SECONDS, OffsetHistory
from zads.snapshot import WideFamily

_STATES = ("Stable", "Empty", "Dead", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling")
_STARTS_EVERY = 6
_PROBE_SECONDS = 1.0
_WIDE = (
    "kafka_consumergroup_lag",
    "kafka_consumergroup_current_offset",
    "kafka_topic_partition_current_offset",
    "kafka_topic_partition_oldest_offset",
    "zads_log_offset",
)


class KafkaLagCollector:
    """Collect lag from the public cluster; say of both clusters whether they answer."""

    name = "kafka-lag"

    def __init__(
        self,
        config: Config,
        reader: ClusterReader,
        *,
        probe: Callable[[str, float], float] = kafka.api_versions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._reader, self._probe, self._clock = config, reader, probe, clock
        self._communities = Communities(config)
        self._histories: dict[TopicPartition, OffsetHistory] = {}
        self._topic_ids: dict[str, str] = {}
        self._starts: dict[TopicPartition, int] = {}
        self._round = 0
        self._moved: dict[tuple[str, str], tuple[int, float]] = {}
        self._wide = {name: WideFamily(name) for name in _WIDE}

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()

    def collect(self) -> Reading:
        """Look once."""
        up, public_answers = self._cluster_up()
        if not public_answers:
            self._reader.close()
            return Reading(always=[up, self._lag_known()], ok=False, errors={"ClusterDoesNotAnswer": 1})
        try:
            reading = self._measure()
        except (kafka.KafkaFailure, OSError, TimeoutError) as error:
            reading = Reading(ok=False, errors={type(error).__name__: 1})
        reading.always = [up, self._lag_known()]
        return reading

    def _cluster_up(self) -> tuple[Metric, bool]:
        family, public = gauge("zads_cluster_up"), False
        for name, cluster in self._config.kafka.items():
            answers = any(self._answers(address) for address in cluster.bootstrap)
            family.add_metric([name], float(answers))
            public = public or (name == "public" and answers)
        return family, public

    def _answers(self, address: str) -> bool:
        try:
            self._probe(address, _PROBE_SECONDS)
        except OSError:
            return False
        return True

    def _lag_known(self) -> Metric:
        family = gauge("zads_community_lag_known")
        for community in self._config.communities:
            family.add_metric([community.name], float(community.commits))
        return family

    def _measure(self) -> Reading:
        reader = self._reader
        first = reader.metadata()
        groups = reader.groups()
        committed = reader.committed(groups.values.values())
        members = reader.members(groups.values.values())
        # Metadata again after the commits: a topic made meanwhile has to be known by its id.
        metadata = reader.metadata() if groups.values else first
        parts = [(t.name, p) for t in metadata.topics.values() if not t.name.startswith("__") for p in t.leaders]
        ends = reader.list_offsets(dict.fromkeys(parts, kafka.LATEST))
        new = self._forget_gone(metadata)
        errors: dict[str, int] = defaultdict(int)
        if self._round % _STARTS_EVERY == 0 or new:
            starts = reader.list_offsets(dict.fromkeys(parts, kafka.EARLIEST))
            self._starts = {part: value[0] for part, value in starts.values.items()}
            _merge(errors, starts.errors)
        self._round += 1
        now = self._clock()
        edges = Edges(self._starts, {part: value[0] for part, value in ends.values.items()})
        self._remember(edges, now)
        for answer in (groups, committed, members, ends):
            _merge(errors, answer.errors)
        lags = {group: group_lags(offsets, edges) for group, offsets in committed.values.items()}
        topics = self._alert_topics(metadata)
        families = [
            *self._cluster(metadata),
            *self._groups(groups.values, members.values, lags, committed.values, metadata, now),
            *self._community(committed.values, members.values, topics, edges, now),
        ]
        wide, dropped = self._render(lags, edges, topics)
        return Reading(families=families, wide=wide, errors=dict(errors), dropped=dropped)

    def _forget_gone(self, metadata: Metadata) -> bool:
        """Drop histories of topics that are gone or made anew; tell whether there are new topics."""
        ids = {topic.name: topic.topic_id for topic in metadata.topics.values()}
        changed = {name for name, known in self._topic_ids.items() if ids.get(name) != known}
        for part in [p for p in self._histories if p[0] in changed]:
            del self._histories[part]
        new = any(name not in self._topic_ids or name in changed for name in ids)
        self._topic_ids = ids
        return new

    def _remember(self, edges: Edges, now: float) -> None:
        """Add the log ends to the histories; those that are new are rebuilt from Kafka first."""
        fresh = [part for part, end in edges.end.items() if part not in self._histories and end > 0]
        for part in edges.end:
            self._histories.setdefault(part, OffsetHistory())
        if fresh:
            points: dict[TopicPartition, list[tuple[float, int]]] = defaultdict(list)
            for age in AGES_SECONDS:
                moment = int((now - age) * 1000)
                answer = self._reader.list_offsets(dict.fromkeys(fresh, moment))
                for part, (offset, _) in answer.values.items():
                    # The first message at or after that moment: just before it, the log ended there.
                    points[part].append((now - age, edges.end[part] if offset < 0 else offset))
            for part, found in points.items():
                self._histories[part].rebuild(found)
        for part, end in edges.end.items():
            self._histories[part].add(now, end)

    def _alert_topics(self, metadata: Metadata) -> dict[str, AlertTopic]:
        regex, found = self._config.stream.topic_regex, {}
        for topic in metadata.topics.values():
            match = regex.fullmatch(topic.name)
            if match:
                parts = tuple(sorted(topic.leaders))
                found[topic.name] = AlertTopic(topic.name, topic.topic_id, match["night"], int(match["program"]), parts)
        return found

    @staticmethod
    def _cluster(metadata: Metadata) -> list[Metric]:
        brokers, partitions = gauge("kafka_brokers"), gauge("kafka_topic_partitions")
        brokers.add_metric([], len(metadata.brokers))
        for topic in metadata.topics.values():
            partitions.add_metric([topic.name], len(topic.leaders))
        return [brokers, partitions]

    def _groups(
        self,
        groups: Mapping[str, Group],
        members: Mapping[str, int],
        lags: Mapping[str, Mapping[TopicPartition, PartitionLag]],
        committed: Mapping[str, Mapping[TopicPartition, int]],
        metadata: Metadata,
        now: float,
    ) -> list[Metric]:
        names = ("lag_seconds", "uncommitted_partitions", "lost_messages", "offset_beyond_end", "idle_seconds")
        by_topic = {name: gauge(f"zads_consumergroup_{name}") for name in names}
        total, count = gauge("kafka_consumergroup_lag_sum"), gauge("kafka_consumergroup_members")
        state = gauge("zads_consumergroup_state")
        for group in groups.values():
            for known in dict.fromkeys((*_STATES, group.state)):
                state.add_metric([group.name, known], float(group.state == known))
            if group.name in members:
                count.add_metric([group.name], members[group.name])
        living: dict[tuple[str, str], tuple[int, float]] = {}
        for group_name, parts in lags.items():
            topics: dict[str, list[tuple[int, PartitionLag]]] = defaultdict(list)
            for (topic, number), lag in parts.items():
                topics[topic].append((number, lag))
            for topic, rows in topics.items():
                labels = [group_name, topic]
                total.add_metric(labels, sum(lag.lag for _, lag in rows))
                ages = [self._age(topic, number, lag, now) for number, lag in rows]
                by_topic["lag_seconds"].add_metric(labels, max(ages))
                by_topic["lost_messages"].add_metric(labels, sum(lag.lost for _, lag in rows))
                by_topic["offset_beyond_end"].add_metric(labels, sum(lag.beyond_end for _, lag in rows))
                partitions = metadata.topics[topic].leaders if topic in metadata.topics else {}
                missing = sum((topic, number) not in committed[group_name] for number in partitions)
                by_topic["uncommitted_partitions"].add_metric(labels, missing)
                position = sum(lag.committed for _, lag in rows)
                before = self._moved.get((group_name, topic))
                moved_at = now if before is None or before[0] != position else before[1]
                living[group_name, topic] = (position, moved_at)
                by_topic["idle_seconds"].add_metric(labels, now - moved_at)
        self._moved = living
        return [total, count, state, *by_topic.values()]

    def _age(self, topic: str, number: int, lag: PartitionLag, now: float) -> float:
        if lag.lag == 0:
            return 0.0
        history = self._histories.get((topic, number))
        return history.age(lag.committed + lag.lost, now) if history else 0.0

    def _community(
        self,
        committed: Mapping[str, Mapping[TopicPartition, int]],
        members: Mapping[str, int],
        topics: Mapping[str, AlertTopic],
        edges: Edges,
        now: float,
    ) -> list[Metric]:
        alerts, seconds = gauge("zads_community_lag_alerts"), gauge("zads_community_lag_seconds")
        for behind in self._communities.update(committed, topics, edges, self._histories, now):
            labels = [behind.community, str(behind.program), behind.night]
            alerts.add_metric(labels, behind.alerts)
            seconds.add_metric(labels, behind.seconds)
        delivered = counter("zads_community_delivered_alerts_total")
        lost = counter("zads_community_lost_alerts_total")
        idle, count = gauge("zads_community_idle_seconds"), gauge("zads_community_members")
        idle_seconds = self._communities.idle_seconds(now)
        for community in self._config.communities:
            if not community.commits:
                continue
            for program in self._config.stream.public_programs:
                labels = [community.name, str(program)]
                delivered.add_metric(labels, self._communities.delivered[community.name, program])
                lost.add_metric(labels, self._communities.lost[community.name, program])
            idle.add_metric([community.name], idle_seconds.get(community.name, 0.0))
            groups = self._communities.groups_of(community.name, members)
            count.add_metric([community.name], sum(members[group] for group in groups))
        return [alerts, seconds, delivered, lost, idle, count]

    def _render(
        self,
        lags: Mapping[str, Mapping[TopicPartition, PartitionLag]],
        edges: Edges,
        topics: Mapping[str, AlertTopic],
    ) -> tuple[bytes, dict[str, int]]:
        """Render the wide families; over the cap the widest groups are left out, and counted."""
        kept, dropped = dict(lags), 0
        size = sum(len(parts) for parts in kept.values())
        for group in sorted(kept, key=lambda name: len(kept[name]), reverse=True):
            if 2 * size <= self._config.exporters.max_series:
                break
            parts = kept.pop(group)
            size -= len(parts)
            dropped += 2 * len(parts)
        rows = [((g, t, p), lag) for g, parts in kept.items() for (t, p), lag in parts.items()]
        log = []
        for topic in topics.values():
            for number in topic.partitions:
                part = (topic.name, number)
                labels = (topic.name, number, topic.night, topic.program)
                log += [
                    (("public", "start", *labels), edges.start.get(part)),
                    (("public", "end", *labels), edges.end.get(part)),
                ]
        text = [
            self._wide["kafka_consumergroup_lag"].render((key, lag.lag) for key, lag in rows),
            self._wide["kafka_consumergroup_current_offset"].render((key, lag.committed) for key, lag in rows),
            self._wide["kafka_topic_partition_current_offset"].render(edges.end.items()),
            self._wide["kafka_topic_partition_oldest_offset"].render(
                (part, start) for part, start in edges.start.items() if part in edges.end
            ),
            self._wide["zads_log_offset"].render((key, value) for key, value in log if value is not None),
        ]
        return b"".join(text), {"cap": dropped} if dropped else {}


def _merge(into: dict[str, int], more: Mapping[str, int]) -> None:
    for reason, number in more.items():
        into[reason] += number


def build(config: Config) -> KafkaLagCollector:
    """Return the collector for the config."""
    return KafkaLagCollector(config, ClusterReader(config.kafka["public"], client_id="zads-kafka-lag"))
