"""What the local stack costs: time until green, memory, idle CPU of our own processes, time to the page. `make bench`.

Prints two tables; takes about four minutes. The stack must not run yet.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import psutil

ZADS = str(Path(sys.executable).parent / "zads")
MONITOR = {"kafka-lag", "broker-egress", "alert-arrival", "services", "notifier", "wall"}
FOREIGN = {"kafka-upstream", "kafka-public", "mirrormaker", "prometheus", "alertmanager", "node-exporter"}
IDLE_SECONDS = 60.0


def _processes() -> dict[str, psutil.Process]:
    status = json.loads(
        subprocess.run([ZADS, "stack", "status", "--json"], capture_output=True, text=True, check=True).stdout
    )
    found = {row["name"]: psutil.Process(row["pid"]) for row in status["services"] if row["pid"]}
    supervisor = found["wall"].parent()
    return found | ({"supervisor": supervisor} if supervisor else {})


def _paged() -> float | None:
    """Kill Kafka for good and return the seconds until all three stand-ins have the page."""
    begin = time.time()
    subprocess.run([ZADS, "sim", "kill", "kafka"], capture_output=True, check=True)
    try:
        while time.time() - begin < 120:
            inbox = json.loads(subprocess.run([ZADS, "stack", "inbox", "--json"], capture_output=True, check=True).stdout)
            at = {
                m["channel"]: datetime.fromisoformat(m["at"]).timestamp()
                for m in inbox
                if m["state"] == "firing" and "kafka down" in (m["title"] + m["text"]).lower()
            }
            late = [seconds for seconds in at.values() if seconds > begin]
            if len(late) == 3:
                return max(late) - begin
            time.sleep(0.5)
        return None
    finally:
        subprocess.run([ZADS, "sim", "heal"], capture_output=True, check=False)
        time.sleep(45)  # its end is told too: an incident left open would swallow the next run's page as its continuation


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
        paged = _paged()
    finally:
        subprocess.run([ZADS, "stack", "down"], capture_output=True, check=False)
    print(f"| {'component':<18} | {'MB':>6} | {'% of a core':>11} |\n|---|---:|---:|")
    for name, megabytes in memory.items():
        print(f"| {name:<18} | {megabytes:6.0f} | {cpu[name] * 100:11.1f} |")
    monitor = sum(cpu[name] for name in MONITOR if name in cpu)
    ours = sum(share for name, share in cpu.items() if name not in FOREIGN)
    rows = [
        ("make up, caches warm, s", green, 60.0),
        ("memory of the whole stack, MB", sum(memory.values()), 3000.0),
        ("idle CPU of exporters, notifier and wall, % of a core", monitor * 100, 10.0),
        ("idle CPU of all our own processes, the simulated world included, % of a core", ours * 100, 10.0),
        ("memory of exporters, notifier and wall, MB", sum(memory[name] for name in MONITOR if name in memory), 450.0),
        ("Kafka killed to the page at all three, s", float("inf") if paged is None else paged, 60.0),
    ]
    print("\n| what | measured | aim |\n|---|---:|---:|")
    for what, value, aim in rows:
        print(f"| {what} | {value:.1f} | < {aim:.0f} |{'' if value < aim else '  missed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
