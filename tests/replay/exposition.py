"""What the exporters and the other targets would have exported of a flow: every series with its labels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import yaml

from tests.replay import foreign
from tests.replay.delays import Delays
from tests.replay.flow import Flow
from tests.replay.series import Labels, encode, text
from zads import night as sun
from zads import render
from zads.config import Config

ROOT_RULES = "alertrules"
OWN = ("kafka-lag", "broker-egress", "alert-arrival", "services")
BIRTH = -30 * 86400.0  # when processes and machines were started
PACKET = 70_000.0
RENEWED = 60 * 86400.0
_REASONS = ("not_avro", "truncated", "corrupt")


def targets(config: Config) -> list[Labels]:
    """Return the labels of everything that is scraped, as the rendered prometheus.yml has it."""
    from tests.replay.evaluate import RULES

    found = []
    for job in yaml.safe_load(render.prometheus(config, RULES))["scrape_configs"]:
        for static in job["static_configs"]:
            found += [{"job": job["job_name"], "instance": one, **static["labels"]} for one in static["targets"]]
    return found


class Exposition:
    """Write the series of a flow between two of its steps."""

    def __init__(self, flow: Flow, low: int, high: int) -> None:
        self.flow, self.config, self.scenario = flow, flow.config, flow.scenario
        self._cut = slice(low, high)
        # promtool's clock begins at 0 with the first sample.
        self._origin = float(flow.times[low])
        self.times = flow.times[self._cut]
        self.series: dict[str, np.ndarray] = {}
        self._targets = targets(self.config)
        self._parts = render.part_names(self.config)
        self._up()
        foreign.export(self)
        self._services()
        self._night()
        self._lag()
        self._egress()
        self._arrival()
        self._notifier()

    # -- what the families below are written with

    def during(self, kind: str, what: str | None = None) -> np.ndarray:
        """Tell at which of the steps a trouble is there."""
        return self.flow.during(kind, what)[self._cut]

    def gone(self, part: str) -> np.ndarray:
        """Tell at which of the steps a part of the stream does not work."""
        return self.flow.gone(part)[self._cut]

    def since(self, moment: float) -> float:
        """Return a moment of the scenario on promtool's clock."""
        return moment - self._origin

    @property
    def clock(self) -> float:
        """Return the time of day of the scenario's begin, in seconds."""
        begins = self.scenario.begins
        return float(begins.hour * 3600 + begins.minute * 60)

    def target(self, job: str, **labels: str) -> Labels:
        """Return a target's labels."""
        return next(one for one in self._targets if one["job"] == job and labels.items() <= one.items())

    def put(
        self, job: str, name: str, values: Any, /, *, seen: np.ndarray | None = None, count: bool = False, **labels: str
    ) -> None:
        """Write one series of a target; `count` marks a counter, which an upgrade of its exporter sets back to 0."""
        chosen = {"service": labels["service"]} if job == "jmx" else {}
        target = self.target(job, **chosen)
        whole = np.broadcast_to(np.asarray(values, dtype=float), self.times.shape).copy()
        for upgrade in self.scenario.of("upgraded", job) if count else ():
            after = self.times >= upgrade.end
            if after.any():
                whole[after] -= whole[int(np.argmax(after))]
        whole[~self._is_up[text("up", target)]] = np.nan
        if seen is not None:
            whole[~seen] = np.nan
        self.series[text(name, {**target, **labels})] = whole

    # -- families

    def _up(self) -> None:
        self._is_up: dict[str, np.ndarray] = {}
        by_part = {service: part for part, service in self._parts.items()}
        for target in self._targets:
            up = ~(self.during("target down", target["job"]) | self.during("upgraded", target["job"]))
            if target["host"] == "kafka":
                up &= ~self.during("host gone")
            if target["job"] in OWN:
                up &= ~self.during("blind")
            if target["job"] == "jmx":
                up &= ~self.gone(by_part[target["service"]])
            name = text("up", target)
            self._is_up[name] = up
            self.series[name] = up.astype(float)
        for job in OWN:
            self._health(job)

    def _health(self, job: str) -> None:
        failing = self.during("cannot see", job)
        if job == "kafka-lag":
            failing = failing | self._no_kafka()
        good = ~failing
        self.put(job, "zads_collector_success", good.astype(float), collector=job)
        self.put(job, "zads_collector_duration_seconds", 0.2, collector=job)
        self.put(job, "zads_collector_interval_seconds", 5, collector=job)
        last = np.maximum.accumulate(np.where(good, self.times, -np.inf))
        last[np.isinf(last)] = self.times[0]
        self.put(job, "zads_collector_last_success_timestamp_seconds", last - self._origin, collector=job)
        self.put(job, "zads_collector_errors_total", np.cumsum(failing), count=True, collector=job, reason="TimeoutError")
        self.put(job, "zads_collector_overruns_total", 0, count=True, collector=job)
        upgrades = self.scenario.of("upgraded", job)
        for version, old in (("0.1.0", True), ("0.2.0", False)) if upgrades else (("0.1.0", True),):
            there = (self.times < upgrades[0].begin) == old if upgrades else None
            self.put(job, "zads_build_info", 1, seen=there, version=version)

    def _no_kafka(self) -> np.ndarray:
        return self.gone("public")

    def _services(self) -> None:
        roles = {service.name: service for service in self.config.services}
        for part, name in self._parts.items():
            labels = {"service": name, "role": roles[name].role, "host": roles[name].host}
            gone = self.gone(part)
            self.put("services", "zads_service_answering", (~gone).astype(float), **labels)
            self.put("services", "zads_service_probe_seconds", 0.01, seen=~gone, **labels)
            if part == "public":
                # Good for 90 days, renewed after 60.
                expiry = (np.floor(self.times / RENEWED) + 1.5) * RENEWED - self._origin
                self.put("services", "zads_service_certificate_expiry_timestamp_seconds", expiry, **labels)
            if not roles[name].process:
                continue
            dead = self.during("dead", part)
            starts = [BIRTH, *(fault.end for fault in self.scenario.of("dead", part))]
            started = np.array([max(start for start in starts if start <= at) for at in self.times])
            restarts = np.array([sum(start <= at for start in starts) - 1 for at in self.times])
            self.put("services", "zads_service_up", (~dead).astype(float), **labels)
            self.put("services", "zads_service_start_time_seconds", started - self._origin, seen=~dead, **labels)
            self.put("services", "zads_service_restarts_total", restarts, count=True, **labels)
            self.put("services", "zads_service_open_files", 400, seen=~dead, **labels)
            self.put("services", "zads_service_max_open_files", 100_000, seen=~dead, **labels)
            self.put("services", "zads_service_cpu_seconds_total", 0.2 * (self.times - BIRTH), seen=~dead, **labels)
            self.put("services", "zads_service_resident_memory_bytes", 4e9, seen=~dead, **labels)
            self.put("services", "zads_service_threads", 120, seen=~dead, **labels)
        for host in self.config.hosts:
            silent = self.during("host gone") if host.name == "kafka" else self.gone("upstream")
            self.put("services", "zads_host_answering", (~silent).astype(float), host=host.name)
        self.put("services", "zads_config_last_apply_success", 1)
        self.put("services", "zads_config_last_apply_timestamp_seconds", BIRTH)

    def _night(self) -> None:
        nights = self.flow.exposures.nights
        dark = np.zeros(len(self.times), dtype=bool)
        ends = np.full(len(self.times), np.nan)
        for one in nights:
            dark |= (self.times >= one.dusk) & (self.times < one.dawn)
            ends[np.isnan(ends) & (self.times < one.dawn)] = one.dawn - self._origin
        self.put("services", "zads_observing_night", dark.astype(float))
        self.put("services", "zads_night_end_timestamp_seconds", ends)
        # The Sun each quarter of an hour: no rule needs it finer.
        coarse = np.arange(self.times[0], self.times[-1] + 900, 900)
        place = (self.config.site.latitude, self.config.site.longitude)
        heights = [sun.sun_altitude_degrees(self.scenario.begins + timedelta(seconds=at), *place) for at in coarse]
        self.put("services", "zads_sun_altitude_degrees", np.round(np.interp(self.times, coarse, heights), 1))
        quarters = [f"{one.name[:4]}Q{(int(one.name[4:6]) + 2) // 3}" for one in nights]
        for quarter in dict.fromkeys(quarters):
            mine = [one for one, name in zip(nights, quarters, strict=True) if name == quarter]
            there = (self.times >= mine[0].noon) & (self.times < mine[-1].noon + 86400)
            if there.any():
                self.put("services", "zads_quarter_dark_seconds", 90 * 9.9 * 3600, seen=there, quarter=quarter)
        for one in nights:
            there = (self.times >= one.noon) & (self.times < one.noon + 86400)
            if there.any():
                self.put("services", "zads_night_info", 1, seen=there, night=one.name)

    def _kept_nights(self, program: int) -> Iterator[tuple[str, float, float, np.ndarray]]:
        """Yield each night's name, where its alerts begin and end in the log, and while its topic is there."""
        retention, log = self.config.stream.retention, self.flow.arrived[program][self._cut]
        for one, begin, end in self.flow.nightly[program]:
            there = (log > begin) & (self.times < one.dawn + retention)
            if there.any():
                yield one.name, begin, end, there

    def _no_lag(self) -> np.ndarray:
        """Tell while kafka-lag shows nothing: three intervals after its last look."""
        late = int(np.ceil(15 / self.scenario.step))
        gone = self._no_kafka() | self.during("cannot see", "kafka-lag")
        delayed = np.zeros_like(gone)
        delayed[late:] = gone[:-late]
        return gone & delayed

    def _lag(self) -> None:
        job, public = "kafka-lag", self.flow.public
        self.put(job, "zads_cluster_up", (~self._no_kafka()).astype(float), cluster="public")
        self.put(job, "zads_cluster_up", (~self.gone("upstream")).astype(float), cluster="upstream")
        seen = ~self._no_lag()
        self.put(job, "kafka_brokers", 1, seen=seen)
        for community in self.config.communities:
            name, state = community.name, self.flow.communities[community.name]
            self.put(job, "zads_community_lag_known", float(community.commits), seen=seen, community=name)
            if not community.commits:
                continue
            committed, taken = state.committed[self._cut], {"community": name, "program": "1"}
            self.put(job, "zads_community_members", state.connected[self._cut].astype(float), seen=seen, community=name)
            moves = np.diff(state.committed, prepend=-1) > 0
            moved = np.maximum.accumulate(np.where(moves, self.flow.times, self.flow.times[0]))[self._cut]
            self.put(job, "zads_community_idle_seconds", self.times - moved, seen=seen, community=name)
            self.put(job, "zads_community_committed_alerts_total", committed, seen=seen, count=True, **taken)
            # What retention takes unread is lost, and waits no more.
            lost, position = np.zeros(len(self.times)), state.committed.copy()
            for one, begin, end in self.flow.nightly[1]:
                over = self.times >= one.dawn + self.config.stream.retention
                if not over.any():
                    continue
                lost += np.where(over, np.clip(end - np.maximum(begin, committed), 0, None), 0)
                position[self._cut] = np.where(over, np.maximum(position[self._cut], end), position[self._cut])
            age = self.flow.age(public, position)[self._cut]
            for night, begin, end, there in self._kept_nights(1):
                here = np.clip(public[self._cut], begin, end) - np.clip(position[self._cut], begin, end)
                first = (position[self._cut] < end) & (here > 0)
                old = np.where(first, np.where(position[self._cut] >= begin, age, self._age_of(begin)), 0.0)
                done = np.clip(committed, begin, end) - begin
                self.put(
                    job, "zads_community_delivered_alerts_total", done, seen=seen & there, count=True, night=night, **taken
                )
                self.put(job, "zads_community_lag_alerts", here, seen=seen & there, night=night, **taken)
                self.put(job, "zads_community_lag_seconds", old, seen=seen & there, night=night, **taken)
            self.put(job, "zads_community_lost_alerts_total", np.maximum.accumulate(lost), seen=seen, count=True, **taken)

    def _dawn(self, night: str) -> float:
        return next(one.dawn for one in self.flow.exposures.nights if one.name == night)

    def _age_of(self, position: float) -> np.ndarray:
        """Return how old the alert at a place of the public log is."""
        first = int(np.searchsorted(self.flow.public, position, side="right"))
        return self.times - self.flow.times[min(first, len(self.flow.times) - 1)]

    def _egress(self) -> None:
        job, total = "broker-egress", np.zeros(len(self.times))
        readable = ~self.during("wire unreadable")
        self.put(job, "zads_egress_wire_readable", readable.astype(float))
        for community in self.config.communities:
            name, state = community.name, self.flow.communities[community.name]
            taken, connected = state.taken[self._cut] * PACKET, state.connected[self._cut]
            total += taken
            where = {"community": name}
            self.put(job, "zads_community_egress_bytes_total", taken, seen=readable, count=True, source="wire", **where)
            if community.commits:
                committed = state.committed[self._cut] * PACKET
                seen = ~self._no_kafka()
                self.put(
                    job, "zads_community_egress_bytes_total", committed, seen=seen, count=True, source="offsets", **where
                )
                self.put(job, "zads_community_replayed_alerts_total", 0, seen=seen, count=True, **where)
            self.put(job, "zads_community_connections", np.where(connected, 3, 0), seen=readable, **where)
            self.put(job, "zads_community_sessions_total", 3, seen=readable, count=True, **where)
            self.put(job, "zads_community_retransmits_total", 0, seen=readable, count=True, **where)
            self.put(job, "zads_community_send_queue_bytes", 0, seen=readable, **where)
            self.put(job, "zads_community_rtt_seconds", 0.08, seen=readable & connected, **where)
        stranger = self.during("unknown consumer")
        self.put(job, "zads_egress_unattributed_connections", stranger.astype(float), seen=readable)
        self.put(job, "zads_egress_unattributed_bytes_total", np.cumsum(stranger) * 1e6, seen=readable, count=True)
        self.put(job, "zads_egress_interface_bytes_total", total * 1.03, count=True)

    def _arrival(self) -> None:
        job, flow = "alert-arrival", self.flow
        logs = {"upstream": flow.arrived, "public": {1: flow.public}}
        for cluster, programs in logs.items():
            gone = self.gone(cluster)
            self.put(job, "zads_cluster_readable", (~gone).astype(float), cluster=cluster)
            for program, log in programs.items():
                where, here = {"cluster": cluster, "program": str(program)}, log[self._cut]
                self.put(job, "zads_alerts_arrived_total", here, seen=~gone, count=True, **where)
                self.put(job, "zads_alerts_arrived_bytes_total", here * PACKET, seen=~gone, count=True, **where)
                grown = np.maximum.accumulate(np.where(np.diff(log, prepend=0) > 0, flow.times, -np.inf))[self._cut]
                last = np.where(np.isinf(grown), self.times[0], grown) - self._origin
                self.put(job, "zads_last_alert_timestamp_seconds", last, seen=~gone & (here > 0), **where)
                for night, begin, end, there in self._kept_nights(program):
                    alerts = np.clip(here, begin, end) - begin
                    self.put(job, "zads_night_alerts", alerts, seen=there & ~gone, night=night, **where)
        self._mirrored(job)
        Delays(flow, self._cut).export(self)

    def _mirrored(self, job: str) -> None:
        """Write where the mirror stands: exact while both clusters are read; while Kafka is down, as it last stood."""
        flow, here = self.flow, self._cut
        seen = ~self.gone("upstream")
        age = flow.age(flow.upstream, flow.public)[here]
        stuck = flow.stuck_since[here]
        age = np.where(np.isnan(stuck), age, np.maximum(age, self.times - stuck))
        # MirrorMaker's offsets come each few seconds: the newest alerts wait in them though they are passed on.
        fresh = np.diff(flow.upstream, prepend=0)[here] * (min(5.0, self.scenario.step) / self.scenario.step)
        for night, begin, end, there in self._kept_nights(1):
            waiting = np.clip(flow.upstream[here], begin, end) - np.clip(flow.public[here], begin, end)
            newest = np.where((waiting == 0) & (flow.upstream[here] > begin) & (flow.upstream[here] <= end), fresh, 0)
            behind = np.floor(np.maximum(waiting, newest))
            oldest = np.where(waiting > 0, age, np.where(behind > 0, 4.0, 0.0))
            where = {"program": "1", "night": night}
            self.put(job, "zads_mirror_behind_alerts", behind, seen=there & seen, **where)
            self.put(job, "zads_mirror_behind_seconds", oldest, seen=there & seen, **where)
            self.put(job, "zads_mirror_surplus_alerts", 0, seen=there & seen & ~self.gone("public"), **where)
            missing = np.where(self.during("missing") & (self._dawn(night) > self.times), 40, 0)
            self.put(job, "zads_night_missing_alerts", missing, seen=there & seen & ~self.gone("public"), **where)
        self.put(job, "zads_mirror_behind_source", 1, seen=seen & ~self.gone("public"), source="offsets")

    def _notifier(self) -> None:
        job = "notifier"
        for channel in ("email", "pagerduty", "slack"):
            broken = self.during("channel down", channel)
            waits = np.maximum.accumulate(np.where(broken, 0, self.times))
            self.put(job, "zads_channel_healthy", (~broken).astype(float), channel=channel)
            self.put(job, "zads_notifications_queue_length", broken.astype(float), channel=channel)
            self.put(job, "zads_notifications_oldest_pending_seconds", self.times - waits, channel=channel)
            self.put(job, "zads_notifications_dead_letters", 0, channel=channel)
            self.put(job, "zads_notifications_retries_total", np.cumsum(broken), count=True, channel=channel)
        self.put(job, "zads_heartbeat_last_timestamp_seconds", self.times - self._origin)
        for state in ("firing", "acknowledged"):
            self.put(job, "zads_incidents", 0, state=state)


def encoded(exposition: Exposition) -> dict[str, str]:
    """Return each series' values in promtool's notation."""
    unseen = exposition.during("prometheus gone")
    return {name: encode(values, unseen) for name, values in exposition.series.items() if not np.isnan(values).all()}
