"""Partitions that a group is to read and has no commit on: counted where that is known, and nowhere else."""

from __future__ import annotations

from exporters.kafka_lag.uncommitted import assigned_topics, never_committed
from zads.kafka import Answer, Membership, TopicOffsets

MEMBERS = {
    "reads": Membership(2, 0, {"t": 4, "u": 2, "hidden": 9}),
    "connect": Membership(3),
    "left": Membership(0),
}


def test_only_topics_that_are_shown_and_assignments_that_can_be_read_count() -> None:
    """Connect's members have a protocol of their own; share groups and empty ones have no assignment."""
    assert assigned_topics(MEMBERS, {"t", "u"}) == {"reads": {"t": 4, "u": 2}}


def test_a_topic_that_the_group_has_committed_on_counts_by_its_own_row() -> None:
    """Four assigned and one committed: the row says three; the other topic has no row."""
    committed = {"reads": {"t": TopicOffsets.of({0: 5})}}
    assigned = assigned_topics(MEMBERS, {"t", "u"})
    assert never_committed(assigned, committed, Answer(values=committed)) == {("reads", "u"): 2}
    assert never_committed(assigned, {}, Answer(values={"reads": {}})) == {("reads", "t"): 4, ("reads", "u"): 2}


def test_of_commits_that_could_not_be_read_nothing_is_said() -> None:
    """Neither of a group whose coordinator is silent nor of a topic on which a partition failed."""
    assigned = assigned_topics(MEMBERS, {"t", "u"})
    assert never_committed(assigned, {}, Answer(failed={"reads"})) == {}
    assert never_committed(assigned, {}, Answer(values={"reads": {}}, failed={("reads", "t", 1)})) == {("reads", "u"): 2}
