"""What one exporter costs on the cluster as it is: CPU per collection, scrapes, memory, bytes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.lag.candidates import Candidate, Scrape
from benchmarks.lag.world import World

_LAST = 'zads_collector_last_success_timestamp_seconds{collector="kafka-lag"}'
_TOOK = 'zads_collector_duration_seconds{collector="kafka-lag"}'
_PACE = 'zads_collector_interval_seconds{collector="kafka-lag"}'


@dataclass
class Cost:
    """One exporter at one size; `failed` says why it went no further, and what is measured by then stays."""

    name: str
    groups: int
    quiet_cpu: list[float] = field(default_factory=list)  # seconds per collection
    near_cpu: list[float] = field(default_factory=list)  # everything moves, most groups keep up
    moving_cpu: list[float] = field(default_factory=list)  # everything moves, groups stand anywhere
    collection: list[float] = field(default_factory=list)  # wall seconds, all moving
    scrapes: list[float] = field(default_factory=list)  # seconds
    scrapes_meanwhile: list[float] = field(default_factory=list)  # of these, while a collection ran
    plain_scrape: float | None = None
    pace: float | None = None
    megabytes: float = 0.0
    peak_megabytes: float = 0.0
    plain_bytes: int = 0
    gzip_bytes: int = 0
    near_gzip_bytes: int = 0
    failed: str = ""

    def weigh(self, candidate: Candidate, compressed: Scrape) -> None:
        """Note memory and bytes."""
        now, peak = candidate.megabytes()
        self.megabytes, self.peak_megabytes = max(now, self.megabytes), peak
        self.gzip_bytes, self.plain_bytes = compressed.wire, len(compressed.text().encode())


def measure_ours(candidate: Candidate, world: World, cost: Cost, turns: int, seconds: float) -> None:
    """Measure the exporter that collects by itself: between two collections nothing moves, or everything."""
    seen = _next(candidate, None)
    for how, spent_on in (("", cost.quiet_cpu), ("near", cost.near_cpu), ("anywhere", cost.moving_cpu)):
        first = True
        while len(spent_on) < turns:
            before = candidate.cpu()
            if how:
                world.move(near=how == "near")
            moved_at = time.time()
            after = _next(candidate, seen)
            begun, spent = after.value(_LAST) - after.value(_TOOK), candidate.cpu() - before
            seen = after
            if moved_at > begun:
                continue  # the move ran into the collection
            cost.weigh(candidate, after)
            # The first collection in which nothing moves still remembers the last in which something did.
            if not first:
                spent_on.append(spent)
                if how == "near":
                    cost.near_gzip_bytes = after.wire
                if how == "anywhere":
                    cost.collection.append(after.value(_TOOK))
                    cost.pace = after.value(_PACE)
            first = False
    _scrape_at_random(candidate, world, cost, seconds)
    cost.plain_scrape = candidate.scrape(60, compressed=False).seconds


def _next(candidate: Candidate, last: Scrape | None) -> Scrape:
    """Wait for the next successful collection and scrape it; with few scrapes, which count as CPU too."""
    if last is None:
        last = candidate.scrape(60)
    took = last.value(_TOOK)
    expected = last.value(_LAST) + last.value(_PACE)  # when it ends if it takes as long as the last one
    time.sleep(max(0.0, expected + 0.2 - time.time()))
    deadline = time.monotonic() + 120
    while True:
        scrape = candidate.scrape(60)
        if scrape.value(_LAST) > last.value(_LAST):
            return scrape
        if time.monotonic() > deadline:
            raise RuntimeError(f"{candidate.name} has not collected for two minutes")
        time.sleep(max(0.2, took / 4))


def _scrape_at_random(candidate: Candidate, world: World, cost: Cost, seconds: float) -> None:
    """Scrape at random moments while everything moves, and tell afterwards which ones fell into a collection."""
    command = [sys.executable, "-m", "benchmarks.lag.scraper", str(candidate.port), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as scraper:
        assert scraper.stdout is not None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(max(0.5, 5.0 - world.move()))
        rows = json.loads(scraper.stdout.read())
    cost.scrapes = [took for took, *_ in rows]
    # A collection is known from the first scrape after it: when it ended, how long it took.
    last = _next(candidate, None)
    known = {(end, took) for _, _, end, took in rows} | {(last.value(_LAST), last.value(_TOOK))}
    cost.scrapes_meanwhile = [
        seconds for seconds, at, *_ in rows if any(end - took <= at and at - seconds <= end for end, took in known)
    ]


def measure_peer(candidate: Candidate, world: World, cost: Cost, turns: int, limit: float) -> None:
    """Measure an exporter that collects when it is scraped: with nothing moved since the last scrape, and with all moved."""
    _timed(candidate, limit)
    for moving in (False, True):
        spent = 0.0
        for turn in range(turns):
            if turn and spent > limit:
                break  # slow ones are measured less often
            if moving:
                world.move()
            scrape, cpu = _timed(candidate, limit)
            spent += scrape.seconds
            cost.scrapes.append(scrape.seconds)
            (cost.moving_cpu if moving else cost.quiet_cpu).append(cpu)
            if moving:
                cost.collection.append(scrape.seconds)
            cost.weigh(candidate, scrape)
    world.move(near=True)
    scrape, cpu = _timed(candidate, limit)
    cost.near_cpu.append(cpu)
    cost.near_gzip_bytes = scrape.wire


def _timed(candidate: Candidate, limit: float) -> tuple[Scrape, float]:
    before = candidate.cpu()
    scrape = candidate.scrape(limit)
    return scrape, candidate.cpu() - before


def guarded(cost: Cost, work: Callable[[], None]) -> Cost:
    """Do the work; where a peer fails or takes too long, that is its result."""
    try:
        work()
    except (TimeoutError, RuntimeError, OSError) as error:
        cost.failed = str(error)
    return cost


def middle(values: list[float]) -> float | None:
    """Return the median."""
    return statistics.median(values) if values else None


def percentile(values: list[float], share: float) -> float | None:
    """Return the smallest value that so large a share of all does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else None
