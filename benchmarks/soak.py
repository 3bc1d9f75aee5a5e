"""The exporters against the running stack for half an hour, with Kafka killed and groups that come and go.

`python -m benchmarks.soak [--minutes 30]` with the stack up. Each four minutes the public Kafka is killed (the supervisor
starts it again); all the time consumer groups with names of their own commit and are deleted. Reported: each exporter's
memory at the start and at the end, CPU, lines of its log that are warnings or errors outside of Kafka's absence, and how far
its values are from what the consumers and the simulator know themselves.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import psutil
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from zads.config import load

ZADS = str(Path(sys.executable).parent / "zads")
EXPORTERS = ("kafka-lag", "broker-egress", "alert-arrival", "services")
SETTLE = 60.0  # seconds after a kill in which a figure may be missing and a log may say so
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})? (\S+)$")


def status() -> dict[str, dict[str, object]]:
    text = subprocess.run([ZADS, "stack", "status", "--json"], capture_output=True, text=True, check=False).stdout
    return {row["name"]: row for row in json.loads(text)["services"]}


def scrape(address: str) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        found = (_SAMPLE.match(line) for line in answer.read().decode().splitlines())
        return {(m[1], m[2] or ""): float(m[3]) for m in found if m}


class Churn:
    """Groups of a random name: made, committed, some deleted."""

    def __init__(self, bootstrap: list[str]) -> None:
        self._bootstrap, self.made, self.deleted, self._names = bootstrap, 0, 0, list[str]()

    def step(self, topic: str) -> None:
        name = f"churn-{random.randrange(10**9):09d}"
        consumer = KafkaConsumer(bootstrap_servers=self._bootstrap, group_id=name, enable_auto_commit=False)
        try:
            part = TopicPartition(topic, random.randrange(16))
            consumer.assign([part])
            consumer.commit({part: OffsetAndMetadata(1, "", -1)})
            self._names.append(name)
            self.made += 1
        finally:
            consumer.close()
        if len(self._names) > 40:
            gone, self._names = self._names[:20], self._names[20:]
            admin = KafkaAdminClient(bootstrap_servers=self._bootstrap)
            try:
                admin.delete_groups(gone) if hasattr(admin, "delete_groups") else admin.delete_consumer_groups(gone)
                self.deleted += len(gone)
            finally:
                admin.close()


def memory(rows: dict[str, dict[str, object]]) -> dict[str, tuple[float, float]]:
    """Return megabytes and CPU seconds of each exporter."""
    found = {}
    for name in EXPORTERS:
        process = psutil.Process(int(str(rows[name]["pid"])))
        found[name] = (process.memory_info().rss / 1e6, sum(process.cpu_times()[:2]))
    return found


def deviations(config: object, root: Path, pages: dict[str, dict[tuple[str, str], float]]) -> list[float]:
    """Return by how many alerts the exporters differ from what the consumers know of themselves."""
    found = []
    for name in ("lasair", "ampel", "alerce"):
        book = json.loads((root / ".stack" / "data" / f"community-{name}.json").read_text(encoding="utf-8"))
        own = book.get("behind", {}).get("alerts")
        lag = [v for (family, labels), v in pages["kafka-lag"].items() if family == "zads_community_lag_alerts" and name in labels]
        if own is not None and lag:
            found.append(abs(sum(lag) - own))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    minutes = parser.parse_args().minutes
    root = Path.cwd()
    config = load(root / ".stack" / "config" / "zads.toml")
    port = {name: getattr(config.exporters, f"{name.replace('-', '_')}_port") for name in EXPORTERS}
    churn, kills, apart = Churn(list(config.kafka["public"].bootstrap)), list[float](), list[float]()
    begin = time.time()
    first: dict[str, tuple[float, float]] = {}
    sizes: dict[str, list[float]] = {name: [] for name in EXPORTERS}
    failures = 0
    while (now := time.time()) < begin + minutes * 60:
        rows = status()
        if not first and now > begin + 120:
            first = memory(rows)  # warm: the first minutes fill caches
        if now - (kills[-1] if kills else begin) > 240:
            psutil.Process(int(str(rows["kafka-public"]["pid"]))).kill()
            kills.append(time.time())
        calm = not kills or now - kills[-1] > SETTLE
        try:
            pages = {name: scrape(f"127.0.0.1:{port[name]}") for name in EXPORTERS}
            topics = {m[1] for _, labels in pages["kafka-lag"] if (m := re.search(r'topic="(ztf_\d+_programid1)"', labels))}
            if topics and calm:
                apart += deviations(config, root, pages)
                churn.step(max(topics))
        except (OSError, KafkaError) as error:
            failures += calm
            print(f"{datetime.now(UTC):%H:%M:%S} {type(error).__name__}: {error}", flush=True)
        for name, (size, _) in memory(rows).items():
            sizes[name].append(size)
        time.sleep(3)
    last = memory(status())
    print(f"{len(kills)} kills of Kafka, {churn.made} groups made and {churn.deleted} deleted in {minutes:.0f} min")
    print("| exporter | MB after 2 min | MB at the end | at most | % of a core | warnings and errors while Kafka was there |")
    print("|---|---:|---:|---:|---:|---:|")
    bad = 0
    for name in EXPORTERS:
        lines = logged(root, name, begin, kills)
        bad += len(lines)
        cpu = (last[name][1] - first[name][1]) / (time.time() - begin - 120) * 100
        print(f"| {name} | {first[name][0]:.0f} | {last[name][0]:.0f} | {max(sizes[name]):.0f} | {cpu:.1f} | {len(lines)} |")
        for line in lines[:10]:
            print(f"    {line}", file=sys.stderr)
    if apart:
        print(f"consumers' own books against kafka-lag, alerts apart: median {statistics.median(apart):.0f}, most {max(apart):.0f}")
    print(f"pages that could not be read while Kafka was there: {failures}")
    return int(bool(bad or failures))


def logged(root: Path, name: str, begin: float, kills: list[float]) -> list[str]:
    """Return warnings and errors of an exporter's log, without those within a minute of a kill."""
    file = root / ".stack" / "logs" / f"{name}.log"
    found = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.match(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)", line)
        if not match or not re.search(r"WARNING|ERROR|CRITICAL|Traceback", line):
            continue
        at = datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp()
        if at > begin and not any(-2 <= at - kill < SETTLE for kill in kills):  # the log tells whole seconds
            found.append(line)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
