"""The four Kafka requests that fill a cluster quickly, written out: a client library makes an object for each offset.

Formats: https://kafka.apache.org/protocol (none of the versions is a flexible one), record batch v2.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping

from crc32c import crc32c

_PRODUCE, _CREATE_TOPICS, _FIND_COORDINATOR, _OFFSET_COMMIT = (0, 7), (19, 4), (10, 0), (8, 7)
_NOT_YET = {14, 15, 16, 3}  # the coordinator loads, or is none yet; the topic is not known yet


class Connection:
    """One connection to the broker; one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Close."""
        self._socket.close()

    def ask(self, key: tuple[int, int], body: bytes) -> bytes:
        """Send a request; return the answer after its correlation id."""
        head = struct.pack(">hhi", *key, 1) + text("benchmark")
        self._socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        size = struct.unpack(">i", self._read(4))[0]
        return self._read(size)[4:]

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            piece = self._socket.recv(min(size, 1 << 20))
            if not piece:
                raise ConnectionError("Kafka closed the connection")
            parts.append(piece)
            size -= len(piece)
        return b"".join(parts)


def text(value: str) -> bytes:
    """Encode a string."""
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def create_topics(to: Connection, names: list[str], partitions: int) -> None:
    """Make topics with one replica. Raises RuntimeError when Kafka refuses."""
    rows = b"".join(text(name) + struct.pack(">ihii", partitions, 1, 0, 0) for name in names)
    answer = to.ask(_CREATE_TOPICS, struct.pack(">i", len(names)) + rows + struct.pack(">ib", 60_000, 0))
    at = 8
    for _ in names:
        size = struct.unpack_from(">h", answer, at)[0]
        error, message = struct.unpack_from(">hh", answer, at + 2 + size)
        if error:
            raise RuntimeError(f"Kafka does not make the topics: error {error}")
        at += 6 + size + max(0, message)


def wait_for_coordinator(to: Connection, group: str) -> None:
    """Ask for the group's coordinator until there is one: that makes the offsets topic, too."""
    while struct.unpack_from(">h", to.ask(_FIND_COORDINATOR, text(group)))[0]:
        time.sleep(0.2)


def commit(to: Connection, group: str, offsets: Mapping[str, Iterable[tuple[int, int]]]) -> None:
    """Commit (partition, offset) by topic, without being a member. Raises RuntimeError when Kafka refuses."""
    rows = []
    for topic, pairs in offsets.items():
        entries = [struct.pack(">iqih", number, offset, -1, -1) for number, offset in pairs]
        rows += [text(topic), struct.pack(">i", len(entries)), *entries]
    body = text(group) + struct.pack(">ihhi", -1, 0, -1, len(offsets)) + b"".join(rows)
    _until_taken(to, _OFFSET_COMMIT, body, f"the commits of {group}", 4, 0)


def produce(to: Connection, batches: Mapping[str, Iterable[tuple[int, bytes]]]) -> None:
    """Append a record batch to each partition given, by topic. Raises RuntimeError when Kafka refuses."""
    rows = []
    for topic, pairs in batches.items():
        entries = [struct.pack(">ii", number, len(batch)) + batch for number, batch in pairs]
        rows += [text(topic), struct.pack(">i", len(entries)), *entries]
    body = struct.pack(">hhii", -1, 1, 60_000, len(batches)) + b"".join(rows)
    _until_taken(to, _PRODUCE, body, "messages", 0, 24)


def _until_taken(to: Connection, key: tuple[int, int], body: bytes, what: str, before: int, after: int) -> None:
    """Send until no partition's answer is an error that passes. Safe for commits; of messages none is taken before."""
    deadline = time.monotonic() + 60
    while True:
        errors = set(_errors(to.ask(key, body), before, after)) - {0}
        if not errors:
            return
        if errors - _NOT_YET or time.monotonic() > deadline:
            raise RuntimeError(f"Kafka does not take {what}: errors {sorted(errors)}")
        time.sleep(0.2)


def _errors(answer: bytes, at: int, after: int) -> Iterator[int]:
    """Yield the error of each partition; `after` it stand so many bytes more."""
    topics, at = struct.unpack_from(">i", answer, at)[0], at + 4
    for _ in range(topics):
        at += 2 + struct.unpack_from(">h", answer, at)[0]
        count, at = struct.unpack_from(">i", answer, at)[0], at + 4
        for _ in range(count):
            yield struct.unpack_from(">h", answer, at + 4)[0]
            at += 6 + after


def batch(records: int, now: float) -> bytes:
    """Return a record batch of so many empty messages."""
    body = b"".join(_record(number) for number in range(records))
    stamp = int(now * 1000)
    rest = struct.pack(">hiqqqhii", 0, records - 1, stamp, stamp, -1, -1, -1, records) + body
    return struct.pack(">qiibI", 0, 9 + len(rest), -1, 2, crc32c(rest)) + rest


def _record(number: int) -> bytes:
    inner = b"\0\0" + _zigzag(number) + b"\1\1\0"  # no attributes, no delay, no key, no value, no headers
    return _zigzag(len(inner)) + inner


def _zigzag(value: int) -> bytes:
    value, out = value << 1, bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
