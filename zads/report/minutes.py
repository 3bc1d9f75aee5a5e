"""Samples on a grid of minutes: what was seen and what was not, how much a counter grew, stretches of time.

A series is read by `last_over_time(x[1m])` each minute (`zads.report.grid`), so that a sample on the grid was
really taken within the minute: Prometheus itself would repeat an older one for five.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Samples = Sequence[tuple[float, float]]  # seconds since 1970 and value, in order


@dataclass(frozen=True)
class Span:
    """A stretch of time, in seconds since 1970."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True)
class Figure:
    """A count: `low`, or between low and `high` where somebody was away; `high` None is "at least low"."""

    low: float
    high: float | None

    @property
    def exact(self) -> bool:
        """Whether it is known."""
        return self.high == self.low

    @staticmethod
    def of(value: float) -> Figure:
        """Return a known count."""
        return Figure(value, value)

    def __add__(self, other: Figure) -> Figure:
        """Return the sum; it is as uncertain as its parts."""
        high = None if self.high is None or other.high is None else self.high + other.high
        return Figure(self.low + other.low, high)


def added(figures: Iterable[Figure | None]) -> Figure | None:
    """Return the sum of those that are there, None when none is."""
    total: Figure | None = None
    for figure in figures:
        if figure is not None:
            total = figure if total is None else total + figure
    return total


def grid(start: float, end: float, step: float) -> list[float]:
    """Return the ends of the steps between two times, on multiples of the step."""
    first = int(start // step + 1)
    return [step * index for index in range(first, int(end // step) + 1)]


def spans(times: Sequence[float], wanted: Callable[[float], bool], step: float) -> list[Span]:
    """Return the stretches in which every step (named by its end) is wanted."""
    found: list[Span] = []
    for when in times:
        if not wanted(when):
            continue
        if found and found[-1].end >= when - step - 1e-6:
            found[-1] = Span(found[-1].start, when)
        else:
            found.append(Span(when - step, when))
    return found


def total(stretches: Iterable[Span]) -> float:
    """Return how many seconds they have together."""
    return sum(stretch.seconds for stretch in stretches)


def within(stretches: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Return the parts of the stretches that lie in the others."""
    other = list(others)
    return [
        Span(max(one.start, two.start), min(one.end, two.end))
        for one in stretches
        for two in other
        if max(one.start, two.start) < min(one.end, two.end)
    ]


def without(stretches: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Return the parts of the stretches that do not lie in the others."""
    left = list(stretches)
    for other in others:
        cut = []
        for one in left:
            if other.end <= one.start or one.end <= other.start:
                cut.append(one)
                continue
            cut += [Span(one.start, other.start)] * (one.start < other.start) + [Span(other.end, one.end)] * (
                other.end < one.end
            )
        left = cut
    return left


def growth(
    samples: Samples, times: Sequence[float], seen: Callable[[float], bool], step: float
) -> Iterator[tuple[float, float, bool]]:
    """Yield (time, how much a counter grew, whether that is all) for each sample on a grid of times.

    A sample at the grid's first time is where it begins. `seen` tells whether the counter's exporter was there at a
    step: a series that begins later, while it was there, began with 0; one that begins after it was away began with
    what nobody knows. A counter that falls was set back: what it had counted since the sample before is not known.
    """
    before: float | None = None
    for when, value in samples:
        if before is None:
            begins = when <= times[0]
            born = not begins and seen(when - step)
            yield when, value if born else 0.0, born or begins
        elif value < before:
            yield when, value, False
        else:
            yield when, value - before, True
        before = value


def grown(samples: Samples, times: Sequence[float], seen: Callable[[float], bool], step: float) -> Figure | None:
    """Return how much a counter grew over the grid's times; None when it was never seen."""
    if not samples:
        return None
    amount, sure = 0.0, True
    for _when, more, known in growth(samples, times, seen, step):
        amount, sure = amount + more, sure and known
    # What came after its last sample while its exporter was away is not counted.
    sure = sure and not any(when > samples[-1][0] and not seen(when) for when in times)
    return Figure(amount, amount if sure else None)


def last(samples: Samples) -> float | None:
    """Return the last value, None when there is none."""
    return samples[-1][1] if samples else None


def summed(rows: Iterable[Samples]) -> list[tuple[float, float]]:
    """Return the sum of several series at each time at which all that were there before are still there."""
    by_time: dict[float, float] = {}
    count: dict[float, int] = {}
    several = list(rows)
    for row in several:
        for when, value in row:
            by_time[when] = by_time.get(when, 0.0) + value
            count[when] = count.get(when, 0) + 1
    most, found = 0, []
    for when in sorted(by_time):
        most = max(most, count[when])
        if count[when] == most:
            found.append((when, by_time[when]))
    return found


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """Return a quantile of a histogram (cumulative counts by upper edge), linear within a bucket.

    None without observations, infinity beyond the last finite edge. As Prometheus' histogram_quantile does.
    """
    edges = sorted(buckets)
    if not edges or buckets[edges[-1]] <= 0:
        return None
    rank = share * buckets[edges[-1]]
    lower, below = 0.0, 0.0
    for edge in edges:
        count = max(buckets[edge], below)
        if count >= rank and count > below:
            return edge if edge == float("inf") else lower + (edge - lower) * max(0.0, rank - below) / (count - below)
        lower, below = edge, count
    return edges[-1]


def share_within(limit: float, buckets: Mapping[float, float]) -> float | None:
    """Return which share of a histogram's observations is at most `limit`; None without observations."""
    edges = sorted(buckets)
    if not edges or buckets[edges[-1]] <= 0:
        return None
    lower, below = 0.0, 0.0
    for edge in edges:
        if edge >= limit:
            part = 0.0 if edge == float("inf") else (limit - lower) / (edge - lower)
            return min(1.0, (below + (buckets[edge] - below) * part) / buckets[edges[-1]])
        lower, below = edge, buckets[edge]
    return 1.0
