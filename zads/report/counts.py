"""A night's alerts at IPAC and at ZADS, its exposures, and when alerts came."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from statistics import median

from zads.config import Config
from zads.report.minutes import Figure, Samples, Span, added, grown, growth, spans, summed, total, within
from zads.report.model import Counted, Program
from zads.report.record import Record, Sight

_BIN = 600.0  # seconds: within an exposure's reach many times, and shorter than a passing cloud
_AFTER = 1800.0  # seconds: alerts of the last exposures come after dawn


class Counts:
    """The counts of a night, read once.

    Raises PrometheusError.
    """

    def __init__(self, record: Record, sight: Sight, config: Config, night: str) -> None:
        self._record, self._sight, self._config = record, sight, config
        which = f'{{night="{night}"}}'
        rows = record.over(f"max by (cluster, program) (last_over_time(zads_night_alerts{which}[{record.step:.0f}s]))")
        self.counts: dict[tuple[str, str], Samples] = {
            (row.labels.get("cluster", ""), row.labels.get("program", "")): row.samples for row in rows if row.samples
        }
        self._exposures = record.each("zads_exposures_arrived_total")
        self._mirror = {
            name: {row.labels.get("program", ""): row.value for row in record.each(f"{name}{which}") if row.samples}
            for name in ("zads_night_missing_alerts", "zads_mirror_surplus_alerts", "zads_mirror_behind_alerts")
        }

    def is_public(self, program: str) -> bool:
        """Tell whether a program's alerts go to the communities."""
        return program in {str(number) for number in self._config.stream.public_programs}

    def _counted(self, cluster: str, program: str) -> Counted | None:
        samples = self.counts.get((cluster, program))
        if not samples:
            return None
        at, value = samples[-1]
        # Its topic may be gone, which the cluster, being read, would say; else somebody was away at the end.
        return Counted(value, at, at >= self._record.times[-1] or self._sight.cluster(cluster)(self._record.times[-1]))

    def programs(self) -> tuple[Program, ...]:
        """Return the programs that had alerts, or that are public."""
        public = {str(number) for number in self._config.stream.public_programs}
        found = []
        for number in sorted({program for _, program in self.counts} | public):
            mirror = {name: values.get(number) for name, values in self._mirror.items()}
            one = Program(
                number,
                self.is_public(number),
                self._counted("upstream", number),
                self._counted("public", number),
                mirror["zads_night_missing_alerts"],
                mirror["zads_mirror_surplus_alerts"],
                mirror["zads_mirror_behind_alerts"],
            )
            if one.public or (one.upstream and one.upstream.value) or (one.zads and one.zads.value):
                found.append(one)
        return tuple(found)

    def arrivals(self, cluster: str, *, public: bool) -> list[tuple[float, float]]:
        """Return how many alerts had come by each time, of the public programs alone or of all."""
        return summed(
            samples
            for (where, program), samples in self.counts.items()
            if where == cluster and (self.is_public(program) or not public)
        )

    def rates(self, cluster: str) -> list[tuple[float, float]]:
        """Return public alerts per second in each ten minutes in which both ends were seen."""
        at = dict(self.arrivals(cluster, public=True))
        seen = self._sight.cluster(cluster)
        found = []
        for end in self._record.grid(_BIN):
            before = at.get(end - _BIN, 0.0 if seen(end - _BIN) else None)
            if end in at and before is not None:
                found.append((end, max(0.0, at[end] - before) / _BIN))
        return found

    def observed(self, dark: list[Span]) -> tuple[float | None, float]:
        """Return for how many dark seconds alerts came to IPAC, and for how many it was seen whether they did."""
        cluster = "upstream" if "upstream" in self._config.kafka else "public"
        at, seen = dict(self.arrivals(cluster, public=False)), self._sight.cluster(cluster)
        step, came, known = self._record.step, set(), set()
        before: float | None = None
        for when in self._record.times:
            if when in at:
                known.add(when)
                if (before is None and at[when] > 0 and seen(when - step)) or (before is not None and at[when] > before):
                    came.add(when)
                before = at[when]
            elif seen(when):
                known.add(when)
        in_bin = {when // _BIN for when in came}
        times = self._record.times
        longer = [Span(one.start, one.end + _AFTER) for one in dark]
        with_alerts = within(spans(times, lambda when: when // _BIN in in_bin and when in known, step), longer)
        looked = total(within(spans(times, lambda when: when in known, step), dark))
        if not looked:
            return None, 0.0
        now = self._record.until
        return min(total(with_alerts), sum(max(0.0, min(one.end, now) - one.start) for one in dark)), looked

    def last_arrival(self) -> float | None:
        """Return when the last alert came, of any program."""
        moments = []
        for cluster in ("upstream", "public"):
            rows = self.arrivals(cluster, public=False)
            moments += [two[0] for one, two in pairwise(rows) if two[1] > one[1]]
        return max(moments, default=None)

    def exposures(self) -> Mapping[str, Figure]:
        """Return how many exposures were seen, by program."""
        times, step, seen = self._record.times, self._record.step, self._sight.by("alert-arrival")
        found: dict[str, Figure] = {}
        for row in self._exposures:
            figure = grown(row.samples, times, seen, step)
            program = row.labels.get("program", "")
            both = added([found.get(program), figure])
            if both is not None and (both.low or not both.exact):
                found[program] = both
        return found

    def per_exposure(self) -> tuple[float, float, float] | None:
        """Return alerts per exposure of public programs: the 10th percentile, the median and the 90th."""
        values = []
        counted = {
            row.labels.get("program", ""): {
                when
                for when, more, _ in growth(
                    row.samples, self._record.times, self._sight.by("alert-arrival"), self._record.step
                )
                if more > 0
            }
            for row in self._exposures
        }
        for row in self._record.each("zads_alerts_per_exposure"):
            program = row.labels.get("program", "")
            if self.is_public(program):
                values += [value for when, value in row.samples if when in counted.get(program, ())]
        if not values:
            return None
        values.sort()
        return values[len(values) // 10], float(median(values)), values[(9 * len(values)) // 10]

    def sampled(self) -> float | None:
        """Return the least share of the packets that was decoded while alerts came."""
        values = [value for row in self._record.each("zads_sampled_ratio", by="min_over_time") for _, value in row.samples]
        return min(values, default=None)
