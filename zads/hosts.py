"""Which [[host]] an address belongs to."""

from __future__ import annotations

from zads.config import Config, host_port

_LOOPBACK = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}


def host_of(config: Config, address: str) -> str:
    """Return the name of the [[host]] at the address; else the address' own, "monitor" for this machine."""
    name = host_port(address)[0]

    def same(other: str) -> bool:
        return other == name or {other, name} <= _LOOPBACK

    for host in config.hosts:
        if same(host.address) or same(host_port(host.probe)[0]):
            return host.name
    return "monitor" if name in _LOOPBACK else name
