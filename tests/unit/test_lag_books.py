"""What is remembered of communities over restarts: as if there had been none, whatever happened meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.kafka_lag.books import AlertTopic, Books
from exporters.kafka_lag.communities import Communities
from exporters.kafka_lag.lag import Edges
from exporters.kafka_lag.memory import GroupsSeen
from exporters.kafka_lag.progress import Progress
from tests.unit.test_lag_communities import CONFIG, Night, by_topic, nights, seen, topic


def restart(night: Night) -> Night:
    """Return what another process makes of what this one left behind."""
    state, left_out = night.communities.books.state()
    assert left_out == 0
    after = Night()
    after.communities = Communities(CONFIG, Books.restored(json.loads(json.dumps(state))))
    return after


moves = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 1), st.integers(0, 50)),
        st.tuples(st.just("commit"), st.integers(0, 1), st.integers(0, 100)),
        st.tuples(st.just("delete"), st.integers(0, 1), st.integers(0, 60)),
        st.tuples(st.just("rewind"), st.integers(0, 1), st.integers(0, 60)),
        st.tuples(st.just("look"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@given(moves, st.integers(0, 24))
def test_counters_over_a_restart_are_those_without_one(steps: list[tuple[str, int, int]], at: int) -> None:
    """Writing, committing, going back and retention in any order, and a restart between any two of them."""
    one, name = topic("20260402"), topic("20260402").name
    starts, ends, commits = {0: 0, 1: 0}, {0: 10, 1: 10}, {0: 3}

    def look(night: Night) -> None:
        found = by_topic({(name, number): offset for number, offset in commits.items()})
        edges = {name: Edges(dict(starts), dict(ends))}
        known = GroupsSeen({"lasair": found}, {"lasair": found})
        night.communities.update(known, {name: one}, edges, lambda *_: 7.0, 100.0)

    through, again = Night(), Night()
    look(through)
    look(again)
    for index, (kind, number, size) in enumerate(steps):
        if index == at:
            again = restart(again)
        if kind == "write":
            ends[number] += size
        elif kind == "commit":
            commits[number] = min(ends[number], commits.get(number, 0) + size)
        elif kind == "rewind":
            commits[number] = max(0, commits.get(number, 0) - size)
        elif kind == "delete":
            starts[number] = min(ends[number], starts[number] + size)
        else:
            look(through)
            look(again)
    look(through)
    look(again)
    for figure in ("delivered", "committed", "lost"):
        assert getattr(again.communities, figure) == getattr(through.communities, figure)
    for night in (through, again):
        for _ in range(2):
            night.look({})
    assert again.communities.lost == through.communities.lost


def test_a_topic_deleted_unread_while_nobody_looked_is_lost() -> None:
    """Forty alerts of lasair were unread when the exporter stopped; the topic is gone when it starts."""
    tonight, night = topic("20260402"), Night()
    night.look({"lasair": {(tonight.name, 0): 20}}, (tonight, 0, 30))
    night = restart(night)
    assert night.communities.lost["lasair", 1] == 0
    night.look({})
    night.look({})
    assert night.communities.lost["lasair", 1] == 40
    night = restart(night)
    night.look({})
    night.look({})
    assert night.communities.lost["lasair", 1] == 40


def test_what_was_committed_while_nobody_looked_is_delivered() -> None:
    """Ten before the stop, fifteen more meanwhile, and five of a night that is new."""
    one, two, night = topic("20260401", "a"), topic("20260402", "b"), Night()
    night.look({"lasair": {(one.name, 0): 10}}, (one, 0, 30))
    night = restart(night)
    night.look({"lasair": {(one.name, 0): 25, (two.name, 0): 5}}, (one, 0, 30), (two, 0, 30))
    assert night.communities.committed["lasair", 1] == 20
    assert night.communities.delivered["lasair", 1, "20260401"] == 15
    assert night.communities.delivered["lasair", 1, "20260402"] == 5


def test_a_community_that_died_is_behind_after_a_restart_too() -> None:
    """The newest night that it ever read, and when it last committed, are not forgotten."""
    one, two, night = topic("20260401", "a"), topic("20260402", "b"), Night()
    night.look({"lasair": {(one.name, 0): 500, (one.name, 1): 500}}, (one, 0, 500))
    night.communities.books.moved_at["lasair"] = 40.0
    night = restart(night)
    three = topic("20260403", "c")
    found = night.look({}, (two, 0, 90), (three, 0, 1))
    assert nights(found) == {"20260402": 180, "20260403": 2}
    assert night.communities.idle_seconds(100.0)["lasair"] == 60.0


def test_a_group_out_of_sight_is_missed_after_a_restart_too() -> None:
    """Its coordinator is away when the exporter starts: a forgotten group of the community does not stand in for it."""
    tonight, night = topic("20260402"), Night()
    far, near = {(tonight.name, 0): 29}, {(tonight.name, 0): 1}
    night.look({"alerce": far, "alerce-test": near}, (tonight, 0, 30))
    night = restart(night)
    assert not nights(night.look(seen({"alerce-test": near}, complete=False), (tonight, 0, 30)), "alerce")
    assert nights(night.look(seen({"alerce-test": near, "alerce": far}), (tonight, 0, 30)), "alerce") == {"20260402": 31}
    # Seen to be gone, it counts no more.
    assert nights(night.look(seen({"alerce-test": near}), (tonight, 0, 30)), "alerce") == {"20260402": 59}


def test_the_topics_of_another_cluster_are_not_gone() -> None:
    """Another address in zads.toml: nothing is lost by that, and the counters go on."""
    tonight, night = topic("20260402"), Night()
    night.communities.on("one")
    night.look({"lasair": {(tonight.name, 0): 10}}, (tonight, 0, 30))
    night.look({"lasair": {(tonight.name, 0): 20}}, (tonight, 0, 30))
    night = restart(night)
    night.communities.on("two")
    other = topic("20260402", "z")
    for _ in range(3):
        night.look({"lasair": {(other.name, 0): 5}}, (other, 0, 30))
    assert night.communities.lost["lasair", 1] == 0
    assert night.communities.committed["lasair", 1] == 10
    night.communities.on("")
    assert night.communities.books.cluster == "two", "an answer without an id says nothing"


def test_the_file_is_bounded_and_the_oldest_nights_are_left_out() -> None:
    """What is left out is counted, and counts as neither delivered nor lost after a restart."""
    books = Books(committed={("lasair", 1): 7})
    for number in range(100):
        identity = f"id-{number:03}"
        books.topics[identity] = AlertTopic(f"topic-{number}", identity, f"2026{number:04}", 1, (0, 1))
        books.unread["lasair", identity] = 1
        for part in (0, 1):
            books.progress["lasair", identity, part] = Progress(5, 0)
    books.at_first_look["lasair"] = {}
    state, left_out = books.state(most=30)
    assert (left_out, len(state["topics"]), len(state["progress"]), len(state["unread"])) == (90, 10, 20, 10)
    assert min(row[2] for row in state["topics"]) == "20260090"
    after = Books.restored(json.loads(json.dumps(state)))
    assert after.committed == {("lasair", 1): 7}
    assert "lasair" not in after.at_first_look, "what had been committed is looked at anew"
    whole, left_out = books.state()
    assert left_out == 0
    assert len(json.dumps(whole)) < 100 * 200


def test_every_part_of_the_file_is_checked() -> None:
    """A value of another kind anywhere is an error, never a wrong counter."""
    tonight, night = topic("20260402"), Night()
    night.look({"lasair": {(tonight.name, 0): 20}}, (tonight, 0, 30))
    night.communities.books.foreign["lasair", "a", 1] = 4
    night.communities.books.at_first_look["lasair"]["a", 1] = 4
    state: dict[str, Any] = json.loads(json.dumps(night.communities.books.state()[0]))
    Books.restored(state)

    def places(value: Any) -> list[tuple[Any, ...]]:
        """Where the file holds something that is no list, as paths."""
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
        return [()] if pairs is None else [(key, *path) for key, item in pairs for path in places(item)]

    tried = 0
    for *path, last in places(state):
        bad: Any
        for bad in ([], {}, None, -1, 1.5, True, float("nan"), 2**70, "7"):
            copy = json.loads(json.dumps(state))
            place = copy
            for key in path:
                place = place[key]
            allowed = str if isinstance(place[last], str) else float if path[:1] == ["moved_at"] else int
            if isinstance(bad, allowed) and bad not in (True, -1, 2**70) and bad == bad:
                continue
            if path[:1] == ["moved_at"] and type(bad) is int:
                continue  # a time may be any
            if path[:1] == ["progress"] and last == 3 and bad is None:
                continue  # nothing was committed
            place[last] = bad
            tried += 1
            with pytest.raises((ValueError, KeyError, TypeError)):
                raise AssertionError(f"{path} {last} may be {bad!r}: {Books.restored(copy)}")
    assert tried > 300
    for key, rows in state.items():
        with pytest.raises(KeyError):
            Books.restored({other: value for other, value in state.items() if other != key})
        if isinstance(rows, list) and rows and isinstance(rows[0], list):
            for row in (rows[0][:-1], [*rows[0], 1], rows[0][0]):
                with pytest.raises((ValueError, TypeError)):
                    Books.restored({**state, key: [row]})
