"""The lag of every group on every topic, measured anew only where something changed.

A night's topic is busy, the others are quiet: of a topic whose ends and commits are what they were, the rows
and their text stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isnan
from operator import lt

from exporters.kafka_lag.aligned import GROUP, Aligned, Since, TopicAges, mark
from exporters.kafka_lag.lag import Edges
from exporters.kafka_lag.memory import ByTopic
from zads.kafka import Topic, TopicOffsets
from zads.snapshot import Part, WideFamily

_UNKNOWN = float("nan")


class Row:
    """One group on one topic.

    `measured` is on how many partitions its lag is known, and be it from a while ago; on `unknown` ones it could not
    be read just now. `oldest` is when the oldest unread message came: None caught up, nan not known.
    """

    __slots__ = (
        "behind",
        "beyond",
        "biggest",
        "committed",
        "lag",
        "lost",
        "measured",
        "missing",
        "moved_at",
        "offsets",
        "oldest",
        "rewinds",
        "unknown",
        "used",
    )

    def __init__(self, offsets: TopicOffsets, moved_at: float) -> None:
        self.offsets, self.moved_at, self.rewinds = offsets, moved_at, 0
        self.lag = self.biggest = self.committed = self.lost = self.beyond = self.missing = self.unknown = self.measured = 0
        self.used = 0.0
        self.oldest: float | None = None
        self.behind: list[tuple[int, float]] = []

    def seconds(self, now: float) -> float | None:
        """Return the age of the oldest unread message, 0 when there is none, None when it is not known."""
        if self.oldest is None:
            return 0.0
        return None if isnan(self.oldest) else max(0.0, now - self.oldest)

    def commit(self, offsets: TopicOffsets, now: float) -> None:
        """Take new offsets; note whether they moved, and how often one went back."""
        (numbers, before), (here, after) = self.offsets.columns(), offsets.columns()
        if numbers == here:
            if before != after:
                self.moved_at = now
                self.rewinds += sum(map(lt, after, before))
        else:
            known = dict(zip(numbers, before, strict=True))
            found = dict(zip(here, after, strict=True))
            if known != found:
                self.moved_at = now
                self.rewinds += sum(offset < known.get(number, 0) for number, offset in found.items())
        self.offsets = offsets


@dataclass
class TopicRows:
    """A topic's rows by group, and the text that was made of them."""

    topic_id: str
    edges: Edges = field(default_factory=Edges)
    partitions: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()  # groups that have a series per partition
    lag: Part | None = None
    offset: Part | None = None
    sums: list[Part] = field(default_factory=list)


