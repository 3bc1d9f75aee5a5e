"""`zads stack up` and `down`: check, write, start the supervisor, wait until data flows; or end all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from zads import render
from zads.config import Config, load, parse
from zads.stack import components, ports, programs, site
from zads.stack.errors import StackError
from zads.stack.paths import Paths, cache
from zads.stack.supervisor import holder, log_tail

_GREEN_WITHIN = 240.0
_FLOWS_WITHIN = 120.0
_RESTARTS_MOST = 4
# Each has to be seen after the start: Prometheus still gives out values of an earlier run for five minutes.
_FLOW = {
    "every target is scraped": "(min(up) == 1) and on () (min(timestamp(up)) > SINCE)",
    "alerts arrive at IPAC": 'sum(zads_night_alerts{cluster="upstream"} and timestamp(zads_night_alerts) > SINCE) > 0',
    "alerts arrive at ZADS": 'sum(zads_night_alerts{cluster="public"} and timestamp(zads_night_alerts) > SINCE) > 0',
    "communities take them": "sum(zads_community_delivered_alerts_total and timestamp(zads_community_delivered_alerts_total) > SINCE) > 0",
}


def prepare(paths: Paths, source: Path) -> Config:
    """Write everything that the components read and return the stack's configuration."""
    config = load(source)
    try:
        paths.make()
        paths.site.write_text(site.moved(source.read_text(encoding="utf-8"), config), encoding="utf-8")
        config = parse(paths.site.read_text(encoding="utf-8"), str(paths.site))
        site.make_secrets(config)
        components.write_files(config, paths)
        render.write(render.render(config, paths.root / "alertrules"), paths.config)
    except OSError as error:
        raise StackError(
            f"{paths.dir} cannot be written: {error.strerror}.", "Make room there, then run it again."
        ) from None
    return config


def build(paths: Paths, config: Config, options: dict[str, str]) -> list[components.Component]:
    """Return the components; the jars are fetched when the cache lacks them."""
    return components.build(config, paths, programs.jars(cache()), options)


def check_ports(parts: list[components.Component]) -> None:
    """Raise StackError with every port that is taken and by whom."""
    taken = [
        f"  {address} ({part.name}) is held by {who}"
        for part in parts
        for address in part.ports
        if (who := ports.holder(address))
    ]
    if taken:
        raise StackError("Ports are taken:", "End those programs, or set other ports in zads.toml.", "\n".join(taken))


def start(paths: Paths, source: Path, options: dict[str, str]) -> int:
    """Start the supervisor in the background and return its process id."""
    paths.status.unlink(missing_ok=True)
    paths.control.unlink(missing_ok=True)
    zads = str(Path(sys.executable).parent / "zads")
    argv = [zads, "--config", str(source), "stack", "supervise"]
    argv += [part for key, value in options.items() for part in (f"--{key}", value)]
    with (paths.logs / "supervisor.log").open("a") as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=paths.root,
            start_new_session=True,
            env={**os.environ, "ZADS_STACK": str(paths.dir)},
        )
    return process.pid


def services(paths: Paths) -> list[dict[str, Any]]:
    """Return what the supervisor says of each component; empty when nothing runs."""
    try:
        return list(json.loads(paths.status.read_text(encoding="utf-8"))["services"])
    except (OSError, ValueError, KeyError):
        return []


def wait_green(paths: Paths, say: Any) -> None:
    """Wait until all components answer.

    Raises StackError naming the one that does not, with its log's last lines.
    """
    begin, told = time.monotonic(), set[str]()
    while True:
        rows = services(paths)
        for row in rows:
            if row["state"] == "running" and row["name"] not in told:
                told.add(row["name"])
                say(f"{row['name']} is up ({time.monotonic() - begin:.0f} s)")
        bad = [row for row in rows if row["restarts"] >= _RESTARTS_MOST and row["state"] != "running"]
        waiting = [row for row in rows if row["state"] != "running"]
        if rows and not waiting:
            return
        late = time.monotonic() - begin > _GREEN_WITHIN
        if not bad and not late and (rows or time.monotonic() - begin < 15):
            time.sleep(0.3)
            continue
        row = (bad or waiting or [{"name": "supervisor", "state": "gone"}])[0]
        tail = log_tail(paths.logs / f"{row['name']}.log", 12)
        raise StackError(
            f"{row['name']} does not come up (state: {row['state']}). Its log's last lines:",
            f"The whole log: {paths.logs / (row['name'] + '.log')}. Nothing was left running.",
            tail,
        )


def wait_flow(config: Config, say: Any, since: float) -> None:
    """Wait until alerts flow from end to end, as Prometheus sees it.

    Raises StackError with what is missing.
    """
    begin, missing = time.monotonic(), dict(_FLOW)
    while missing:
        for name, expression in list(missing.items()):
            if query(config, expression.replace("SINCE", f"{since:.0f}")):
                del missing[name]
                say(f"{name} ({time.monotonic() - begin:.0f} s)")
        if missing and time.monotonic() - begin > _FLOWS_WITHIN:
            raise StackError(
                f"All components run, but within {_FLOWS_WITHIN:.0f} s this was not seen: {', '.join(missing)}.",
                "Look at `zads stack logs mirrormaker` and `zads stack logs alert-arrival`.",
            )
        time.sleep(0.5)


def query(config: Config, expression: str) -> list[dict[str, Any]]:
    """Return the result of an instant query; empty when Prometheus does not answer."""
    url = f"http://{config.prometheus.address}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return list(json.load(answer)["data"]["result"])
    except (OSError, ValueError, KeyError, urllib.error.URLError):
        return []


def down(paths: Paths) -> int:
    """End the supervisor and all that it started; return how many processes had to be ended besides."""
    pid = holder(paths)
    if pid:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 45
        while holder(paths) and time.monotonic() < deadline:
            time.sleep(0.2)
        # The lock goes just before the process does: only what stays after that was left over.
        while psutil.pid_exists(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
    return sweep(paths)


def sweep(paths: Paths) -> int:
    """End processes that carry this stack's mark in their environment and were left over."""
    mark, own = str(paths.dir), {os.getpid(), os.getppid()}
    left = []
    for process in psutil.process_iter():
        try:
            if process.pid not in own and process.environ().get("ZADS_STACK") == mark:
                left.append(process)
        except (psutil.Error, OSError):
            continue
    for process in left:
        try:
            process.resume()
            process.terminate()
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(left, timeout=5)
    for process in alive:
        process.kill()
    paths.status.unlink(missing_ok=True)
    return len(left)
