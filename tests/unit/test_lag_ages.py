"""Ages of old messages as readers come to them: what the grid of a rebuild knows only roughly is asked for."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Mapping

import pytest

from exporters.kafka_lag.ages import Ages
from zads.kafka import Answer

NOW = 1_000_000.0
PART = ("ztf", 0)
DAY = 86_400.0


class Log:
    """A partition's log by its messages' times, which answers ListOffsets by time and counts the questions."""

    def __init__(self, times: list[float]) -> None:
        self.times, self.asked = sorted(times), 0

    @property
    def ends(self) -> dict[tuple[str, int], int]:
        return {PART: len(self.times)}

    def ask(self, wanted: Mapping[tuple[str, int], int]) -> Answer[tuple[int, int]]:
        answer: Answer[tuple[int, int]] = Answer()
        for part, moment in wanted.items():
            self.asked += 1
            offset = bisect_left(self.times, moment / 1000)
            young = offset < len(self.times)
            answer.values[part] = (offset, int(self.times[offset] * 1000)) if young else (-1, -1)
        return answer


def _day() -> Log:
    """A day's messages: half at any time, half in a minute of each hour."""
    dice = random.Random(7)
    ago = [dice.uniform(0, DAY) for _ in range(1500)]
    ago += [hour * 3600 + dice.uniform(0, 60) for hour in range(1, 24) for _ in range(65)]
    return Log([NOW - seconds for seconds in ago])


def test_a_reader_that_catches_up_with_a_day_is_right_all_the_way() -> None:
    """Every five seconds it is elsewhere, where only the grid was known: within 5 s or 5 % each time, as published."""
    log, moment, offset = _day(), NOW, 700
    ages = Ages(log.ask)
    while offset < len(log.times):
        ages.update(log.ends, moment)
        ages.since(PART, offset)  # as the table asks at first
        ages.settle(log.ends, moment)
        said, true = ages.age(PART, offset, moment), moment - log.times[offset]
        assert said == pytest.approx(true, rel=0.05, abs=5), f"offset {offset}"
        offset, moment = offset + 23, moment + 5


def test_settling_says_which_topics_are_known_better_and_asks_no_more_when_nothing_is_rough() -> None:
    """The rows of those topics have to be measured anew; a reader that stands still costs nothing from then on."""
    log = _day()
    ages = Ages(log.ask)
    ages.update(log.ends, NOW)
    ages.since(PART, 1000)
    assert ages.settle(log.ends, NOW) == {"ztf"}
    asked = log.asked
    for later in (5.0, 10.0):
        ages.update(log.ends, NOW + later)
        ages.since(PART, 1000)
        assert ages.settle(log.ends, NOW + later) == set()
    assert log.asked == asked


def test_what_came_since_the_rebuild_is_never_asked_for() -> None:
    """Collections date it, whatever their interval is."""
    log = _day()
    ages = Ages(log.ask)
    ages.update(log.ends, NOW)
    asked, first = log.asked, len(log.times)
    log.times += [NOW + 1 + number for number in range(50)]
    ages.update(log.ends, NOW + 60)
    ages.since(PART, first + 20)
    assert ages.settle(log.ends, NOW + 60) == set()
    assert log.asked == asked


def test_a_thousand_rough_positions_are_settled_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each collection looks at some of them and asks a bounded number of questions; in the end each had its turn."""
    monkeypatch.setattr("exporters.kafka_lag.ages._CHECKED_MOST", 50)
    log = _day()
    ages = Ages(log.ask)
    positions = range(0, len(log.times), 3)
    quiet = 0
    for _ in range(1000):
        ages.update(log.ends, NOW)
        for offset in positions:
            ages.since(PART, offset)
        asked = log.asked
        quiet = 0 if ages.settle(log.ends, NOW) else quiet + 1
        assert log.asked - asked <= 64
        if quiet > len(positions) / 50 + 1:
            break
    assert quiet > len(positions) / 50 + 1
    for offset in positions:
        true = NOW - log.times[offset]
        assert ages.age(PART, offset, NOW) == pytest.approx(true, rel=0.05, abs=5)


def test_a_topic_made_anew_leaves_no_question_behind() -> None:
    """What was doubted of the former topic, and how far its history was rebuilt, says nothing about the new one."""
    log = _day()
    ages = Ages(log.ask)
    ages.update(log.ends, NOW)
    ages.since(PART, 10)
    ages.forget(["ztf"])
    ages.begin([PART], NOW)
    asked = log.asked
    for minute in range(1, 4):
        ages.update({PART: 20 * minute}, NOW + 60 * minute)
    assert ages.settle({PART: 60}, NOW + 180) == set()
    ages.since(PART, 30)
    assert ages.settle({PART: 60}, NOW + 180) == set()
    assert log.asked == asked
