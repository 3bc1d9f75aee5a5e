"""What each community got of a night: alerts, lag, bytes by both measurements, connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zads.ask_prometheus import Series
from zads.config import Config
from zads.report.counts import Counts
from zads.report.minutes import Figure, Samples, Span, added, grown, last, summed
from zads.report.model import Community
from zads.report.record import Record, Sight


class Takers:
    """The communities over a night, read once.

    Raises PrometheusError.
    """

    def __init__(self, record: Record, sight: Sight, config: Config, counts: Counts, night: str) -> None:
        self._record, self._sight, self._config = record, sight, config
        self._arrived = counts.arrivals("public", public=True)
        programs = "|".join(str(number) for number in config.stream.public_programs)
        ours = f'{{night="{night}",program=~"{programs}"}}'
        self._waiting = _by(record.each(f"zads_community_lag_alerts{ours}"))
        self._delivered = _by(record.each(f"zads_community_delivered_alerts_total{ours}"))
        self._lost = _by(record.each("zads_community_lost_alerts_total"))
        self._known = _by(record.each("zads_community_lag_known"))
        self._lag = self._late_lag()
        self._late = _by(record.each("zads:community_late:bool", by="min_over_time"))
        self._connections = _by(record.each("zads:community_connections:max"))
        egress = record.each("zads_community_egress_bytes_total")
        self._egress = {
            source: _by(row for row in egress if row.labels.get("source") == source) for source in ("wire", "offsets")
        }
        came = [
            self._grown([row], "alert-arrival") for row in record.each('zads_alerts_arrived_bytes_total{cluster="public"}')
        ]
        self._bytes = added(came)

    def _grown(self, rows: Iterable[Series], collector: str) -> Figure | None:
        record, seen = self._record, self._sight.by(collector)
        return added([grown(row.samples, record.times, seen, record.step) for row in rows])

    def _late_lag(self) -> dict[str, list[tuple[float, float]]]:
        """Return each community's lag in seconds, 0 while no more waits than the batch that it commits at once."""
        batches = {one.name: one.commit_batch for one in self._config.communities}
        waits = {
            name: dict(rows[0].samples)
            for name, rows in _by(self._record.each("zads:community_lag_alerts:sum", by="max_over_time")).items()
        }
        found = {}
        for name, rows in _by(self._record.each("zads:community_lag_seconds:max", by="max_over_time")).items():
            batch, waiting = batches.get(name, 1), waits.get(name, {})
            found[name] = [
                (when, lag if batch == 1 or waiting.get(when, batch + 1) > batch else 0.0) for when, lag in rows[0].samples
            ]
        return found

    def lags(self) -> Mapping[str, Samples]:
        """Return the lag in seconds over the night, of those whose lag is known."""
        return {name: samples for name, samples in self._lag.items() if samples}

    def communities(self, dark: list[Span]) -> tuple[Community, ...]:
        """Return every community of the config, and those on record that are not in it."""
        listed = [one.name for one in self._config.communities]
        others = sorted((set(self._known) | set(self._waiting)) - set(listed))
        return tuple(self._community(name, dark) for name in [*listed, *others])

    def _community(self, name: str, dark: list[Span]) -> Community:
        declared = next((one for one in self._config.communities if one.name == name), None)
        known = last(self._known[name][0].samples) if name in self._known else None
        commits = (declared is None or declared.commits) and known != 0
        delivered = self._taken(name) if commits else None
        public = self._arrived[-1][1] if self._arrived else None
        share = None
        if delivered and public:
            share = Figure(
                min(1.0, delivered.low / public), None if delivered.high is None else min(1.0, delivered.high / public)
            )
        counted = self._grown(self._delivered.get(name, []), "kafka-lag")
        repeated = None
        if counted and delivered and counted.low > delivered.low and delivered.exact:
            repeated = counted.low - delivered.low
        lost = self._grown(self._lost.get(name, []), "kafka-lag")
        worst = max(self._lag.get(name, []), key=lambda sample: sample[1], default=None)
        late = {when for row in self._late.get(name, []) for when, value in row.samples if value > 0}
        wire = self._grown(self._egress["wire"].get(name, []), "broker-egress")
        offsets = self._grown(self._egress["offsets"].get(name, []), "broker-egress")
        open_ones = [
            (when, value)
            for row in self._connections.get(name, [])
            for when, value in row.samples
            if any(one.start < when <= one.end for one in dark)
        ]
        step = self._record.step / 60
        return Community(
            name=name,
            commits=commits,
            delivered=delivered,
            share=share,
            repeated=repeated,
            lost=lost.low if lost else None,
            worst_lag=worst[1] if worst and commits else None,
            worst_at=worst[0] if worst and commits else None,
            late_minutes=round(len(late) * step) if name in self._late and commits else None,
            wire=wire,
            offsets=offsets if commits else None,
            of_stream=self._of_stream(wire),
            connections=(int(min(v for _, v in open_ones)), int(max(v for _, v in open_ones))) if open_ones else None,
            away_minutes=round(sum(value == 0 for _, value in open_ones) * step) if open_ones else None,
        )

    def _of_stream(self, wire: Figure | None) -> float | None:
        came = self._bytes
        if wire is None or came is None or not came.low or not (wire.exact and came.exact):
            return None
        return wire.low / came.low

    def _taken(self, name: str) -> Figure | None:
        """Return how many of the night's alerts the community has: those at ZADS less those that wait or were lost.

        Exact where both were seen at the end; else between what was seen last and all there is.
        """
        if not self._arrived:
            return None
        public = self._arrived[-1][1]
        waiting = summed(row.samples for row in self._waiting.get(name, []))
        if not waiting:
            return Figure(0.0, public) if self._known.get(name) else None
        at, left = waiting[-1]
        there = max((value for when, value in self._arrived if when <= at), default=0.0)
        taken = max(0.0, there - left)
        sure = there == public or self._record.times[-1] <= at
        return Figure(taken, taken if sure else public)


def _by(rows: Iterable[Series]) -> dict[str, list[Series]]:
    found: dict[str, list[Series]] = {}
    for row in rows:
        found.setdefault(row.labels.get("community", ""), []).append(row)
    return found
