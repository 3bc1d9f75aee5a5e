"""Processes and probes on real processes and sockets."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from exporters.services.probes import probe
from exporters.services.processes import Finder
from exporters.services.restarts import Restarts
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


def test_a_full_disk_stops_no_counting(tmp_path: Path) -> None:
    """Restarts are counted in memory and kept as soon as the file can be written."""
    file = tmp_path / "state" / "services.json"
    restarts = Restarts(file)
    restarts.see("kafka", 1000.0)
    (blocker := file.with_suffix(".new")).mkdir()
    restarts.see("kafka", 2000.0)
    assert restarts.count("kafka") == 1
    blocker.rmdir()
    restarts.see("kafka", 2000.0)
    assert Restarts(file).count("kafka") == 1


@pytest.mark.parametrize(
    "content", ["{broken", "[]", '{"counts": 3, "started": {}}', '{"counts": {"kafka": "x"}, "started": {}}']
)
def test_a_state_file_that_is_no_good_begins_anew(tmp_path: Path, content: str) -> None:
    """Whatever it holds."""
    file = tmp_path / "services.json"
    file.write_text(content)
    assert Restarts(file).count("kafka") == 0


def test_the_process_of_a_systemd_unit_is_found_by_its_control_group(tmp_path: Path) -> None:
    """The one that fits the command line, else the oldest; without the unit, by command line; dead processes are passed over."""
    marks = ("zads-test-helper-4712", "zads-test-service-4712")
    group = tmp_path / "system.slice" / "kafka.service"
    group.mkdir(parents=True)
    processes = [subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(60)  # {mark}"]) for mark in marks]
    try:
        helper, real = (process.pid for process in processes)
        (group / "cgroup.procs").write_text(f"999999999\n{helper}\n{real}\n")

        def pid(mark: str, unit: str | None = "kafka.service") -> int | None:
            finder = Finder(control_groups=tmp_path)
            found = finder.find(_service(mark).model_copy(update={"unit": unit}))
            return finder._known["sleeper"].pid if found else None

        assert pid(marks[1]) == real
        assert pid("nothing-fits") == helper
        assert pid("") == helper
        assert pid(marks[1], unit="gone.service") == real
        assert pid("", unit="gone.service") is None
        assert pid("", unit="kafka.service") == helper
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_port_that_accepts_and_says_nothing_is_no_kafka() -> None:
    """The probe speaks the protocol; a listening socket alone does not answer it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert probe(f"tcp://127.0.0.1:{port}", 1.0) < 1.0
        with pytest.raises(OSError):
            probe(f"kafka://127.0.0.1:{port}", 0.3)


def test_zookeeper_has_to_say_imok() -> None:
    """ruok, imok, in one piece or in four; not less, and in time."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            for answer in (b"imok", b"imok", b"nope", b"imo"):
                peer, _ = server.accept()
                with peer:
                    peer.recv(4)
                    for byte in answer:
                        peer.sendall(bytes([byte]))
                        time.sleep(0.01)

        threading.Thread(target=serve, daemon=True).start()
        for _ in range(2):
            probe(f"zookeeper://127.0.0.1:{port}", 1.0)
        for _ in range(2):
            with pytest.raises(ConnectionError, match="4lw"):
                probe(f"zookeeper://127.0.0.1:{port}", 1.0)


def test_an_answer_that_trickles_is_late() -> None:
    """The deadline is for the whole answer, not for each byte of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            peer, _ = server.accept()
            with contextlib.suppress(OSError), peer:
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                for _ in range(100):
                    peer.sendall(b"x")
                    time.sleep(0.05)

        threading.Thread(target=serve, daemon=True).start()
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            probe(f"http://127.0.0.1:{port}/metrics", 0.5)
        assert time.monotonic() - begin < 2
