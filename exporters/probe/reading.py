"""Read the wanted topics until the time is over, following topics that appear and leaders that move."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable

from exporters.probe import faults
from exporters.probe.connecting import Connection
from exporters.probe.faults import ProbeError
from exporters.probe.figures import Figures
from exporters.probe.group import GroupFetcher
from exporters.probe.options import Since, Wanted
from zads import kafka
from zads.kafka import Metadata, TopicPartition
from zads.kafka.fetch import Fetched, Fetcher

_LOOK_SECONDS = 5.0
_LOOK_SOON_SECONDS = 1.0
_ANSWER_SECONDS = 3.0  # a leader answers at least every half second


class Reading:
    """One probe's reading; `figures` holds what came, `problems` what could not be read of it."""

    def __init__(
        self,
        connection: Connection,
        wanted: Wanted,
        since: Since,
        stream: re.Pattern[str],
        group: GroupFetcher | None = None,
    ) -> None:
        self._connection, self._wanted, self._since, self._stream = connection, wanted, since, stream
        self.group = group
        self._source: Fetcher | GroupFetcher = group or connection.fetcher
        self._given: set[TopicPartition] = set()  # that the group gave us
        self.figures = Figures(time.time())
        self.topics: tuple[str, ...] = ()
        self.leaders: dict[TopicPartition, int] = {}
        self.seconds = 0.0
        self._first: set[str] | None = None
        self._found_at: dict[TopicPartition, float] = {}

    def run(
        self,
        seconds: float,
        alerts: int | None,
        stop: threading.Event,
        tick: Callable[[Reading, int], None] = lambda _reading, _second: None,
    ) -> None:
        """Read for so many seconds, or until so many alerts came, or until `stop`; `tick` is called once a second.

        Raises ProbeError when the topics must not be read.
        """
        begin = time.monotonic()
        next_look, said = begin, int(time.time())
        try:
            self._look(self._connection.metadata)
            next_look += _LOOK_SECONDS
            while not stop.is_set() and (now := time.monotonic()) - begin < seconds:
                if now >= next_look:
                    next_look = now + _LOOK_SECONDS
                    self._look_again()
                left = max(0.0, begin + seconds - now)
                row = self._source.take(min(0.2, left))
                if row is not None:
                    self._join(row)
                    most = None if alerts is None else alerts - self.figures.alerts
                    self.figures.take(row, most)
                    if row.error:
                        self._failed(row)
                        next_look = min(next_look, now + _LOOK_SOON_SECONDS)
                    if alerts is not None and self.figures.alerts >= alerts:
                        break
                for second in range(said, int(time.time())):
                    tick(self, second)
                said = max(said, int(time.time()))
        finally:
            self.seconds = time.monotonic() - begin
        self._last_ends()

    def _look_again(self) -> None:
        try:
            self._look(self._connection.refresh())
        except ProbeError:
            self.figures.failures["Metadata"] += 1  # what is followed goes on; the next look may be better

    def _look(self, metadata: Metadata) -> None:
        """Follow the wanted topics as they are now: those of the first look from where it was asked, later ones whole."""
        topics = {name: topic for name, topic in metadata.topics.items() if self._wanted.matches(name)}
        if self._first is None:
            self._first = set(topics)
        self.topics = tuple(sorted(topics))
        leaders = {(name, number): leader for name, topic in topics.items() for number, leader in topic.leaders.items()}
        new = [part for part in leaders if part not in self.figures.partitions]
        begin = self._begin(new)
        self.leaders = {part: leader for part, leader in leaders.items() if part in self.figures.partitions}
        self._source.follow(self.leaders, begin)

    def _begin(self, new: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where to begin on partitions that were found; one that does not tell waits for the next look."""
        reader = self._connection.reader
        if not new:
            return {}
        ends = reader.list_offsets(dict.fromkeys(new, kafka.LATEST)).values
        starts = reader.list_offsets(dict.fromkeys(ends, kafka.EARLIEST)).values
        first = self._first or set()
        since: dict[TopicPartition, int] = {}
        if self._since.edge == "ago":
            at = int((time.time() - self._since.seconds) * 1000)
            found = reader.list_offsets({part: at for part in ends if part[0] in first}).values
            since = {part: offset if offset >= 0 else ends[part][0] for part, (offset, _) in found.items()}
        begin: dict[TopicPartition, int] = {}
        for part, (end, _) in ends.items():
            if part not in starts:
                continue
            old = part[0] in first
            begin[part] = starts[part][0]
            if old and self._since.edge != "earliest":
                begin[part] = end if self._since.edge == "latest" else since.get(part, end)
            # What is in a topic that appeared while we looked came while we looked.
            self._found_at[part] = time.monotonic()
            self.figures.find(part, begin[part], end if old else begin[part])
        return begin

    def _join(self, row: Fetched) -> None:
        """Begin on a partition where the group does: it may come back from another member, and be elsewhere."""
        place = None if row.part is None else self.figures.partitions.get(row.part)
        if self.group is None or row.part is None or place is None or row.error:
            return
        if row.part not in self._given or place.next != row.begin:
            self._given.add(row.part)
            self.figures.begin_at(row.part, row.begin)

    def _failed(self, row: Fetched) -> None:
        """Go on from the log's start where what was wanted is deleted; give up where nothing may be read."""
        if self.group is not None and "GroupAuthorization" in row.error:
            raise faults.of_group(row.error, self.group.name)
        if row.part is not None and row.error == "OffsetOutOfRange":
            starts = self._connection.reader.list_offsets({row.part: kafka.EARLIEST}).values
            if row.part in starts and row.part in self.figures.partitions:
                self.figures.jump(row.part, starts[row.part][0])
                self._source.seek(row.part, starts[row.part][0])
        if row.part is None:
            for part in [part for part, leader in self.leaders.items() if leader == row.broker]:
                self.figures.partitions[part].error = row.error
        places = self.figures.partitions.values()
        if places and all("TopicAuthorization" in place.error for place in places):
            raise self._unreadable()[0]

    def _last_ends(self) -> None:
        """Read once more where the logs end, so that the probe's own lag is of now."""
        mine = self._given if self.group is not None else self.figures.partitions
        found = self._connection.reader.list_offsets(dict.fromkeys(mine, kafka.LATEST)).values
        for part, (end, _) in found.items():
            self.figures.partitions[part].end = end

    def problems(self) -> list[ProbeError]:
        """Return what could not be read, and why: no topic, partitions without an answer, leaders out of reach."""
        if not self.topics:
            return [self._no_topic()]
        if self.group is not None and not self._given:
            errors = sorted(reason for reason in self.figures.failures if reason != "Metadata")
            return [faults.of_group(", ".join(errors) or "it gave us no partition in time", self.group.name)]
        return self._unreadable()

    def _unreadable(self) -> list[ProbeError]:
        silent: dict[str, list[TopicPartition]] = {}
        for part, place in self.figures.partitions.items():
            if self.group is not None and part not in self._given:
                continue  # another member's
            waited = time.monotonic() - self._found_at[part]
            if place.error or (not place.seen and waited > _ANSWER_SECONDS):
                silent.setdefault(part[0], []).append(part)
        for name in self.topics:
            known = [number for (topic, number) in self.figures.partitions if topic == name]
            for number in self._connection.metadata.topics[name].leaders if name in self._connection.metadata.topics else ():
                if number not in known:
                    silent.setdefault(name, []).append((name, number))
        found: list[ProbeError] = []
        for name, parts in silent.items():
            away = {self._connection.try_leader(self.leaders[p]) for p in parts if self.leaders.get(p, -1) >= 0} - {""}
            if away:
                found += [ProbeError("leader", words) for words in sorted(away)]
                continue
            errors = Counter(self._why(part) for part in parts)
            found.append(faults.of_partitions(name, errors, len(parts), self._connection.cluster))
        return found

    def _why(self, part: TopicPartition) -> str:
        if part not in self.figures.partitions:
            leader = self._connection.metadata.topics[part[0]].leaders.get(part[1], -1)
            return "no leader" if leader < 0 else "its log's end is not told"
        return self.figures.partitions[part].error or "no answer in time"

    def _no_topic(self) -> ProbeError:
        names, name = set(self._connection.metadata.topics), self._wanted.name
        if name is not None:
            try:
                error = self._connection.fetcher.topic_error(name)
            except (kafka.KafkaFailure, OSError):
                error = ""
            if "Authorization" in error:
                return faults.of_partitions(name, {error: 1}, 0, self._connection.cluster)
        stream = [found for name in names if (found := self._stream.fullmatch(name))]
        newest = max(stream, key=lambda found: found["night"], default=None)
        others = {name for name in names if not name.startswith("__")}
        return faults.of_topics(self._wanted.words, others, newest.string if newest else None)
