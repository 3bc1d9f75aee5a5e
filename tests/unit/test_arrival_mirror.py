"""Duplicates and gaps of the mirror told apart, whatever is in flight; its offsets topic read to the end."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exporters.alert_arrival.counts import AlertTopic
from exporters.alert_arrival.mirror import MirrorOffsets
from exporters.alert_arrival.mirror_books import Ends, MirrorBooks
from exporters.alert_arrival.mirror_start import MirrorStart
from zads.config import load
from zads.kafka import Answer, partition

CONFIG = load(Path(__file__).resolve().parents[2] / "zads.toml")
TOPIC = AlertTopic("ztf_20260401_programid1", "up", "20260401", 1, (0, 1, 2))
NAME = TOPIC.name


def _ends(source: int | None, public: int | None, upstream: int, start: int = 0) -> Ends:
    return Ends(start, source, public, upstream)


def _twice(books: MirrorBooks, ends: dict[int, Ends]):
    books.topic(TOPIC, "pub", ends)
    return books.topic(TOPIC, "pub", ends)


def test_duplicates_and_gaps_are_told_apart() -> None:
    """One partition with 3 too many and one with 2 too few: surplus 3, missing 2, not 1; the third is behind by 10."""
    ends = {0: _ends(100, 103, 100), 1: _ends(100, 98, 100), 2: _ends(90, 90, 100)}
    state = _twice(MirrorBooks(), ends)
    assert (state.behind, state.surplus, state.missing) == (10, 3, 2)
    assert state.waiting == (((NAME, 2), 90),)


def test_alerts_in_flight_are_neither() -> None:
    """MirrorMaker writes its offsets late: what is at ZADS already is no duplicate."""
    state = _twice(MirrorBooks(), {0: _ends(90, 97, 100)})
    assert (state.behind, state.surplus, state.missing) == (10, 0, 0)


def test_an_alert_that_came_between_two_readings_is_no_duplicate() -> None:
    """ZADS's end is read before IPAC's: it may be ahead of the source offset, not of IPAC."""
    books = MirrorBooks()
    books.topic(TOPIC, "pub", {0: _ends(100, 100, 100)})
    state = books.topic(TOPIC, "pub", {0: _ends(100, 104, 105)})
    assert (state.surplus, state.missing) == (0, 0)


def test_a_gap_shows_while_alerts_flow() -> None:
    """Below the source offset everything was acknowledged: what is short is lost, however much is in flight."""
    state = MirrorBooks().topic(TOPIC, "pub", {0: _ends(100, 60, 400)})
    assert state.missing == 40


def test_a_gap_stays_known_while_flight_covers_it() -> None:
    """5 lost; then 50 of 100 in flight are there already, and it does not look like none were lost."""
    books = MirrorBooks()
    _twice(books, {0: _ends(100, 95, 100)})
    assert books.topic(TOPIC, "pub", {0: _ends(100, 145, 200)}).missing == 5
    assert _twice(books, {0: _ends(200, 195, 200)}).missing == 5


def test_duplicates_beyond_ipacs_end_show_at_once() -> None:
    """After a crash MirrorMaker reads again from its last offset."""
    assert MirrorBooks().topic(TOPIC, "pub", {0: _ends(100, 230, 200)}).surplus == 30


def test_what_ipac_deleted_before_the_mirror_read_it_is_missing_and_not_behind() -> None:
    """Before and after MirrorMaker has jumped to IPAC's log start."""
    books = MirrorBooks()
    books.topic(TOPIC, "pub", {0: _ends(400, 400, 700)})
    before = books.topic(TOPIC, "pub", {0: _ends(400, 400, 1500, start=1000)})
    assert (before.behind, before.missing) == (500, 600)
    assert before.waiting == (((NAME, 0), 1000),)
    after = _twice(books, {0: _ends(1500, 900, 1500, start=1000)})
    assert (after.behind, after.missing) == (0, 600)