class LagTable:
    """All rows; `since` says when the message at an offset of a partition came, None when that is not known."""

    def __init__(self, since: Since, *, each_partition_seconds: bool = False) -> None:
        self._since, self._each, self._all_again = since, each_partition_seconds, False
        self._lag = WideFamily("kafka_consumergroup_lag")
        self._offset = WideFamily("kafka_consumergroup_current_offset")
        self.topics: dict[str, TopicRows] = {}

    def take(self, *, each_partition_seconds: bool) -> None:
        """Go on with another option: all is measured anew, and what is remembered of rows is kept."""
        self._each, self._all_again = each_partition_seconds, True

    def update(
        self,
        groups: Mapping[str, ByTopic],
        topics: Mapping[str, Topic],
        edges: Mapping[str, Edges],
        whole: frozenset[str],
        aged: Iterable[str],
        now: float,
    ) -> list[TopicRows]:
        """Take one collection's findings; return the topics that were measured anew.

        `whole` are the groups that get a series per partition; `aged` are topics whose messages' ages became known.
        """
        found: dict[str, dict[str, TopicOffsets]] = {name: {} for name in topics}
        for group, by_topic in groups.items():
            for on, offsets in by_topic.items():
                if on in found:
                    found[on][group] = offsets
        self.topics = {name: rows for name, rows in self.topics.items() if name in topics}
        again, changed = set(topics) if self._all_again else set(aged), []
        self._all_again = False
        for name, topic in topics.items():
            table = self.topics.get(name)
            if table is None or table.topic_id != topic.topic_id:
                table = self.topics[name] = TopicRows(topic.topic_id)
                again.add(name)
            mine, here = found[name], edges.get(name, table.edges)
            if (
                name in again
                or table.edges is not here
                or table.partitions != len(topic.leaders)
                or table.rows.keys() != mine.keys()
                or any(table.rows[group].offsets is not offsets for group, offsets in mine.items())
                or table.whole != whole & mine.keys()
            ):
                table.edges, table.partitions, table.whole = here, len(topic.leaders), whole & mine.keys()
                self._measure(name, topic, table, mine, now)
                changed.append(table)
        return changed

    def _measure(self, name: str, topic: Topic, table: TopicRows, found: Mapping[str, TopicOffsets], now: float) -> None:
        rows: dict[str, Row] = {}
        lags: list[str] = []
        offsets: list[str] = []
        ages = TopicAges(self._since, name)
        aligned: dict[tuple[int, ...], Aligned | None] = {}  # most groups have committed on the same partitions
        for group, committed in found.items():
            row = table.rows.get(group)
            if row is None:
                row = Row(committed, now)
            elif row.offsets is not committed:
                row.commit(committed, now)
            rows[group] = row
            numbers, values = committed.columns()
            if numbers not in aligned:
                aligned[numbers] = self._align(name, topic, table.edges, numbers)
            here = aligned[numbers]
            shown = here.plain(row, values, ages, each=self._each) if here is not None else None
            if here is not None and shown is not None:
                if group in table.whole:
                    name_of = mark(group)
                    lags.append(here.lag_text.replace(GROUP, name_of) % shown)
                    offsets.append(here.offset_text.replace(GROUP, name_of) % values)
                continue
            lines = lags if group in table.whole else None
            self._row(topic, row, table.edges, ages, self._lag.prefix(group, name), lines)
            if lines is not None:
                before = self._offset.prefix(group, name)
                offsets += [f'{before}{number}"}} {offset}\n' for number, offset in committed.items()]
        table.rows = rows
        table.lag, table.offset = Part("".join(lags).encode()), Part("".join(offsets).encode())

    def _align(self, name: str, topic: Topic, edges: Edges, numbers: tuple[int, ...]) -> Aligned | None:
        """Return the edges in the order of the partitions that a group has committed on, None when some are not known."""
        if not numbers or not edges.stale.isdisjoint(numbers) or any(number not in edges.end for number in numbers):
            return None
        texts = []
        for family in (self._lag, self._offset):
            before = family.prefix(GROUP, name).replace("%", "%%")
            texts.append("".join(f'{before}{number}"}} %d\n' for number in numbers))
        return Aligned(topic, edges, numbers, *texts)

    def _row(
        self,
        topic: Topic,
        row: Row,
        edges: Edges,
        ages: TopicAges,
        before: str,
        lines: list[str] | None,
    ) -> None:
        """Measure one row, and add a line of text for each partition whose end was just read.

        See lag.partition_lag for the arithmetic. Aligned.plain() does the same for rows with nothing special.
        """
        starts, ends, stale, leaders = edges.start.get, edges.end.get, edges.stale, topic.leaders
        total = biggest = committed_sum = lost = beyond = commits = measured = shown = 0
        used, unsure = 0.0, False
        oldest: float | None = None
        behind: list[tuple[int, float]] = []
        for number, committed in row.offsets.items():
            committed_sum += committed
            if number in leaders:
                commits += 1
            end = ends(number)
            if end is None:
                continue
            measured += 1
            start = starts(number, 0)
            lag = end - (committed if committed > start else start)
            if lag > 0:
                total += lag
                biggest = max(biggest, lag)
                if lag > used * (end - start):
                    used = lag / (end - start)
                at = ages.since(number, end - lag)
                if at is None:
                    unsure = True
                else:
                    if oldest is None or at < oldest:
                        oldest = at
                    if self._each:
                        behind.append((number, at))
            else:
                lag = 0
                if committed > end:
                    beyond += 1
            if committed < start:
                lost += max(0, min(start, end) - committed)
            if number not in stale:
                shown += 1
                if lines is not None:
                    lines.append(f'{before}{number}"}} {lag}\n')
        row.lag, row.biggest, row.committed, row.lost, row.beyond = total, biggest, committed_sum, lost, beyond
        row.missing, row.unknown, row.measured = len(leaders) - commits, commits - shown, measured
        row.used, row.oldest, row.behind = used, _UNKNOWN if unsure else oldest, behind
