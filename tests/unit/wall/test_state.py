"""What the wall says, from query results: quiet day, clear night, each trouble, lost sight."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.wall import scenes
from tests.unit.wall.scenes import NOW, Scene, each, sample
from wall.model import Tile, Wall, clip, duration, rate
from wall.state import READS, build
from zads.signals import SIGNALS


def _wall(scene: Scene | None, **more: Any) -> Wall:
    return build(scenes.config(), scene, NOW, **more)


def _community(wall: Wall, name: str) -> Tile:
    return next(tile for tile in wall.communities if tile.name == name)


def _looks(wall: Wall) -> set[str]:
    return {tile.look for tile in (*wall.sky, *wall.communities, *wall.chain)}


def test_every_signal_that_the_wall_reads_is_declared():
    assert set(READS) <= set(SIGNALS)


def test_a_clear_night_looks_as_drawn():
    """All well, five tiles on time or reading, three links OK, budget in hours."""
    wall = _wall(scenes.clear_night())
    assert (wall.headline.word, wall.headline.line) == ("ALL WELL", "4 hosts and services answer · nothing firing")
    assert [(t.word, t.line) for t in wall.sky] == [
        ("DARK, ARRIVING", "until 21:06 UTC"),
        ("312,480", "0 missing"),
        ("14 s ago", "exposures every 39 s"),
        ("11 min", "goal 20 min"),
    ]
    assert [t.word for t in wall.communities] == ["ON TIME", "ON TIME", "READING", "READING", "ON TIME"]
    assert [(t.name, t.word) for t in wall.chain] == [("IPAC", "OK"), ("MIRROR", "OK"), ("KAFKA", "OK")]
    assert wall.foot == (
        ("UTC", "17:06"),
        ("Los Angeles", "09:06"),
        ("data", "4 s old"),
        ("on call", "operator 2"),
        ("budget left", "8.0 of 8.9 h"),
    )
    assert _looks(wall) == {"ok", "idle"}
    assert not wall.blind


def test_a_quiet_day_is_calm():
    """By day nothing arrives: that is no trouble, and no number is made up."""
    wall = _wall(scenes.quiet_day())
    assert wall.headline.word == "ALL WELL"
    assert (wall.sky[0].word, wall.sky[0].line) == ("DAY", "nothing since 13:06 UTC")
    assert (wall.sky[2].word, wall.sky[3].word) == ("4 h 00 ago", "—")
    assert _community(wall, "LASAIR").line == "nothing waiting"
    assert _looks(wall) == {"ok", "idle"}


@pytest.mark.parametrize(
    ("dark", "arriving", "last", "readable", "word"),
    [
        (1, 0, NOW - 600, 1, "NOTHING FROM IPAC"),
        (1, 0, None, 1, "DARK, NOTHING YET"),
        (0, 5, NOW, 1, "DAY, STILL ARRIVING"),
        (1, 5, NOW, 0, "CANNOT SEE IPAC"),
    ],
)
def test_the_sky_in_words(dark: float, arriving: float, last: float | None, readable: float, word: str):
    scene = scenes.clear_night()
    scene.update(dark=[sample(dark)], arriving=[sample(arriving)], upstream_readable=[sample(readable)])
    scene["last_upstream"] = [] if last is None else [sample(last)]
    tile = _wall(scene).sky[0]
    assert tile.word == word
    assert tile.look == ("unknown" if not readable else "ok" if arriving else "idle")


def test_kafka_down_is_the_headline_and_nobody_elses_fault():
    """The page stands first with its age, who has it, what it costs, how many more; communities wait, amber is nobody."""
    wall = _wall(scenes.kafka_down())
    assert wall.headline.word == "KAFKA DOWN  41 min"
    assert wall.headline.look == "bad"
    assert wall.headline.line == (
        "acknowledged by operator 2 · No community gets alerts. They wait at IPAC: delayed, nothing lost for 7 days · 1 more"
    )
    assert {t.word for t in wall.communities} == {"WAITING"}
    assert [t.word for t in wall.chain] == ["OK", "OK", "DOWN"]
    assert [t.look for t in wall.sky[1:]] == ["unknown"] * 3


def test_a_mirror_that_is_down_colours_what_it_holds_up():
    wall = _wall(scenes.mirror_down())
    assert wall.headline.word == "MIRRORMAKER DOWN  41 min"
    assert [(t.word, t.line, t.look) for t in wall.sky[1:]] == [
        ("287,102", "25,378 not passed on", "bad"),
        ("41 min ago", "IPAC has newer ones", "bad"),
        ("52 min", "goal 20 · at mirror", "bad"),
    ]
    assert _community(wall, "FINK") == Tile("FINK", "AWAY", "since 16:16 UTC", "warn")
    assert _community(wall, "AMPEL") == Tile("AMPEL", "UNKNOWN", "no data for 3 min", "unknown")
    assert [t.word for t in wall.chain] == ["OK", "DOWN", "OK"]


def test_a_service_that_lives_and_does_not_answer_is_not_called_down():
    scene = scenes.clear_night()
    scene["services"] = [sample(0, service="mirrormaker"), *each(["kafka-upstream", "kafka-public"], 1, "service")]
    wall = _wall(scene)
    assert wall.chain[1].word == "NO ANSWER"
    assert wall.headline.word == "RECOVERING"


def test_a_community_behind_is_amber_and_alone():
    wall = _wall(scenes.lasair_behind())
    assert wall.headline.word == "LASAIR BEHIND  5 min"
    assert wall.headline.look == "warn"
    assert _community(wall, "LASAIR") == Tile("LASAIR", "BEHIND", "41 min · 12,306 alerts", "warn")
    assert _community(wall, "ALERCE").look == "ok"


def test_a_community_that_commits_in_batches_is_on_time_within_a_batch():
    """Lasair's last 250 alerts wait for hours after dawn: that is how it works, not lag."""
    scene = scenes.clear_night()
    scene["community_lag"] = each(["lasair", "alerce", "ampel"], 5 * 3600)
    scene["community_waiting"] = each(["lasair", "alerce", "ampel"], 250)
    assert _community(_wall(scene), "LASAIR") == Tile("LASAIR", "ON TIME", "in batch · 1.1 MB/s", "ok")