def test_a_mirror_that_began_after_ipac_had_deleted_the_beginning_lacks_nothing() -> None:
    """Its source offset is 5,000 ahead of ZADS's end from the first, and stays so over our restart."""
    books = MirrorBooks()
    ends = {0: _ends(5300, 300, 5300, start=5000)}
    assert _twice(books, ends).missing == 0
    again = MirrorBooks(json.loads(json.dumps(books.state())))
    assert _twice(again, {0: _ends(5400, 398, 5400, start=5050)}).missing == 2


def test_an_offset_of_a_log_that_is_gone_says_nothing() -> None:
    """The topic was made anew at IPAC: all of it waits until MirrorMaker says otherwise."""
    state = _twice(MirrorBooks(), {0: _ends(9000, 20, 30)})
    assert (state.behind, state.surplus, state.missing) == (30, 0, 0)


def test_a_public_cluster_that_cannot_be_read_changes_no_verdict() -> None:
    """What was known stays known; behind goes on."""
    books = MirrorBooks()
    _twice(books, {0: _ends(100, 95, 100)})
    state = books.topic(TOPIC, "pub", {0: _ends(100, None, 160)})
    assert (state.behind, state.missing) == (60, 5)


def test_books_of_topics_that_are_gone_are_closed() -> None:
    """Memory does not grow with the nights."""
    books = MirrorBooks()
    _twice(books, {0: _ends(100, 95, 100)})
    books.forget({"another"})
    assert books.state() == {"began": {}}


class _OffsetsTopic:
    """Plays a consumer of MirrorMaker's offsets topic: `silent` polls give nothing first."""

    def __init__(self, rows: list[tuple[Any, Any]], silent: int) -> None:
        self.rows, self.silent, self.at = rows, silent, 0
        self.part = partition("mm2-offsets.ipac.internal", 0)

    def __call__(self, *_args: object, **_settings: object) -> _OffsetsTopic:
        return self

    def end_offsets(self, parts, timeout_ms):
        assert timeout_ms
        return dict.fromkeys(parts, len(self.rows))

    def assign(self, parts) -> None: ...

    def seek_to_beginning(self, *parts) -> None: ...

    def position(self, _part, timeout_ms):
        assert timeout_ms
        return self.at

    def poll(self, timeout_ms, max_records):
        if self.silent:
            self.silent -= 1
            return {}
        rows, self.at = self.rows[self.at :], len(self.rows)
        return {self.part: [SimpleNamespace(key=k, value=v) for k, v in rows]} if rows else {}

    def close(self, **_: object) -> None: ...


def _row(part: int, value: bytes | None) -> tuple[bytes, bytes | None]:
    place = {"cluster": "ipac", "partition": part, "topic": NAME}
    return json.dumps(["MirrorSourceConnector", place]).encode(), value


def test_an_empty_first_poll_is_not_the_whole_topic() -> None:
    """It is readable when it has been read to its end; until then the whole history would look behind."""
    rows = [_row(0, b'{"offset": 41}'), _row(1, b'{"offset": 7}')]
    consumer = _OffsetsTopic(rows, silent=3)
    mirror = MirrorOffsets(CONFIG, connect=consumer)
    mirror.update({"mm2-offsets.ipac.internal": (0,)})
    assert mirror.readable
    assert mirror.next_offsets == {(NAME, 0): 42, (NAME, 1): 8}


def test_odd_records_in_the_offsets_topic_are_passed_over() -> None:
    """Another connector's, a broken value, no value at all; a tombstone forgets."""
    rows = [
        _row(0, b'{"offset": 41}'),
        _row(1, b'{"offset": "many"}'),
        _row(1, b"[]"),
        _row(1, b"{broken"),
        (b'["MirrorHeartbeatConnector", {}]', b"{}"),
        (b"\xff", b"{}"),
        (None, None),
        _row(2, b'{"offset": 3}'),
        _row(2, None),
    ]
    mirror = MirrorOffsets(CONFIG, connect=_OffsetsTopic(rows, silent=0))
    mirror.update({"mm2-offsets.ipac.internal": (0,)})
    assert mirror.next_offsets == {(NAME, 0): 42}


