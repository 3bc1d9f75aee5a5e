"""How old is a message? Histories of log ends, rebuilt from Kafka where they begin, until that succeeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from exporters.kafka_lag.lag import TopicPartition
from zads.kafka import Answer
from zads.offset_history import AGES_SECONDS, OffsetHistory, points

_HALVINGS, _MOST_OFFSETS = 8, 8
# Known less well than this, an age is asked for again: the history itself thins to 4 %, and 5 % are promised.
_DOUBTED_SECONDS, _DOUBTED_SHARE = 2.0, 0.045
# Positions looked at and settled in a collection, so that a hundred thousand cost no seconds: the others' turn comes.
_CHECKED_MOST, _SETTLED_MOST, _KEPT_MOST = 4_000, 256, 2_000
Ask = Callable[[Mapping[TopicPartition, int]], Answer[tuple[int, int]]]


class Ages:
    """The histories of all partitions; `ask` is ClusterReader.list_offsets."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self._histories: dict[TopicPartition, OffsetHistory] = {}
        self._waiting: set[TopicPartition] = set()
        # Until where a log's history was rebuilt: there it is known roughly, beyond it from collection to collection.
        self._rough: dict[TopicPartition, int] = {}
        self._doubts: dict[TopicPartition, set[int]] = defaultdict(set)
        self._now = 0.0
        self._turn = self._asked_for = 0
        self.rebuilt: list[TopicPartition] = []
        self.errors: dict[str, int] = {}

    def forget(self, topics: Iterable[str]) -> None:
        """Forget topics that are gone or were made anew."""
        gone = set(topics)
        for part in [p for p in self._histories if p[0] in gone]:
            del self._histories[part]
            self._waiting.discard(part)
            self._rough.pop(part, None)
            self._doubts.pop(part, None)

    def begin(self, parts: Iterable[TopicPartition], looked: float) -> None:
        """Note partitions that did not exist at the time `looked`: all that they hold came since."""
        for part in parts:
            history = self._histories[part] = OffsetHistory()
            history.add(looked, 0)

    def update(self, ends: Mapping[TopicPartition, int], now: float) -> set[str]:
        """Add log ends that were read just now; histories that begin are rebuilt first, again until it succeeds.

        Return the topics of which messages' ages became known by that; `rebuilt` are their partitions.
        """
        for part, end in ends.items():
            if part not in self._histories:
                self._histories[part] = OffsetHistory()
                if end > 0:
                    self._waiting.add(part)
        self.errors, self.rebuilt = {}, []
        self._now, self._asked_for = now, 0
        wanted = [part for part in self._waiting if part in ends]
        rebuilt = self._rebuild(wanted, ends, now) if wanted else set()
        for part, end in ends.items():
            self._histories[part].add(now, end)
        return rebuilt

    def since(self, part: TopicPartition, offset: int) -> float | None:
        """Return when the message at `offset`, which is written, came; None when it cannot be known yet."""
        history = self._histories.get(part)
        if history is None or part in self._waiting:
            return None
        if offset < self._rough.get(part, 0):
            self._asked_for += 1
            if 0 < self._asked_for - self._turn <= _CHECKED_MOST and _is_rough(history, offset, self._now):
                self._doubts[part].add(offset)
        return history.since(offset)

    def age(self, part: TopicPartition, offset: int, now: float) -> float | None:
        """Return the age in seconds of the message at `offset`, None when it cannot be known yet."""
        since = self.since(part, offset)
        if since is not None:
            return max(0.0, now - since)
        history = self._histories.get(part)
        return None if history is None or part in self._waiting else 0.0

    def _rebuild(self, wanted: list[TopicPartition], ends: Mapping[TopicPartition, int], now: float) -> set[str]:
        found: dict[TopicPartition, list[tuple[float, int]]] = defaultdict(list)
        for age in AGES_SECONDS:
            answer = self._list(dict.fromkeys(wanted, now - age))
            # What fails once is not asked again now, so that a leader that hangs costs one timeout and not twenty.
            wanted = [part for part in wanted if part in answer.values]
            if not wanted:
                break
            for part in wanted:
                offset, timestamp = answer.values[part]
                found[part] += points(now - age, offset, timestamp, ends[part], now)
        for part in wanted:
            self._histories[part].rebuild(found[part])
            self._waiting.discard(part)
            self._rough[part] = ends[part]
        self.rebuilt = wanted
        return {topic for topic, _ in wanted}

    def settle(self, ends: Mapping[TopicPartition, int], now: float) -> set[str]:
        """Narrow down what since() has said roughly since the last call; return the topics of which it knows better now.

        A reader that catches up with what is older than this process comes, collection after collection, to messages
        whose age only the grid of the rebuild knows.
        """
        self._turn = self._turn + _CHECKED_MOST if self._asked_for > self._turn + _CHECKED_MOST else 0
        self._asked_for = 0
        doubts, self._doubts = self._doubts, defaultdict(set)
        wanted: dict[TopicPartition, list[int]] = {}
        chosen = left = 0
        for part, offsets in doubts.items():
            history = self._histories.get(part) if part in ends else None
            rough = sorted(offset for offset in offsets if _is_rough(history, offset, now)) if history else []
            if rough and chosen < _SETTLED_MOST:
                wanted[part] = _some(rough)
                chosen += len(wanted[part])
                rough = sorted(set(rough).difference(wanted[part]))
            if rough and left < _KEPT_MOST:
                self._doubts[part].update(rough)  # their turn comes
                left += len(rough)
        if wanted:
            self.refine(wanted, ends, now)
        return {topic for topic, _ in wanted}

    def refine(self, wanted: Mapping[TopicPartition, Iterable[int]], ends: Mapping[TopicPartition, int], now: float) -> None:
        """Narrow down when the messages at these offsets of rebuilt partitions came, to a second or 3 % of their age.

        The grid of ages knows it within a factor of two only; each further question halves that. Of the offsets
        on a partition at most eight are looked for, evenly chosen: others lie between them.
        """
        left = [(part, offset) for part, offsets in wanted.items() for offset in _some(sorted(set(offsets)))]
        for _ in range(_HALVINGS):
            # A request holds one time per partition: as many requests as there are offsets on one of them.
            turns: list[dict[TopicPartition, float]] = []
            for part, offset in left:
                bracket = self._histories[part].bracket(offset) if part in self._histories else None
                if bracket is None or bracket[1] - bracket[0] <= max(1.0, 0.03 * (now - bracket[1])):
                    continue
                turn = next((turn for turn in turns if part not in turn), None)
                if turn is None:
                    turns.append(turn := {})
                turn[part] = (bracket[0] + bracket[1]) / 2
            if not turns:
                return
            for turn in turns:
                for part, (offset, timestamp) in self._list(turn).values.items():
                    for time, end in points(turn[part], offset, timestamp, ends[part], now):
                        self._histories[part].learn(time, end)

    def _list(self, wanted: Mapping[TopicPartition, float]) -> Answer[tuple[int, int]]:
        answer = self.ask({part: int(time * 1000) for part, time in wanted.items()})
        for reason, count in answer.errors.items():
            self.errors[reason] = self.errors.get(reason, 0) + count
        return answer


def _is_rough(history: OffsetHistory, offset: int, now: float) -> bool:
    """Say whether the age of the message at `offset` is known less well than is promised."""
    bracket = history.bracket(offset)
    return bracket is not None and bracket[1] - bracket[0] > max(_DOUBTED_SECONDS, _DOUBTED_SHARE * (now - bracket[1]))


def _some(offsets: list[int]) -> list[int]:
    """Return at most eight of the offsets, the first and the last among them."""
    if len(offsets) <= _MOST_OFFSETS:
        return offsets
    step = (len(offsets) - 1) / (_MOST_OFFSETS - 1)
    return [offsets[round(index * step)] for index in range(_MOST_OFFSETS)]
