"""A histogram of delays by stage and program, without I/O."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

# 1 s to 6 h; 780 s is what ZTF reaches at the 95th percentile and 1,200 s its goal: both are exact edges.
BUCKETS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 780, 900, 1200, 1500, 1800, 2700, 3600, 7200, 10800, 21600)


class Latency:
    """Count delays; negative ones (clocks that disagree) count as 0."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * (len(BUCKETS) + 1))
        self._sums: dict[tuple[str, str], float] = defaultdict(float)

    def observe(self, stage: str, program: int, seconds: float, alerts: int = 1) -> None:
        """Count one delay, for as many alerts as share it."""
        key, seconds = (stage, str(program)), max(0.0, seconds)
        self._counts[key][bisect_left(BUCKETS, seconds)] += alerts
        self._sums[key] += seconds * alerts

    def items(self) -> list[tuple[tuple[str, str], list[tuple[str, float]], float]]:
        """Return ((stage, program), cumulative buckets by upper edge, sum)."""
        rows = []
        for key, counts in sorted(self._counts.items()):
            total, buckets = 0, []
            for edge, count in zip((*map(str, map(float, BUCKETS)), "+Inf"), counts, strict=True):
                total += count
                buckets.append((edge, float(total)))
            rows.append((key, buckets, self._sums[key]))
        return rows
