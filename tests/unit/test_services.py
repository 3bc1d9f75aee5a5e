"""Processes and probes on real processes and sockets."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from exporters.services.probes import probe
from exporters.services.processes import Finder, Restarts
from zads.config import Service


def _service(mark: str) -> Service:
    return Service(name="sleeper", host="zads", role="tcp", probe="tcp://127.0.0.1:1", process=mark)


def test_a_process_is_found_lost_and_found_again() -> None:
    """By its command line; the second one is another start."""
    finder, mark = Finder(), "zads-test-sleeper-4711"
    argv = [sys.executable, "-c", f"import time; time.sleep(60)  # {mark}"]
    assert finder.find(_service(mark)) is None
    first = subprocess.Popen(argv)
    try:
        vitals = finder.find(_service(mark))
        assert vitals is not None
        assert vitals.resident > 1_000_000
    finally:
        first.kill()
        first.wait()
    assert finder.find(_service(mark)) is None


def test_restarts_are_counted_over_restarts_of_the_exporter(tmp_path: Path) -> None:
    """The file remembers; jitter of a start time is no restart."""
    file = tmp_path / "services.json"
    restarts = Restarts(file)
    restarts.see("kafka", 1000.0)
    restarts.see("kafka", 1000.04)
    restarts.see("kafka", 2000.0)
    again = Restarts(file)
    again.see("kafka", 3000.0)
    assert again.count("kafka") == 2
    file.write_text("{broken")
    assert Restarts(file).count("kafka") == 0


def test_a_port_that_accepts_and_says_nothing_is_no_kafka() -> None:
    """The probe speaks the protocol; a listening socket alone does not answer it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert probe(f"tcp://127.0.0.1:{port}", 1.0) < 1.0
        with pytest.raises(OSError):
            probe(f"kafka://127.0.0.1:{port}", 0.3)


def test_zookeeper_has_to_say_imok() -> None:
    """ruok, imok."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            for answer in (b"imok", b"nope"):
                peer, _ = server.accept()
                with peer:
                    peer.recv(4)
                    peer.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        probe(f"zookeeper://127.0.0.1:{port}", 1.0)
        with pytest.raises(OSError):
            probe(f"zookeeper://127.0.0.1:{port}", 1.0)
