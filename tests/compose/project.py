"""One project of docker-compose.yml: started, asked, stopped, on ports and addresses that are free here."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.compose.engine import ROOT, Engine, Failed, say

PATIENCE = float(os.environ.get("ZADS_TEST_PATIENCE", "1"))
_FILES = ("docker-compose.yml", "tests/compose/docker-compose.local.yml")
_PORTS = ("ZADS_NOTIFIER_PORT", "ZADS_WALL_PORT", "ZADS_INBOX_PORT", "ZADS_GRAFANA_PORT")


def free_port() -> int:
    """Return a port of loopback that nobody has just now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def free_subnet() -> str:
    """Return the first half of addresses that this machine has no way to."""
    routes = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=False).stdout
    choices = [f"10.{second}" for second in range(190, 250) if f"10.{second}." not in routes]
    return random.choice(choices)


class Project:
    """The containers of one profile; `env` goes over what zads.toml and the file say by themselves."""

    def __init__(self, engine: Engine, name: str, profile: str, **env: str) -> None:
        self.name, self.profile = name, profile
        self.ports = {key: free_port() for key in _PORTS}
        self.env = {
            "COMPOSE_PROJECT_NAME": name,
            "COMPOSE_PROFILES": profile,
            "ZADS_SUBNET": free_subnet(),
            **{key: str(port) for key, port in self.ports.items()},
            **env,
        }
        self.engine = Engine(engine.folder, self.env)

    @property
    def services(self) -> list[str]:
        """The services of the profile in the file's order, Grafana left out: no package has it."""
        content = yaml.safe_load((ROOT / _FILES[0]).read_text(encoding="utf-8"))["services"]
        return [name for name, one in content.items() if self.profile in one["profiles"] and name != "grafana"]

    def compose(self, *words: str, check: bool = True, **env: str) -> str:
        """Run podman-compose on the project."""
        files = [part for file in _FILES for part in ("-f", file)]
        engine = Engine(self.engine.folder, {**self.env, **env})
        return engine.run("podman-compose", "--in-pod", "false", *files, *words, check=check)

    def container(self, service: str) -> str:
        """Return the container's name."""
        return f"{self.name}_{service}_1"

    def up(self) -> None:
        """Start: what writes the files first, for it ends, then the rest."""
        self.compose("up", "-d", "--no-build", "init")
        code = self.engine.podman("wait", self.container("init")).strip()
        if code != "0":
            raise Failed(f"init ended with {code}: {self.log('init')}")
        self.compose("up", "-d", "--no-build", *(one for one in self.services if one != "init"))

    def down(self) -> None:
        """End everything and take its volumes and networks away."""
        self.compose("down", "-v", "-t", "2", check=False)
        for name in self.engine.podman("ps", "-aq", "--filter", f"name=^{self.name}_", check=False).split():
            self.engine.podman("rm", "-f", "-v", "-t", "2", name, check=False)

    def log(self, service: str) -> str:
        """Return what the container said."""
        # Podman's own --tail leaves lines out of a short log.
        said = self.engine.podman("logs", self.container(service), check=False)
        return "\n".join(said.splitlines()[-15:])

    def inside(self, service: str, *words: str, check: bool = True) -> str:
        """Run a command in a container and return what it said."""
        return self.engine.podman("exec", self.container(service), *words, check=check)

    def running(self) -> set[str]:
        """Return the services whose container runs."""
        names = self.engine.podman("ps", "--format", "{{.Names}}", "--filter", f"name=^{self.name}_").split()
        return {name.removeprefix(f"{self.name}_").removesuffix("_1") for name in names}

    def prometheus(self, path: str) -> Any:
        """Ask Prometheus, which no port of this machine leads to: from its own container."""
        said = self.inside("prometheus", "wget", "-q", "-O", "-", f"http://127.0.0.1:29090/api/v1/{path}", check=False)
        try:
            return json.loads(said)["data"]
        except (ValueError, KeyError):
            return None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query; empty where Prometheus does not answer."""
        data = self.prometheus("query?" + urllib.parse.urlencode({"query": expression}))
        return list(data["result"]) if data else []

    def get(self, port: str, path: str) -> str:
        """Read a page as the user does, on this machine's loopback; "" where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def inbox(self) -> list[dict[str, Any]]:
        """Return what the stand-ins received."""
        return list(json.loads(self.get("ZADS_INBOX_PORT", "/inbox.json") or "[]"))

    def wait(self, seconds: float, what: str, found: Callable[[], Any], pause: float = 1.0) -> float:
        """Wait until `found` returns something true, say how long it took, and return that.

        Raises Failed with the containers that do not run.
        """
        begin = time.monotonic()
        while not found():
            if time.monotonic() - begin > seconds * PATIENCE:
                raise Failed(f"not seen within {seconds * PATIENCE:.0f} s: {what}\n{self.state()}")
            time.sleep(pause)
        took = time.monotonic() - begin
        say(f"  {what}: {took:.0f} s")
        return took

    def state(self) -> str:
        """Return every container's state, and the log's end of those that do not run."""
        lines = self.engine.podman("ps", "-a", "--format", "{{.Names}} {{.Status}}", "--filter", f"name=^{self.name}_")
        missing = set(self.services) - self.running() - {"init"}
        return lines + "".join(f"--- {one}\n{self.log(one)}\n" for one in sorted(missing))

    def memory(self) -> dict[str, float]:
        """Return what each container's processes hold in MB: their private and shared pages, not the files' cache."""
        found = {}
        for service in sorted(self.running()):
            pids = self.engine.podman("top", self.container(service), "hpid", check=False).split()[1:]
            found[service] = sum(_resident(pid) for pid in pids)
        return found

    def left(self) -> list[str]:
        """Return what there still is of the project."""
        podman = self.engine.podman
        names = podman("ps", "-a", "--format", "{{.Names}}").split() + podman("volume", "ls", "-q").split()
        return [name for name in names + podman("network", "ls", "-q").split() if self.name in name]


def _resident(pid: str) -> float:
    """Return a process' proportional memory in MB, 0 when it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1000
    except (OSError, StopIteration, ValueError):
        return 0.0
