"""A real ZooKeeper as its service is seen: with and without the word that the probe asks first."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporters.services.collector import build
from tests.integration.conftest import free_pair
from tests.integration.test_kafka_lag_zookeeper import jars
from zads.collector import Reading
from zads.config import parse
from zads.stack import programs
from zads.stack.ready import answers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@contextlib.contextmanager
def keeper(folder: Path, whitelist: str | None) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a ZooKeeper; `whitelist` are the four letter words that it answers, None for its own default."""
    port = free_pair()
    text = f"dataDir={folder}/zk\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n"
    text += f"4lw.commands.whitelist={whitelist}\n" if whitelist is not None else ""
    (folder / "zoo.cfg").write_text(text, encoding="utf-8")
    command = [programs.find("java"), "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars()}/*"]
    command += ["org.apache.zookeeper.server.quorum.QuorumPeerMain", str(folder / "zoo.cfg")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while not answers(f"tcp://127.0.0.1:{port}"):
            assert time.monotonic() < deadline and process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        # It listens before it serves, and says so.
        while "not currently serving" in (seen := look(port, folder).seen):
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)
        yield port, process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


def look(port: int, folder: Path) -> Reading:
    """Return what one collection of services sees."""
    collector = build(
        parse(
            f"""
            [kafka.public]
            bootstrap = ["127.0.0.1:1"]
            [[host]]
            name = "zads"
            address = "127.0.0.1"
            probe = "127.0.0.1:{port}"
            [[service]]
            name = "keeper"
            host = "zads"
            role = "zookeeper"
            probe = "zookeeper://127.0.0.1:{port}"
            process = 'QuorumPeerMain {folder}/zoo\\.cfg'
            [exporters]
            state_dir = "{folder}/state"
            """
        )
    )
    reading = collector.collect()
    collector.close()
    return reading


def value(reading: Reading, name: str) -> float | None:
    samples = [sample for family in reading.families for sample in family.samples if sample.name == f"zads_service_{name}"]
    return float(samples[0].value) if samples else None


@pytest.mark.parametrize("whitelist", ["ruok", None, "conf", "*"], ids=["ruok", "the default", "another word", "all"])
def test_a_zookeeper_that_serves_answers_and_one_that_hangs_does_not(tmp_path: Path, whitelist: str | None) -> None:
    """By ruok, or by srvr, which it always answers; stopped it is up and silent, killed it is gone."""
    with keeper(tmp_path, whitelist) as (port, process):
        reading = look(port, tmp_path)
        assert (value(reading, "up"), value(reading, "answering")) == (1, 1), reading.seen
        assert 0 < (value(reading, "probe_seconds") or 0) < 2
        assert reading.seen.startswith("keeper: answers in ")
        process.send_signal(signal.SIGSTOP)
        reading = look(port, tmp_path)
        assert (value(reading, "up"), value(reading, "answering")) == (1, 0)
        assert "does not answer (" in reading.seen
        assert "up since" in reading.seen
        process.kill()
        process.wait(10)
        reading = look(port, tmp_path)
        assert (value(reading, "up"), value(reading, "answering")) == (0, 0)
        assert "keeper: does not answer (Connection refused), its process is gone" in reading.seen
