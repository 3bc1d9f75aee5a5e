"""Run docker-compose.yml for real: `make compose-test`, or `python -m tests.compose [--hour] [--keep]`.

Ends with 0 when all holds, 1 when something does not, 77 where containers cannot be run on this machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from tests.compose import bad_input, checks, images, monitor
from tests.compose.engine import Engine, Failed, say
from tests.compose.project import Project
from zads.stack import paths
from zads.stack.up import FLOW

_CANNOT = 77
_MOST_MB = 250


def main() -> int:
    """Run everything and print the times."""
    parser = argparse.ArgumentParser(prog="make compose-test")
    parser.add_argument("--hour", action="store_true", help="watch the monitor's memory for an hour instead of a minute")
    parser.add_argument("--keep", action="store_true", help="leave the containers, to look at them")
    args = parser.parse_args()
    engine = Engine(paths.cache() / "compose")
    if why := _cannot(engine):
        say(f"docker-compose.yml is not run here: {why}")
        return _CANNOT
    begin, times = time.monotonic(), dict[str, float]()
    night = Project(engine, f"zads-test-{os.getpid()}", "night")
    others = [Project(engine, f"{night.name}-monitor", "monitor")]
    try:
        _build(engine, night, times)
        before = checks.listeners()
        _night(night, times)
        _holds(night, before)
        _trouble(night, times)
        bad_input.all_of(night)
        monitor.watch(night, others[0], hours=1 if args.hour else 0)
    except (Failed, KeyboardInterrupt, AssertionError) as error:
        say(f"\nFAILED: {error or type(error).__name__}")
        if not isinstance(error, Failed):
            traceback.print_exc()
        return 1
    finally:
        if not args.keep:
            left = _end([*others, night])
    if not args.keep and left:
        say(f"FAILED: this was left behind: {left}")
        return 1
    say("\n" + "".join(f"{name}: {seconds:.0f} s\n" for name, seconds in times.items()))
    say(f"All of docker-compose.yml holds ({time.monotonic() - begin:.0f} s).")
    return 0


def _cannot(engine: Engine) -> str:
    """Say why no container can be run here, and how to see it; "" where one can."""
    if os.geteuid() != 0:
        return "Podman's networks between containers need root here: sudo make compose-test."
    if missing := images.available():
        return f"{missing}, and apt-get could not install them: see scripts/compose-test."
    engine.prepare()
    said = engine.run("unshare", "-n", "true", check=False)
    if said:
        return f"this machine lets nobody make a network namespace (`unshare -n true` says: {said.strip()})."
    info = engine.podman("info", check=False)
    if "graphDriverName" not in info:
        return f"Podman does not work here (`podman info` says: {info.strip()[-200:]})."
    return ""


def _build(engine: Engine, night: Project, times: dict[str, float]) -> None:
    if shutil.which("docker-compose"):  # it knows the specification's schema
        for profile in ("night", "monitor"):
            night.engine.run("docker-compose", "--profile", profile, "config", "-q")
    begin = time.monotonic()
    images.make(engine)
    times["images that stand in for the official ones"] = time.monotonic() - begin
    begin = time.monotonic()
    say("Building our image ...")
    night.compose("build", "init")
    times["our image"] = time.monotonic() - begin
    whole, base = images.size(engine, "localhost/zads-monitor:local"), images.size(engine, f"{images.NAME}/python")
    say(f"Our image: {whole:.0f} MB unpacked, {whole - base:.0f} MB of them ours.")
    if whole > _MOST_MB:
        raise Failed(f"our image has {whole:.0f} MB unpacked; at most {_MOST_MB} are wanted")
    said = engine.podman(
        "run", "--rm", "--network", "none", "--entrypoint", "sh", "localhost/zads-monitor:local", "-c",
        "command -v gcc cc tcc clang make mvn java pip; true",
    )  # fmt: skip
    if said.strip():
        raise Failed(f"our image holds what only a build needs: {said.split()}")


def _night(night: Project, times: dict[str, float]) -> None:
    """Start the night and wait until alerts flow from end to end, as `make up` does."""
    say("Starting the simulated night ...")
    began, since = time.monotonic(), time.time()
    night.up()
    times["containers started"] = time.monotonic() - began
    missing = {name: expression.replace("SINCE", f"{since:.0f}") for name, expression in FLOW.items()}
    for name, expression in missing.items():
        night.wait(240, name, lambda expression=expression: night.query(expression))
    times["first alert through"] = time.monotonic() - began
    if not night.get("ZADS_WALL_PORT", "/"):
        raise Failed("the wall does not answer on this machine's loopback")
    if "<html" not in night.get("ZADS_NOTIFIER_PORT", "/").lower() and not night.get("ZADS_NOTIFIER_PORT", "/-/healthy"):
        raise Failed("the notifier's page does not answer on this machine's loopback")
    program = shutil.which("grafana-server") or shutil.which("grafana")
    found = program or (
        "its image" if night.engine.has_image(os.environ.get("ZADS_GRAFANA_IMAGE", "grafana/grafana")) else ""
    )
    say(f"Grafana takes part: {found}." if found else "Grafana takes no part: there is no image of it here, and no package.")


def _holds(night: Project, before: set[tuple[str, int]]) -> None:
    """Check everything that holds while all is well."""
    for check in (
        lambda: checks.only_loopback(before, night),
        lambda: checks.communities_reach_kafka_alone(night),
        lambda: checks.contained(night),
        lambda: checks.health_checks(night),
        lambda: checks.same_targets(night),
        lambda: checks.same_rules(night),
    ):
        check()
    say("  loopback only, communities reach Kafka alone, no root, health checks, targets and rules as with `make up`")
    night.wait(120, "every metric of `make up`", lambda: not checks.names_missing(night))
    checks.attributed(night)
    checks.trouble_is_heard(night)


def _trouble(night: Project, times: dict[str, float]) -> None:
    """Kill Kafka: a page by all channels. Start it again: resolved, and the exporters beside it see it as before."""
    quiet = 'ALERTS{alertstate="firing", alertname=~"Service.*"} and timestamp(ALERTS) > time() - 20'
    night.wait(240, "nothing of the start is told any more", lambda: not night.query(quiet))
    begin, before = time.monotonic(), len(night.inbox())
    night.compose("kill", "kafka-public")
    wanted = {"pagerduty", "slack", "email"}

    def told(state: str) -> set[str]:
        rows = [row for row in night.inbox()[before:] if "Kafka" in row["title"] or "Kafka" in row["text"]]
        return {row["channel"] for row in rows if row["state"] == state}

    night.wait(150, "Kafka was killed, a page by all three channels", lambda: wanted <= told("firing"))
    times["first page after Kafka was killed"] = time.monotonic() - begin
    night.compose("start", "kafka-public")
    night.wait(180, "Kafka is back, resolved", lambda: "pagerduty" in told("resolved"))
    since = time.time()
    taken = "(min(zads_community_connections) > 0) and on () (min(timestamp(zads_community_connections)) > SINCE)"
    night.wait(120, "communities take alerts again", lambda: night.query(taken.replace("SINCE", f"{since:.0f}")))


def _end(projects: list[Project]) -> list[str]:
    """End everything; return what is left."""
    say("Ending everything ...")
    left: list[Any] = []
    for project in projects:
        project.down()
        left += project.left()
    projects[0].engine.podman("volume", "prune", "-f", check=False)
    projects[0].engine.podman("image", "prune", "-f", check=False)
    shutil.rmtree(Path(tempfile.gettempdir()) / projects[-1].name, ignore_errors=True)
    return left


if __name__ == "__main__":
    sys.exit(main())
