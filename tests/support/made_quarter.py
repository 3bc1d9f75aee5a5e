"""A quarter of nights of which everything is known, as samples for a Prometheus."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.support.backfilled import Sample
from zads.night import night_bounds
from zads.slo_quarter import Quarter
from zads.sun import dark_spans

QUARTER = Quarter(2026, 1)
LATITUDE, LONGITUDE = 33.3573, -116.8599
STEP, DAY = 300, 86400  # Prometheus looks back five minutes
KEPT = 3 * DAY  # how long a night's topic stays
DOWN, LACKING, UNSEEN, SLOW = "20260110", "20260118", "20260214", "20260303"
BAD, MISSING = 42, 120
EDGES = ("600.0", "1200.0", "1800.0", "+Inf")


@dataclass
class Made:
    """What was put in: alerts by night, closed nights, and the samples."""

    alerts: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    dark: dict[str, float] = field(default_factory=dict)
    wire: int = 0
    series: dict[str, list[Sample]] = field(default_factory=dict)

    def put(self, name: str, when: float, value: float) -> None:
        """Add a sample."""
        self.series.setdefault(name, []).append((when, value))


def make() -> Made:
    """Return 2026Q1: a third of its nights closed, one with Kafka down, one with a gap, one unseen, one slow."""
    made, dice = Made(), random.Random(7)
    arrived = counted = taken = messages = 0
    buckets = dict.fromkeys(EDGES, 0)
    for night in QUARTER.nights():
        start, end = (moment.timestamp() for moment in night_bounds(night, LONGITUDE))
        ((dusk, dawn),) = (
            (low.timestamp(), high.timestamp())
            for low, high in dark_spans(*night_bounds(night, LONGITUDE), LATITUDE, LONGITUDE)
        )
        made.dark[night] = dawn - dusk
        shut = dice.random() < 0.3 and night not in (DOWN, LACKING, UNSEEN, SLOW)
        if shut:
            made.closed.add(night)
        whole = 0 if shut else 1000 * dice.randint(150, 420)
        made.alerts[night] = whole
        if night == UNSEEN:
            arrived, counted, taken = arrived + whole, counted + whole, taken + whole
            continue
        for when in range(int(start // STEP + 1) * STEP, int(end), STEP):
            came = whole * min(1.0, max(0.0, (when - dusk) / (dawn - dusk)))
            made.put('zads_alerts_arrived_total{cluster="upstream",program="1"}', when, arrived + round(came))
            late = night == SLOW
            for index, edge in enumerate(EDGES):
                fast = (0.5, 0.97, 1, 1) if not late else (0.1, 0.5, 1, 1)
                made.put(
                    f'zads_alert_latency_seconds_bucket{{le="{edge}",stage="total",program="1"}}',
                    when,
                    buckets[edge] + round(came * fast[index]),
                )
            made.put(
                'zads_community_egress_bytes_total{community="lasair",source="wire"}', when, (taken + round(came)) * 1000
            )
            # Lasair leaves 100 of a batch of 250; on the slow night 5,000 wait for an hour and a half.
            behind = late and dusk + 3600 <= when < dusk + 9000
            made.put('zads:community_lag_seconds:max{community="lasair"}', when, 5400 if behind else 40)
            made.put('zads:community_lag_alerts:sum{community="lasair"}', when, 5000 if behind else 100)
            made.put('zads:community_commit_batch{community="lasair"}', when, 250)
            made.put('zads:community_late:bool{community="lasair"}', when, float(behind))
            if night == DOWN and when >= dusk + 7200 and messages == 0:
                messages = 3
            made.put('zads_notifications_total{channel="email",outcome="sent"}', when, messages)
        arrived, counted, taken = arrived + whole, counted + whole, taken + whole
        for index, edge in enumerate(EDGES):
            buckets[edge] += round(whole * ((0.5, 0.97, 1, 1) if night != SLOW else (0.1, 0.5, 1, 1))[index])
        _topic(made, night, whole, dusk, dawn)
        _minutes(made, night, dusk, dawn, shut=shut)
    made.wire = taken * 1000
    return made


def _topic(made: Made, night: str, whole: int, dusk: float, dawn: float) -> None:
    if not whole:
        return
    labels = f'night="{night}",program="1"'
    lacks = MISSING if night == LACKING else 0
    for when in range(int(dusk // STEP + 2) * STEP, int(dusk + KEPT), STEP):
        came = round(whole * min(1.0, (when - dusk) / (dawn - dusk)))
        made.put(f'zads_night_alerts{{cluster="upstream",{labels}}}', when, came)
        made.put(f'zads_night_alerts{{cluster="public",{labels}}}', when, max(0, came - lacks))
        made.put(f"zads_night_missing_alerts{{{labels}}}", when, min(came, lacks))
        made.put(f'zads_community_lag_alerts{{community="lasair",{labels}}}', when, min(100, came))


def _minutes(made: Made, night: str, dusk: float, dawn: float, *, shut: bool) -> None:
    labels = f'{{night="{night}",quarter="{QUARTER}"}}'
    moments = range(int(dusk // 60 + 1) * 60 + 20, int(dawn), 60)
    bad = set(moments[120 : 120 + BAD]) if night == DOWN else set()
    for index, when in enumerate(moments):
        made.put(f"zads:night_minute:bad{labels}", when, float(when in bad))
        made.put(f"zads:night_data:bool{labels}", when, float(not shut and index > 10))
        if when in bad:
            name = 'alertname="ServiceDown",alertstate="firing",headline="KAFKA DOWN",part="public",service="kafka-public"'
            made.put(f'ALERTS{{{name},severity="page"}}', when, 1)
