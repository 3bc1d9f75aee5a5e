"""`zads stack up` and `down`: check, write, start the supervisor, wait until data flows; or end all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from zads import render
from zads.config import Config, load, parse
from zads.stack import components, ports, programs, site, trouble_disk
from zads.stack.errors import StackError
from zads.stack.paths import Paths, cache
from zads.stack.supervisor import holder, log_tail

_GREEN_WITHIN = 240.0
_FLOWS_WITHIN = 120.0
_RESTARTS_MOST = 4
_SUPERVISOR_WITHIN = 15.0
_DISK_LEAST = 500e6
# Each has to be seen after the start: Prometheus still gives out values of an earlier run for five minutes.
FLOW = {
    "every target is scraped": "(min(up) == 1) and on () (min(timestamp(up)) > SINCE)",
    "alerts arrive at IPAC": 'max(zads_last_alert_timestamp_seconds{cluster="upstream"}) > SINCE',
    "alerts arrive at ZADS": 'max(zads_last_alert_timestamp_seconds{cluster="public"}) > SINCE',
    "communities take them": "(min(zads_community_connections) > 0) and on () (min(timestamp(zads_community_connections)) > SINCE)",
    "the notifier hears Alertmanager": "max(zads_heartbeat_last_timestamp_seconds) > SINCE",
}
_REMEDIES = {
    "address already in use": "A port was taken in between: end that program (ss -ltnp), or set other ports in zads.toml.",
    "no space left on device": "The disk is full: make room (df -h .), then run `make up` again.",
    "unsupportedclassversionerror": "Java is too old: Kafka 4.2 needs Java 17 or newer.",
    "outofmemoryerror": "Memory is short: the stack needs 3 GB (free -h).",
    "cannot allocate memory": "Memory is short: the stack needs 3 GB (free -h).",
    "permission denied": "A file belongs to somebody else: look at its owner with ls -l.",
    "inconsistentclusterid": "The data in .stack/data is another cluster's: move .stack/data away, then run `make up` again.",
    "corrupt": "Data of an earlier run is damaged: move .stack/data away, then run `make up` again.",
}


def prepare(paths: Paths, source: Path) -> Config:
    """Write everything that the components read and return the stack's configuration."""
    config = load(source)
    free = shutil.disk_usage(next(folder for folder in (paths.dir, paths.root) if folder.exists())).free
    if free < _DISK_LEAST:
        raise StackError(
            f"Only {free / 1e6:.0f} MB are free for {paths.dir}; two nights of alerts take up to 5 GB.",
            "No space left on device is what would come: make room there (df -h .), then run it again.",
        )
    if "upstream" not in config.kafka:
        raise StackError(
            f"{source} has no [kafka.upstream]: the local stack simulates IPAC's Kafka as well.",
            "Take the repository's zads.toml for it: zads --config zads.toml stack up.",
        )
    try:
        paths.make()
        paths.site.write_text(site.moved(source.read_text(encoding="utf-8"), config), encoding="utf-8")
        config = parse(paths.site.read_text(encoding="utf-8"), str(paths.site))
        site.make_secrets(config)
        components.write_files(config, paths)
        render.write(render.render(config, paths.root / "alertrules"), paths.config)
    except OSError as error:
        remedies = {
            errno.ENOSPC: "Make room on that disk, then run it again.",
            errno.EDQUOT: "Your quota is used up: make room, then run it again.",
            errno.EACCES: "It belongs to somebody else: chown it to you, or run it as its owner.",
            errno.EPERM: "It belongs to somebody else: chown it to you, or run it as its owner.",
            errno.EROFS: "The disk is mounted read-only: run it from a folder that can be written.",
        }
        remedy = remedies.get(error.errno or 0, "Something is in the way there: move it aside, then run it again.")
        raise StackError(f"{error.filename or paths.dir} cannot be written: {error.strerror}.", remedy) from None
    except ValueError as error:
        raise StackError(
            f"The site cannot be moved to where it is night: {error}.", "Look at [site] in zads.toml."
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
        if not holder(paths) and time.monotonic() - begin > _SUPERVISOR_WITHIN:
            raise failure(paths, "supervisor", "gone")
        for row in rows:
            if row["state"] == "running" and row["name"] not in told:
                told.add(row["name"])
                say(f"{row['name']} is up ({time.monotonic() - begin:.0f} s)")
        bad = [row for row in rows if row["restarts"] >= _RESTARTS_MOST and row["state"] != "running"]
        waiting = [row for row in rows if row["state"] != "running"]
        if rows and not waiting:
            return
        late = time.monotonic() - begin > _GREEN_WITHIN
        if not bad and not late:
            time.sleep(0.3)
            continue
        row = (bad or waiting or [{"name": "supervisor", "state": "gone"}])[0]
        raise failure(paths, row["name"], row["state"])


def failure(paths: Paths, name: str, state: str) -> StackError:
    """Return what to tell of a component that does not come up: its log's last lines and, where they tell it, the remedy."""
    log = paths.logs / f"{name}.log"
    tail = log_tail(log, 12)
    remedy = next(
        (text for sign, text in _REMEDIES.items() if sign in tail.lower().replace(" ", "") or sign in tail.lower()), ""
    )
    remedy = f"{remedy}\n" if remedy else ""
    return StackError(
        f"{name} does not come up (state: {state}). Its log's last lines:", f"{remedy}The whole log: {log}", tail
    )


def hold_ups(paths: Paths) -> list[str]:
    """Return, as sentences, what does not run in a stack that was started before."""
    held = {"killed", "stopped", "paused"}
    return [
        f"{row['name']} is {row['state']}" + (" by `zads sim`; `zads sim heal` undoes it." if row["state"] in held else ".")
        for row in services(paths)
        if row["state"] != "running"
    ]


def wait_flow(config: Config, say: Any, since: float) -> None:
    """Wait until alerts flow from end to end, as Prometheus sees it.

    Raises StackError with what is missing.
    """
    begin, missing = time.monotonic(), dict(FLOW)
    while missing:
        for name, expression in list(missing.items()):
            if query(config, expression.replace("SINCE", f"{since:.0f}")):
                del missing[name]
                say(f"{name} ({time.monotonic() - begin:.0f} s)")
        if missing and time.monotonic() - begin > _FLOWS_WITHIN:
            raise StackError(
                f"All components run, but within {_FLOWS_WITHIN:.0f} s this was not seen: {', '.join(missing)}.",
                "Look at `zads stack logs mirrormaker`, `zads stack logs alert-arrival` and `zads stack logs notifier`.",
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
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return sweep(paths)
        except PermissionError:
            raise StackError(f"The stack here belongs to another user (process {pid}).", "End it as that user.") from None
        deadline = time.monotonic() + 45
        while holder(paths) and time.monotonic() < deadline:
            time.sleep(0.2)
        # The lock goes just before the process does: only what stays after that was left over.
        while _lives(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
    return sweep(paths)


def _lives(pid: int) -> bool:
    """Tell whether the process is still there; one that ended and waits for its parent, perhaps us, is not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


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
        with suppress(psutil.Error):
            process.kill()
    paths.status.unlink(missing_ok=True)
    trouble_disk.unmount(paths)
    return len(left)
