"""Nights as series of a real Prometheus: what the exporters and the recording rules would have left there, state by state.

Every state is written from seven hours ago until some minutes from now, so that whoever looks meanwhile sees it standing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tests.support.backfilled import Sample
from zads.config import Config, load, parse

STEP, BACK, AHEAD = 15.0, 7 * 3600.0, 1200.0
_EXAMPLE = Path(__file__).resolve().parents[2] / "zads.toml"
_SERVICES = {
    "kafka-upstream": ("upstream", "IPAC's Kafka"),
    "mirrormaker": ("mirror", "MirrorMaker"),
    "kafka-public": ("public", "Kafka"),
}
_JOBS = ("kafka-lag", "broker-egress", "alert-arrival", "services", "notifier", "prometheus", "alertmanager", "node")
_SILENT = ("antares", "fink")  # they commit nothing
LONG = [f"a-community-with-a-rather-long-name-{n}" for n in range(5)]
MANY = [f"community-{n:02d}" for n in range(20)]
Values = np.ndarray


def _text(name: str, /, **labels: str) -> str:
    inside = ",".join(f'{k}="{v}"' for k, v in labels.items())
    return f"{name}{{{inside}}}" if inside else name


class World:
    """Series under construction; a state changes what a clear night has."""

    def __init__(self, now: float, names: Sequence[str]) -> None:
        self.now, self.names = now, list(names)
        self.times = np.arange(now - BACK, now + AHEAD, STEP)
        self._series: dict[str, Values] = {}
        self.since = now - 41 * 60
        self._site()
        self.sky(dark=True)
        self.arrivals(self.times < np.inf, self.times < np.inf)
        for name in self.names:
            self.community(name)

    def put(self, name: str, value: float | Values, /, **labels: str) -> None:
        """Set a series; what is no number is not there."""
        self._series[_text(name, **labels)] = np.broadcast_to(np.asarray(value, float), self.times.shape)

    def gone(self, *names: str, since: float = 0.0) -> None:
        """Take series away, for good or since some seconds before now."""
        after = self.times > self.now - since if since else np.ones(self.times.shape, bool)
        for text, values in self._series.items():
            if text.partition("{")[0] in names:
                self._series[text] = np.where(after, np.nan, values)

    def only_last(self, seconds: float) -> None:
        """Let everything begin some seconds ago."""
        for text, values in self._series.items():
            self._series[text] = np.where(self.times < self.now - seconds, np.nan, values)

    def series(self) -> dict[str, list[Sample]]:
        """Return everything for promtool."""
        found = {}
        for text, values in self._series.items():
            there = ~np.isnan(values)
            if there.any():
                found[text] = list(zip(self.times[there].tolist(), values[there].tolist(), strict=True))
        return found

    def _site(self) -> None:
        for job in _JOBS:
            self.put("up", 1, job=job, instance=f"{job}:1")
        for service, (part, label) in _SERVICES.items():
            self.put("zads:service_info", 1, service=service, part=part, label=label)
            self.put("zads:part_info", 1, service=service, part=part)
            self.service(service, 1)
        self.put("zads_host_answering", 1, host="zads")
        self.put("zads:public_program", 1, program="1")
        for cluster in ("upstream", "public"):
            self.put("zads_cluster_readable", 1, cluster=cluster)
        self.put("zads_on_call_info", 1, name="operator 2")
        self.put("zads_quarter_dark_seconds", 3e6, quarter="2026Q4")
        self.put("zads:slo_bad_minutes:quarter", 54, quarter="2026Q4")
        self.put("zads:slo_budget_minutes:quarter", 534.6, quarter="2026Q4")
        self.put("zads:threshold_latency_objective", 1200)
        self.put("zads:threshold_latency_mirror", 120)
        self.put("zads_night_info", 1, night="20261125")
        self.put("zads_night_missing_alerts", 0, night="20261125", program="1")
        self.put("zads_collector_success", 1, collector="kafka-lag")

    def service(self, name: str, value: float | Values) -> None:
        """Say whether a service answers."""
        self.put("zads_service_answering", value, service=name)
        self.put("zads_service_up", value, service=name)

    def sky(self, *, dark: bool) -> None:
        """Say whether it is dark; four hours of the night are left."""
        self.put("zads_observing_night", float(dark))
        self.put("zads_site_utc_offset_seconds", -8 * 3600)
        self.put("zads_night_end_timestamp_seconds", self.now + 4 * 3600 if dark else self.now - 5 * 3600)

    def arrivals(self, upstream: Values, public: Values) -> None:
        """Write what arrives, where it does: alerts, exposures, the newest one, the delay."""
        pace = 30 + 12 * np.sin(self.times / 1200) + 18 * (np.sin(self.times / 4000) > 0.8)
        for cluster, there in (("upstream", upstream), ("public", public)):
            count = np.cumsum(np.where(there, pace, 0) * STEP)
            self.put("zads_alerts_arrived_total", count, cluster=cluster, program="1")
            self.put("zads:night_alerts:tonight", count, cluster=cluster)
            newest = np.maximum.accumulate(np.where(there, self.times - 14, 0))
            self.put("zads_last_alert_timestamp_seconds", newest, cluster=cluster, program="1")
        self.put("zads_exposures_arrived_total", np.cumsum(np.where(upstream, STEP / 38.7, 0)), program="1")
        held = np.cumsum(np.where(upstream & ~public, pace, 0) * STEP)
        self.put("zads_mirror_behind_alerts", 12 + held, night="20261125", program="1")
        self.put("zads_mirror_behind_seconds", 2 + np.cumsum(upstream & ~public) * STEP, program="1")
        seen = np.where(public, 640 + 40 * np.sin(self.times / 900), np.nan)
        self.put("zads:alert_latency_seconds:p95", seen, stage="total")
        self.put("zads:alert_latency_seconds:p95", np.where(public, 3, np.nan), stage="mirror")

    def community(
        self,
        name: str,
        lag: float | Values = 4,
        waiting: float | Values = 30,
        connections: float | Values = 2,
        reads: bool = True,
    ) -> None:
        """Write one community; one that does not read has read two hours ago."""
        commits = name not in _SILENT
        self.put("zads:community_info", 1, community=name, label=name)
        self.put("zads:community_commit_batch", 250 if name == "lasair" else 1, community=name)
        self.put("zads_community_lag_known", float(commits), community=name)
        self.put("zads_community_connections", connections, community=name)
        sent = np.cumsum(np.where(reads | (self.times < self.now - 7200), 1.1e6 * STEP, 0))
        self.put("zads_community_egress_bytes_total", sent, community=name, source="wire")
        if commits:
            self.put("zads:community_lag_seconds:max", lag, community=name)
            self.put("zads:community_lag_alerts:sum", waiting, community=name)
            self.put("zads_community_lag_alerts", waiting, community=name, program="1")
            self.put("zads:community_late:bool", float(np.max(lag) > 600), community=name)

    def fires(self, name: str, headline: str, severity: str, ago: float, /, **labels: str) -> None:
        """Let an alert fire since some seconds, told and taken by nobody yet."""
        on = np.where(self.times >= self.now - ago, 1, np.nan)
        known = {"alertname": name, "headline": headline, "severity": severity, **labels}
        self.put("ALERTS", on, alertstate="firing", **known)
        self.put("ALERTS_FOR_STATE", on * (self.now - ago), **known)
        self.put("zads_incident_info", on, headline=headline, severity=severity, state="firing", acknowledged_by="")

    def quiet(self) -> None:
        """Let nobody have anything to read."""
        for name in self.names:
            self.community(name, 0, 0, reads=False)


def clear_night(world: World) -> None:
    """Everything arrives and is read."""


def quiet_day(world: World) -> None:
    """Leave the last alert four hours back, at dawn."""
    before = world.times < world.now - 4 * 3600
    world.sky(dark=False)
    world.arrivals(before, before)
    world.quiet()


def cloudy_night(world: World) -> None:
    """Leave the last alert two hours back, in the dark."""
    before = world.times < world.now - 2 * 3600
    world.arrivals(before, before)
    world.quiet()


def community_lagging(world: World) -> None:
    """Let the first community fall behind for 41 minutes."""
    late = np.maximum(0, world.times - world.since)
    world.community(world.names[0], np.where(late > 0, late, 4), np.where(late > 0, late * 5, 30))
    world.fires("CommunityLagging", f"{world.names[0].upper()} BEHIND", "ticket", 36 * 60, community=world.names[0])


def kafka_dead(world: World) -> None:
    """Kill the public Kafka 41 minutes ago; what it alone knows is gone."""
    before = world.times < world.since
    world.arrivals(world.times > 0, before)
    world.service("kafka-public", before.astype(float))
    world.put("zads_cluster_readable", before.astype(float), cluster="public")
    for name in world.names:
        world.community(name, connections=np.where(before, 2, 0), reads=False)
    lost = (
        "zads:night_alerts:tonight",
        "zads_night_missing_alerts",
        "zads_mirror_behind_alerts",
        "zads_mirror_behind_seconds",
    )
    lost += (
        "zads:alert_latency_seconds:p95",
        "zads:community_lag_seconds:max",
        "zads:community_lag_alerts:sum",
        "zads:community_late:bool",
    )
    world.gone(*lost, "zads_community_lag_alerts", since=41 * 60)
    public = _text("zads_last_alert_timestamp_seconds", cluster="public", program="1")
    world.put(
        "zads_last_alert_timestamp_seconds", np.where(before, world._series[public], np.nan), cluster="public", program="1"
    )
    arrived = _text("zads_alerts_arrived_total", cluster="public", program="1")
    world.put("zads_alerts_arrived_total", np.where(before, world._series[arrived], np.nan), cluster="public", program="1")
    world.fires("ServiceDown", "KAFKA DOWN", "page", 41 * 60, service="kafka-public")


def many_communities(world: World) -> None:
    """Let one of twenty be late, one away."""
    world.community(world.names[17], 2460, 12_306)
    world.community(world.names[4], connections=0)
    world.fires("CommunityLagging", f"{world.names[17].upper()} BEHIND", "ticket", 1800, community=world.names[17])
    world.fires("CommunityDisconnected", f"{world.names[4].upper()} AWAY", "ticket", 3000, community=world.names[4])


def long_names(world: World) -> None:
    """Let the longest words that a site can give be on the wall."""
    world.fires(
        "ServiceDown", "MIRRORMAKER OF THE SECOND DATA CENTRE NOT ANSWERING", "page", 5 * 3600, service="mirrormaker"
    )
    world.gone("zads_on_call_info")
    world.put("zads_on_call_info", 1, name="a person with a rather long name")


def first_minute(world: World) -> None:
    """Let half of the exporters not have been read yet."""
    kept = (
        "up",
        "zads_service_answering",
        "zads_service_up",
        "zads_host_answering",
        "zads_on_call_info",
        "zads:service_info",
    )
    world.gone(*({text.partition("{")[0] for text in world._series} - set(kept)))
    world.only_last(40)


def no_data(world: World) -> None:
    """Leave a Prometheus that knows nothing but itself."""
    world.gone(*({text.partition("{")[0] for text in world._series} - {"up"}))


STATES: dict[str, Callable[[World], None]] = {
    state.__name__: state
    for state in (
        quiet_day,
        clear_night,
        cloudy_night,
        community_lagging,
        kafka_dead,
        no_data,
        many_communities,
        long_names,
        first_minute,
    )
}


def site(state: str) -> Config:
    """Return the site that a state belongs to."""
    names = {"many_communities": MANY, "long_names": LONG}.get(state)
    if names is None:
        return load(_EXAMPLE)
    tables = "".join(f'[[community]]\nname = "{n}"\nnetworks = ["10.0.{i}.0/24"]\n' for i, n in enumerate(names))
    return parse('[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n' + tables)


def world(state: str, now: float) -> dict[str, list[Sample]]:
    """Return all series of a state."""
    made = World(now, [community.name for community in site(state).communities])
    STATES[state](made)
    return made.series()
