"""Burrow's rules (core/internal/evaluator/caching.go) on polled commits: each rule, and what must not be called trouble."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporters.kafka_lag.lag import Edges
from exporters.kafka_lag.status import OK, REWIND, STALL, STOP, WARN, StatusBook
from zads.kafka import TopicOffsets


@dataclass
class Group:
    """A group on a topic of two partitions, looked at every 5 s."""

    committed_by: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0})
    ends: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0})
    now: float = 1000.0
    moved_at: float = 1000.0
    rewinds: int = 0
    members: int | None = 1
    book: StatusBook = field(default_factory=StatusBook)

    @property
    def offsets(self) -> TopicOffsets:
        return TopicOffsets.of(self.committed_by)

    @property
    def committed(self) -> int:
        return sum(self.committed_by.values())

    @property
    def lag(self) -> int:
        return sum(self.ends[n] - self.committed_by[n] for n in self.ends)

    def look(self, commit: dict[int, int] | None = None, write: dict[int, int] | None = None) -> str | None:
        """Write and commit so many messages by partition, and look 5 s later."""
        self.now += 5
        for number, count in (write or {}).items():
            self.ends[number] += count
        for number, count in (commit or {}).items():
            self.committed_by[number] += count
            self.moved_at = self.now
            self.rewinds += count < 0
        members = {} if self.members is None else {"g": self.members}
        return self.book.update(iter([("g", "t", self, Edges({0: 0, 1: 0}, dict(self.ends)))]), members, self.now).get("g")

    def looks(self, count: int, **does: dict[int, int]) -> list[str | None]:
        return [self.look(**does) for _ in range(count)]


def test_caught_up_is_ok_whatever_it_does() -> None:
    """Rule 1: no lag, no trouble, be it silent for a day."""
    group = Group()
    assert set(group.looks(50)) == {OK}
    assert set(group.looks(50, commit={0: 3}, write={0: 3})) == {OK}
    group.now += 86_400
    assert group.look() == OK


def test_nothing_is_said_of_a_group_that_was_behind_before_anybody_looked() -> None:
    """Rule 0: fewer commits than needed. After ten minutes of silence it is said to have stopped all the same."""
    group = Group(ends={0: 100, 1: 0}, members=0)
    assert set(group.looks(119)) == {None}
    assert group.looks(3)[-1] == STOP


def test_a_group_that_falls_silent_for_longer_than_its_last_ten_commits_took_has_stopped() -> None:
    """Rule 2, without members; a group with members that commits nothing is stalled."""
    for members, expected in ((0, STOP), (None, STOP), (2, STALL)):
        group = Group(members=members)
        group.looks(12, commit={0: 10}, write={0: 10})
        # Its last ten commits took 45 s; a minute is waited for at least.
        assert set(group.looks(12, write={0: 10})) == {OK}
        assert group.looks(2, write={0: 10})[-1] == expected
        assert group.look(commit={0: 10}) == OK, "it goes on"


def test_a_group_that_commits_seldom_may_be_silent_for_long() -> None:
    """The window is the group's own: who commits every five minutes is not stopped after two."""
    group = Group()
    for _ in range(11):
        group.looks(59, write={0: 1})
        group.look(commit={0: group.ends[0] - group.committed_by[0]})
    assert set(group.looks(500, write={0: 1})) == {OK}
    assert group.looks(60, write={0: 1})[-1] == STALL


def test_one_message_after_a_long_quiet_does_not_make_a_group_stopped() -> None:
    """Burrow's look at the log's end: it was at zero lag until just now."""
    group = Group(members=0)
    group.looks(12, commit={0: 10}, write={0: 10})
    group.looks(1000)
    assert set(group.looks(12, write={0: 1})) == {OK}
    assert group.looks(3)[-1] == STOP


