"""The last stage: what a community commits, and how late."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporters.alert_arrival.content import Content
from exporters.alert_arrival.counts import AlertTopic
from exporters.alert_arrival.delivery import Advance, Commits, delays
from exporters.alert_arrival.packets import AlertPacket
from zads.config import load

CONFIG = load(Path(__file__).resolve().parents[2] / "zads.toml")
NAME = "ztf_20260401_programid1"
PART = (NAME, 0)


def _topics(identity: str = "a") -> dict[str, AlertTopic]:
    return {NAME: AlertTopic(NAME, identity, "20260401", 1, (0,))}


def _advances(commits: Commits, offset: int, group: str = "lasair", identity: str = "a", start: int = 0):
    found = commits.update({group: {PART: offset}}, _topics(identity), {PART: start})
    return [(a.first, a.end) for a in found]


def test_only_what_is_committed_while_we_look_is_a_delivery() -> None:
    """The first reading is the past; the next ones move on from it."""
    commits = Commits(CONFIG)
    assert _advances(commits, 250) == []
    assert _advances(commits, 500) == [(250, 500)]
    assert _advances(commits, 500) == []


def test_a_first_commit_on_a_new_topic_is_a_delivery_of_all_of_it() -> None:
    """Topics are new each night, communities are not."""
    commits = Commits(CONFIG)
    _advances(commits, 250)
    assert _advances(commits, 100, identity="b") == [(0, 100)]


def test_a_community_that_begins_on_old_alerts_makes_none_late() -> None:
    """A new community, or one that reads an old topic for the first time: what it has committed then is its past."""
    commits = Commits(CONFIG)
    old = AlertTopic("ztf_20260320_programid1", "o", "20260320", 1, (0,))
    topics = _topics() | {old.name: old}
    list(commits.update({}, topics, {}))
    assert list(commits.update({"lasair": {PART: 250}}, topics, {})) == []
    assert list(commits.update({"lasair": {PART: 250, (old.name, 0): 9000}}, topics, {})) == []
    found = list(commits.update({"lasair": {PART: 300, (old.name, 0): 9100}}, topics, {}))
    assert [(a.topic.name, a.first, a.end) for a in found] == [(NAME, 250, 300), (old.name, 9000, 9100)]


def test_a_replay_is_no_second_first_delivery() -> None:
    """A group that went back to the beginning does not make last night's alerts look a day late."""
    commits = Commits(CONFIG)
    _advances(commits, 500)
    assert _advances(commits, 0) == []
    assert _advances(commits, 400) == []
    assert _advances(commits, 600) == [(500, 600)]


def test_the_furthest_group_of_a_community_counts_and_strangers_do_not() -> None:
    """A test group does not deliver a second time; a group of nobody delivers nothing."""
    commits = Commits(CONFIG)
    both = {"alerce": {PART: 100}, "alerce-test": {PART: 20}, "stranger": {PART: 100}}
    list(commits.update(both, _topics(), {}))
    moved = {"alerce": {PART: 130}, "alerce-test": {PART: 90}, "stranger": {PART: 140}}
    assert [(a.first, a.end) for a in commits.update(moved, _topics(), {})] == [(100, 130)]


def test_a_topic_made_anew_and_a_trimmed_log() -> None:
    """Another id is another topic; what was deleted before it was read was not delivered."""
    commits = Commits(CONFIG)
    _advances(commits, 500)
    assert _advances(commits, 80, identity="b") == [(0, 80)]
    assert _advances(commits, 300, identity="b", start=200) == [(200, 300)]


def test_delays_are_weighted_by_alerts_and_leave_out_the_unknown() -> None:
    """1,000 alerts, appended one each second until now: as many delays as alerts, half below the middle."""
    advance = Advance(_topics()[NAME], PART, 0, 1000)
    rows = list(delays(advance, lambda _, offset: 5000.0 + offset, 6000.0))
    assert sum(alerts for _, alerts in rows) == 1000
    assert sum(seconds * alerts for seconds, alerts in rows) / 1000 == pytest.approx(500, rel=0.01)
    assert list(delays(advance, lambda _, offset: None, 6000.0)) == []
    assert list(delays(Advance(_topics()[NAME], PART, 7, 8), lambda _, offset: 90.0, 100.0)) == [(10.0, 1)]


def _content() -> Content:
    content = Content((2, 3))
    for offset in range(10):
        packet = AlertPacket(offset, 2461369.25, 30.0, 1, "4.02")
        content.book(packet, ("a", NAME, 0), offset, 1, (packet.exposure_end + 60, packet.exposure_end + 62))
    return content


def _counts(content: Content, stage: str) -> tuple[float, float]:
    rows = {key[0]: (buckets[-1][1], total) for key, buckets, total in content.latency.items()}
    return rows.get(stage, (0.0, 0.0))


def test_without_commits_the_total_delay_ends_at_zads() -> None:
    """Exposure to append, when no community commits."""
    count, total = _counts(_content(), "total")
    assert (count, total / count) == (10, pytest.approx(62))


def test_with_commits_the_total_delay_ends_at_the_community() -> None:
    """Ten alerts, the first four committed by one community after 100 s: four delays of 100 s."""
    content = Content((2, 3))
    content.delivery_known = True
    end = AlertPacket(1, 2461369.25, 30.0, 1, "4.02").exposure_end
    for offset in range(10):
        packet = AlertPacket(offset, 2461369.25, 30.0, 1, "4.02")
        content.book(packet, ("a", NAME, 0), offset, 1, (end + 60, end + 62))
    assert _counts(content, "total") == (0, 0)
    content.delivered(("a", NAME, 0), 1, (0, 4), end + 100)
    count, total = _counts(content, "total")
    assert (count, total / count) == (4, pytest.approx(100))
    assert _counts(content, "exposure")[0] == 10


def test_what_waits_for_a_commit_is_bounded_and_keeps_its_weight() -> None:
    """10,000 alerts of a community that is away: a few hundred stand for all of them."""
    content = Content(())
    content.delivery_known = True
    for offset in range(10_000):
        packet = AlertPacket(offset, 2461369.25, 30.0, 1, "4.02")
        content.book(packet, ("a", NAME, 0), offset, 1, (packet.exposure_end, packet.exposure_end))
    assert len(content._pending["a", NAME, 0].rows) <= 400
    content.delivered(("a", NAME, 0), 1, (0, 10_000), packet.exposure_end + 5)
    assert _counts(content, "total")[0] == 10_000
    content.keep_only({"b"})
    assert not content._pending
