"""The books of bytes: monotonic over connections, restarts and addresses of any kind."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from exporters.broker_egress.ledger import INTERNAL, UNKNOWN, Connection, Ledger, Owners
from exporters.broker_egress.wire import Wire
from zads.config import load

CONFIG = load(Path(__file__).resolve().parents[2] / "zads.toml")


def _connection(key: str, acked: int, peer: str = "127.0.1.1") -> Connection:
    return Connection(key, peer, acked, 0, 0.1, 0)


@pytest.mark.parametrize(
    ("peer", "owner"),
    [
        ("127.0.1.1", "lasair"),
        ("::ffff:127.0.1.5", "ampel"),
        ("127.0.0.1", INTERNAL),
        ("::1", INTERNAL),
        ("192.0.2.7", UNKNOWN),
    ],
)
def test_an_address_has_one_owner(peer: str, owner: str) -> None:
    """IPv4-mapped addresses are their IPv4 addresses."""
    assert Owners(CONFIG).of(peer) == owner


def test_bytes_before_the_first_look_are_not_counted_and_later_ones_are() -> None:
    """A connection that is older than the exporter begins at what it had."""
    ledger = Ledger(Owners(CONFIG))
    ledger.look([_connection("a", 1000)])
    ledger.look([_connection("a", 1500), _connection("b", 200)])
    assert ledger.bytes["lasair"] == 700


def test_a_short_connection_is_seen_by_its_end_alone_and_once() -> None:
    """Open and closed between two looks; its closing event comes, then a look that was under way."""
    ledger = Ledger(Owners(CONFIG))
    ledger.look([])
    ledger.closed(_connection("short", 4000))
    ledger.look([_connection("short", 4000)])
    assert ledger.bytes["lasair"] == 4000
    assert ledger.sessions["lasair"] == 1


def test_a_closing_event_that_comes_late_adds_only_what_is_new() -> None:
    """A look without the connection, then its event: 1 GB is not counted twice."""
    ledger = Ledger(Owners(CONFIG))
    ledger.look([_connection("a", 0)])
    ledger.look([_connection("a", 10**9)])
    ledger.look([])
    ledger.closed(_connection("a", 10**9 + 500))
    ledger.look([])
    assert ledger.bytes["lasair"] == 10**9 + 500


def test_a_look_that_was_under_way_does_not_bring_a_closed_connection_back() -> None:
    """Its older figures add nothing, and the next ones neither."""
    ledger = Ledger(Owners(CONFIG))
    ledger.look([_connection("a", 100)])
    ledger.closed(_connection("a", 900))
    ledger.look([_connection("a", 500)])
    ledger.look([_connection("a", 900)])
    ledger.look([])
    assert ledger.bytes["lasair"] == 800


def test_what_is_remembered_of_connections_that_are_gone_ends() -> None:
    """After a minute; memory does not grow with short connections."""
    now = [0.0]
    ledger = Ledger(Owners(CONFIG), clock=lambda: now[0])
    ledger.look([])
    for number in range(1000):
        ledger.closed(_connection(f"short{number}", 10))
    assert len(ledger.state()["known"]) == 1000
    now[0] = 61.0
    ledger.look([])
    assert ledger.state()["known"] == {}
    assert ledger.bytes["lasair"] == 10_000


def test_a_community_with_two_networks_has_one_total() -> None:
    """IPv4 and IPv6, and IPv4 mapped into IPv6."""
    two = CONFIG.communities[0].model_copy(update={"networks": ("192.0.2.0/28", "2001:db8:7::/48")})
    config = CONFIG.model_copy(update={"communities": (two, *CONFIG.communities[1:])})
    ledger = Ledger(Owners(config))
    ledger.look([])
    peers = ("192.0.2.3", "::ffff:192.0.2.4", "2001:db8:7:1::9", "2001:db8:8::1")
    ledger.look([_connection(peer, 100, peer) for peer in peers])
    assert ledger.bytes["lasair"] == 300
    assert len(ledger.open["lasair"]) == 3
    assert ledger.bytes[UNKNOWN] == 100


def test_a_restart_in_the_middle_loses_nothing() -> None:
    """What was sent while the exporter was away is added when it is back."""
    first = Ledger(Owners(CONFIG))
    first.look([_connection("a", 0)])
    first.look([_connection("a", 100)])
    second = Ledger(Owners(CONFIG), first.state())
    second.look([_connection("a", 180), _connection("new", 50)])
    assert second.bytes["lasair"] == 230
    assert second.sessions["lasair"] == 1


_SIX = CONFIG.communities[0].model_copy(update={"networks": ("127.0.1.1/32", "::1/128")})
_SIX_CONFIG = CONFIG.model_copy(
    update={
        "internal": CONFIG.internal.model_copy(update={"networks": ()}),
        "communities": (_SIX, *CONFIG.communities[1:]),
    }
)


@pytest.mark.parametrize(
    ("listen", "address", "source"),
    [("127.0.0.1", "127.0.0.1", "127.0.1.1"), ("::", "127.0.0.1", "127.0.1.1"), ("::1", "::1", "::1")],
    ids=["IPv4", "IPv4-mapped", "IPv6"],
)
def test_the_kernel_counts_what_a_reader_really_took(listen: str, address: str, source: str) -> None:
    """40 short connections and a long one from Lasair's address: within 1 % of the bytes taken, on a real socket."""
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    listener = socket.create_server((listen, 0), family=family, dualstack_ipv6=listen == "::")
    port = listener.getsockname()[1]
    payload, taken, short = b"x" * 200_000, 0, 40

    def serve() -> None:
        for _ in range(short + 1):
            peer, _ = listener.accept()
            with peer:
                peer.sendall(payload)

    threading.Thread(target=serve, daemon=True).start()
    ledger, wire, stop = Ledger(Owners(_SIX_CONFIG)), Wire([port]), threading.Event()
    ledger.look(wire.look())
    watcher = threading.Thread(target=wire.watch, args=(ledger.closed, stop), daemon=True)
    watcher.start()
    time.sleep(0.3)
    for _ in range(short + 1):
        with socket.create_connection((address, port), source_address=(source, 0)) as sock:
            while data := sock.recv(65536):
                taken += len(data)
    deadline = time.monotonic() + 5
    while ledger.bytes["lasair"] < taken and time.monotonic() < deadline:
        time.sleep(0.1)
        ledger.look(wire.look())
    stop.set()
    watcher.join()
    listener.close()
    wire.close()
    assert ledger.bytes["lasair"] == pytest.approx(taken, rel=0.01)
    assert ledger.sessions["lasair"] == short + 1
