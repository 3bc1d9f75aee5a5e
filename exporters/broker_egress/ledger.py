"""The books of bytes per community, without I/O: monotonic over connections that open and close.

The kernel counts per connection; a community's total is the sum of what its connections added.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from zads.config import Config

INTERNAL, UNKNOWN = "internal", ""
_REMEMBERED = 60.0  # seconds that a connection's figures are kept after it was last seen
_ADDRESSES_MOST = 10_000  # whose owner is remembered


@dataclass(frozen=True)
class Connection:
    """What the kernel says of one connection to Kafka: who is at the other end, what was acknowledged."""

    key: str
    peer: str
    acked: int
    retransmits: int
    rtt_seconds: float
    send_queue: int


class Owners:
    """Say whose an address is: a community's name, "internal", or "" for nobody's."""

    def __init__(self, config: Config) -> None:
        self._networks = [(ip_network(text), INTERNAL) for text in config.internal.networks]
        for community in config.communities:
            self._networks += [(ip_network(text), community.name) for text in community.networks]
        self._found: dict[str, str] = {}

    def of(self, peer: str) -> str:
        """Return the owner; an IPv4-mapped IPv6 address is its IPv4 address."""
        owner = self._found.get(peer)
        if owner is None:
            if len(self._found) >= _ADDRESSES_MOST:
                self._found.clear()
            owner = self._found[peer] = self._look_up(peer)
        return owner

    def _look_up(self, peer: str) -> str:
        address: IPv4Address | IPv6Address = ip_address(peer)
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        for network, owner in self._networks:
            if address.version == (6 if isinstance(network, IPv6Network) else 4) and address in network:
                return owner
        return UNKNOWN


class Ledger:
    """Totals per owner; a connection's figures only ever add."""

    def __init__(
        self, owners: Owners, state: Mapping[str, Any] | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._owners, self._clock = owners, clock
        self._known: dict[str, tuple[int, int]] = {}
        self._gone: dict[str, tuple[tuple[int, int], float]] = {}
        self.bytes: dict[str, int] = defaultdict(int)
        self.retransmits: dict[str, int] = defaultdict(int)
        self.sessions: dict[str, int] = defaultdict(int)  # connections that were opened
        self.open: dict[str, list[Connection]] = defaultdict(list)
        # Before the first look nothing is known: what older connections had already sent is not ours to count.
        self._baseline = state is None
        if state:
            self._known = {key: (int(a), int(r)) for key, (a, r) in state["known"].items()}
            self.bytes.update({k: int(v) for k, v in state["bytes"].items()})
            self.retransmits.update({k: int(v) for k, v in state["retransmits"].items()})
            self.sessions.update({k: int(v) for k, v in state["sessions"].items()})

    def look(self, connections: Iterable[Connection]) -> None:
        """Take one reading of all open connections."""
        now, present = self._clock(), {}
        self.open = defaultdict(list)
        for connection in connections:
            present[connection.key] = self._add(connection)
            self.open[self._owners.of(connection.peer)].append(connection)
        # The event of a connection's end may come after a reading without it, and a reading after the event.
        self._gone |= {key: (figures, now) for key, figures in self._known.items() if key not in present}
        self._gone = {key: row for key, row in self._gone.items() if key not in present and now - row[1] < _REMEMBERED}
        self._known = present
        self._baseline = False

    def adopt(self, connections: Iterable[Connection]) -> None:
        """Take what older connections had already sent, on a port that is watched from now on: it is not ours to count."""
        for connection in connections:
            if connection.key not in self._known and connection.key not in self._gone:
                self._known[connection.key] = (connection.acked, connection.retransmits)

    def closed(self, connection: Connection) -> None:
        """Take the last figures of a connection that closed; it may never have been seen open."""
        if self._baseline:
            return
        figures = self._add(connection)
        self._known.pop(connection.key, None)
        self._gone[connection.key] = (figures, self._clock())

    def _add(self, connection: Connection) -> tuple[int, int]:
        """Add what is new of a connection and return the highest figures known of it."""
        owner = self._owners.of(connection.peer)
        now = (connection.acked, connection.retransmits)
        before = self._known.get(connection.key)
        if before is None and connection.key in self._gone:
            before = self._gone[connection.key][0]
        if before is None:
            before = now if self._baseline else (0, 0)
            self.sessions[owner] += not self._baseline
        figures = (max(now[0], before[0]), max(now[1], before[1]))
        self.bytes[owner] += figures[0] - before[0]
        self.retransmits[owner] += figures[1] - before[1]
        return figures

    def state(self) -> dict[str, Any]:
        """Return what has to survive a restart."""
        known = self._known | {key: figures for key, (figures, _) in self._gone.items()}
        totals = {"bytes": dict(self.bytes), "retransmits": dict(self.retransmits), "sessions": dict(self.sessions)}
        return {"known": known, **totals}
