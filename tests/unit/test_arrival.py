"""Counts from offsets: arrivals, bytes, nights, delays."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.alert_arrival.appends import Appends
from exporters.alert_arrival.counts import AlertTopic, Arrivals, Sizes, night_sums
from exporters.alert_arrival.latency import Latency
from zads.kafka import Answer

NAME = "ztf_20260401_programid1"
PART = (NAME, 0)


def _topics(identity: str = "a", partitions: tuple[int, ...] = (0,)) -> dict[str, AlertTopic]:
    return {NAME: AlertTopic(NAME, identity, "20260401", 1, partitions)}


def test_arrivals_never_go_down_and_survive_a_restart() -> None:
    """Counted over a restart, a recreated topic and a partition without a leader."""
    arrivals = Arrivals()
    arrivals.update("public", _topics(), {PART: 100})
    arrivals.update("public", _topics(), {PART: 150})
    assert arrivals.total["public", 1] == 50
    arrivals.update("public", _topics(), {})  # no leader for a moment
    again = Arrivals(arrivals.state())
    again.update("public", _topics(), {PART: 160})
    assert again.total["public", 1] == 60
    again.update("public", _topics("b"), {PART: 7})  # deleted and made anew
    assert again.total["public", 1] == 67


def test_a_cluster_that_could_not_be_read_at_first_does_not_count_its_history_as_new() -> None:
    """The first look is per cluster: IPAC's 60,000 alerts were there before we could see them."""
    arrivals = Arrivals()
    arrivals.update("public", _topics(), {PART: 10})
    arrivals.update("public", _topics(), {PART: 12})
    arrivals.update("upstream", _topics(), {PART: 60_000})
    arrivals.update("upstream", _topics(), {PART: 60_005})
    assert arrivals.total["upstream", 1] == 5


def test_a_partition_without_a_leader_at_the_first_look_does_not_count_its_history_as_new() -> None:
    """It is remembered, over a restart too; a partition of a topic that came later counts from its beginning."""
    arrivals = Arrivals()
    arrivals.update("public", _topics(partitions=(0, 1)), {PART: 100})
    again = Arrivals(arrivals.state())
    again.update("public", _topics(partitions=(0, 1)), {PART: 100, (NAME, 1): 5000})
    assert again.total["public", 1] == 0
    again.update("public", _topics("b", (0, 1)), {PART: 3})
    again.update("public", _topics("b", (0, 1)), {PART: 3, (NAME, 1): 4})
    assert again.total["public", 1] == 7


def test_an_empty_cluster_has_had_its_first_look() -> None:
    """The first topic of its life counts from its first alert, also after a restart."""
    arrivals = Arrivals()
    arrivals.update("public", {}, {})
    again = Arrivals(arrivals.state())
    again.update("public", _topics(), {PART: 9})
    assert again.total["public", 1] == 9


def test_a_topic_that_is_not_listed_for_a_moment_is_the_same_topic() -> None:
    """A broker that starts lists fewer topics; a topic that is gone for good is forgotten."""
    arrivals = Arrivals()
    arrivals.update("public", _topics(), {PART: 100})
    for _ in range(10):
        arrivals.update("public", {}, {})
    arrivals.update("public", _topics(), {PART: 101})
    assert arrivals.total["public", 1] == 1
    for _ in range(100):
        arrivals.update("public", {}, {})
    assert arrivals.state()["seen"] == {}


def test_roll_over_counts_both_nights() -> None:
    """The old topic's late alerts and the new topic's first ones."""
    late = AlertTopic("ztf_20260402_programid1", "b", "20260402", 1, (0,))
    arrivals = Arrivals()
    arrivals.update("public", _topics(), {PART: 100})
    arrivals.update("public", _topics() | {late.name: late}, {PART: 103, (late.name, 0): 20})
    arrivals.update("public", {late.name: late}, {(late.name, 0): 25})  # retention took the old topic
    assert arrivals.total["public", 1] == 28


@given(st.data())
def test_arrivals_are_what_was_produced_whatever_happens_between(data: st.DataObject) -> None:
    """Any order of alerts, looks at which partitions are silent, exporter restarts, topics made anew: the sum is exact."""
    ends, identity, produced = [5, 7, 0], 0, 0
    arrivals = Arrivals()

    def look(silent: set[int]) -> None:
        seen = {(NAME, p): end for p, end in enumerate(ends) if p not in silent}
        arrivals.update("public", _topics(str(identity), (0, 1, 2)), seen)

    look(set())
    highest = 0
    for event in data.draw(st.lists(st.sampled_from(["alerts", "look", "restart", "anew"]), max_size=30)):
        if event == "alerts":
            part, count = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 1000))
            ends[part] += count
            produced += count
        elif event == "look":
            look(data.draw(st.sets(st.integers(0, 2))))
        elif event == "restart":
            arrivals = Arrivals(json.loads(json.dumps(arrivals.state())))
        else:
            look(set())  # what is deleted unseen was never seen
            ends, identity = [0, 0, 0], identity + 1
        assert highest <= arrivals.total["public", 1] <= produced
        highest = arrivals.total["public", 1]
    look(set())
    assert arrivals.total["public", 1] == produced


def test_a_night_is_the_sum_of_its_ends() -> None:
    """Over partitions, by night and program."""
    topics = _topics(partitions=tuple(range(16)))
    ends = {(NAME, p): 10 for p in range(16)}
    assert night_sums(topics.values(), ends) == {("20260401", 1): 160}


def test_a_night_with_an_unknown_partition_has_no_sum() -> None:
    """150 of 160 would be a lie."""
    topics = _topics(partitions=tuple(range(16)))
    ends = {(NAME, p): 10 for p in range(15)}
    assert night_sums(topics.values(), ends) == {}