def test_away_and_unknown_are_different():
    """No connection is AWAY; no series is UNKNOWN, and then ALL WELL does not stand."""
    scene = scenes.clear_night()
    scene["community_connections"] = [sample(0, community="fink"), *each(["lasair", "alerce", "ampel"], 2)]
    wall = _wall(scene)
    assert (_community(wall, "FINK").word, _community(wall, "ANTARES").word) == ("AWAY", "UNKNOWN")
    assert wall.headline.word == "FINK AWAY"
    scene["community_connections"] = each(["fink", "lasair", "alerce", "ampel"], 2)
    wall = _wall(scene)
    assert (wall.headline.word, wall.headline.line) == ("CANNOT SEE ALL", "unknown: Antares")


def test_a_first_night_without_topics_is_not_unknown():
    """Kafka is read and holds no public topic yet: nothing to read, 0 alerts, nothing unknown."""
    scene = scenes.clear_night()
    for gone in ("tonight", "last_alert", "delay", "community_lag", "community_waiting", "arriving", "last_upstream"):
        scene[gone] = []
    scene["lag_collected"] = [sample(1)]
    wall = _wall(scene)
    assert "unknown" not in _looks(wall)
    assert _community(wall, "LASAIR").word == "READY"


@pytest.mark.parametrize(
    ("stale", "line"),
    [(False, "no data since 17:05 UTC (90 s)"), (True, "no data since 17:06 UTC (31 s)")],
    ids=["no answer", "old data"],
)
def test_without_prometheus_the_wall_is_blind(stale: bool, line: str):
    """Nothing stays green: BLIND, since when, every tile UNKNOWN."""
    scene = {**scenes.clear_night(), "data_timestamp": [sample(NOW - 31)]} if stale else None
    wall = _wall(scene, lost_since=NOW - 90)
    assert wall.blind
    assert wall.headline.word == "BLIND"
    assert wall.headline.line.startswith(line)
    assert _looks(wall) == {"unknown"}
    assert {t.word for t in (*wall.sky, *wall.communities, *wall.chain)} == {"UNKNOWN"}


