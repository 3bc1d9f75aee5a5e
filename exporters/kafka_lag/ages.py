"""How old is a message? Histories of log ends, rebuilt from Kafka where they begin, until that succeeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from exporters.kafka_lag.lag import TopicPartition
from zads.kafka import Answer
from zads.offset_history import AGES_SECONDS, OffsetHistory, points

_HALVINGS, _MOST_OFFSETS = 8, 8
Ask = Callable[[Mapping[TopicPartition, int]], Answer[tuple[int, int]]]


class Ages:
    """The histories of all partitions; `ask` is ClusterReader.list_offsets."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self._histories: dict[TopicPartition, OffsetHistory] = {}
        self._waiting: set[TopicPartition] = set()
        self.rebuilt: list[TopicPartition] = []
        self.errors: dict[str, int] = {}

    def forget(self, topics: Iterable[str]) -> None:
        """Forget topics that are gone or were made anew."""
        gone = set(topics)
        for part in [p for p in self._histories if p[0] in gone]:
            del self._histories[part]
            self._waiting.discard(part)

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
        wanted = [part for part in self._waiting if part in ends]
        rebuilt = self._rebuild(wanted, ends, now) if wanted else set()
        for part, end in ends.items():
            self._histories[part].add(now, end)
        return rebuilt

    def since(self, part: TopicPartition, offset: int) -> float | None:
        """Return when the message at `offset`, which is written, came; None when it cannot be known yet."""
        history = self._histories.get(part)
        return None if history is None or part in self._waiting else history.since(offset)

    def age(self, part: TopicPartition, offset: int, now: float) -> float | None:
        """Return the age in seconds of the message at `offset`, None when it cannot be known yet."""
        history = self._histories.get(part)
        return None if history is None or part in self._waiting else history.age(offset, now)

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
        self.rebuilt = wanted
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


def _some(offsets: list[int]) -> list[int]:
    """Return at most eight of the offsets, the first and the last among them."""
    if len(offsets) <= _MOST_OFFSETS:
        return offsets
    step = (len(offsets) - 1) / (_MOST_OFFSETS - 1)
    return [offsets[round(index * step)] for index in range(_MOST_OFFSETS)]
