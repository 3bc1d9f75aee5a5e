"""A real Prometheus with recorded series of the past, written into blocks by promtool."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Sample = tuple[float, float]  # seconds since 1970, value


@contextmanager
def backfilled(folder: Path, series: Mapping[str, Iterable[Sample]]) -> Iterator[str]:
    """Yield the address of a Prometheus that holds the series, by their names with labels, and scrapes nothing."""
    names = sorted(series, key=lambda name: name.partition("{")[0])
    lines = [f"{name} {value:.12g} {when:.3f}" for name in names for when, value in series[name]]
    (folder / "series.om").write_text("\n".join([*lines, "# EOF\n"]))
    # Blocks of up to 30 days: promtool reads the whole file once for each.
    command = ["promtool", "tsdb", "create-blocks-from", "--max-block-duration=720h", "openmetrics", "series.om", "tsdb"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    argv = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", f"--web.listen-address={address}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*argv, "--storage.tsdb.retention.time=100y"], cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    urllib.request.urlopen(f"http://{address}/-/ready", timeout=2).close()
                    break
                except OSError:
                    assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(30)
