"""The cluster that is measured: one real Kafka, nightly topics, groups that commit on every partition."""

from __future__ import annotations

import random
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.lag import wire
from zads import cache
from zads.stack import kafka_files, programs
from zads.stack.ready import answers

_IDENTITY = "emFkcy1iZW5jaC1rYWZrYQ"
_CONNECTIONS = 6
_HALF = "half-reader"  # commits on the even partitions of the first topic only


def free_port() -> int:
    """Return a port of loopback that is free, and its neighbour too."""
    while True:
        port = random.randrange(24_000, 30_000, 2)
        try:
            for number in (port, port + 1):
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port


class Broker:
    """One Kafka process, broker and controller (KRaft)."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.host, self.port, self.address = "127.0.0.1", port, f"127.0.0.1:{port}"
        self._log = folder / "kafka.log"
        properties = folder / "server.properties"
        # Small indexes: two of 10 MB for each of 1,024 partitions keep a disk busy for half a minute.
        more = "log.retention.bytes=-1\nlog.index.size.max.bytes=100000\n"
        text = kafka_files.kafka(self.address, folder / "data", 1) + more
        properties.write_text(text, encoding="utf-8")
        jars = programs.classpath(programs.jars(cache.folder()))
        self._java = [programs.find("java"), "-Xms512m", "-Xmx3g", "-XX:+UseSerialGC", "-cp", jars]
        command = [*self._java, "kafka.tools.StorageTool", "format", "-t", _IDENTITY, "-c", str(properties)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"Kafka's storage cannot be made: {done.stdout}{done.stderr}")
        with self._log.open("w") as log:
            command = [*self._java, "kafka.Kafka", str(properties)]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 90
        while not answers(f"kafka://{self.address}"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"Kafka does not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait(10)


class World:
    """Topics, messages and groups on the broker; everything moves when `move` says so."""

    def __init__(self, broker: Broker, topics: int, partitions: int) -> None:
        self._broker, self._random = broker, random.Random(1)
        self.topics = [f"ztf_2026{i // 28 + 1:02d}{i % 28 + 1:02d}_programid1" for i in range(topics)]
        self.partitions, self.groups = partitions, list[str]()
        self._ends = {name: [0] * partitions for name in self.topics}
        self._local, self._open = threading.local(), list[wire.Connection]()
        self._pool = ThreadPoolExecutor(_CONNECTIONS)
        wire.create_topics(self._connection(), self.topics, partitions)
        wire.wait_for_coordinator(self._connection(), "community-0000")
        self._append([self._random.randint(2_000, 12_000) for _ in range(64)])
        half = [(number, self._ends[self.topics[0]][number] - 7) for number in range(0, partitions, 2)]
        wire.commit(self._connection(), _HALF, {self.topics[0]: half})

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown()
        for connection in self._open:
            connection.close()

    def grow(self, groups: int) -> None:
        """Make it so many groups."""
        new = [f"community-{number:04d}" for number in range(len(self.groups), groups)]
        self.groups += new
        self._commit(new, near=False)

    def move(self, *, near: bool = False) -> float:
        """Append to every partition and commit anew in every group; return how long that took.

        A group stands anywhere between the log's start and its end on each partition; or, `near`, on nine of ten
        within 50 messages of its end.
        """
        begin = time.monotonic()
        self._append([self._random.randint(1, 40) for _ in range(64)])
        self._commit(self.groups, near=near)
        return time.monotonic() - begin

    def _append(self, sizes: list[int]) -> None:
        now = time.time()
        made = {size: wire.batch(size, now) for size in set(sizes)}
        work = []
        for topic, ends in self._ends.items():
            chosen = [self._random.choice(sizes) for _ in ends]
            self._ends[topic] = [end + size for end, size in zip(ends, chosen, strict=True)]
            work.append({topic: [(number, made[size]) for number, size in enumerate(chosen)]})
        list(self._pool.map(lambda batches: wire.produce(self._connection(), batches), work))

    def _commit(self, groups: list[str], *, near: bool) -> None:
        draw = self._random.random

        def stands(end: int) -> int:
            return end - int(draw() * (50 if near and draw() < 0.9 else end))

        work = (
            (
                group,
                {topic: [(number, stands(end)) for number, end in enumerate(ends)] for topic, ends in self._ends.items()},
            )
            for group in groups
        )
        list(self._pool.map(lambda item: wire.commit(self._connection(), *item), work))

    def _connection(self) -> wire.Connection:
        found: wire.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = wire.Connection(self._broker.host, self._broker.port)
            self._open.append(found)
        return found