def test_without_the_offsets_topic_nothing_is_known() -> None:
    """Not readable, rather than everything behind."""
    mirror = MirrorOffsets(CONFIG, connect=_OffsetsTopic([], silent=0))
    mirror.update({})
    assert not mirror.readable


def test_a_failing_offsets_topic_is_left_alone_for_a_while() -> None:
    """The failure is told once; the next update does not wait for it again."""

    class Failing(_OffsetsTopic):
        def poll(self, timeout_ms, max_records):
            raise OSError("gone")

    mirror = MirrorOffsets(CONFIG, connect=Failing([_row(0, b'{"offset": 1}')], silent=0))
    with pytest.raises(OSError):
        mirror.update({"mm2-offsets.ipac.internal": (0,)})
    mirror.update({"mm2-offsets.ipac.internal": (0,)})
    assert not mirror.readable


def test_what_lay_at_ipac_before_the_mirror_began_at_latest_is_neither_behind_nor_missing() -> None:
    """It began at 100, and has noted nothing yet; then it passes on 3 of 3, then 5 of 8 are lost."""
    books = MirrorBooks()
    state = _twice(books, {0: Ends(0, None, 0, 100, began=100)})
    assert (state.behind, state.missing, state.waiting) == (0, 0, ())
    waits = books.topic(TOPIC, "pub", {0: Ends(0, None, 0, 104, began=100)})
    assert (waits.behind, waits.waiting) == (4, (((NAME, 0), 100),))
    state = _twice(books, {0: Ends(0, 103, 3, 103, began=100)})
    assert (state.behind, state.missing, state.surplus) == (0, 0, 0)
    again = MirrorBooks(json.loads(json.dumps(books.state())))
    state = _twice(again, {0: Ends(0, 111, 6, 111)})
    assert (state.behind, state.missing, state.surplus) == (0, 5, 0)


def test_alerts_passed_over_since_the_mirror_began_are_missing_not_before_it() -> None:
    """It began at 100 and was away from 100 to 120."""
    state = _twice(MirrorBooks(), {0: Ends(0, 123, 3, 123, began=100)})
    assert (state.behind, state.missing) == (0, 20)


def test_no_verdict_while_it_is_not_known_where_the_mirror_began() -> None:
    """A verdict is for good; and alerts in flight would make the beginning look earlier than it was."""
    books = MirrorBooks()
    assert _twice(books, {0: Ends(0, 103, 3, 103, began=None)}).missing == 0
    assert books.state() == {"began": {}}
    assert books.topic(TOPIC, "pub", {0: Ends(0, 103, 9, 110, began=100)}).missing == 0
    assert books.state() == {"began": {}}
    assert _twice(books, {0: Ends(0, 112, 12, 112, began=100)}).missing == 0
    assert books.state() != {"began": {}}


def test_mirrormakers_settings_are_asked_for_only_where_they_matter() -> None:
    """Not by a partition without alerts, nor by one that was judged, nor by one without a shortfall."""
    books = MirrorBooks()
    assert not books.asks_where_it_began(TOPIC, "pub", 0, _ends(None, 0, 0))
    assert not books.asks_where_it_began(TOPIC, "pub", 0, _ends(50, 50, 60))
    assert books.asks_where_it_began(TOPIC, "pub", 0, _ends(None, 0, 7))
    assert books.asks_where_it_began(TOPIC, "pub", 0, _ends(50, 20, 60))
    _twice(books, {0: _ends(50, 20, 50)})
    assert not books.asks_where_it_began(TOPIC, "pub", 0, _ends(50, 20, 60))


