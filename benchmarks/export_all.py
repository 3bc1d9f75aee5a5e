"""What the exporters take: `zads export all` in one process, beside the four as processes of their own.

    python -m benchmarks.export_all            some four minutes

The example site (zads.toml: five communities, three services, two clusters, topics of 16 partitions) on two Kafkas of
this benchmark's own, with a night of real packets that goes on meanwhile and communities that read and commit. Scraped
every 10 s, as Prometheus does.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.integration.conftest import Node, free_pair
from zads import kafka
from zads.config import Config, parse
from zads.night import night_name
from zads.render_scrape import places
from zads.stack.alert_packets import Exposure, templates

ZADS = str(Path(sys.executable).parent / "zads")
MEASURED_SECONDS, SCRAPED_EVERY = 60.0, 10.0
ALERTS_PER_SECOND, BEFORE = 30, 3_000  # ZTF's mean night rate at its full scale; alerts that are there at the start
AIM_BYTES = 150e6


def site(folder: Path, upstream: str, public: str, *, one_process: bool) -> Path:
    """Write the example site's zads.toml with this benchmark's addresses, and return it."""
    text = Path("zads.toml").read_text(encoding="utf-8")
    text = text.replace("127.0.0.1:21092", upstream).replace("127.0.0.1:22092", public)
    text = re.sub(r"^jmx = .*\n", "", text, flags=re.MULTILINE)  # no agents here
    text = re.sub(r"^(\w+_port) = \d+", lambda match: f"{match[1]} = {free_pair()}", text, flags=re.MULTILINE)
    text = re.sub(r'^state_dir = .*"', f'state_dir = "{folder}/state"', text, flags=re.MULTILINE)
    text = text.replace("[exporters]\n", f"[exporters]\none_process = {str(one_process).lower()}\n")
    file = folder / f"zads-{one_process}.toml"
    file.write_text(text, encoding="utf-8")
    return file


class Stream:
    """A night that goes on: packets into both clusters, and the communities' commits."""

    def __init__(self, config: Config) -> None:
        self._config, self._stop, self._sent = config, threading.Event(), 0
        self._sky, self._templates = random.Random(4711), templates()
        self.topic = f"ztf_{night_name(datetime.now(UTC), config.site.longitude)}_programid1"
        for cluster in config.kafka.values():
            kafka.create_topics(cluster, {self.topic: config.stream.partitions}, client_id="bench")
        self._producers = [kafka.producer(cluster, client_id="bench") for cluster in config.kafka.values()]

    def send(self, count: int) -> None:
        """Send so many alerts to both clusters."""
        exposure = Exposure(time.time() / 86_400.0 + 2440587.5 - 0.005, 1, 500, 1)
        for _ in range(count):
            self._sent += 1
            packet = self._sky.choice(self._templates).write(exposure, self._sent, self._sky)
            for producer in self._producers:
                producer.send(self.topic, packet, partition=self._sent % 16, on_result=lambda _: None)

    def _produce(self) -> None:
        while not self._stop.wait(1.0):
            self.send(ALERTS_PER_SECOND)

    def _read(self, group: str) -> None:
        consumer = kafka.consumer(
            self._config.kafka["public"], client_id=group, group_id=group, auto_offset_reset="earliest"
        )
        consumer.subscribe([self.topic])
        while not self._stop.is_set():
            consumer.poll(timeout_ms=1000, max_records=500)
        consumer.close()

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Produce and read in the background."""
        groups = ("lasair", "alerce", "bench-ztf_uw_public")
        threads = [threading.Thread(target=self._produce)]
        threads += [threading.Thread(target=self._read, args=(group,)) for group in groups]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(20)
            for producer in self._producers:
                producer.close(5)


def scrape(config: Config) -> int:
    """Read every exporter's page and return the bytes of all."""
    total = 0
    for address, path in places(config).values():
        request = urllib.request.Request(f"http://{address}{path}", headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            total += len(answer.read())
    return total


def decoded(config: Config) -> int:
    """Return how many packets alert-arrival has decoded: that it had something to do."""
    address, path = places(config)["alert-arrival"]
    with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
        found = re.search(r"^zads_alert_packets_decoded_total (\S+)$", answer.read().decode(), re.MULTILINE)
    return int(float(found[1])) if found else 0


def ready(config: Config) -> None:
    """Wait until every exporter's last collection succeeded."""
    deadline = time.monotonic() + 60
    for address, _ in places(config).values():
        while True:
            try:
                urllib.request.urlopen(f"http://{address}/-/ready", timeout=5).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)


def measure(names: tuple[str, ...], file: Path) -> tuple[str, float]:
    """Run these exporters, and return a row of the table and the most memory that they took together."""
    config = parse(file.read_text(encoding="utf-8"))
    with (file.with_suffix(".log")).open("w") as log:
        running = [
            subprocess.Popen([ZADS, "--config", str(file), "export", name], stdout=log, stderr=subprocess.STDOUT)
            for name in names
        ]
    try:
        ready(config)
        processes = [psutil.Process(process.pid) for process in running]
        begin, cpu = time.monotonic(), _cpu(processes)
        most, size, due = 0.0, 0, begin
        while time.monotonic() - begin < MEASURED_SECONDS:
            if time.monotonic() >= due:
                size, due = scrape(config), due + SCRAPED_EVERY
            most = max(most, float(sum(process.memory_info().rss for process in processes)))
            time.sleep(0.5)
        share = (_cpu(processes) - cpu) / (time.monotonic() - begin)
        packets = decoded(config)
        last = sum(process.memory_info().rss for process in processes)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)
    text = f"| {', '.join(names)} | {most / 1e6:.0f} MB | {last / 1e6:.0f} MB | {share:.1%} | {size / 1e3:.0f} kB | {packets:,} |"
    return text, most


def _cpu(processes: list[psutil.Process]) -> float:
    return float(sum(sum(process.cpu_times()[:2]) for process in processes))


def main() -> int:
    """Print the table; 1 when one process takes more than it may."""
    with tempfile.TemporaryDirectory(prefix="zads-bench-") as name:
        folder = Path(name)
        nodes = [Node(folder / "kafka-upstream"), Node(folder / "kafka-public")]
        try:
            upstream, public = (node.start().address for node in nodes)
            one = site(folder, upstream, public, one_process=True)
            each = site(folder, upstream, public, one_process=False)
            stream = Stream(parse(one.read_text(encoding="utf-8")))
            stream.send(BEFORE)
            print(
                "| processes | memory at most | memory at the end | of one core | bytes per scrape | packets decoded |\n"
                "|---|---|---|---|---|---|"
            )
            with stream.flowing():
                row, most = measure(("all",), one)
                print(row, flush=True)
                print(measure(("kafka-lag", "broker-egress", "alert-arrival", "services"), each)[0])
        finally:
            for node in nodes:
                node.stop()
    verdict = "kept" if most < AIM_BYTES else "MISSED"
    print(f"\n`zads export all` under {AIM_BYTES / 1e6:.0f} MB: {verdict}.")
    return 0 if most < AIM_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
