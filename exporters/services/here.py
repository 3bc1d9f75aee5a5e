"""Which of the configured hosts is this machine?"""

from __future__ import annotations

import socket
from collections.abc import Iterable

import psutil

from zads.config import Host


def local_hosts(hosts: Iterable[Host]) -> frozenset[str]:
    """Return the names of the hosts whose address is one of this machine's own."""
    own = {address.address.partition("%")[0] for addresses in psutil.net_if_addrs().values() for address in addresses}
    return frozenset(host.name for host in hosts if _addresses(host.address) & own)


def _addresses(name: str) -> set[str]:
    try:
        return {str(row[4][0]) for row in socket.getaddrinfo(name, None)}
    except (OSError, UnicodeError):
        return set()