def test_an_offset_that_goes_back_is_a_rewind_until_it_is_made_good() -> None:
    """Rule 3."""
    group = Group()
    group.looks(5, commit={0: 100}, write={0: 110})
    assert group.look(commit={0: -300}) == REWIND
    assert set(group.looks(2, commit={0: 100})) == {REWIND}
    assert group.look(commit={0: 100}) == OK
    group.look(commit={0: -100})
    assert group.look(commit={0: group.lag}) == OK, "caught up"


def test_zero_lag_within_the_last_ten_commits_is_ok() -> None:
    """Rule 4: a lag that grows after that is not yet trouble."""
    group = Group()
    group.looks(3, commit={0: 10}, write={0: 10})
    assert set(group.looks(10, commit={0: 5}, write={0: 10})) == {OK}


def test_a_partition_that_stays_while_the_others_go_on_is_a_stall() -> None:
    """Rule 5: ten commits of the group, and one partition with something to read is where it was."""
    group = Group()
    group.look()
    found = group.looks(25, commit={0: 12}, write={0: 12, 1: 1})
    assert OK in found[:9]
    assert found[-1] == STALL
    group.look(commit={1: 20})
    assert group.looks(20, commit={0: 11, 1: 2}, write={0: 11, 1: 1})[-1] == OK


def test_a_partition_without_anything_to_read_does_not_stall() -> None:
    """It stands still since nothing comes."""
    group = Group(ends={0: 1000, 1: 0})
    assert STALL not in group.looks(60, commit={0: 10}, write={0: 9})


def test_lag_that_only_grows_over_ten_commits_is_a_warning() -> None:
    """Rule 6; also lag that stays the same. Rule 7: once it becomes smaller, all is well."""
    for written in (12, 10):
        group = Group(ends={0: 500, 1: 0})
        assert group.looks(11, commit={0: 10}, write={0: written})[-1] == WARN
        assert group.look(commit={0: 40}, write={0: 10}) == OK
        assert set(group.looks(8, commit={0: 10}, write={0: 12})) == {OK}
        assert group.looks(2, commit={0: 10}, write={0: 12})[-1] == WARN


def test_a_group_is_as_well_as_its_worst_topic_and_unknown_hides_ok_alone() -> None:
    """One topic that cannot be told: the group is not called ok; one that is in trouble is said in any case."""
    well, unknown, bad = Group(), Group(ends={0: 5, 1: 0}), Group(members=0)
    book = StatusBook()

    def look(*topics: tuple[str, Group], now: float) -> dict[str, str]:
        return book.update(((("g", name, g, Edges({}, dict(g.ends)))) for name, g in topics), {"g": 0}, now)

    assert look(("a", well), now=1005.0) == {"g": OK}
    assert look(("a", well), ("b", unknown), now=1010.0) == {}
    bad.ends[0] = 7
    assert look(("a", well), ("b", unknown), ("c", bad), now=1015.0) == {}
    assert look(("a", well), ("b", unknown), ("c", bad), now=1700.0) == {"g": STOP}
    assert look(("a", well), now=1705.0) == {"g": OK}, "topics that are gone are forgotten"


def test_each_group_has_a_series_per_status_and_1_for_its_own() -> None:
    """Whatever its name; a status that changed shows at once, a group that is gone goes."""
    book = StatusBook()

    def lines(**found: str) -> list[str]:
        text = b"".join(part.text() for part in book.parts(found)).decode()
        return [line for line in text.splitlines() if line.endswith(" 1")]

    assert lines(a="ok", b="stop") == [
        'zads_consumergroup_status{consumergroup="a",status="ok"} 1',
        'zads_consumergroup_status{consumergroup="b",status="stop"} 1',
    ]
    assert lines(b="warn") == ['zads_consumergroup_status{consumergroup="b",status="warn"} 1']
    assert b"".join(part.text() for part in book.parts({"b": "warn"})).count(b" 0\n") == 4
    assert book.parts({}) == []
    assert b'consumergroup="\\"\\n"' in book.parts({'"\n': "ok"})[0].text()
