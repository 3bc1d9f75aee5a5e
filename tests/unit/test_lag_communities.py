"""Communities: how far behind, what they took and lost, and what a failed read must not do. Plain values, no Kafka."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporters.kafka_lag.books import AlertTopic
from exporters.kafka_lag.communities import Behind, Communities
from exporters.kafka_lag.lag import Edges
from exporters.kafka_lag.memory import EdgeMemory, GroupMemory, GroupsSeen
from exporters.kafka_lag.progress import Progress
from zads.config import load
from zads.kafka import Answer, Group, TopicOffsets

CONFIG = load(Path(__file__).resolve().parents[2] / "zads.toml")
Offsets = dict[tuple[str, int], int]


def by_topic(offsets: Offsets) -> dict[str, TopicOffsets]:
    """Return offsets as they are read: by topic."""
    topics = {topic for topic, _ in offsets}
    return {t: TopicOffsets.of({n: offset for (name, n), offset in offsets.items() if name == t}) for t in topics}


def topic(night: str, identity: str = "a") -> AlertTopic:
    return AlertTopic(f"ztf_{night}_programid1", identity, night, 1, (0, 1))


def seen(groups: dict[str, Offsets], *, unknown: tuple[str, ...] = (), complete: bool = True) -> GroupsSeen:
    found = {name: by_topic(offsets) for name, offsets in groups.items()}
    return GroupsSeen(found, found, frozenset(unknown), complete)


class Night:
    """One exporter's communities, told what is in Kafka look by look."""

    def __init__(self) -> None:
        self.communities = Communities(CONFIG)

    def look(self, groups: dict[str, Offsets] | GroupsSeen, *topics: tuple[AlertTopic, int, int]) -> list[Behind]:
        """Topics come with their start and end offset, the same for each partition."""
        edges = {
            t.name: Edges(dict.fromkeys(t.partitions, low), dict.fromkeys(t.partitions, high)) for t, low, high in topics
        }
        known = groups if isinstance(groups, GroupsSeen) else seen(groups)
        named = {t.name: t for t, _, _ in topics}
        return self.communities.update(known, named, edges, lambda *_: 7.0, 100.0)


def nights(found: list[Behind], community: str = "lasair") -> dict[str, int]:
    return {behind.night: behind.alerts for behind in found if behind.community == community}


def test_a_community_that_died_yesterday_is_behind_tonight() -> None:
    """Nothing committed on tonight's new topic counts from its start."""
    found = Night().look({}, (topic("20260402"), 0, 30))
    assert nights(found) == {"20260402": 60}
    assert not nights(found, "fink"), "it commits nothing: nothing pretends to know"


def test_an_old_topic_that_was_never_read_is_nobodys_lag() -> None:
    """Without any commit only the newest night that holds data counts."""
    found = Night().look({}, (topic("20260401", "a"), 0, 500), (topic("20260402", "b"), 0, 3))
    assert nights(found) == {"20260402": 6}


def test_an_empty_topic_of_tomorrow_hides_nothing() -> None:
    """Who never committed is behind on the newest night with data, not on an empty one."""
    found = Night().look({}, (topic("20260401", "a"), 0, 500), (topic("20260402", "b"), 0, 0))
    assert nights(found)["20260401"] == 1000


def test_a_community_that_died_two_nights_ago_does_not_catch_up_at_dusk() -> None:
    """200,000 unread of last night stay when the first alert of tonight comes; deleted unread, they are lost."""
    one, two, three = topic("20260401", "a"), topic("20260402", "b"), topic("20260403", "c")
    stand = {"lasair": {(one.name, 0): 500, (one.name, 1): 500}}
    night = Night()
    assert nights(night.look(stand, (one, 0, 500), (two, 0, 100_000))) == {"20260401": 0, "20260402": 200_000}
    last = night.look(stand, (one, 0, 500), (two, 0, 100_000), (three, 0, 1))
    assert nights(last) == {"20260401": 0, "20260402": 200_000, "20260403": 2}
    # Kafka deletes the commits of a topic with it: the newest night it ever read is remembered.
    assert nights(night.look({}, (two, 0, 100_000), (three, 0, 1))) == {"20260402": 200_000, "20260403": 2}
    night.look({}, (three, 0, 1))
    night.look({}, (three, 0, 1))
    assert night.communities.lost["lasair", 1] == 200_000


