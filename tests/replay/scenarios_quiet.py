"""Replays that must not page, and the tickets that they may make: ordinary nights, and what looks like trouble."""

from __future__ import annotations

from tests.replay.scenario import DAY, HOUR, MINUTE, Fault, Reader, Scenario

LONG = {"step": 60, "evaluate": 120}
DUSK = "2026-03-20T01:00"  # an hour before dusk (02:00 UT)
BLOCKS = (1, 2, 1, 2, 3)  # the order of Phase I: an hour and a half without a public alert comes with it
FOREVER = 100 * DAY


def _quiet(name: str, begin: str, hours: float, *faults: Fault, allowed: tuple[str, ...] = (), **more: object) -> Scenario:
    return Scenario(name, begin, hours, faults=faults, allowed=frozenset(allowed), **more)  # type: ignore[arg-type]


QUIET = [
    _quiet("a clear night", DUSK, 14, blocks=BLOCKS, **LONG),
    _quiet("a cloudy night, nothing at all", DUSK, 14, closed=((0, 14 * HOUR),), **LONG),
    _quiet(
        "clouds in the middle of a night",
        DUSK,
        14,
        closed=((4 * HOUR, 7 * HOUR),),
        allowed=("UpstreamSilent",),
        **LONG,
    ),
    _quiet("a night that begins 4 hours late", DUSK, 14, closed=((0, 5 * HOUR),), **LONG),
    _quiet("60 minutes without public alerts between blocks", DUSK, 14, blocks=(1, 2, 3), **LONG),
    _quiet("the dome closed for two weeks", "2026-12-01T00:00", 15.5 * 24, closed=((0, 14 * DAY),), step=60, evaluate=300),
    _quiet("late packets until 18:00 UT", DUSK, 22, straggle=0.01, blocks=BLOCKS, **LONG),
    _quiet(
        "a community catches up on three nights, as planned",
        "2026-03-20T20:00",
        82,
        Fault("away", 4 * HOUR, 76 * HOUR, "alerce"),
        allowed=("CommunityDisconnected", "CommunityLagging"),
        readers={"alerce": Reader(rate=300)},
        **LONG,
    ),
    _quiet("Lasair's tail of 249 alerts, in a pause and after dawn", DUSK, 26, blocks=(1, 2, 3), seed=11, **LONG),
    _quiet("Fink and ANTARES read and commit nothing", "2026-03-20T05:00", 2, readers={"fink": Reader(rate=40)}),
    _quiet(
        "kafka-lag lost and back while a community is behind",
        "2026-03-20T05:00",
        2,
        Fault("slow", -40 * MINUTE, FOREVER, "lasair", by=2.0),
        Fault("target down", 50 * MINUTE, 60 * MINUTE, "kafka-lag"),
        allowed=("CommunityLagging", "CommunityBelowContract", "ExporterDown"),
    ),
    _quiet("tonight's topics appear, last week's go", "2026-03-20T01:30", 3, lead=8 * DAY, step=30, evaluate=30),
    _quiet(
        "the galactic plane: ten times the alerts for 40 minutes",
        "2026-03-20T05:00",
        2,
        burst=(20 * MINUTE, HOUR, 10),
        allowed=("EgressNearCapacity",),  # five communities take nine tenths of 1 Gbit/s meanwhile
    ),
    _quiet(
        "a burst of 80,000 alerts a minute",
        "2026-03-20T05:00",
        1.5,
        burst=(20 * MINUTE, 30 * MINUTE, 52),
        allowed=("EgressNearCapacity",),
    ),
    _quiet("Prometheus restarted", "2026-03-20T05:00", 1, Fault("prometheus gone", 30 * MINUTE, 32 * MINUTE)),
    *(
        _quiet(f"{job} upgraded", "2026-03-20T05:00", 1, Fault("upgraded", 30 * MINUTE, 30 * MINUTE + 20, job))
        for job in ("kafka-lag", "broker-egress", "alert-arrival", "services")
    ),
]
