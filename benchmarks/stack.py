"""What the local stack costs: time until green, memory, idle CPU of our own processes. `make bench`.

Prints one table; takes about three minutes. The stack must not run yet.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

ZADS = str(Path(sys.executable).parent / "zads")
OURS = {"kafka-lag", "broker-egress", "alert-arrival", "services", "notifier", "wall"}
IDLE_SECONDS = 60.0


def _processes() -> dict[str, psutil.Process]:
    status = json.loads(
        subprocess.run([ZADS, "stack", "status", "--json"], capture_output=True, text=True, check=True).stdout
    )
    return {row["name"]: psutil.Process(row["pid"]) for row in status["services"] if row["pid"]}


def main() -> int:
    begin = time.monotonic()
    done = subprocess.run([ZADS, "stack", "up"], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout + done.stderr)
        return 1
    green = time.monotonic() - begin
    try:
        time.sleep(30)
        processes = _processes()
        before = {name: sum(p.cpu_times()[:2]) for name, p in processes.items()}
        time.sleep(IDLE_SECONDS)
        cpu = {name: (sum(p.cpu_times()[:2]) - before[name]) / IDLE_SECONDS for name, p in processes.items()}
        memory = {name: p.memory_info().rss / 1e6 for name, p in processes.items()}
    finally:
        subprocess.run([ZADS, "stack", "down"], capture_output=True, check=False)
    print(f"| {'component':<18} | {'MB':>6} | {'% of a core':>11} |\n|---|---:|---:|")
    for name, megabytes in memory.items():
        print(f"| {name:<18} | {megabytes:6.0f} | {cpu[name] * 100:11.1f} |")
    ours = sum(cpu[name] for name in OURS if name in cpu)
    rows = [
        ("make up, caches warm, s", green, 60.0),
        ("memory of the whole stack, MB", sum(memory.values()), 3000.0),
        ("idle CPU of exporters, notifier and wall, % of a core", ours * 100, 10.0),
    ]
    print("\n| what | measured | aim |\n|---|---:|---:|")
    for what, value, aim in rows:
        print(f"| {what} | {value:.1f} | < {aim:.0f} |{'' if value < aim else '  missed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
