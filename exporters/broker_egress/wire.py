"""The kernel's own counters per TCP connection: socket diagnostics, and the events of closing connections.

sock_diag(7) with tcp_info.tcpi_bytes_acked (RFC 4898). Polling alone misses connections that open and
close between two readings; the kernel's destroy events (SKNLGRP_INET_TCP_DESTROY and its IPv6 twin)
carry the last figures of each.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterable

from exporters.broker_egress import diagnostics
from exporters.broker_egress.ledger import Connection
from zads.fault_log import Seldom

_LOG = logging.getLogger(__name__)
_EVENT_BUFFER = 4_000_000
_RECEIVE = 1 << 16  # more than the kernel ever puts into one answer
_TIMEOUT = 3.0


class NotKafkaHostError(OSError):
    """Nothing here listens on Kafka's ports: its connections end on another machine, or in another namespace."""


class Wire:
    """Read connections to Kafka's listeners, by their `ports`; start_with() and watch_also() are the ways to change these."""

    def __init__(self, ports: Iterable[int] = ()) -> None:
        self._ports = frozenset(ports)
        self._losses = Seldom()
        self._socket: socket.socket | None = None
        self._sequence = 0
        self._here = False
        self.events_lost = 0

    @property
    def ports(self) -> frozenset[int]:
        """The ports of the listeners that are watched."""
        return self._ports

    def start_with(self, ports: Iterable[int]) -> None:
        """Watch these ports, before the first look."""
        self._ports = frozenset(ports)

    def watch_also(self, ports: Iterable[int]) -> list[Connection]:
        """Watch these ports too; return the connections that are open there by now.

        Raises OSError where the kernel does not let us, and watches what it did before then.
        """
        found = self._dump(more := frozenset(ports) - self._ports)
        self._ports |= more
        return found

    def look(self) -> list[Connection]:
        """Return all open connections, IPv4 and IPv6.

        Raises OSError where the kernel does not let us, NotKafkaHostError while Kafka was never seen here.
        """
        try:
            found = self._dump(self._ports)
        except OSError:
            # A dump may be interrupted by a change of the table (NLM_F_DUMP_INTR): once more, on a new socket.
            self.close()
            try:
                found = self._dump(self._ports)
            except OSError:
                self.close()
                raise
        if not self._here:
            ports = ", ".join(str(port) for port in sorted(self._ports))
            words = f"nothing listens on Kafka's port {ports} in this network namespace"
            raise NotKafkaHostError(errno.ENOTCONN, words)
        return found

    def _dump(self, ports: frozenset[int]) -> list[Connection]:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, diagnostics.NETLINK_SOCK_DIAG)
            self._socket.settimeout(_TIMEOUT)
        return [
            one
            for family in (socket.AF_INET, socket.AF_INET6)
            for port in sorted(ports)
            for one in self._ask(self._socket, family, port)
        ]

    def _ask(self, sock: socket.socket, family: int, port: int) -> list[Connection]:
        """Return the connections of one port; the kernel leaves out all others."""
        self._sequence = self._sequence % 0xFFFF_FFFF + 1
        sock.send(diagnostics.question(family, port, self._sequence))
        found: list[Connection] = []
        while True:
            data = sock.recv(_RECEIVE)
            for message in diagnostics.messages(data, self._sequence):
                if message is None:
                    return found
                own, state = diagnostics.local(data, message[0])
                if own != port:
                    continue
                self._here = True
                one = diagnostics.connection(data, *message) if state != diagnostics.LISTEN else None
                if one is not None:
                    found.append(one)

    def watch(self, closed: Callable[[Connection], None], stop: threading.Event) -> None:
        """Call `closed` for each connection that ends, until `stop` is set; needs no privilege.

        Raises OSError where the kernel does not let us.
        """
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, diagnostics.NETLINK_SOCK_DIAG) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _EVENT_BUFFER)
            sock.bind((0, diagnostics.TCP_DESTROY_GROUPS))
            sock.settimeout(1.0)
            while not stop.is_set():
                try:
                    data = sock.recv(_RECEIVE)
                except TimeoutError:
                    continue
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    self.events_lost += 1  # the next look finds what still lives
                    if self._losses.due("lost"):
                        _LOG.warning("events of closed connections were lost: %s; the metric EventsLost counts on", error)
                    continue
                for message in diagnostics.messages(data):
                    # Events come for every connection of the host: look at the port first.
                    if message is None:
                        continue
                    own, state = diagnostics.local(data, message[0])
                    if own in self._ports and state != diagnostics.LISTEN:
                        one = diagnostics.connection(data, *message)
                        if one is not None:
                            closed(one)

    def close(self) -> None:
        """Close the diagnostics socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
