"""Nights as query results: the wall's input, made by hand. A scene is changed by giving a signal other samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wall.model import Sample
from zads.config import Config, load, parse

NOW = 1_795_540_000.0  # 2026-11-24 17:06:40 UTC
Scene = dict[str, list[Sample]]
_EXAMPLE = Path(__file__).resolve().parents[3] / "zads.toml"


def config() -> Config:
    """Return the example site: lasair, alerce, antares, fink, ampel."""
    return load(_EXAMPLE)


def site_of(names: list[str]) -> Config:
    """Return a site with these communities, all of which commit."""
    tables = "".join(f'[[community]]\nname = "{n}"\nnetworks = ["10.0.{i}.0/24"]\n' for i, n in enumerate(names))
    return parse('[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n' + tables)


def sample(value: float, **labels: str) -> Sample:
    return Sample(labels, value)


def each(names: list[str], value: float, label: str = "community") -> list[Sample]:
    return [Sample({label: name}, value) for name in names]


def clear_night(names: list[str] | None = None) -> Scene:
    """Return a dark hour in which all is well."""
    names = names or ["lasair", "alerce", "antares", "fink", "ampel"]
    services = ["kafka-upstream", "mirrormaker", "kafka-public"]
    commit = [n for n in names if n not in {"antares", "fink"}]
    single = {
        "data_timestamp": NOW - 4,
        "dark": 1,
        "upstream_readable": 1,
        "public_readable": 1,
        "night_end": NOW + 4 * 3600,
        "arriving": 9000,
        "tonight": 312_480,
        "missing": 0,
        "behind": 12,
        "behind_seconds": 2,
        "last_alert": NOW - 14,
        "last_upstream": NOW - 12,
        "exposure_rate": 1 / 38.7,
        "delay": 660,
        "delay_goal": 1200,
        "delay_mirror": 3,
        "delay_mirror_goal": 120,
        "budget_bad": 54,
        "budget": 534.6,
        "notifier_up": 1,
    }
    return {
        **{name: [sample(value)] for name, value in single.items()},
        "services": each(services, 1, "service"),
        "service_up": each(services, 1, "service"),
        "hosts": each(["zads"], 1, "host"),
        "firing": [],
        "active_since": [],
        "incidents": [],
        "impact": [],
        "on_call": [sample(1, name="operator 2")],
        "community_known": [sample(float(n in commit), community=n) for n in names],
        "community_lag": each(commit, 4),
        "community_waiting": each(commit, 30),
        "community_batch": [sample(250 if n == "lasair" else 1, community=n) for n in names],
        "community_egress": each(names, 1.1e6),
        "community_connections": each(names, 2),
    }


def quiet_day() -> Scene:
    """Return noon: nothing arrives, nothing waits, all is well."""
    scene = clear_night()
    scene.update(dark=[sample(0)], arriving=[sample(0)], behind=[sample(0)], behind_seconds=[sample(0)], delay=[])
    scene.update(last_alert=[sample(NOW - 4 * 3600)], last_upstream=[sample(NOW - 4 * 3600)], exposure_rate=[])
    names = ["lasair", "alerce", "ampel"]
    return {**scene, "community_waiting": each(names, 0), "community_lag": each(names, 0)}


def cloudy_night() -> Scene:
    """Return a dark hour in which nothing comes from IPAC: clouds, as far as anybody here can tell."""
    scene = clear_night()
    scene.update(arriving=[sample(0)], behind=[sample(0)], behind_seconds=[sample(0)], delay=[], exposure_rate=[])
    scene.update(last_alert=[sample(NOW - 2 * 3600)], last_upstream=[sample(NOW - 2 * 3600)], tonight=[sample(98_120)])
    names = ["lasair", "alerce", "ampel"]
    return {**scene, "community_waiting": each(names, 0), "community_lag": each(names, 0)}


def fires(scene: Scene, name: str, headline: str, severity: str, ago: float, impact: str = "", **labels: str) -> Scene:
    """Let an alert fire since `ago` seconds."""
    all_labels = {"alertname": name, "headline": headline, "severity": severity, **labels}
    state = {**all_labels, "alertstate": "firing"}
    return {
        **scene,
        "firing": [*scene["firing"], Sample(state, 1)],
        "active_since": [*scene["active_since"], Sample(all_labels, NOW - ago)],
        "impact": [*scene["impact"], Sample({**all_labels, "impact": impact}, NOW - ago)],
    }


def kafka_down() -> Scene:
    """Return the public Kafka killed 41 minutes ago, told, taken; nothing about alerts at ZADS can be read."""
    impact = "No community gets alerts. They wait at IPAC: delayed, nothing lost for 7 days."
    scene = fires(clear_night(), "ServiceDown", "KAFKA DOWN", "page", 41 * 60, impact, service="kafka-public")
    scene = fires(scene, "CommunityDisconnected", "FINK AWAY", "ticket", 41 * 60, community="fink")
    gone = ("tonight", "missing", "behind", "behind_seconds", "last_alert", "delay", "delay_mirror")
    for signal in (*gone, "community_lag", "community_waiting"):
        scene[signal] = []
    down = [sample(float(s != "kafka-public"), service=s) for s in ("kafka-upstream", "mirrormaker", "kafka-public")]
    scene.update(services=down, service_up=down, public_readable=[sample(0)])
    scene["community_connections"] = [sample(0, community=s.labels["community"]) for s in scene["community_connections"]]
    told = {"headline": "KAFKA DOWN", "severity": "page", "state": "acknowledged", "acknowledged_by": "operator 2"}
    return {**scene, "incidents": [Sample(told, 1)]}


def mirror_down() -> Scene:
    """Return the picture of trouble: the mirror is down, Fink is away, AMPEL's lag cannot be seen."""
    impact = "Alerts arrive at IPAC and are not passed on: delayed, nothing lost for 7 days."
    scene = fires(clear_night(), "ServiceDown", "MIRRORMAKER DOWN", "page", 41 * 60, impact, service="mirrormaker")
    scene = fires(scene, "CommunityDisconnected", "FINK AWAY", "ticket", 3000, community="fink")
    scene = fires(scene, "MirrorLagging", "MIRROR BEHIND", "ticket", 2000)
    down = [sample(float(s != "mirrormaker"), service=s) for s in ("kafka-upstream", "mirrormaker", "kafka-public")]
    scene.update(services=down, service_up=down, tonight=[sample(287_102)], behind=[sample(25_378)])
    scene.update(
        behind_seconds=[sample(2460)], last_alert=[sample(NOW - 2460)], delay=[sample(3120)], delay_mirror=[sample(2460)]
    )
    scene["community_connections"] = [
        sample(0 if s.labels["community"] == "fink" else 2, **s.labels) for s in scene["community_connections"]
    ]
    for signal in ("community_lag", "community_waiting"):
        scene[signal] = each(["lasair", "alerce"], 0)
    scene["community_lag_seen"] = [sample(NOW - 180, community="ampel")]
    told = {"headline": "MIRRORMAKER DOWN", "severity": "page", "state": "acknowledged", "acknowledged_by": "operator 2"}
    return {**scene, "incidents": [Sample(told, 1)]}


