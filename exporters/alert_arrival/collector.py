"""Watch both clusters: counts from offsets, content from the tail, and what the mirror has not passed on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from exporters.alert_arrival import families, jmx, words
from exporters.alert_arrival.cluster import Cluster
from exporters.alert_arrival.content import Content, PartitionKey
from exporters.alert_arrival.counts import AlertTopic, Arrivals, TopicPartition
from exporters.alert_arrival.delivery import Commits, delays
from exporters.alert_arrival.last_positions import LastPositions
from exporters.alert_arrival.mirror import MirrorOffsets
from exporters.alert_arrival.mirror_books import Ends, MirrorBooks
from exporters.alert_arrival.mirror_start import MirrorStart
from exporters.alert_arrival.tail import Follow, Tail
from zads import kafka
from zads.collector import Reading
from zads.config import Config
from zads.kafka import ClusterReader
from zads.metrics import gauge
from zads.state import StateFile

_TOPICS_FOLLOWED = 12  # the newest: a night's topics grow for hours after dawn
_FAILURES = (kafka.KafkaFailure, OSError, AssertionError)


class AlertArrivalCollector:
    """Collect arrival from offsets of both clusters and from the tail of the public one."""

    name = "alert-arrival"

    def __init__(
        self,
        config: Config,
        clusters: list[Cluster],
        content: Content,
        tail: Tail,
        mirror: MirrorOffsets,
        state: Path,
        *,
        start: MirrorStart | None = None,
        read_jmx: Callable[[str], str] = jmx.fetch,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._jmx = read_jmx
        self._config, self._content, self._tail, self._mirror = config, content, tail, mirror
        self._clusters = {cluster.name: cluster for cluster in clusters}
        self._start = start or MirrorStart(config)
        self._file, self._clock = StateFile(state), clock
        self._arrivals, self._mirror_books, self._last, restricted = self._file.load(_books) or _books({})
        self._content.restricted.update(restricted)
        self._commits = Commits(config)
        self._followed: dict[PartitionKey, Follow] = {}
        self._ids: set[str] | None = None

    def close(self) -> None:
        """End the tail, close the connections, keep the totals."""
        self._tail.close()
        self._save()
        self._mirror.close()
        for cluster in self._clusters.values():
            cluster.reader.close()

    def collect(self) -> Reading:
        """Look once; each cluster fails alone.

        The order matters (see mirror_books): MirrorMaker's offsets, then the ends at ZADS, then those at IPAC.
        """
        errors: Counter[str] = Counter()
        alive = [cluster for cluster in self._clusters.values() if self._topics(cluster, errors)]
        public, upstream = self._clusters.get("public"), self._clusters.get("upstream")
        if public in alive and upstream is not None:
            self._mirror_offsets(public, errors)
        else:
            self._mirror.close()  # what was read of it before is no longer of now
        for cluster in sorted(alive, key=lambda c: c.name == "upstream"):
            self._offsets(cluster, errors)
        if public is not None and public.readable:
            self._tail.follow(self._to_follow(public))
            self._deliveries(public, errors)
        source, mirrored = "offsets", None
        if public is not None and upstream is not None and upstream.readable:
            mirrored = self._mirrored(upstream, public, errors)
            if mirrored is None and public.refuses and self._last.held(self._clock()):
                source, mirrored = "last_offsets", self._held_up(upstream)
        waiting = self._from_jmx(errors) if mirrored is None else None
        with self._content.lock:
            errors.update(self._content.failures)
            self._content.failures.clear()
            content = families.content(self._config, self._content, self._restricted(), self._clock())
        # Saved before it is published: after a kill, a counter must not come back lower than it was seen.
        self._save()
        errors.update(self._file.errors())
        readable = gauge("zads_cluster_readable")
        for cluster in self._clusters.values():
            readable.add_metric([cluster.name], float(cluster.readable))
        clusters = list(self._clusters.values())
        counts = families.counts(clusters, self._arrivals.total, self._config.stream.public_programs)
        if mirrored is not None:
            compared = source == "offsets" and public is not None and public.readable
            mirror = families.mirror(mirrored, source, compared=compared)
        else:
            mirror = families.mirror_by_jmx(waiting)
        ok = any(cluster.readable for cluster in clusters)
        offsets = families.log_offsets(clusters)
        seen = words.words(self._config, clusters, mirrored, waiting, self._clock())
        seen += "" if ok else words.reasons(errors)
        return Reading([*counts, offsets, *content, *mirror], [readable], errors=dict(errors), ok=ok, seen=seen)

    def _topics(self, cluster: Cluster, errors: Counter[str]) -> bool:
        cluster.readable = False
        if not cluster.answers():
            cluster.reader.close()
            errors["ClusterDoesNotAnswer"] += 1
            return False
        try:
            cluster.read_topics(self._config.stream.topic_regex)
        except _FAILURES as error:
            errors[type(error).__name__] += 1
            return False
        return True

    def _offsets(self, cluster: Cluster, errors: Counter[str]) -> None:
        try:
            errors.update(cluster.read_offsets(self._arrivals, self._clock()))
        except _FAILURES as error:
            errors[type(error).__name__] += 1

    def _mirror_offsets(self, public: Cluster, errors: Counter[str]) -> None:
        try:
            self._mirror.update(public.others)
        except _FAILURES as error:
            errors[f"Mirror{type(error).__name__}"] += 1

    def _to_follow(self, public: Cluster) -> dict[PartitionKey, Follow]:
        """Return what the tail follows: a topic that appears while we look from its beginning, any other from its end."""
        newest = sorted(public.topics.values(), key=lambda t: (t.night, t.program), reverse=True)[:_TOPICS_FOLLOWED]
        wanted: dict[PartitionKey, Follow] = {}
        for topic in newest:
            new = self._ids is not None and topic.topic_id not in self._ids
            for number in topic.partitions:
                key, end = (topic.topic_id, topic.name, number), public.ends.get((topic.name, number))
                if key in self._followed:
                    begin = self._followed[key].begin
                    wanted[key] = Follow(topic.program, begin, begin if end is None else end)
                elif new or end is not None:
                    wanted[key] = Follow(topic.program, 0 if new or end is None else end, end or 0)
        self._ids = (self._ids or set()) | {topic.topic_id for topic in public.topics.values()}
        self._followed = wanted
        return wanted

    def _deliveries(self, public: Cluster, errors: Counter[str]) -> None:
        """Observe the delays of what communities committed since the last collection."""
        if not self._commits.wanted:
            return
        try:
            groups = public.reader.groups()
            mine = [group for name, group in groups.values.items() if self._commits.owner(name)]
            committed = public.reader.committed(mine)
        except _FAILURES as error:
            errors[type(error).__name__] += 1
            return
        errors.update(groups.errors)
        errors.update(committed.errors)
        now, content = self._clock(), self._content
        advances = list(self._commits.update(committed.values, public.topics, public.starts))
        with content.lock:
            content.keep_only({topic.topic_id for topic in public.topics.values()})
            if any(part[0] in public.topics for offsets in committed.values.values() for part in offsets):
                content.delivery_known = True
            for advance in advances:
                program = advance.topic.program
                for seconds, alerts in delays(advance, public.appends.appended_at, now):
                    content.latency.observe("delivery", program, seconds, alerts)
                place = (advance.topic.topic_id, *advance.part)
                content.delivered(place, program, (advance.first, advance.end), now)

    def _restricted(self) -> dict[int, int]:
        """Return the alerts of restricted programs at ZADS: in topics of their own, and hidden in those of others."""
        return {
            program: self._arrivals.total.get(("public", program), 0) + self._content.restricted[program]
            for program in self._config.stream.restricted_programs
        }

    def _mirrored(self, upstream: Cluster, public: Cluster, errors: Counter[str]) -> list[families.Mirrored] | None:
        """Compare both ends with MirrorMaker's own offsets, for the programs that the public may see.

        None while those offsets cannot be read.
        """
        if not self._mirror.readable:
            return None
        wanted = self._public_topics(upstream)
        ends = {topic.name: self._ends(topic, upstream, public) for topic in wanted}
        here = {t.name: public.topics[t.name].topic_id if t.name in public.topics else "" for t in wanted}
        unclear = {
            (topic.name, number): end.upstream
            for topic in wanted
            for number, end in ends[topic.name].items()
            if self._mirror_books.asks_where_it_began(topic, here[topic.name], number, end)
        }
        began, fresh = self._where_it_began(upstream, public, unclear, errors) if unclear else ({}, True)
        for name, number in unclear:
            end = ends[name][number]
            # A verdict is for good, so it waits for settings that are of now; what waits is counted by what is known.
            noted = end.source is not None and end.source <= end.upstream
            known = None if noted and not fresh else began.get((name, number))
            ends[name][number] = replace(end, began=known)
        rows, now = [], self._clock()
        for topic in wanted:
            state = self._mirror_books.topic(topic, here[topic.name], ends[topic.name])
            rows.append((topic.night, topic.program, state, self._oldest(upstream, state.waiting, now)))
        self._mirror_books.forget({topic.topic_id for topic in upstream.topics.values()})
        self._last.note(wanted, ends, now)
        return rows

    def _public_topics(self, upstream: Cluster) -> list[AlertTopic]:
        return [t for t in upstream.topics.values() if t.program in self._config.stream.public_programs]

    def _held_up(self, upstream: Cluster) -> list[families.Mirrored]:
        """Return what waits at IPAC because ZADS's Kafka is dead: all beyond the mirror's last position."""
        rows, now = [], self._clock()
        for topic in self._public_topics(upstream):
            numbers = [number for number in topic.partitions if (topic.name, number) in upstream.ends]
            starts = {number: upstream.starts.get((topic.name, number), 0) for number in numbers}
            ends = {number: upstream.ends[topic.name, number] for number in numbers}
            state = self._last.waiting(topic, starts, ends)
            rows.append((topic.night, topic.program, state, self._oldest(upstream, state.waiting, now)))
        return rows

    def _ends(self, topic: AlertTopic, upstream: Cluster, public: Cluster) -> dict[int, Ends]:
        return {
            number: Ends(
                upstream.starts.get(part, 0),
                self._mirror.next_offsets.get(part),
                public.ends.get(part) if public.readable else None,
                upstream.ends[part],
            )
            for number, part in ((number, (topic.name, number)) for number in topic.partitions)
            if part in upstream.ends
        }

    def _where_it_began(
        self, upstream: Cluster, public: Cluster, unclear: dict[TopicPartition, int], errors: Counter[str]
    ) -> tuple[dict[TopicPartition, int], bool]:
        """Return IPAC's first offset of the mirror's time, and whether that is of now.

        All counts while MirrorMaker's settings cannot be read; where they must not be read, that stays so.
        """
        fresh = False
        try:
            fresh = self._start.update(public.others)
        except _FAILURES as error:
            reason = type(error).__name__
            errors[f"MirrorStart{reason}"] += 1
            fresh = "Authorization" in reason
        found, failed = self._start.offsets(upstream.reader, upstream.topics, unclear)
        errors.update(failed)
        return found, fresh

    def _from_jmx(self, errors: Counter[str]) -> list[tuple[str, int, int]] | None:
        """Return (night, program, alerts that wait) as MirrorMaker itself says; None when it does not."""
        if self._config.mirror.jmx is None:
            return None
        pattern = self._config.stream.topic_regex
        try:
            found = jmx.lag(self._jmx(self._config.mirror.jmx), pattern)
        except OSError as error:
            errors[f"Jmx{type(error).__name__}"] += 1
            return None
        rows = [(pattern.fullmatch(topic), alerts) for topic, alerts in (found or {}).items()]
        return [(match["night"], int(match["program"]), alerts) for match, alerts in rows if match] or None

    @staticmethod
    def _oldest(upstream: Cluster, waiting: tuple[tuple[TopicPartition, int], ...], now: float) -> float | None:
        """Return the age of the oldest alert that waits; None while none of the ages is known, which is not 0."""
        if not waiting:
            return 0.0
        ages = (upstream.appends.age(part, offset, now) for part, offset in waiting)
        return max((age for age in ages if age is not None), default=None)

    def _save(self) -> None:
        with self._content.lock:
            restricted = {str(k): v for k, v in self._content.restricted.items()}
        books = {"arrivals": self._arrivals.state(), "mirror": self._mirror_books.state(), "last": self._last.state()}
        self._file.save({**books, "restricted": restricted})


def _books(state: Any) -> tuple[Arrivals, MirrorBooks, LastPositions, dict[int, int]]:
    """Return the books as they were saved, the last of them the restricted alerts by program; new ones of {}."""
    arrivals, mirror = Arrivals(state["arrivals"] if state else None), MirrorBooks(state.get("mirror"))
    restricted = {int(k): int(v) for k, v in state.get("restricted", {}).items()}
    return arrivals, mirror, LastPositions(state.get("last")), restricted


def build(config: Config) -> AlertArrivalCollector:
    """Return the collector for the config."""
    clusters = [
        Cluster(name, ClusterReader(cluster, client_id="zads-alert-arrival"), cluster.bootstrap, probe=kafka.prober(cluster))
        for name, cluster in config.kafka.items()
    ]
    content = Content(config.stream.restricted_programs)
    public = next(cluster for cluster in clusters if cluster.name == "public")
    tail = Tail(config, content, public.appends.appended_at)
    file = config.exporters.state_dir / "alert-arrival.json"
    return AlertArrivalCollector(config, clusters, content, tail, MirrorOffsets(config), file)
