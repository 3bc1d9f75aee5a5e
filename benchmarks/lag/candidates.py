"""The three exporters as processes: started against the broker, scraped as Prometheus does, ended."""

from __future__ import annotations

import gzip
import http.client
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.lag.world import free_port

_RELEASES = {
    "kafka_exporter": ("KAFKA_EXPORTER", "github.com/danielqsj/kafka_exporter/releases"),
    "KMinion": ("KMINION", "github.com/redpanda-data/kminion/releases"),
}


@dataclass
class Scrape:
    """One answer to a scrape: how long it took, its bytes on the wire, its text (None when it took too long)."""

    seconds: float
    wire: int
    body: bytes
    at: float = field(default_factory=time.time)

    def text(self) -> str:
        """Return the text."""
        return (gzip.decompress(self.body) if self.body[:2] == b"\x1f\x8b" else self.body).decode()

    def value(self, series: str) -> float:
        """Return the value of the first series that begins so. Raises LookupError when there is none."""
        for line in self.text().splitlines():
            if line.startswith(series):
                return float(line.rsplit(" ", 1)[1])
        raise LookupError(f"no series begins with {series}")


class Candidate:
    """One exporter that runs. Raises RuntimeError when it does not come up."""

    def __init__(
        self, name: str, command: list[str], port: int, folder: Path, more: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.port, self._log = name, port, folder / f"{name}.log"
        clean = {key: value for key, value in os.environ.items() if key not in {"KAFKA_EXPORTER", "KMINION"}}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=clean | dict(more or {}))
        self._stat = psutil.Process(self._process.pid)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def cpu(self) -> float:
        """Return the CPU seconds that it has taken."""
        used = self._stat.cpu_times()
        return float(used.user + used.system)

    def megabytes(self) -> tuple[float, float]:
        """Return its resident memory, now and at its peak, in MB of 10^6 bytes."""
        peak = next(
            int(line.split()[1]) * 1024
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        return self._stat.memory_info().rss / 1e6, peak / 1e6

    def scrape(self, limit: float, *, compressed: bool = True) -> Scrape:
        """Scrape once. Raises TimeoutError over the limit, RuntimeError when the answer is an error."""
        begin = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=limit)
        try:
            headers = {"Accept-Encoding": "gzip" if compressed else "identity"}
            connection.request("GET", "/metrics", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except TimeoutError:
            raise TimeoutError(f"{self.name}: a scrape takes more than {limit:.0f} s") from None
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{self.name} answers {answer.status}: {body[:300]!r}; its log: {self._tail()}")
        return Scrape(time.perf_counter() - begin, len(body), body)

    def wait(self, path: str, seconds: float = 120.0) -> None:
        """Wait until it answers 200 at the path."""
        deadline = time.monotonic() + seconds
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} does not come up; its log: {self._tail()}")
            time.sleep(0.1)

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-1500:]


def peers() -> dict[str, str]:
    """Return the peers' programs that are there; say where to get the others."""
    found = {}
    for name, (variable, releases) in _RELEASES.items():
        path = os.environ.get(variable) or shutil.which(name.lower())
        if path and shutil.which(path):
            found[name] = path
        else:
            print(f"{name} is not there: its releases are at {releases}; put it into PATH or name it by {variable}.")
    return found


def ours(bootstrap: str, interval: float, folder: Path) -> Candidate:
    """Start `zads export kafka-lag`; it is up when its first collection has succeeded."""
    port, site = free_port(), folder / "zads.toml"
    site.write_text(
        f'[kafka.public]\nbootstrap = ["{bootstrap}"]\n[exporters]\ninterval = {interval}\nmax_series = 10_000_000\n'
        f'kafka_lag_port = {port}\nstate_dir = "{folder}"\n',
        encoding="utf-8",
    )
    program = str(Path(sys.executable).parent / "zads")
    candidate = Candidate("kafka-lag", [program, "--config", str(site), "export", "kafka-lag"], port, folder)
    candidate.wait("/-/ready")
    return candidate


def kafka_exporter(program: str, bootstrap: str, folder: Path) -> Candidate:
    """Start kafka_exporter with its defaults."""
    port = free_port()
    command = [program, f"--kafka.server={bootstrap}", f"--web.listen-address=127.0.0.1:{port}"]
    candidate = Candidate("kafka_exporter", command, port, folder)
    candidate.wait("/")
    return candidate


def kminion(program: str, bootstrap: str, folder: Path) -> Candidate:
    """Start KMinion with its defaults: the admin API, per partition."""
    port = free_port()
    settings = {"KAFKA_BROKERS": bootstrap, "EXPORTER_HOST": "127.0.0.1", "EXPORTER_PORT": str(port)}
    candidate = Candidate("KMinion", [program], port, folder, settings)
    candidate.wait("/ready")
    return candidate
