"""A whole night as tests/replay plays it, with what the rules record of it, as samples for a Prometheus."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tests.replay.exposition import Exposition
from tests.replay.flow import Flow
from tests.replay.scenario import HOUR, MINUTE, Fault, Reader, Scenario
from tests.support.backfilled import Sample
from zads.config import Config, load

SITE = Path(__file__).resolve().parents[1] / "replay" / "site.toml"
NIGHT, QUARTER = "20260320", "2026Q1"
LEAD = HOUR
_KEPT = re.compile(
    r"up\b|zads_(collector_success|cluster_readable|observing_night|incidents|night_alerts|night_missing|mirror_(surplus|behind_a)"
    r"|exposures_arrived|alerts_per_exposure|sampled_ratio|alert_latency_seconds_bucket|community_(lag|delivered|egress|lost)"
    r"|alerts_arrived_bytes|egress_wire)"
)


def hour(ut: float) -> float:
    """Return a time of the night (hours UT) in seconds after the scenario's begin."""
    return (ut + 4) * HOUR


# Begins a little after mean noon and ends at the next one; half of the exposures are public.
CLEAR = Scenario("a clear night", "2026-03-19T20:00", 23.9, step=60, blocks=(1, 2, 1, 3), lead=LEAD)
# Kafka dead for 12 dark minutes, Lasair slow for two hours, exporters and Prometheus away for some minutes.
TROUBLE = replace(
    CLEAR,
    faults=(
        Fault("dead", hour(6) - 1, hour(6) + 12 * MINUTE - 1, "public"),
        Fault("slow", hour(8), hour(10), "lasair", by=2.0),
        Fault("target down", hour(4) - 1, hour(4) + 8 * MINUTE - 1, "kafka-lag"),
        Fault("prometheus gone", hour(11) - 1, hour(11) + 10 * MINUTE - 1),
    ),
    readers={"lasair": Reader(rate=500.0, batch=250)},
)
CLOSED = replace(CLEAR, closed=((-48 * HOUR, 48 * HOUR),))


def site(address: str, folder: Path) -> Path:
    """Write the replay's zads.toml with Prometheus at an address."""
    file = folder / "zads.toml"
    file.write_text(SITE.read_text().replace('address = "10.0.0.6:9090"', f'address = "{address}"'))
    return file


@dataclass
class Played:
    """A night's truth, and the samples of it."""

    flow: Flow
    series: dict[str, list[Sample]]

    def at(self, log: np.ndarray, ut: float = 19.75) -> float:
        """Return how far a log was at a time (hours UT) since the scenario's first step."""
        return float(log[np.searchsorted(self.flow.times, hour(ut), side="right") - 1] - log[0])


def play(scenario: Scenario, extra: Mapping[str, np.ndarray] | None = None) -> Played:
    """Play a night; `extra` are more series on the scenario's steps."""
    config = load(SITE)
    flow = Flow(scenario, config)
    exposition = Exposition(flow, 0, len(flow.times))
    arrays = {name: values for name, values in exposition.series.items() if _KEPT.match(name)}
    arrays |= _recorded(exposition, flow, config) | _told(exposition, flow) | dict(extra or {})
    zero = scenario.begins.timestamp()
    gone = flow.during("prometheus gone")
    series = {
        name: [
            (zero + at + 20, float(value))
            for at, value, away in zip(flow.times, values, gone, strict=True)
            if not (np.isnan(value) or away)
        ]
        for name, values in arrays.items()
    }
    return Played(flow, {name: samples for name, samples in series.items() if samples})


def _recorded(exposition: Exposition, flow: Flow, config: Config) -> dict[str, np.ndarray]:
    """What the rules record: minutes of darkness, lag and connections of communities."""
    night = next(one for one in flow.exposures.nights if one.name == NIGHT)
    dark = (flow.times + 20 >= night.dusk) & (flow.times + 20 < night.dawn)
    labels = f'{{night="{NIGHT}",quarter="{QUARTER}"}}'
    bad = np.where(dark, flow.gone("public").astype(float), np.nan)
    mine = flow.times >= night.noon
    data = np.where(mine, (flow.upstream - flow.upstream[0] > 0).astype(float), np.nan)
    found = {f"zads:night_minute:bad{labels}": bad, f"zads:night_data:bool{labels}": data}
    for one in config.communities:
        ages = [
            values
            for name, values in exposition.series.items()
            if name.startswith("zads_community_lag_seconds") and f'community="{one.name}"' in name
        ]
        name = f'{{community="{one.name}"}}'
        if ages:
            lag = np.where(np.isnan(ages).all(axis=0), np.nan, np.nanmax(np.nan_to_num(ages), axis=0))
            found[f"zads:community_lag_seconds:max{name}"] = lag
            waits = np.sum(
                [
                    np.nan_to_num(values)
                    for label, values in exposition.series.items()
                    if label.startswith("zads_community_lag_alerts") and f'community="{one.name}"' in label
                ],
                axis=0,
            )
            found[f"zads:community_lag_alerts:sum{name}"] = np.where(np.isnan(lag), np.nan, waits)
            late = (lag > config.thresholds.community_lag) & (waits > one.commit_batch)
            late = np.where(np.isnan(lag), np.nan, late.astype(float))
            found[f"zads:community_late:bool{name}"] = late
        found[f"zads:community_connections:max{name}"] = np.where(flow.communities[one.name].connected, 3.0, 0.0)
    return found


def _told(_exposition: Exposition, flow: Flow) -> dict[str, np.ndarray]:
    """What fired a minute after Kafka died and was taken by somebody, and the messages about it."""
    dead = flow.gone("public")
    found = {
        f'zads_notifications_total{{channel="{channel}",outcome="{outcome}"}}': np.zeros(len(dead))
        for channel in ("email", "pagerduty", "slack")
        for outcome in ("sent", "failed", "refused")
    }
    if dead.any():
        first, after = int(np.argmax(dead)), len(dead) - int(np.argmax(dead[::-1]))
        fires = np.full(len(dead), np.nan)
        fires[first + 1 : after] = 1
        labels = 'alertname="ServiceDown",alertstate="firing",headline="KAFKA DOWN",part="public",service="kafka-public"'
        found[f'ALERTS{{{labels},severity="page"}}'] = fires
        since = int(flow.scenario.begins.timestamp() + flow.times[first + 1])
        taken = np.full(len(dead), np.nan)
        taken[first + 4 : after] = 1
        who = (
            f'headline="KAFKA DOWN",state="acknowledged",subject="kafka-public",acknowledged_by="operator 2",since="{since}"'
        )
        found[f'zads_incident_info{{{who},severity="page"}}'] = taken
        sent = np.zeros(len(dead))
        sent[first + 1 :] += 1
        sent[after:] += 1
        for channel in ("email", "pagerduty", "slack"):
            found[f'zads_notifications_total{{channel="{channel}",outcome="sent"}}'] = sent
        found['zads_notifications_total{channel="slack",outcome="failed"}'] = (sent > 0).astype(float)
    return found
