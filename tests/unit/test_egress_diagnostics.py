"""The kernel's messages about connections: parsed as an independent library parses them, and errors are errors."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

import pytest
from pyroute2 import DiagSocket

from exporters.broker_egress import diagnostics
from exporters.broker_egress.wire import Wire

HEADER = struct.Struct("=IHHII")


def _message(kind: int, body: bytes = b"", *, flags: int = 0, sequence: int = 7) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0) + body


@pytest.fixture(params=["127.0.0.1", "::1", "::"], ids=["IPv4", "IPv6", "IPv4-mapped"])
def ports(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """A server with 12 connections, some of which were sent something, and another server with 30 beside it."""
    listen = request.param
    address = "127.0.0.1" if listen == "::" else listen
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    kept: list[socket.socket] = []
    numbers = []
    for count in (12, 30):
        listener = socket.create_server((listen, 0), family=family, dualstack_ipv6=listen == "::", backlog=64)
        kept.append(listener)
        numbers.append(listener.getsockname()[1])
        for index in range(count):
            client = socket.create_connection((address, numbers[-1]))
            peer, _ = listener.accept()
            kept += [client, peer]
            peer.sendall(b"x" * 1000 * index)
            left = 1000 * index
            while left:
                left -= len(client.recv(65536))
    yield numbers[0], numbers[1]
    for sock in kept:
        sock.close()


def test_connections_are_read_as_pyroute2_reads_them(ports: tuple[int, int]) -> None:
    """Every field of every connection, by the kernel's own cookie."""
    wire = Wire([ports[0]])
    found = {one.key: one for one in wire.look()}
    wire.close()
    expected = {}
    with DiagSocket() as sock:
        sock.bind()
        for family in (socket.AF_INET, socket.AF_INET6):
            for row in sock.get_sock_stats(family=family, extensions=2):
                if row["idiag_sport"] == ports[0] and row["idiag_state"] not in (6, 7, diagnostics.LISTEN):
                    info, peer = row.get_attr("INET_DIAG_INFO"), row["idiag_dst"]
                    key = f"{row['idiag_cookie']}/{ports[0]}/{peer}/{row['idiag_dport']}"
                    figures = (info["tcpi_bytes_acked"], info["tcpi_total_retrans"], info["tcpi_rtt"] / 1e6)
                    expected[key] = (peer, *figures, row["idiag_wqueue"])
    assert len(expected) == 12
    assert {k: (o.peer, o.acked, o.retransmits, o.rtt_seconds, o.send_queue) for k, o in found.items()} == expected
    assert sum(one.acked for one in found.values()) == pytest.approx(66_000, abs=12)  # a SYN may count as a byte


def test_the_kernel_leaves_out_what_is_not_kafkas(ports: tuple[int, int]) -> None:
    """Of this machine's sockets only those of the port come: what others do here costs us nothing."""
    came = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, diagnostics.NETLINK_SOCK_DIAG) as sock:
        sock.settimeout(3)
        for sequence, family in enumerate((socket.AF_INET, socket.AF_INET6), start=1):
            sock.send(diagnostics.question(family, ports[0], sequence))
            done = False
            while not done:
                data = sock.recv(1 << 16)
                for message in diagnostics.messages(data, sequence):
                    done |= message is None
                    if message is not None:
                        came.append(diagnostics.local(data, message[0]))
    assert {port for port, _ in came} == {ports[0]}
    assert len(came) == 13, "12 connections and the listener"


def test_two_listeners_of_kafka_are_read_together(ports: tuple[int, int]) -> None:
    """A cluster with an internal and a public listener."""
    wire = Wire(ports)
    assert len(wire.look()) == 42
    wire.close()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_message(2, struct.pack("=i", -errno.EPERM)), errno.EPERM),
        (_message(3, struct.pack("=i", -errno.ENOENT)), errno.ENOENT),
        (_message(20, bytes(72), flags=0x10), errno.EINTR),
        (_message(20, bytes(72))[:-8], errno.EBADMSG),
        (struct.pack("=IHHII", 4, 20, 0, 7, 0), errno.EBADMSG),
    ],
    ids=["refused", "failed at the end", "interrupted", "cut off", "a length that cannot be"],
)
def test_what_the_kernel_refuses_or_cuts_off_is_an_error(data: bytes, code: int) -> None:
    """No endless loop, and never an empty list of connections."""
    with pytest.raises(OSError) as caught:
        list(diagnostics.messages(data, 7))
    assert caught.value.errno == code


def test_answers_to_a_former_question_are_left_out() -> None:
    """A dump that was given up may still send: its end is not the end of the next one."""
    late = _message(3, struct.pack("=i", 0), sequence=6)
    assert list(diagnostics.messages(late, 7)) == []
    assert list(diagnostics.messages(late + _message(3, struct.pack("=i", 0)), 7)) == [None]


def test_a_kernel_that_does_not_count_bytes_is_named() -> None:
    """Before Linux 4.1 tcp_info ends earlier: zero bytes would be a lie."""
    body = bytes([socket.AF_INET, 1]) + bytes(70) + struct.pack("=HH", 4 + 104, 2) + bytes(104)
    with pytest.raises(OSError, match=r"does not count the bytes of connections"):
        diagnostics.connection(body, 0, len(body))
    assert diagnostics.connection(body[:72], 0, 72) is None
