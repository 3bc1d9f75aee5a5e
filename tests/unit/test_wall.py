"""What the wall says in every state: never green for lack of data, always a word."""

from __future__ import annotations

from pathlib import Path

from wall.state import Sample, Wall, build
from zads.config import load

CONFIG = load(Path(__file__).resolve().parents[2] / "zads.toml")
NOW = 1775034000.0


def _samples(**values: float) -> list[Sample]:
    return [Sample({"service": name.replace("_", "-"), "host": name}, value) for name, value in values.items()]


def _by(label: str, **values: float) -> list[Sample]:
    return [Sample({label: name}, value) for name, value in values.items()]


def _well() -> dict[str, list[Sample]]:
    def one(value: float) -> list[Sample]:
        return [Sample({}, value)]

    return {
        "data_timestamp": one(NOW - 3),
        "firing": [],
        "services": _samples(kafka_upstream=1, kafka_public=1, mirrormaker=1),
        "service_up": _samples(kafka_upstream=1, kafka_public=1, mirrormaker=1),
        "hosts": _by("host", zads=1),
        "dark": one(1),
        "night_end": one(NOW + 3600),
        "upstream_readable": one(1),
        "arriving": one(500),
        "tonight": one(312480),
        "missing": one(0),
        "behind": one(3),
        "behind_seconds": one(2),
        "last_alert": one(NOW - 14),
        "last_upstream": one(NOW - 14),
        "delay": one(660),
        "delay_goal": one(1200),
        "delay_mirror": one(2),
        "delay_mirror_goal": one(120),
        "community_known": _by("community", lasair=1, alerce=1, antares=0, fink=0, ampel=1),
        "community_lag": _by("community", lasair=40, alerce=2, ampel=0),
        "community_waiting": _by("community", lasair=200, alerce=5, ampel=0),
        "community_batch": _by("community", lasair=250, alerce=1, antares=1, fink=1, ampel=1),
        "community_late": _by("community", lasair=0, alerce=0, ampel=0),
        "community_egress": _by("community", lasair=1.1e6, alerce=1.1e6, antares=1.2e6, fink=1e6, ampel=1.1e6),
        "community_connections": _by("community", lasair=2, alerce=2, antares=1, fink=1, ampel=2),
        "on_call": [Sample({"name": "operator 2"}, 1)],
        "budget": one(534),
        "budget_bad": one(54),
    }


def _words(wall: Wall) -> dict[str, tuple[str, str, str]]:
    return {t.name: (t.word, t.line, t.look) for t in (*wall.sky, *wall.communities, *wall.chain)}


def test_a_clear_night() -> None:
    """All well, with numbers."""
    wall = build(CONFIG, _well(), NOW)
    words = _words(wall)
    assert (wall.headline.word, wall.headline.look) == ("ALL WELL", "ok")
    assert wall.headline.line == "4 hosts and services answer · nothing firing"
    assert words["SKY"][0] == "DARK, ARRIVING"
    assert words["ALERTS TONIGHT"] == ("312,480", "0 missing", "ok")
    assert words["LASAIR"] == ("ON TIME", "in batch · 1.1 MB/s", "ok")
    assert words["FINK"] == ("READING", "lag unknown · 1.0 MB/s", "idle")
    assert dict(wall.foot)["budget left"] == "8.0 of 8.9 h"


def test_kafka_down_says_so_and_how_long() -> None:
    """The worst headline with its age; what is not seen is unknown."""
    results = _well()
    labels = {"alertname": "ServiceDown", "severity": "page", "headline": "KAFKA DOWN", "service": "kafka-public"}
    results["firing"] = [Sample(labels | {"alertstate": "firing", "__name__": "ALERTS"}, 1)]
    results["active_since"] = [Sample(labels | {"__name__": "ALERTS_FOR_STATE"}, NOW - 41 * 60)]
    results["services"] = _samples(kafka_upstream=1, kafka_public=0, mirrormaker=1)
    results["service_up"] = _samples(kafka_upstream=1, kafka_public=0, mirrormaker=1)
    results["tonight"], results["community_lag"] = [], []
    wall = build(CONFIG, results, NOW)
    words = _words(wall)
    assert (wall.headline.word, wall.headline.look) == ("KAFKA DOWN  41 min", "bad")
    assert words["KAFKA"][0] == "DOWN"
    assert words["ALERTS TONIGHT"][0] == "UNKNOWN"
    assert words["ALERCE"][0] == "UNKNOWN"


