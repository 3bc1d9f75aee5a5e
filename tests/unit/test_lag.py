"""Lag arithmetic, histories, communities: plain values, no Kafka."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.kafka_lag.communities import AlertTopic, Communities
from exporters.kafka_lag.lag import Edges, partition_lag
from zads.config import load
from zads.offset_history import OffsetHistory

CONFIG = load(Path(__file__).resolve().parents[2] / "zads.toml")


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_lag_is_never_negative_and_never_more_than_the_log_holds(committed: int, start: int, end: int) -> None:
    """Whatever the three offsets are."""
    lag = partition_lag(committed, start, end)
    assert 0 <= lag.lag <= max(0, end - start) or committed < start
    assert lag.beyond_end == (committed > end)
    assert lag.lost >= 0


def test_what_retention_took_is_lost_and_not_lag() -> None:
    """Committed 10, log from 40 to 100: 60 to read, 30 lost."""
    lag = partition_lag(10, 40, 100)
    assert (lag.lag, lag.lost) == (60, 30)


def test_age_is_that_of_the_next_unread_message() -> None:
    """Ten messages a second from 1000 s on; message 50 came at 1005.1 s."""
    history = OffsetHistory()
    for second in range(100):
        history.add(1000.0 + second, second * 10)
    assert history.age(50, 1099.0) == pytest.approx(1099 - 1005.1, abs=0.2)
    assert history.age(990, 1099.0) == 0.0


def test_a_quiet_log_grows_old_only_with_something_unread() -> None:
    """One message, then silence for an hour: its age is the hour; caught up, it is 0."""
    history = OffsetHistory()
    history.add(0.0, 0)
    history.add(10.0, 1)
    for minute in range(1, 61):
        history.add(10.0 + minute * 60, 1)
    assert history.age(0, 3610.0) == pytest.approx(3600, abs=11)
    assert history.age(1, 3610.0) == 0.0


def test_history_is_bounded_and_right_within_five_percent() -> None:
    """A day at one look each 5 s keeps few points and stays right."""
    history = OffsetHistory()
    for step in range(17280):
        history.add(step * 5.0, step * 7)
    assert len(history) <= 401
    now = 17279 * 5.0
    for age in (10.0, 100.0, 1000.0, 10000.0, 80000.0):
        offset = int((now - age) / 5.0 * 7)
        assert history.age(offset, now) == pytest.approx(age, rel=0.05, abs=6)


def test_a_log_that_became_shorter_is_another_log() -> None:
    """A recreated topic forgets the old history instead of freezing it."""
    history = OffsetHistory()
    history.add(0.0, 0)
    history.add(10.0, 500)
    history.add(20.0, 3)
    history.add(30.0, 5)
    assert history.age(4, 40.0) == pytest.approx(12.5, abs=3)


def _topic(night: str, identity: str = "a") -> AlertTopic:
    return AlertTopic(f"ztf_{night}_programid1", identity, night, 1, (0, 1))


def _edges(topic: str, start: int, end: int) -> Edges:
    parts = [(topic, 0), (topic, 1)]
    return Edges(dict.fromkeys(parts, start), dict.fromkeys(parts, end))


def test_a_community_that_died_yesterday_is_behind_tonight() -> None:
    """Nothing committed on tonight's new topic counts from its start."""
    topic = _topic("20260402")
    behind = {
        b.community: b for b in Communities(CONFIG).update({}, {topic.name: topic}, _edges(topic.name, 0, 30), {}, 100.0)
    }
    assert behind["lasair"].alerts == 60
    assert "fink" not in behind  # commits nothing: nothing pretends to know


def test_an_old_topic_that_was_never_read_is_nobodys_lag() -> None:
    """Only tonight counts without a commit."""
    old, new = _topic("20260401", "a"), _topic("20260402", "b")
    edges = _edges(old.name, 0, 500)
    result = Communities(CONFIG).update({}, {old.name: old, new.name: new}, edges, {}, 100.0)
    assert {(b.night, b.alerts) for b in result if b.community == "lasair"} == {("20260402", 0)}


def test_deliveries_only_go_up_and_a_new_topic_counts_from_its_start() -> None:
    """Commits 10 and 20, then the topic is made anew and 5 are committed there."""
    communities, topic = Communities(CONFIG), _topic("20260402", "a")

    def look(committed: int, identity: str) -> int:
        current = _topic("20260402", identity)
        groups = {"lasair": {(topic.name, 0): committed}}
        communities.update(groups, {topic.name: current}, _edges(topic.name, 0, 100), {}, 100.0)
        return communities.delivered["lasair", 1]

    assert look(10, "a") == 0  # what was before the exporter's start is not counted
    assert look(20, "a") == 10
    assert look(5, "b") == 15
    assert look(5, "b") == 15


def test_what_is_deleted_unread_is_lost() -> None:
    """A topic that goes with 80 unread alerts adds them to the losses."""
    communities, topic = Communities(CONFIG), _topic("20260402")
    groups = {"lasair": {(topic.name, 0): 60, (topic.name, 1): 60}}
    communities.update(groups, {topic.name: topic}, _edges(topic.name, 0, 100), {}, 100.0)
    communities.update({}, {}, Edges({}, {}), {}, 110.0)
    assert communities.lost["lasair", 1] == 80