def test_retention_that_takes_what_was_never_committed_is_a_loss() -> None:
    """The topic stays, its log start moves: 40 per partition are gone unread."""
    tonight, night = topic("20260402"), Night()
    night.look({}, (tonight, 0, 100))
    assert nights(night.look({}, (tonight, 40, 100))) == {"20260402": 120}
    assert night.communities.lost["lasair", 1] == 80
    night.look({}, (tonight, 40, 100))
    assert night.communities.lost["lasair", 1] == 80


def test_deliveries_only_go_up_and_a_new_topic_counts_from_its_start() -> None:
    """Commits 10 and 20, then the topic is made anew and 5 are committed there."""
    night, name = Night(), topic("20260402").name

    def look(committed: int, identity: str) -> int:
        night.look({"lasair": {(name, 0): committed}}, (topic("20260402", identity), 0, 100))
        return night.communities.committed["lasair", 1]

    assert look(10, "a") == 0  # what was before the exporter's start is not counted
    assert look(20, "a") == 10
    assert look(5, "b") == 15
    assert look(5, "b") == 15


def test_deliveries_stand_by_night_and_the_sum_over_nights_never_goes_down() -> None:
    """The night's series goes with its topic; the counter without night keeps what it was."""
    one, two, night = topic("20260401", "a"), topic("20260402", "b"), Night()
    night.look({"lasair": {(one.name, 0): 10}}, (one, 0, 50), (two, 0, 0))
    assert night.communities.delivered["lasair", 1, "20260402"] == 0, "from 0 on, so that a rate sees the first alerts"
    night.look({"lasair": {(one.name, 0): 30, (two.name, 0): 5}}, (one, 0, 50), (two, 0, 9))
    assert night.communities.delivered["lasair", 1, "20260401"] == 20
    assert night.communities.delivered["lasair", 1, "20260402"] == 5
    for _ in range(2):
        night.look({"lasair": {(two.name, 0): 9}}, (two, 0, 9))
    assert {key[2] for key in night.communities.delivered} == {"20260402"}
    assert night.communities.delivered["lasair", 1, "20260402"] == 9
    assert night.communities.committed["lasair", 1] == 29


def test_a_commit_that_outlived_its_topic_says_nothing_about_the_new_one() -> None:
    """Beyond the end of a topic made anew: behind from its start, until the reader commits there."""
    night, name = Night(), topic("20260402").name
    stand = {"lasair": {(name, 0): 90, (name, 1): 90}}
    night.look(stand, (topic("20260402", "a"), 0, 100))
    assert nights(night.look(stand, (topic("20260402", "b"), 0, 3))) == {"20260402": 6}
    assert nights(night.look(stand, (topic("20260402", "b"), 0, 120))) == {"20260402": 240}
    assert night.communities.committed["lasair", 1] == 0
    assert nights(night.look({"lasair": {(name, 0): 2, (name, 1): 90}}, (topic("20260402", "b"), 0, 120))) == {
        "20260402": 238
    }
    assert night.communities.committed["lasair", 1] == 2


def test_a_log_that_lost_its_tail_makes_nobody_late() -> None:
    """A commit that was right when it was made, beyond an end that went back: caught up, not behind by all."""
    night, name = Night(), topic("20260402").name
    stand = {"lasair": {(name, 0): 100, (name, 1): 100}}
    night.look(stand, (topic("20260402"), 0, 100))
    assert nights(night.look(stand, (topic("20260402"), 0, 98))) == {"20260402": 0}


