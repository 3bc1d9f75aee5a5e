"""What a container says that cannot start, in one line, while the others run on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.compose.checks import taken_port
from tests.compose.engine import ROOT, Failed, say
from tests.compose.project import Project


def all_of(night: Project) -> None:
    """Try each bad input on the running night."""
    for trial in (taken, short_of_memory, older_volume, broken_config):
        before = night.running()
        line = trial(night)
        night.wait(60, f"after {trial.__name__}, all run", lambda before=before: before <= night.running())
        say(f"  {trial.__name__}: {line[:200]}")


def _line(said: str, *words: str) -> str:
    """Return the one line with all the words.

    Raises Failed where there is none.
    """
    for line in said.splitlines():
        if all(word in line for word in words):
            return line.strip()
    raise Failed(f"no line says {words}:\n{said[-2000:]}")


def taken(night: Project) -> str:
    """The wall's port is taken: the engine says which."""
    night.compose("stop", "-t", "1", "wall")
    night.engine.podman("rm", "-f", night.container("wall"))
    with taken_port() as holder:
        port = str(holder.getsockname()[1])
        said = night.compose("up", "-d", "--no-build", "--no-deps", "wall", check=False, ZADS_WALL_PORT=port)
        line = _line(said, port)
        _others_run(night, "wall")
    night.engine.podman("rm", "-f", night.container("wall"), check=False)
    night.compose("up", "-d", "--no-build", "--no-deps", "wall")
    return line


def short_of_memory(night: Project) -> str:
    """Kafka's container may use less memory than Java asks for."""
    return _kafka_again(night, lambda: None, "needs", "may use", "mem_limit", ZADS_KAFKA_MEMORY="100m")


def older_volume(night: Project) -> str:
    """Kafka's volume is of ZooKeeper's time."""
    file = Path(night.engine.podman("volume", "inspect", "-f", "{{.Mountpoint}}", f"{night.name}_kafka-upstream").strip())
    meta = file / "kraft" / "meta.properties"
    former = meta.read_text(encoding="utf-8")

    def age() -> None:
        meta.write_text(former.replace("version=1", "version=0"), encoding="utf-8")

    try:
        return _kafka_again(
            night, age, "kafka-upstream", "older Kafka", before_start=lambda: meta.write_text(former, encoding="utf-8")
        )
    finally:
        meta.write_text(former, encoding="utf-8")


def _kafka_again(
    night: Project, spoil: Callable[[], None], *words: str, before_start: Callable[[], object] = lambda: None, **env: str
) -> str:
    """Start IPAC's Kafka anew with something wrong, read what it says, and start it well again."""
    name = night.container("kafka-upstream")
    night.compose("stop", "-t", "15", "kafka-upstream")
    night.engine.podman("rm", "-f", name)
    spoil()
    night.compose("up", "-d", "--no-build", "--no-deps", "kafka-upstream", check=False, **env)
    said = ""

    def says() -> bool:
        nonlocal said
        said = night.log("kafka-upstream")
        return all(word in said for word in words)

    night.wait(60, "it says why", says)
    _others_run(night, "kafka-upstream")
    night.engine.podman("rm", "-f", "-t", "1", name)
    before_start()
    night.compose("up", "-d", "--no-build", "--no-deps", "kafka-upstream")
    return _line(said, *words)


def broken_config(night: Project) -> str:
    """A broken zads.toml: the first container says where, and the files that the others read stay as they were."""
    before = night.inside("prometheus", "sh", "-c", "cat /config/*.yml /config/*.toml")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "zads.toml"
        text = (ROOT / "zads.toml").read_text(encoding="utf-8")
        file.write_text(text.replace("partitions = 16", "partitions = -16", 1), encoding="utf-8")
        Path(folder).chmod(0o755)
        night.engine.podman("rm", "-f", night.container("init"))
        night.compose("up", "-d", "--no-build", "init", ZADS_TOML=str(file))
        code = night.engine.podman("wait", night.container("init")).strip()
        line = _line(night.log("init"), "stream.partitions")
    if code != "2" or night.inside("prometheus", "sh", "-c", "cat /config/*.yml /config/*.toml") != before:
        raise Failed(f"init ended with {code}, or the files changed")
    _others_run(night, "init")
    return line


def _others_run(night: Project, but: str) -> None:
    if missing := set(night.services) - night.running() - {but, "init"}:
        raise Failed(f"{sorted(missing)} ended as well\n{night.state()}")