def test_nothing_is_green_when_prometheus_knows_nothing_but_itself():
    """Every exporter is gone: all tiles are UNKNOWN and the headline does not say ALL WELL."""
    wall = _wall({"data_timestamp": [sample(NOW - 3)]})
    assert _looks(wall) == {"unknown"}
    assert wall.headline.word == "CANNOT SEE ALL"


def test_of_twenty_communities_the_four_worst_are_shown():
    names = [f"community-{i:02d}" for i in range(20)]
    scene = scenes.clear_night(names)
    for late in ("community-17", "community-09"):
        scene = scenes.fires(scene, "CommunityLagging", f"{late.upper()} BEHIND", "ticket", 60, community=late)
    scene["community_lag"] = [sample(float(i if i != 17 else 9999), community=n) for i, n in enumerate(names)]
    scene["community_connections"] = [sample(0 if i == 4 else 2, community=n) for i, n in enumerate(names)]
    wall = build(scenes.site_of(names), scene, NOW)
    assert [t.name for t in wall.communities] == ["COMMUNITY-17", "COMMUNITY-09", "COMMUNITY-04", "COMMUNITY-19", "OTHERS"]
    assert wall.communities[-1] == Tile("OTHERS", "16 on time", "all the others", "ok")
    scene["community_lag"] = scene["community_lag"][18:]
    rest = build(scenes.site_of(names), scene, NOW).communities[-1]
    assert rest.look == "unknown"  # never green for lack of data
    assert "unknown" in rest.line
    blind = build(scenes.site_of(names), None, NOW).communities
    assert [t.name for t in blind][-1] == "16 OTHERS"


def test_long_names_keep_the_line_short():
    """What is cut is the impact, never who has it nor how many more."""
    scene = scenes.fires(scenes.clear_night(), "X", "VERY LONG SERVICE NAME " * 3, "page", 60, "word " * 80)
    scene = scenes.fires(scene, "Y", "OTHER", "page", 50)
    line = _wall(scene).headline.line
    assert line.startswith("not told to anybody · word")
    assert line.endswith("… · 1 more")
    assert len(line) <= 120


def test_a_page_goes_before_an_older_ticket():
    scene = scenes.fires(scenes.lasair_behind(), "HostDown", "HOST DOWN", "page", 30, "All services are gone.")
    headline = _wall(scene).headline
    assert (headline.word, headline.line) == ("HOST DOWN  30 s", "being told · All services are gone · 1 more")
    scene["notifier_up"] = []
    assert _wall(scene).headline.line.startswith("the notifier cannot be seen")


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s"), (4, "4 s"), (99, "99 s"), (2460, "41 min"), (7500, "2 h 05"), (259200, "3 d")]
)
def test_durations_in_few_letters(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 MB/s"), (80_000, "0.08 MB/s"), (1.2e6, "1.2 MB/s"), (35e6, "35 MB/s")])
def test_rates_as_contracts_give_them(value: float, text: str):
    assert rate(value) == text


def test_hours_of_another_day_name_the_day():
    scene = scenes.fires(scenes.clear_night(), "X", "SLOW", "ticket", 47 * 3600)
    assert _wall(scene).headline.over == "ZADS · since Sun 18:06 UTC"


def test_clip_cuts_between_words():
    assert clip("one two three", 9) == "one two …"
    assert clip("short", 9) == "short"