def test_a_page_outranks_an_older_ticket() -> None:
    """And the rest is counted."""
    results = _well()
    rows = [("ticket", "LASAIR BEHIND", 9000), ("page", "MIRRORMAKER HANGS", 60)]
    results["firing"] = [Sample({"alertname": h, "severity": s, "headline": h}, 1) for s, h, _ in rows]
    results["active_since"] = [Sample({"alertname": h, "severity": s, "headline": h}, NOW - age) for s, h, age in rows]
    headline = build(CONFIG, results, NOW).headline
    assert headline.word == "MIRRORMAKER HANGS  60 s"
    assert "1 more: Lasair behind" in headline.line


def test_a_community_behind_or_away() -> None:
    """With how far, and since when."""
    results = _well()
    results["community_late"] = _by("community", lasair=1, alerce=0, ampel=0)
    results["community_lag"] = _by("community", lasair=2460, alerce=2, ampel=0)
    results["community_connections"] = _by("community", lasair=2, alerce=2, antares=1, fink=0, ampel=2)
    words = _words(build(CONFIG, results, NOW))
    assert words["LASAIR"] == ("BEHIND", "41 min · 200 alerts", "warn")
    assert words["FINK"][0] == "AWAY"


def test_nothing_is_green_without_prometheus_or_with_old_data() -> None:
    """BLIND, since when, every tile unknown."""
    old = _well()
    old["data_timestamp"] = [Sample({}, NOW - 45)]
    for wall in (build(CONFIG, None, NOW, NOW - 200), build(CONFIG, old, NOW)):
        assert wall.headline.word == "BLIND"
        assert "since" in wall.headline.line
        assert {look for _, _, look in _words(wall).values()} == {"unknown"}


def test_each_source_that_is_gone_makes_its_tiles_unknown() -> None:
    """Signal by signal: no tile that needs it stays green."""
    tiles = {
        "dark": "SKY",
        "tonight": "ALERTS TONIGHT",
        "last_alert": "LAST ALERT",
        "services": "KAFKA",
        "community_lag": "ALERCE",
    }
    for signal, tile in tiles.items():
        results = _well()
        results[signal] = []
        assert _words(build(CONFIG, results, NOW))[tile][0] == "UNKNOWN", signal


def test_twenty_communities_show_the_worst_and_count_the_rest() -> None:
    """Four tiles and a sum."""
    base = CONFIG.communities[1]
    names = [f"community-with-a-rather-long-name-{n}" for n in range(20)]
    config = CONFIG.model_copy(update={"communities": tuple(base.model_copy(update={"name": n}) for n in names)})
    results = _well()
    for signal, value in (("lag", 5.0), ("waiting", 9.0), ("late", 0.0), ("egress", 1e6), ("connections", 1.0)):
        results[f"community_{signal}"] = [Sample({"community": n}, value) for n in names]
    results["community_late"][7] = Sample({"community": names[7]}, 1.0)
    tiles = build(config, results, NOW).communities
    assert len(tiles) == 5
    assert tiles[0].word == "BEHIND"
    assert (tiles[-1].name, tiles[-1].word) == ("OTHERS", "16 on time")


def test_the_sky_in_words() -> None:
    """Day, still arriving, clouds, and an IPAC that cannot be seen."""
    cases = [
        ({"dark": 0.0, "arriving": 0.0}, "DAY"),
        ({"dark": 0.0, "arriving": 9.0}, "DAY, STILL ARRIVING"),
        ({"dark": 1.0, "arriving": 0.0}, "NOTHING FROM IPAC"),
        ({"upstream_readable": 0.0}, "CANNOT SEE IPAC"),
    ]
    for change, word in cases:
        results = _well()
        results.update({name: [Sample({}, value)] for name, value in change.items()})
        assert _words(build(CONFIG, results, NOW))["SKY"][0] == word
