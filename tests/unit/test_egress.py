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


def test_a_restart_in_the_middle_loses_nothing() -> None:
    """What was sent while the exporter was away is added when it is back."""
    first = Ledger(Owners(CONFIG))
    first.look([_connection("a", 0)])
    first.look([_connection("a", 100)])
    second = Ledger(Owners(CONFIG), first.state())
    second.look([_connection("a", 180), _connection("new", 50)])
    assert second.bytes["lasair"] == 230


def test_the_kernel_counts_what_a_reader_really_took() -> None:
    """40 short connections and a long one from Lasair's address: within 1 % of the bytes taken, on a real socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    payload, taken, short = b"x" * 200_000, 0, 40

    def serve() -> None:
        for _ in range(short + 1):
            peer, _ = listener.accept()
            with peer:
                peer.sendall(payload)

    threading.Thread(target=serve, daemon=True).start()
    ledger, wire, stop = Ledger(Owners(CONFIG)), Wire([port]), threading.Event()
    ledger.look(wire.look())
    watcher = threading.Thread(target=wire.watch, args=(ledger.closed, stop), daemon=True)
    watcher.start()
    time.sleep(0.3)
    for _ in range(short + 1):
        with socket.create_connection(("127.0.0.1", port), source_address=("127.0.1.1", 0)) as sock:
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
