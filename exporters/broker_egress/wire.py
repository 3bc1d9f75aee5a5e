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
from typing import Any

from pyroute2 import DiagSocket
from pyroute2.netlink.diag import MarshalDiag
from pyroute2.netlink.exceptions import NetlinkError

from exporters.broker_egress.ledger import Connection

_LOG = logging.getLogger(__name__)
_NETLINK_SOCK_DIAG = 4
_TCP_DESTROY_GROUPS = (1 << 0) | (1 << 2)  # SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY
_INET_DIAG_INFO = 1 << 1
_LISTEN = 10
_STATES = 0xFFF & ~((1 << 6) | (1 << 7))  # all but TIME_WAIT, CLOSE
_EVENT_BUFFER = 4_000_000


class NotKafkaHostError(OSError):
    """Nothing here listens on Kafka's ports: its connections end on another machine, or in another namespace."""


def connection(message: Any, ports: frozenset[int]) -> Connection | None:
    """Return the connection that a diagnostics message describes when it is one to Kafka."""
    if message["idiag_sport"] not in ports or message["idiag_state"] == _LISTEN:
        return None
    info = message.get_attr("INET_DIAG_INFO")
    if info is None:
        return None
    peer, port = message["idiag_dst"], message["idiag_dport"]
    return Connection(
        # The kernel's cookie names a socket for as long as the machine runs.
        key=f"{message['idiag_cookie']}/{message['idiag_sport']}/{peer}/{port}",
        peer=peer,
        acked=info["tcpi_bytes_acked"],
        retransmits=info["tcpi_total_retrans"],
        rtt_seconds=info["tcpi_rtt"] / 1e6,
        send_queue=message["idiag_wqueue"],
    )


class Wire:
    """Read connections to Kafka's listeners."""

    def __init__(self, ports: Iterable[int]) -> None:
        self._ports = frozenset(ports)
        self._socket: Any = None
        self._here = False
        self.events_lost = 0

    def look(self) -> list[Connection]:
        """Return all open connections, IPv4 and IPv6.

        Raises OSError where the kernel does not let us, NotKafkaHostError while Kafka was never seen here.
        """
        try:
            found = self._dump()
        except (OSError, NetlinkError):
            # A dump may be interrupted by a change of the table (NLM_F_DUMP_INTR): once more, on a new socket.
            self.close()
            try:
                found = self._dump()
            except NetlinkError as error:
                self.close()
                raise OSError(error.code, str(error)) from error
            except OSError:
                self.close()
                raise
        if not self._here:
            ports = ", ".join(str(port) for port in sorted(self._ports))
            raise NotKafkaHostError(errno.ENOTCONN, f"nothing listens on Kafka's port {ports} in this network namespace")
        return found

    def _dump(self) -> list[Connection]:
        if self._socket is None:
            self._socket = DiagSocket()
            self._socket.bind()
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in self._socket.get_sock_stats(family=family, states=_STATES, extensions=_INET_DIAG_INFO):
                if message["idiag_sport"] in self._ports:
                    self._here = True
                one = connection(message, self._ports)
                if one is not None:
                    found.append(one)
        return found

    def watch(self, closed: Callable[[Connection], None], stop: threading.Event) -> None:
        """Call `closed` for each connection that ends, until `stop` is set; needs no privilege.

        Raises OSError where the kernel does not let us.
        """
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _EVENT_BUFFER)
            sock.bind((0, _TCP_DESTROY_GROUPS))
            sock.settimeout(1.0)
            parser = MarshalDiag()
            while not stop.is_set():
                try:
                    data = sock.recv(65536)
                except TimeoutError:
                    continue
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    self.events_lost += 1  # the next look finds what still lives
                    _LOG.warning("events of closed connections were lost: %s", error)
                    continue
                for message in parser.parse(data):
                    one = connection(message, self._ports)
                    if one is not None:
                        closed(one)

    def close(self) -> None:
        """Close the diagnostics socket."""
        if self._socket is not None:
            try:
                self._socket.close()
            except (OSError, NetlinkError) as error:
                _LOG.debug("closing: %s", error)
            self._socket = None
