"""Lag in seconds against the records' real timestamps, beside kafka-lag-exporter's method of interpolation.

    python -m benchmarks.seconds                  eight minutes on a Kafka of its own, in real time
    python -m benchmarks.seconds --compressed 6   six hours' worth of records with times of the past, as fast as it goes

The interpolation stands in seconds_interpolation.py: it is the method, not the program. What is true is the timestamp
of the next unread record, read back from Kafka after the run. Both begin anew in the middle, as after a restart.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.seconds_interpolation import Interpolation
from benchmarks.seconds_plot import plot
from benchmarks.seconds_report import Point, table
from benchmarks.seconds_scenarios import Scenario, scenarios
from benchmarks.seconds_world import Seen, World, true_lag
from exporters.kafka_lag.collector import KafkaLagCollector
from tests.integration.conftest import Node, free_pair
from zads import kafka
from zads.collector import CollectorLoop
from zads.config import KafkaCluster, parse
from zads.kafka import ClusterReader

OURS, FAST, SLOW = "zads, each 5 s", "interpolation, each 5 s", "interpolation, each 30 s"
INTERVALS = {OURS: 5.0, FAST: 5.0, SLOW: 30.0}
ZADS = str(Path(sys.executable).parent / "zads")
TICK = 0.2


def ours(text: str, known: Iterable[Scenario]) -> tuple[float, dict[str, tuple[dict[int, int], float]]]:
    """Return when a page of the exporter was collected, and per scenario the offsets that it saw and its lag in seconds."""
    offsets: dict[str, dict[int, int]] = defaultdict(dict)
    seconds: dict[str, float] = {}
    at = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "kafka_consumergroup_current_offset":
                offsets[sample.labels["topic"]][int(sample.labels["partition"])] = int(sample.value)
            elif sample.name == "zads_consumergroup_lag_seconds":
                seconds[sample.labels["topic"]] = sample.value
            elif sample.name == "zads_collector_last_success_timestamp_seconds":
                at = sample.value
    return at, {s.name: (offsets[s.topic], seconds.get(s.topic, math.nan)) for s in known if s.topic in offsets}


class Watch:
    """All that was seen: `read` at the moment of a collection, `scraped` by somebody who looks each second."""

    def __init__(self, world: World) -> None:
        self.world, self.lock = world, threading.Lock()
        self.read: list[Seen] = []
        self.scraped: list[Seen] = []
        self.now: dict[str, dict[str, float]] = {}

    def take(self, method: str, at: float, values: Mapping[str, tuple[Mapping[int, int], float]]) -> None:
        """Take one collection of a method."""
        with self.lock:
            self.now[method] = {name: value for name, (_, value) in values.items()}
            for name, (offsets, value) in values.items():
                self.read.append(Seen(method, name, at, tuple(offsets.items()), value))

    def away(self) -> None:
        """Nothing is said any more."""
        with self.lock:
            self.now.clear()

    def scrape(self, at: float) -> None:
        """Note what each method says at this moment."""
        with self.lock:
            for method, values in self.now.items():
                for name, value in values.items():
                    offsets = tuple(self.world.committed.get(name, {}).items())
                    self.scraped.append(Seen(method, name, at, offsets, value))


class Poller:
    """The method of interpolation, which polls a cluster."""

    def __init__(self, world: World, watch: Watch, method: str) -> None:
        self._world, self._watch, self._method = world, watch, method
        self._reader = ClusterReader(world.cluster, client_id="bench-interpolation")
        self._tables = Interpolation()

    def poll(self, now: float) -> None:
        """Read commits, then ends, as the program does."""
        metadata = self._reader.metadata()
        names = {scenario.topic: scenario.name for scenario in self._world.scenarios}
        groups = [group for group in self._reader.groups().values.values() if group.name in names]
        committed = self._reader.committed(groups).values
        parts = [(topic, part) for topic in names for part in metadata.topics[topic].leaders]
        ends = self._reader.list_offsets(dict.fromkeys(parts, kafka.LATEST)).values
        found = self._tables.poll({part: offset for part, (offset, _) in ends.items()}, committed, now)
        values = {names[g]: ({n: o for (_, n), o in committed[g].items()}, value) for g, value in found.items()}
        self._watch.take(self._method, now, values)

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()


class Exporter:
    """`zads export kafka-lag`, a process of its own."""

    def __init__(self, cluster: KafkaCluster, folder: Path) -> None:
        self._port, self._file = free_pair(), folder / "zads.toml"
        self._file.write_text(
            f'[kafka.public]\nbootstrap = ["{cluster.bootstrap[0]}"]\n'
            f'[exporters]\nlisten = "127.0.0.1"\nkafka_lag_port = {self._port}\nstate_dir = "{folder / "state"}"\n'
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin."""
        self._process = subprocess.Popen([ZADS, "--config", str(self._file), "export", "kafka-lag"])

    def stop(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def page(self) -> str | None:
        """Return what it says, None while it says nothing."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=3) as answer:
                return str(answer.read().decode())
        except OSError:
            return None


def real(world: World, folder: Path, length: float) -> Watch:
    """Play in real time; exporter and interpolation are away for 20 s in the middle."""
    watch, exporter = Watch(world), Exporter(world.cluster, folder)
    begin = time.time()
    world.begin(begin)
    stop = threading.Event()

    def play() -> None:
        before, due = 0.0, time.monotonic()
        while not stop.is_set():
            t = time.time() - begin
            world.step(t, before)
            before, due = t, due + TICK
            stop.wait(max(0.0, due - time.monotonic()))

    player = threading.Thread(target=play, daemon=True)
    player.start()
    for start, end in ((0.0, length / 2), (length / 2 + 20, length)):
        stop.wait(max(0.0, begin + start - time.time()))
        exporter.start()
        pollers = {FAST: Poller(world, watch, FAST), SLOW: Poller(world, watch, SLOW)}
        seen_at, turn = 0.0, 0
        while (now := time.time()) < begin + end:
            for method, poller in pollers.items():
                if turn % INTERVALS[method] == 0:
                    poller.poll(time.time())
            page = exporter.page()
            if page is not None:
                at, values = ours(page, world.scenarios)
                if at > seen_at:
                    seen_at = at
                    watch.take(OURS, at, values)
            watch.scrape(time.time())
            turn += 1
            stop.wait(max(0.0, now + 1.0 - time.time()))
        exporter.stop()
        for poller in pollers.values():
            poller.close()
        watch.away()
    stop.set()
    player.join(30)
    return watch


def compressed(world: World, length: float) -> Watch:
    """Play with times of the past: a step is five seconds; all are away for ten minutes in the middle."""
    watch, begin, step = Watch(world), time.time() - length, 5.0
    now = begin
    config = parse(f'[kafka.public]\nbootstrap = ["{world.cluster.bootstrap[0]}"]\n')
    world.begin(begin)

    def fresh() -> tuple[CollectorLoop, dict[str, Poller]]:
        reader = ClusterReader(world.cluster, client_id="bench-zads")
        collector = KafkaLagCollector(config, reader, clock=lambda: now)
        return CollectorLoop(collector, step), {m: Poller(world, watch, m) for m in (FAST, SLOW)}

    def end() -> None:
        loop.stop()
        for poller in pollers.values():
            poller.close()

    loop, pollers = fresh()
    away = False
    for turn in range(1, int(length / step)):
        t = turn * step
        now = begin + t
        world.step(t, t - step, now)
        if 0.0 <= t - length / 2 < 600:
            if not away:
                end()
            away = True
            continue
        if away:
            loop, pollers = fresh()
            away = False
        _, values = ours(loop.once().body.decode(), world.scenarios)
        watch.take(OURS, now, values)
        for method, poller in pollers.items():
            if t % INTERVALS[method] == 0:
                poller.poll(now)
    end()
    return watch


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="length of the run in real time")
    parser.add_argument("--compressed", type=float, metavar="HOURS", help="records with times of the past instead")
    parser.add_argument("--plot", type=Path, default=Path(__file__).parent / "seconds.svg", help="where to draw what was said")
    parser.add_argument("--keep", type=Path, help="write all readings here, as JSON")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="zads-seconds-"))
    node = Node(folder / "kafka")
    try:
        node.start()
        cluster = KafkaCluster(bootstrap=(node.address,))
        if args.compressed:
            world = World(cluster, scenarios(args.compressed * 3600, 1.0, 600.0))
            watch = compressed(world, args.compressed * 3600)
        else:
            world = World(cluster, scenarios(args.minutes * 60, 20.0, 40.0))
            watch = real(world, folder, args.minutes * 60)
        truth = world.truth()
        world.close()
    finally:
        node.stop()
        shutil.rmtree(folder, ignore_errors=True)
    read, scraped = ([_point(seen, truth) for seen in found] for found in (watch.read, watch.scraped))
    if args.keep:
        args.keep.write_text(json.dumps({"read": list(map(astuple, read)), "scraped": list(map(astuple, scraped))}))
    for scenario in world.scenarios:
        print(f"- {scenario.name}: {scenario.what}")
    print("\nAt the moment of a collection:\n\n" + table(read, world.scenarios, INTERVALS))
    if scraped:
        print("\nAs somebody sees it who looks each second:\n\n" + table(scraped, world.scenarios, INTERVALS))
    args.plot.write_text(plot(scraped or read, world.scenarios, list(INTERVALS)), encoding="utf-8")
    broken = [p for p in read if p.method == OURS and not p.within() and not math.isnan(p.value)]
    for point in broken[:20]:
        print(f"beyond 5 s and 5 %: {point.scenario} at {point.at:.1f}: said {point.value:.1f} s, true {point.true:.1f} s")
    return 0


def _point(seen: Seen, truth: dict[tuple[str, int, int], float]) -> Point:
    return Point(seen.method, seen.scenario, seen.at, seen.value, true_lag(seen, truth))


if __name__ == "__main__":
    sys.exit(main())