class _Settings(_OffsetsTopic):
    """Plays a consumer of MirrorMaker's settings: (timestamp, key, value)."""

    def __init__(self, *rows: tuple[int, bytes, Any]) -> None:
        super().__init__(list(rows), silent=1)
        self.part, self.read = partition("mm2-configs.ipac.internal", 0), 0

    def seek_to_beginning(self, *parts) -> None:
        self.at, self.read = 0, self.read + 1

    def poll(self, timeout_ms, max_records):
        if self.silent:
            self.silent -= 1
            return {}
        rows, self.at = self.rows[self.at :], len(self.rows)
        return {self.part: [SimpleNamespace(timestamp=t, key=k, value=v) for t, k, v in rows]} if rows else {}


def _connector(policy: str | None, name: str = "source.consumer.auto.offset.reset") -> bytes:
    settings = {"name": "MirrorSourceConnector"} | ({name: policy} if policy else {})
    return json.dumps({"properties": settings}).encode()


SOURCE = b"connector-MirrorSourceConnector"


@pytest.mark.parametrize(
    ("rows", "started"),
    [
        ([(5000, b"session-key", b"{}"), (6000, SOURCE, _connector("latest")), (9000, b"task-0", b"{}")], 5000),
        ([(5000, SOURCE, _connector("latest")), (6000, SOURCE, _connector("earliest"))], None),
        ([(5000, SOURCE, _connector(None))], None),
        ([(5000, SOURCE, _connector("latest", "consumer.auto.offset.reset"))], 5000),
        ([(5000, b"connector-MirrorHeartbeatConnector", _connector("latest"))], None),
        ([(5000, SOURCE, b"{broken"), (5001, SOURCE, b"[]"), (5002, SOURCE, None)], None),
        ([], None),
    ],
)
def test_where_the_mirror_begins_stands_in_its_own_settings(rows, started) -> None:
    """The last word of the source connector counts, and the oldest entry's time."""
    start = MirrorStart(CONFIG, connect=_Settings(*rows))
    assert start.update({"mm2-configs.ipac.internal": (0,)})
    assert start.started_ms == started


def test_the_settings_are_read_once_a_minute_and_not_where_there_are_none() -> None:
    """Every collection may ask."""
    now, consumer = [0.0], _Settings((5000, SOURCE, _connector("latest")))
    start = MirrorStart(CONFIG, connect=consumer, monotonic=lambda: now[0])
    assert start.update({})
    assert consumer.read == 0
    topics = {"mm2-configs.ipac.internal": (0,)}
    assert [start.update(topics), start.update(topics), consumer.read] == [True, False, 1]
    now[0] += 61
    assert [start.update(topics), consumer.read] == [True, 2]


class _Reader:
    """Plays IPAC's brokers: the first offset at or after a time."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.found: dict[Any, int] = {}

    def list_offsets(self, wanted):
        self.asked += wanted.items()
        answer: Answer[Any] = Answer()
        for part in wanted:
            if part in self.found:
                answer.values[part] = (self.found[part], 1)
            else:
                answer.errors["LeaderNotAvailable"] += 1
        return answer


def test_the_mirrors_time_begins_at_ipacs_end_until_something_is_that_young() -> None:
    """Asked again until it is found, then never; a partition that does not answer is left out and counted."""
    start, reader = MirrorStart(CONFIG, connect=_Settings((5000, SOURCE, _connector("latest")))), _Reader()
    assert start.offsets(reader, {NAME: TOPIC}, {(NAME, 0): 100}) == ({(NAME, 0): 0}, {})
    assert not reader.asked
    start.update({"mm2-configs.ipac.internal": (0,)})
    reader.found = {(NAME, 0): -1}
    found, errors = start.offsets(reader, {NAME: TOPIC}, {(NAME, 0): 100, (NAME, 1): 40})
    assert (found, errors) == ({(NAME, 0): 100}, {"LeaderNotAvailable": 1})
    reader.found = {(NAME, 0): 98}
    for _ in range(2):
        assert start.offsets(reader, {NAME: TOPIC}, {(NAME, 0): 105})[0] == {(NAME, 0): 98}
    assert reader.asked.count(((NAME, 0), 5000)) == 2
