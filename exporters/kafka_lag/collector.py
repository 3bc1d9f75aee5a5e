"""Read groups, commits and log ends in the order in which lag cannot come out negative, and publish them.

Groups first, then their commits, then fresh metadata, then log ends and starts: an end that is read
after the commit is never smaller. Every broker, group and partition fails alone.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from prometheus_client.metrics_core import Metric

from exporters.kafka_lag.ages import Ages
from exporters.kafka_lag.backoff import Backoff
from exporters.kafka_lag.books import AlertTopic, Books
from exporters.kafka_lag.cap import cut
from exporters.kafka_lag.communities import Communities
from exporters.kafka_lag.families import broker_families, community_families, lag_known, topic_partitions
from exporters.kafka_lag.inventory import Inventory
from exporters.kafka_lag.lag import Edges, TopicPartition
from exporters.kafka_lag.memory import EdgeMemory, GroupMemory, GroupsSeen
from exporters.kafka_lag.options import options
from exporters.kafka_lag.rest import Rest, fitting
from exporters.kafka_lag.shares import ShareGroups, share_lags
from exporters.kafka_lag.status import StatusBook
from exporters.kafka_lag.table import LagTable
from exporters.kafka_lag.text import LagText
from exporters.kafka_lag.uncommitted import assigned_topics, never_committed
from zads import kafka
from zads.collector import Reading
from zads.config import Config, KafkaCluster
from zads.kafka import ClusterReader, Metadata
from zads.metrics import gauge
from zads.state import StateFile

_LOG = logging.getLogger(__name__)
_STARTS_EVERY = 6
_PROBE_SECONDS = 1.0
_MOST_GONE = 10_000  # topics that are gone and still remembered
# A wrong password or a missing right does not heal within seconds.
_REFUSALS = ("Authentication", "Authorization", "Sasl", "Secret")


class KafkaLagCollector:
    """Collect lag from the public cluster; say of both clusters whether they answer."""

    name = "kafka-lag"

    def __init__(
        self,
        config: Config,
        reader: ClusterReader,
        *,
        probe: Callable[[str, float, KafkaCluster], float] = kafka.api_versions,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        state: StateFile | None = None,
    ) -> None:
        self._config, self.reader, self._probe, self._clock = config, reader, probe, clock
        self._options = options(config)
        self._state = state
        self._communities = Communities(config, state.load(Books.restored) if state is not None else None)
        self._ages = Ages(reader.list_offsets)
        self._edges, self._groups = EdgeMemory(), GroupMemory()
        self._table = LagTable(self._ages.since, each_partition_seconds=self._options.seconds_per_partition)
        self._text = LagText()
        self._shares, self._statuses, self._inventory = ShareGroups(), StatusBook(), Inventory(reader, monotonic)
        self._backoff = Backoff(config.exporters.interval, monotonic)
        self._topic_ids: dict[str, str] = {}
        self._sizes: dict[str, int] = {}  # partitions by topic id, of all topics ever seen
        self._looked_at: float | None = None
        self._round = 0
        self._replaced = 0

    def close(self) -> None:
        """Close the connections."""
        self.reader.close()

    def take(self, config: Config, reader: ClusterReader) -> None:
        """Go on with another configuration: counters, histories and what communities committed are kept.

        `reader` is the one to go on with; another than the former begins with the brokers that it finds.
        """
        if reader is not self.reader:
            self.reader.close()
            self.reader, self._replaced = reader, reader.replaced
            self._ages.ask = reader.list_offsets
            self._inventory.source = reader
            self._inventory.again()
        self._config, self._options = config, options(config)
        self._communities.take(config)
        self._table.take(each_partition_seconds=self._options.seconds_per_partition)
        self._text = LagText()
        if self._state is not None and self._state.file != _file(config):
            self._state = _state(config)
        self._backoff.succeeded()

    def collect(self) -> Reading:
        """Look once; what has to survive a restart is written down before it is published."""
        reading = self._look()
        for reason, count in self._keep().items():
            reading.errors[reason] = reading.errors.get(reason, 0) + count
        return reading

    def _keep(self) -> dict[str, int]:
        """Write down what has to survive a restart; return what went wrong, by reason."""
        if self._state is None:
            return {}
        content, left_out = self._communities.books.state()
        self._state.save(content)
        return self._state.errors() | ({"StateTooBig": left_out} if left_out else {})

    def _look(self) -> Reading:
        up, silence = self._cluster_up()
        always = [up, lag_known(self._config)]
        if silence is not None:
            self.reader.close()
            words = f"no broker of {', '.join(self._config.kafka['public'].bootstrap)} answers: {silence}"
            return Reading(always=always, ok=False, errors={"ClusterDoesNotAnswer": 1, silence: 1}, seen=words)
        if self._backoff.left() > 0:
            words = f"refused by Kafka: {self._backoff.reason}; next try in {self._backoff.left():.0f} s"
            return Reading(always=always, ok=False, errors={self._backoff.reason: 0}, seen=words)
        try:
            reading = self._measure()
            self._backoff.succeeded()
        except Exception as error:  # whatever fails, it stays true whether the clusters answer
            reason = type(error).__name__.removesuffix("Error")
            if any(word in reason for word in _REFUSALS):
                self._backoff.failed(reason)
            _LOG.debug("traceback", exc_info=True)
            reading = Reading(ok=False, errors={reason: 1}, seen=f"{reason}: {error}")
        reading.always = always
        return reading

    def _cluster_up(self) -> tuple[Metric, str | None]:
        """Return whether each cluster answers, and why the public one does not, if it does not."""
        family, silence = gauge("zads_cluster_up"), None
        for name, cluster in self._config.kafka.items():
            reason = self._no_answer(cluster)
            family.add_metric([name], float(reason is None))
            if name == "public":
                silence = reason
        return family, silence

    def _no_answer(self, cluster: KafkaCluster) -> str | None:
        """Return why no bootstrap broker answers, None when one does."""
        reason = ""
        for address in cluster.bootstrap:
            try:
                self._probe(address, _PROBE_SECONDS, cluster)
            except (OSError, ValueError) as error:
                reason = type(error).__name__
            else:
                return None
        return reason

    def _measure(self) -> Reading:
        reader, choice = self.reader, self._options
        reader.brokers()
        groups = reader.groups()
        shown = {name: group for name, group in groups.values.items() if name in choice.groups}
        wanted = {n: g for n, g in groups.values.items() if n in shown or self._communities.owns(n)}
        choice.groups.keep(groups.values)
        offsets = reader.offsets(wanted.values())
        members = reader.describe(wanted.values())
        shares = reader.share_offsets(shown.values())
        # Metadata after the commits: a topic made meanwhile has to be known by its id.
        metadata = reader.metadata()
        alerts = self._alert_topics(metadata)
        topics = {name: topic for name, topic in metadata.topics.items() if name in choice.topics or name in alerts}
        choice.topics.keep(metadata.topics)
        leaders = {(name, n): leader for name, topic in topics.items() for n, leader in topic.leaders.items()}
        now = self._clock()
        ends = reader.list_offsets(dict.fromkeys(leaders, kafka.LATEST), read_committed=choice.read_committed)
        new = self._topics_changed(metadata, leaders, now)
        read = {part: value[0] for part, value in ends.values.items()}
        self._edges.take_ends(read, leaders)
        starts = reader.list_offsets(dict.fromkeys(self._starts_wanted(leaders, new), kafka.EARLIEST))
        self._edges.take_starts({part: value[0] for part, value in starts.values.items()})
        self._round += 1
        aged = self._ages.update(read, now)
        seen = self._groups.update(groups, offsets)
        edges = self._edges.edges()
        if self._ages.rebuilt:
            self._ages.refine(self._unread(seen, edges), read, now)
        rows = {name: by_topic for name, by_topic in seen.shown.items() if name in choice.groups}
        share_rows = share_lags(self._shares.update(shown, shares), topics, edges)
        seldom = self._inventory.look(metadata, topics)
        more = int(choice.seconds_per_partition)
        assigned = assigned_topics({name: members.values[name] for name in shown if name in members.values}, topics)
        never = never_committed(assigned, rows, offsets)
        narrow = [*broker_families(metadata), *self._inventory.families(metadata)]
        most = choice.max_series - len(self._config.kafka) - len(self._config.communities)  # without what is always there
        room = max(0, most - sum(len(family.samples) for family in narrow) - self._communities.most_series(alerts))
        rest = Rest(share_rows, topics, len(shown), room)
        by_group = {name: rows.get(name, {}) for name in (*shown, *rows)}
        fits = cut(by_group, topics, rest.left, per_partition=choice.per_partition, more=more, assigned=assigned)
        rows = {name: by_topic for name, by_topic in rows.items() if name in fits.groups}
        changed = self._table.update(rows, topics, edges, fits.whole, aged, now)
        settled = self._ages.settle(read, now)
        if settled:  # somebody reads old messages, whose ages were known roughly until now
            changed += self._table.update(rows, topics, edges, fits.whole, settled, now)
        self._communities.on(metadata.cluster_id)
        behind = self._communities.update(seen, alerts, edges, self._ages.age, now)
        kept, cut_off = fitting(
            [
                *community_families(self._config, self._communities, behind, seen, groups.values, members.values, now),
                *narrow,
            ],
            most - (room - rest.left) - fits.size,
        )
        stands = (
            (group, name, row, table.edges)
            for name, table in self._table.topics.items()
            for group, row in table.rows.items()
            if row.measured
        )
        statuses = self._statuses.update(stands, {name: who.members for name, who in members.values.items()}, now)
        errors: dict[str, int] = defaultdict(int)
        for found in (groups, offsets, members, shares, ends, starts, self._ages):
            for reason, number in found.errors.items():
                errors[reason] += number
        for reason, number in seldom.items():
            errors[reason] += number
        if reader.replaced > self._replaced:
            errors["ClientReplaced"] += reader.replaced - self._replaced
            self._replaced = reader.replaced
        listed = {name: group for name, group in shown.items() if name in fits.groups}
        dropped = fits.dropped + rest.dropped + cut_off
        return Reading(
            families=[*kept, topic_partitions(topic for name, topic in topics.items() if name in fits.named)],
            wide=[
                *self._text.groups(listed, members.values, assigned, self._table.topics, now),
                *self._text.topics({n: t for n, t in topics.items() if n in fits.topics}, edges, alerts),
                *self._text.rows(
                    self._table.topics, changed, {pair: count for pair, count in never.items() if pair[0] in listed}, now
                ),
                *self._statuses.parts(statuses if rest.statuses else {}),
                *self._shares.parts(rest.shares),
                *(self._inventory.parts(topics) if rest.facts else ()),
            ],
            errors=dict(errors),
            dropped={"cap": dropped} if dropped else {},
            seen=_words(len(metadata.brokers), len(topics), len(shown), errors),
        )

    def _topics_changed(self, metadata: Metadata, leaders: Mapping[TopicPartition, int], now: float) -> set[TopicPartition]:
        """Forget topics that are gone or made anew; return the partitions that the last collection did not see."""
        looked, self._looked_at = self._looked_at, now
        ids = {topic.name: topic.topic_id for topic in metadata.topics.values()}
        changed = {name for name, known in self._topic_ids.items() if ids.get(name) != known}
        self._edges.forget(changed)
        self._ages.forget(changed)
        new = {part for part in leaders if part[1] >= self._sizes.get(ids[part[0]], 0)}
        if looked is not None and now - looked < 3 * self._config.exporters.interval + 1:
            self._ages.begin(new, looked)
        for topic in metadata.topics.values():
            self._sizes[topic.topic_id] = max(self._sizes.get(topic.topic_id, 0), len(topic.leaders))
        if len(self._sizes) > len(ids) + _MOST_GONE:
            self._sizes = {identity: self._sizes[identity] for identity in ids.values()}
        self._topic_ids = ids
        return new

    def _starts_wanted(self, leaders: Mapping[TopicPartition, int], new: set[TopicPartition]) -> Iterable[TopicPartition]:
        """Return the partitions whose log start to read: all now and then, else where retention may take something."""
        if self._round % _STARTS_EVERY == 0:
            return leaders
        return {p for p in (*new, *self._edges.without_start(), *self._communities.waiting) if p in leaders}

    def _unread(self, seen: GroupsSeen, edges: Mapping[str, Edges]) -> dict[TopicPartition, set[int]]:
        """Return the offsets of the oldest unread messages on partitions whose history was just rebuilt."""
        rebuilt = set(self._ages.rebuilt)
        # Who has committed nothing on a topic may be behind from its start.
        unread = {part: {edges[part[0]].start.get(part[1], 0)} for part in rebuilt}
        for by_topic in seen.kept.values():
            for topic, offsets in by_topic.items():
                for number, offset in offsets.items():
                    if (topic, number) in rebuilt and offset < edges[topic].end[number]:
                        unread[topic, number].add(max(offset, edges[topic].start.get(number, 0)))
        return unread

    def _alert_topics(self, metadata: Metadata) -> dict[str, AlertTopic]:
        regex, found = self._config.stream.topic_regex, {}
        for topic in metadata.topics.values():
            match = regex.fullmatch(topic.name)
            if match:
                parts = tuple(sorted(topic.leaders))
                found[topic.name] = AlertTopic(topic.name, topic.topic_id, match["night"], int(match["program"]), parts)
        return found


def _words(brokers: int, topics: int, groups: int, errors: Mapping[str, int]) -> str:
    """Say what was seen, for the page at /."""
    counts = ((brokers, "broker"), (topics, "topic"), (groups, "consumer group"))
    words = ", ".join(f"{number} {name}{'' if number == 1 else 's'}" for number, name in counts)
    if errors:
        words += f"; what could not be read: {', '.join(f'{reason} ({n})' for reason, n in sorted(errors.items()))}"
    return words


def build(config: Config) -> KafkaLagCollector:
    """Return the collector for the config."""
    return KafkaLagCollector(config, _reader(config), state=_state(config))


def take(collector: KafkaLagCollector, before: Config, config: Config) -> KafkaLagCollector:
    """Return the collector with a new configuration; the connections stay where their settings did."""
    same = before.kafka["public"] == config.kafka["public"]
    collector.take(config, collector.reader if same else _reader(config))
    return collector


def _reader(config: Config) -> ClusterReader:
    return ClusterReader(config.kafka["public"], client_id="zads-kafka-lag")


def _file(config: Config) -> Path:
    return config.exporters.state_dir / "kafka-lag.json"


def _state(config: Config) -> StateFile:
    return StateFile(_file(config), "totals of communities")