def test_a_new_topics_first_bytes_are_counted_when_their_size_is_known() -> None:
    """The log's size is read now and then; until then the messages wait, they are not lost."""
    sizes = Sizes()
    sizes.update({}, {})
    sizes.update(_topics(), {PART: 10})
    assert sizes.total[1] == 0
    sizes.update(_topics(), {PART: 30})
    sizes.measure({PART: 4000}, {PART: 0}, {PART: 40})
    sizes.update(_topics(), {PART: 40})
    assert sizes.total[1] == pytest.approx(4000)


def test_a_mean_size_belongs_to_the_moment_of_its_measurement() -> None:
    """A log that has grown since its size was read does not have smaller messages."""
    sizes = Sizes()
    sizes.update(_topics(), {PART: 0})
    sizes.measure({PART: 7000}, {PART: 0}, {PART: 100})
    sizes.update(_topics(), {PART: 100})
    sizes.update(_topics(), {PART: 1000})
    assert sizes.total[1] == pytest.approx(70_000)


def test_the_bytes_of_a_topic_that_is_not_listed_for_a_moment_come_once() -> None:
    """As its alerts do."""
    sizes = Sizes()
    sizes.update(_topics(), {PART: 100})
    sizes.update({}, {})
    sizes.measure({PART: 7000}, {PART: 0}, {PART: 100})
    sizes.update(_topics(), {PART: 110})
    assert sizes.total[1] == pytest.approx(700)


class _Kafka:
    """Answers ListOffsets by timestamp for one partition with a message a second."""

    def __init__(self, first: float, count: int) -> None:
        self.first, self.count, self.fails = first, count, 0

    def list_offsets(self, wanted):
        answer = Answer()
        if self.fails:
            self.fails -= 1
            answer.errors["NotLeaderForPartition"] += 1
            return answer
        for part, milliseconds in wanted.items():
            offset = max(0, int(milliseconds / 1000 - self.first))
            answer.values[part] = (offset, int((self.first + offset) * 1000)) if offset < self.count else (-1, -1)
        return answer


def test_a_topic_found_late_at_zads_was_appended_when_it_was_found() -> None:
    """Its records are 10 min old and came within the last 5 s: the mirror took 10 min, not a second."""
    appends = Appends(created=False)
    appends.remember(_Kafka(0, 0), {}, {}, 99_995.0)
    appends.remember(_Kafka(99_400.0, 600), _topics(), {PART: 600}, 100_000.0)
    for offset in (0, 300, 599):
        appended = appends.appended_at(PART, offset)
        assert appended is not None
        assert 99_995.0 <= appended <= 100_000.0


def test_ages_are_right_after_a_restart() -> None:
    """Rebuilt from Kafka: within 1 s for a message a second, up to the newest."""
    appends = Appends(created=False)
    appends.remember(_Kafka(99_400.0, 600), _topics(), {PART: 600}, 100_000.0)
    for offset in (0, 100, 300, 500, 590):
        assert appends.age(PART, offset, 100_000.0) == pytest.approx(600 - offset, abs=1.5)


def test_a_burst_before_a_restart_keeps_its_age() -> None:
    """1,000 messages 14 min ago and nothing since: the message's own times make the edge sharp."""

    class Burst(_Kafka):
        def list_offsets(self, wanted):
            answer = Answer()
            for part, milliseconds in wanted.items():
                offset = max(0, min(1000, int((milliseconds / 1000 - 99_140.0) * 100)))
                answer.values[part] = (offset, int((99_140.0 + offset / 100) * 1000)) if offset < 1000 else (-1, -1)
            return answer

    appends = Appends(created=False)
    appends.remember(Burst(0, 0), _topics(), {PART: 1000}, 100_000.0)
    assert appends.age(PART, 0, 100_000.0) == pytest.approx(860, rel=0.05)


def test_a_failed_rebuild_is_tried_again() -> None:
    """No age of 0 for an alert that waits for minutes."""
    kafka, appends = _Kafka(99_400.0, 600), Appends(created=True)
    kafka.fails = 1
    assert appends.remember(kafka, _topics(), {PART: 600}, 100_000.0) == {"NotLeaderForPartition": 1}
    assert appends.remember(kafka, _topics(), {PART: 600}, 100_005.0) == {}
    assert appends.age(PART, 100, 100_005.0) == pytest.approx(505, abs=2)


def test_a_topic_made_anew_has_a_history_of_its_own() -> None:
    """The old log's times say nothing of the new one, however long that is."""
    appends = Appends(created=False)
    appends.remember(_Kafka(99_400.0, 600), _topics(), {PART: 600}, 100_000.0)
    appends.remember(_Kafka(0, 0), _topics("b"), {PART: 700}, 100_005.0)
    appended = appends.appended_at(PART, 0)
    assert appended is not None
    assert appended > 100_000.0


def test_latency_buckets_are_cumulative_and_hold_the_goal() -> None:
    """20 min and ZTF's 13 min are exact edges; negative delays are 0; alerts may share a delay."""
    latency = Latency()
    for seconds in (-5.0, 0.5, 780.0, 1199.0, 100_000.0):
        latency.observe("exposure", 1, seconds)
    latency.observe("exposure", 1, 10.0, alerts=20)
    ((_, buckets, total),) = latency.items()
    counts = dict(buckets)
    assert counts["780.0"] == 23
    assert counts["1200.0"] == 24
    assert counts["+Inf"] == 25
    assert total == pytest.approx(0.5 + 780 + 1199 + 100_000 + 200)
