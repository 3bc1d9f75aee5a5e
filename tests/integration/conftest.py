"""Kafkas of the tests' own: KRaft, on loopback, on ports that are free, gone afterwards."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from zads.config import KafkaCluster
from zads.stack import kafka_files, programs
from zads.stack.paths import cache
from zads.stack.ready import answers

_IDENTITY = "emFkcy10ZXN0cy1rYWZrYQ"
# Several test runs on one machine begin at different places.
_PORTS = iter(31_000 + (os.getpid() * 2 + step) % 900 for step in range(0, 900, 2))


def free_pair() -> int:
    """Return the first of two neighbouring ports that are free, and not given out before."""
    for port in _PORTS:
        try:
            for number in (port, port + 1):
                with socket.socket() as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sock.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port
    raise AssertionError("no free ports between 31000 and 31900")


def java(*arguments: str, heap: str = "256m", system: Mapping[str, str] | None = None) -> list[str]:
    """Return a command that runs one of Kafka's classes."""
    options = [f"-D{key}={value}" for key, value in (system or {}).items()]
    jars = programs.classpath(programs.jars(cache()))
    return [
        programs.find("java"),
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        *options,
        "-cp",
        jars,
        *arguments,
    ]


class Node:
    """One Kafka process (broker and controller), which can be stopped, killed and started again with its data."""

    def __init__(
        self,
        folder: Path,
        *,
        extra: str = "",
        number: int = 1,
        port: int | None = None,
        voters: str | None = None,
        scram: str | None = None,
    ) -> None:
        self.folder, self.number = folder, number
        self.port = port or free_pair()
        self.address = f"127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "server.properties"
        text = kafka_files.kafka(self.address, folder / "data", number)
        if voters:
            text += f"controller.quorum.voters={voters}\n"
        # What comes later in the file wins.
        text += "group.coordinator.rebalance.protocols=classic,consumer,share,streams\n" + extra
        self._file.write_text(text, encoding="utf-8")
        command = java("kafka.tools.StorageTool", "format", "-t", _IDENTITY, "-c", str(self._file))
        if scram:
            command += ["--add-scram", scram]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready: str | None = None) -> Node:
        """Start it; `ready` is the address that has to answer, the node's own by default."""
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(java("kafka.Kafka", str(self._file)), stdout=log, stderr=subprocess.STDOUT)
        if ready != "":
            self.wait(ready or f"kafka://{self.address}")
        return self

    def wait(self, url: str) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + 90
        while not answers(url):
            assert self._process is not None
            text = (self.folder / "log").read_text()[-3000:]
            assert self._process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.2)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process: SIGSTOP makes it hang."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Stop it in an orderly way; its data stay."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """One node for the tests of a module, which do not stop it; other modules' nights and groups are not on it."""
    node = Node(tmp_path_factory.mktemp("kafka"))
    try:
        node.start()
        yield KafkaCluster(bootstrap=(node.address,))
    finally:
        node.stop()
