"""What has to hold of the running containers; each check raises Failed with what it saw instead."""

from __future__ import annotations

import re
import socket
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.compose.engine import ROOT, Failed
from tests.compose.project import Project
from zads import render
from zads.config import load

NAMES = Path(__file__).parent / "metric_names.txt"
# Of Java, Go and the programs themselves: other versions of the official images have others.
_FOREIGN = re.compile(
    r"(go|process|python|jvm|jmx|scrape|prometheus|alertmanager|net_conntrack|promhttp|node|net|ALERTS)(_|$).*"
)


def listeners() -> set[tuple[str, int]]:
    """Return where programs of this machine listen."""
    return {
        (one.laddr.ip, one.laddr.port)
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr
    }


def only_loopback(before: set[tuple[str, int]], project: Project) -> None:
    """Nothing new listens beyond loopback, and on loopback only what faces the user."""
    new = listeners() - before
    # Podman's own name server stands on the containers' networks.
    beyond = {
        one for one in new if one[0] != "127.0.0.1" and not (one[1] == 53 and one[0].startswith(project.env["ZADS_SUBNET"]))
    }
    if beyond:
        raise Failed(f"something listens beyond 127.0.0.1: {sorted(beyond)}")
    wanted = {port for key, port in project.ports.items() if key != "ZADS_GRAFANA_PORT"}
    if missing := wanted - {port for _, port in new}:
        raise Failed(f"nothing listens on 127.0.0.1 port {sorted(missing)}")


def communities_reach_kafka_alone(project: Project) -> None:
    """A community's container reaches Kafka and nothing else: no exporter, no Prometheus, no way out."""
    subnet, reached = project.env["ZADS_SUBNET"], []
    prometheus = project.inside("prometheus", "sh", "-c", "hostname -i").split()[0]
    closed = [f"{subnet}.1.10:29308", f"{subnet}.2.10:29308", f"{subnet}.2.10:29100", f"{subnet}.2.10:22094"]
    for address in ["kafka-public:22092", *closed, f"{prometheus}:29090"]:
        host, port = address.split(":")
        words = f"timeout 3 bash -c 'exec 3<>/dev/tcp/{host}/{port}' 2>/dev/null && echo yes || echo no"
        if project.inside("community-fink", "bash", "-c", words).strip() == "yes":
            reached.append(address)
    if reached != ["kafka-public:22092"]:
        raise Failed(f"a community reaches {reached}")
    routes = project.inside("community-fink", "cat", "/proc/net/route").splitlines()[1:]
    if any(line.split()[1] == "00000000" for line in routes):
        raise Failed("a community has a way out of its network")


def contained(project: Project) -> None:
    """No container runs as root, holds a capability, or can write to its root file system."""
    look = "grep -E '^(Uid|CapEff):' /proc/self/status; touch /trial 2>/dev/null && echo Trial: yes || echo Trial: no"
    for service in sorted(project.running()):
        said = project.inside(service, "sh", "-c", look)
        found = {line.split(":")[0]: line.split()[1] for line in said.splitlines() if ":" in line}
        user, powers, trial = found["Uid"], found["CapEff"], found["Trial"]
        if user == "0" or int(powers, 16) or trial != "no":
            raise Failed(f"{service}: user {user}, capabilities {powers}, can write to its root: {trial}")


def health_checks(project: Project) -> None:
    """Every container's health check says that it is well; Podman has no timer for them, so they are run here."""
    without = {"kafka-host"}
    for service in sorted(project.running() - without):
        deadline = time.monotonic() + 60
        while said := project.engine.podman("healthcheck", "run", project.container(service), check=False).strip():
            if time.monotonic() > deadline:
                raise Failed(f"the health check of {service} says: {said}")
            time.sleep(2)


def trouble_is_heard(project: Project) -> None:
    """What `zads sim` asks for in one container is read in another; what it cannot do is refused with what does."""
    project.inside("simulator", "zads", "sim", "slow", "lasair", "0.2")
    heard = project.inside("community-lasair", "cat", "/zads/.stack/control.json")
    refused = project.inside("simulator", "zads", "sim", "kill", "kafka", check=False)
    project.inside("simulator", "zads", "sim", "heal")
    if "rate_share" not in heard or "docker compose kill" not in refused:
        raise Failed(f"zads sim in a container: {heard!r}, {refused!r}")


def attributed(project: Project) -> None:
    """Every community's bytes are seen on the wire, each by its own address, and nobody unknown takes any."""
    rows = project.query('sum by (community) (zads_community_egress_bytes_total{source="wire"}) > 0')
    names = {row["metric"]["community"] for row in rows}
    wanted = {one.name for one in load(ROOT / "zads.toml").communities}
    unknown = project.query("sum(zads_egress_unattributed_bytes_total) > 0")
    if names != wanted or unknown:
        raise Failed(f"bytes on the wire are attributed to {sorted(names)}; unknown: {unknown}")


def same_targets(project: Project) -> None:
    """Prometheus scrapes what `make up`'s does, job by job and service by service, and all of it answers."""
    wanted = Counter(
        (job["job_name"], job.get("metrics_path", "/metrics"), group["labels"].get("service", ""))
        for job in yaml.safe_load(render.prometheus(load(ROOT / "zads.toml"), ROOT / "alertrules"))["scrape_configs"]
        for group in job["static_configs"]
    )
    targets = project.prometheus("targets?state=active")["activeTargets"]
    seen = Counter(
        (one["labels"]["job"], "/" + one["scrapeUrl"].split("/", 3)[3], one["labels"].get("service", "")) for one in targets
    )
    down = [f"{one['scrapeUrl']}: {one['lastError']}" for one in targets if one["health"] != "up"]
    if seen != wanted or down:
        raise Failed(f"targets beside `make up`'s: {sorted((seen - wanted) + (wanted - seen))}; down: {down}")


def same_rules(project: Project) -> None:
    """The rules are those that `make up` loads: groups, names and, but for hosts' names, their labels."""
    texts = [file.read_text(encoding="utf-8") for file in sorted((ROOT / "alertrules").glob("*.rules.yml"))]
    texts.append(render.thresholds(load(ROOT / "zads.toml")))
    wanted = Counter(
        (group["name"], rule.get("alert") or rule["record"], _labels(rule.get("labels", {})))
        for text in texts
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    )
    groups = project.prometheus("rules")["groups"]
    seen = Counter(
        (group["name"], rule["name"], _labels(rule.get("labels") or {})) for group in groups for rule in group["rules"]
    )
    broken = [f"{rule['name']}: {rule['lastError']}" for group in groups for rule in group["rules"] if rule.get("lastError")]
    if seen != wanted or broken:
        raise Failed(f"rules beside `make up`'s: {sorted((seen - wanted) + (wanted - seen))[:10]}; broken: {broken[:5]}")


def _labels(labels: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, str(value)) for key, value in labels.items() if key not in ("host", "community_networks")))


def names_missing(project: Project) -> list[str]:
    """Return the names of metrics that `make up` shows and that these containers do not."""
    seen = set(project.prometheus("label/__name__/values") or ())
    return sorted(set(NAMES.read_text(encoding="utf-8").split()) - seen)


def own_names(names: list[str]) -> list[str]:
    """Return those of the names that are the project's matter: not Go's, Java's or a program's about itself."""
    return sorted(name for name in names if not _FOREIGN.fullmatch(name))


def taken_port() -> socket.socket:
    """Hold a port of loopback."""
    holder = socket.create_server(("127.0.0.1", 0))
    holder.listen()
    return holder
