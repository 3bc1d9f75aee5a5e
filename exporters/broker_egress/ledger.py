"""The books of bytes per community, without I/O: monotonic over connections that open and close.

The kernel counts per connection; a community's total is the sum of what its connections added.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from zads.config import Config

INTERNAL, UNKNOWN = "internal", ""


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

    def of(self, peer: str) -> str:
        """Return the owner; an IPv4-mapped IPv6 address is its IPv4 address."""
        address: IPv4Address | IPv6Address = ip_address(peer)
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        for network, owner in self._networks:
            if address.version == (6 if isinstance(network, IPv6Network) else 4) and address in network:
                return owner
        return UNKNOWN


class Ledger:
    """Totals per owner; a connection's figures only ever add."""

    def __init__(self, owners: Owners, state: Mapping[str, Any] | None = None) -> None:
        self._owners = owners
        self._known: dict[str, tuple[int, int]] = {}
        self.bytes: dict[str, int] = defaultdict(int)
        self.retransmits: dict[str, int] = defaultdict(int)
        self.open: dict[str, list[Connection]] = defaultdict(list)
        # Before the first look nothing is known: what older connections had already sent is not ours to count.
        self._baseline = state is None
        if state:
            self._known = {key: (int(a), int(r)) for key, (a, r) in state["known"].items()}
            self.bytes.update({k: int(v) for k, v in state["bytes"].items()})
            self.retransmits.update({k: int(v) for k, v in state["retransmits"].items()})

    def look(self, connections: Iterable[Connection]) -> None:
        """Take one reading of all open connections."""
        present: dict[str, tuple[int, int]] = {}
        self.open = defaultdict(list)
        for connection in connections:
            self._add(connection)
            present[connection.key] = (connection.acked, connection.retransmits)
            self.open[self._owners.of(connection.peer)].append(connection)
        self._known = present
        self._baseline = False

    def closed(self, connection: Connection) -> None:
        """Take the last figures of a connection that closed; it may never have been seen open."""
        if self._baseline:
            return
        self._add(connection)
        # Kept until the next look, so that a reading that was under way does not count it again.
        self._known[connection.key] = (connection.acked, connection.retransmits)

    def _add(self, connection: Connection) -> None:
        owner = self._owners.of(connection.peer)
        now = (connection.acked, connection.retransmits)
        acked, retransmits = self._known.get(connection.key, now if self._baseline else (0, 0))
        self.bytes[owner] += max(0, connection.acked - acked)
        self.retransmits[owner] += max(0, connection.retransmits - retransmits)

    def state(self) -> dict[str, Any]:
        """Return what has to survive a restart."""
        return {"known": self._known, "bytes": dict(self.bytes), "retransmits": dict(self.retransmits)}