def lasair_behind() -> Scene:
    """Return Lasair 41 minutes late, everybody else on time."""
    impact = "Only Lasair gets alerts late; others are on time."
    scene = fires(clear_night(), "CommunityLagging", "LASAIR BEHIND", "ticket", 300, impact, community="lasair")
    scene["community_lag"] = [sample(41 * 60, community="lasair"), *each(["alerce", "ampel"], 4)]
    scene["community_waiting"] = [sample(12_306, community="lasair"), *each(["alerce", "ampel"], 30)]
    return scene


def long_names() -> Scene:
    """Return the longest words that a site can give: they are set smaller, never cut without a mark."""
    headline = "MIRRORMAKER OF THE SECOND DATA CENTRE NOT ANSWERING"
    impact = "Alerts that should have been here an hour ago wait somewhere between two machines that nobody can see"
    scene = fires(clear_night(), "X", headline, "page", 47 * 3600, impact)
    scene.update(arriving=[sample(0)], dark=[sample(0)], last_alert=[sample(NOW - 47 * 3600)], delay=[sample(47 * 3600)])
    scene.update(on_call=[sample(1, name="a person with a rather long name")], tonight=[sample(1_312_480_123)])
    return scene


def many_communities() -> Scene:
    """Return twenty communities: one late, one away, and all with names longer than a tile."""
    names = MANY
    scene = fires(clear_night(names), "CommunityLagging", f"{names[17].upper()} BEHIND", "ticket", 60, community=names[17])
    scene["community_lag"] = [sample(2460 if n == names[17] else 4, community=n) for n in names]
    scene["community_connections"] = [sample(0 if n == names[4] else 2, community=n) for n in names]
    return scene


def first_minute() -> Scene:
    """Return what is known in the first minute after the start: half of the exporters were not read yet."""
    scene = clear_night()
    kept = ("data_timestamp", "services", "service_up", "hosts", "on_call", "notifier_up", "budget", "budget_bad")
    return {**{name: [] for name in scene}, **{name: scene[name] for name in kept}, "lag_collected": [sample(1)]}


def no_data() -> Scene:
    """Return a Prometheus that knows nothing but itself."""
    return {**{name: [] for name in clear_night()}, "data_timestamp": [sample(NOW - 3)]}


def nothing_collected() -> Scene:
    """Return a Prometheus whose newest data is old: the wall is blind."""
    return {**clear_night(), "data_timestamp": [sample(NOW - 240)]}


def accents() -> Scene:
    """Return names with letters of the second font file."""
    scene = fires(
        clear_night(), "X", "ŘÍČANY ÅBŐ GĄSKI NOT ANSWERING", "ticket", 300, "Żadna społeczność nie dostaje alertów"
    )
    scene.update(on_call=[sample(1, name="Škvorecký Łódź Ğ")])
    return scene


MANY = [f"a-community-with-a-rather-long-name-{i}" for i in range(20)]
PICTURES: dict[str, Callable[[], Scene]] = {
    scene.__name__: scene
    for scene in (
        clear_night,
        quiet_day,
        cloudy_night,
        kafka_down,
        mirror_down,
        lasair_behind,
        long_names,
        many_communities,
        first_minute,
        no_data,
        nothing_collected,
        accents,
    )
}