def test_what_is_deleted_unread_is_lost() -> None:
    """A topic that goes with 80 unread alerts adds them to the losses, when two looks in a row do not see it."""
    tonight, night = topic("20260402"), Night()
    night.look({"lasair": {(tonight.name, 0): 60, (tonight.name, 1): 60}}, (tonight, 0, 100))
    night.look({})
    assert night.communities.lost["lasair", 1] == 0
    night.look({})
    assert night.communities.lost["lasair", 1] == 80


def test_a_look_that_misses_a_topic_once_loses_nothing() -> None:
    """An incomplete answer about topics is no deletion."""
    tonight, night = topic("20260402"), Night()
    stand = {"lasair": {(tonight.name, 0): 60, (tonight.name, 1): 60}}
    for topics in ([(tonight, 0, 100)], [], [(tonight, 0, 100)], [], [(tonight, 0, 100)]):
        night.look(stand, *topics)
    assert night.communities.lost["lasair", 1] == 0
    assert night.communities.committed["lasair", 1] == 0


def test_of_an_unreachable_coordinator_nothing_is_made_up() -> None:
    """A community whose groups cannot be read has no figure: it is not behind by the whole night."""
    tonight, night = topic("20260402"), Night()
    assert nights(night.look(seen({}, complete=False), (tonight, 0, 100_000))) == {}
    assert nights(night.look(seen({}, unknown=("lasair",)), (tonight, 0, 100_000))) == {}
    assert nights(night.look(seen({}, unknown=("somebody-else",)), (tonight, 0, 100_000))) == {"20260402": 200_000}
    assert night.communities.delivered["lasair", 1, "20260402"] == 0


def test_what_was_committed_before_the_first_successful_look_is_not_delivered_anew() -> None:
    """The exporter starts while the coordinator is away: later the past does not count as new."""
    tonight, night = topic("20260402"), Night()
    night.look(seen({}, complete=False), (tonight, 0, 500))
    night.look({"lasair": {(tonight.name, 0): 400}}, (tonight, 0, 500))
    night.look({"lasair": {(tonight.name, 0): 410}}, (tonight, 0, 500))
    assert night.communities.committed["lasair", 1] == 10


@pytest.mark.parametrize(
    ("steps", "delivered", "lost"),
    [
        ([(20, 0), (30, 0)], 20, 0),
        ([(10, 40), (10, 40), (10, 60)], 0, 50),  # stands still while the log's start passes it
        ([(10, 40), (55, 40)], 15, 30),  # comes back: what was deleted it has not taken
        ([(55, 40)], 15, 30),  # the same within one look
        ([(5, 0), (10, 0)], 5, 0),  # goes back and reads again: delivered again
        ([(None, 5), (None, 30)], 0, 20),
        ([(20, None), (30, 0)], 20, 0),  # a start that could not be read is not 0
        ([(30, 30), (30, None), (30, 30)], 0, 20),
    ],
)
def test_progress(steps: list[tuple[int | None, int | None]], delivered: int, lost: int) -> None:
    """Counted from commit 10 with a log from 0: (commit, log start) look by look."""
    progress = Progress(10, 0)
    taken = [progress.advance(*step) for step in steps]
    assert (sum(t[0] for t in taken), sum(t[1] for t in taken)) == (delivered, lost)


def group(name: str) -> Group:
    return Group(name, "Stable", "classic", 1)


def test_a_group_that_fails_keeps_its_offsets_for_three_collections() -> None:
    """Then it has no series, and is known to be unknown."""
    memory, stand = GroupMemory(), by_topic({("t", 0): 5})
    listed = Answer(values={"a": group("a")})
    assert memory.update(listed, Answer(values={"a": stand})).shown == {"a": stand}
    for _ in range(3):
        found = memory.update(listed, Answer(failed={"a"}))
        assert found.shown == found.kept == {"a": stand}
        assert not found.unknown
    found = memory.update(listed, Answer(failed={"a"}))
    assert not found.kept
    assert found.unknown == {"a"}
    assert memory.update(listed, Answer(values={"a": stand})).shown == {"a": stand}


