"""Run the benchmark: see --help. Exit code 1 when values differ or our exporter fails."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.lag import candidates
from benchmarks.lag.candidates import Candidate
from benchmarks.lag.measure import Cost, guarded, measure_ours, measure_peer
from benchmarks.lag.plot import plot
from benchmarks.lag.report import report
from benchmarks.lag.values import Comparison, compare
from benchmarks.lag.world import Broker, World

_HERE = Path(__file__).resolve().parent
_STARTS = {"kafka_exporter": candidates.kafka_exporter, "KMinion": candidates.kminion}
_LIMIT_OF_VALUES = 600.0  # seconds: values are compared at one size only, however long a peer takes


def main() -> int:
    """Measure all sizes and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lag", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 30, 100, 300, 1000], help="numbers of groups")
    parser.add_argument("--main", type=int, default=100, help="the size of the main table and of the comparison of values")
    parser.add_argument("--topics", type=int, default=64)
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--turns", type=int, default=7, help="collections measured, each quiet and moving")
    parser.add_argument("--seconds", type=float, default=40, help="seconds of scraping at random moments, at each size")
    parser.add_argument("--limit", type=float, default=60, help="seconds that a peer's scrape may take")
    parser.add_argument(
        "--out", type=Path, default=_HERE / "RESULTS.md", help="the report; the plot goes to benchmarks/lag.svg"
    )
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out")
    options = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended then, too
    peers = {} if options.only_ours else candidates.peers()
    costs: list[Cost] = []
    comparisons: list[Comparison] = []
    text = ""
    with tempfile.TemporaryDirectory(prefix="zads-bench-") as name:
        folder = Path(name)
        broker = Broker(folder)
        try:
            world = World(broker, options.topics, options.partitions)
            try:
                for groups in sorted(options.sizes):
                    world.grow(groups)
                    costs += _size(world, broker, folder, peers, groups, options, gone=_gone(costs))
                    if groups == options.main and peers:
                        comparisons = _same(broker, folder, peers)
                    text = _write(costs, comparisons, peers, options)  # each time, so that a run that is ended has results
            finally:
                world.close()
        finally:
            broker.stop()
    print("\n" + text)
    wrong = [line for comparison in comparisons for line in comparison.wrong]
    for line in wrong[:40]:
        print(f"DIFFERENT: {line}")
    if wrong:
        print(f"{len(wrong)} values differ from the peers'.")
    failed = [cost for cost in costs if cost.failed and cost.name == "kafka-lag"]
    for cost in failed:
        print(f"kafka-lag failed at {cost.groups} groups: {cost.failed}")
    return 1 if wrong or failed else 0


def _write(costs: list[Cost], comparisons: list[Comparison], peers: dict[str, str], options: argparse.Namespace) -> str:
    """Write the report and the plot; return the report."""
    missing = [] if options.only_ours else [name for name in _STARTS if name not in peers]
    text = report(costs, comparisons, (options.topics, options.partitions, options.main), missing)
    options.out.write_text(text, encoding="utf-8")
    picture = _HERE.parent / "lag.svg" if options.out == _HERE / "RESULTS.md" else options.out.with_suffix(".svg")
    if not plot(costs, options.topics * options.partitions, picture):
        text += "\nThe plot is left out: pip install matplotlib (the extra bench) draws it.\n"
    return text


def _gone(costs: list[Cost]) -> set[str]:
    return {cost.name for cost in costs if cost.failed}


def _size(
    world: World,
    broker: Broker,
    folder: Path,
    peers: dict[str, str],
    groups: int,
    options: argparse.Namespace,
    gone: set[str],
) -> list[Cost]:
    """Measure each exporter by itself at one size; peers that were over the limit before are left out."""

    def ours(cost: Cost) -> None:
        candidate = candidates.ours(broker.address, 5.0, folder)
        try:
            measure_ours(candidate, world, cost, options.turns, options.seconds)
        finally:
            candidate.stop()

    def peer(cost: Cost) -> None:
        candidate = _STARTS[cost.name](peers[cost.name], broker.address, folder)
        try:
            measure_peer(candidate, world, cost, options.turns, options.limit)
        finally:
            candidate.stop()

    costs = [guarded(cost := Cost("kafka-lag", groups), lambda: ours(cost))]
    for name in peers:
        found = Cost(name, groups)
        if name in gone:
            found.failed = f"over {options.limit:.0f} s at a smaller size"
        else:
            guarded(found, lambda found=found: peer(found))  # type: ignore[misc]
        costs.append(found)
    for cost in costs:
        print(f"{groups} groups, {cost.name}: {cost.failed or _brief(cost)}", flush=True)
    return costs


def _brief(cost: Cost) -> str:
    cpu = ", ".join(f"{seconds:.2f}" for seconds in cost.moving_cpu)
    return f"CPU {cpu} s a collection, {cost.megabytes:.0f} MB, {cost.gzip_bytes / 1e6:.2f} MB compressed"


def _same(broker: Broker, folder: Path, peers: dict[str, str]) -> list[Comparison]:
    """Run all at once on the cluster at rest and compare what they say."""
    running: list[Candidate] = []
    try:
        running.append(candidates.ours(broker.address, 5.0, folder))
        running += [_STARTS[name](path, broker.address, folder) for name, path in peers.items()]
        texts = {candidate.name: candidate.scrape(_LIMIT_OF_VALUES).text() for candidate in running}
    finally:
        for candidate in running:
            candidate.stop()
    return [found for name in peers for found in compare(texts["kafka-lag"], name, texts[name])]


if __name__ == "__main__":
    sys.exit(main())