def test_a_group_that_nobody_lists_is_kept_for_its_community_only() -> None:
    """A listing without errors: its own series go at once; that its community has no commit is believed later."""
    memory, stand = GroupMemory(), by_topic({("t", 0): 5})
    memory.update(Answer(values={"a": group("a")}), Answer(values={"a": stand}))
    for _ in range(3):
        found = memory.update(Answer(), Answer())
        assert (found.shown, found.kept, found.complete) == ({}, {"a": stand}, True)
    found = memory.update(Answer(), Answer())
    assert not found.kept


def test_a_listing_counts_as_whole_some_collections_after_sight_came_back() -> None:
    """A broker that has just become a group's coordinator lists it only when it has begun to load it."""
    memory, whole, part = GroupMemory(), Answer[Group](), Answer[Group](failed={-1})
    assert memory.update(whole, Answer()).complete, "at a start nothing has failed yet"
    assert [memory.update(listed, Answer()).complete for listed in (part, whole, whole, whole, whole)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_the_furthest_group_out_of_sight_leaves_no_other_to_speak_for_the_community() -> None:
    """alerce has two groups, the one that reads and a forgotten one; the first one's coordinator is away."""
    tonight, night = topic("20260402"), Night()
    far, near = {(tonight.name, 0): 29}, {(tonight.name, 0): 1}
    now = (tonight, 0, 30)
    assert nights(night.look({"alerce": far, "alerce-test": near}, now), "alerce") == {"20260402": 31}
    assert not nights(night.look(seen({"alerce-test": near}, complete=False), now), "alerce")
    assert not nights(night.look(seen({"alerce-test": near}, unknown=("alerce",)), now), "alerce")
    assert nights(night.look(seen({"alerce": far, "alerce-test": near}, complete=False), now), "alerce") == {"20260402": 31}
    assert nights(night.look({"alerce-test": near}, now), "alerce") == {"20260402": 59}, "seen to be gone"
    assert night.communities.committed["alerce", 1] == 0


def test_one_partition_that_fails_keeps_its_offset() -> None:
    """The group's other partitions are fresh."""
    memory = GroupMemory()
    listed = Answer(values={"a": group("a")})
    memory.update(listed, Answer(values={"a": by_topic({("t", 0): 5, ("t", 1): 6})}))
    found = memory.update(listed, Answer(values={"a": by_topic({("t", 0): 7})}, failed={("a", "t", 1)}))
    assert found.shown == found.kept == {"a": by_topic({("t", 0): 7, ("t", 1): 6})}


def test_a_partition_without_a_leader_keeps_its_end() -> None:
    """Lag on it does not fall to nothing, for as long as it has no leader: nothing can be written meanwhile."""
    memory, part = EdgeMemory(), ("t", 0)
    memory.take_ends({part: 100}, {part: 1})
    memory.take_starts({part: 10})
    for _ in range(10):
        memory.take_ends({}, {part: -1})
    assert memory.edges()["t"] == Edges({0: 10}, {0: 100}, held=frozenset({0}))
    for _ in range(3):
        memory.take_ends({}, {part: 1})
    assert not memory.edges()["t"].stale
    memory.take_ends({}, {part: 1})
    assert memory.edges()["t"].stale == {0}, "a leader that does not answer: after three collections it is not shown"
    assert memory.edges()["t"].end == {0: 100}, "but nobody's lag becomes smaller by that"
    memory.take_ends({part: 101}, {part: 1})
    assert memory.edges()["t"] == Edges({0: 10}, {0: 101})
    memory.forget(["t"])
    assert not memory.edges()


def test_edges_that_did_not_change_are_the_same_object() -> None:
    """So that nothing is measured anew for them."""
    memory = EdgeMemory()
    memory.take_ends({("t", 0): 100, ("u", 0): 1}, {("t", 0): 1, ("u", 0): 1})
    first = memory.edges()
    memory.take_ends({("t", 0): 100, ("u", 0): 2}, {("t", 0): 1, ("u", 0): 1})
    second = memory.edges()
    assert second["t"] is first["t"]
    assert second["u"] is not first["u"]
    assert first["u"].end == {0: 1}, "what was given out is never changed"
