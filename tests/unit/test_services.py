"""Processes and probes on real processes and sockets."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exporters.services.askers import CannotTellError
from exporters.services.probes import probe
from exporters.services.processes import Finder, Vitals
from exporters.services.restarts import Restarts
from zads.config import Service


def _service(mark: str) -> Service:
    return Service(name="sleeper", host="zads", role="tcp", probe="tcp://127.0.0.1:1", process=mark)


def wait_for(found: Callable[[], Vitals | None]) -> Vitals:
    """Wait until a process that was just started carries its own command line."""
    deadline = time.monotonic() + 10
    while True:
        vitals = found()
        if vitals is not None:
            return vitals
        assert time.monotonic() < deadline, "no process was found"
        time.sleep(0.05)


def test_a_process_is_found_lost_and_found_again() -> None:
    """By its command line; the second one is another start."""
    finder, mark = Finder(), "zads-test-sleeper-4711"
    argv = [sys.executable, "-c", f"import time; time.sleep(60)  # {mark}"]
    assert finder.find(_service(mark)) is None
    first = subprocess.Popen(argv)
    try:
        vitals = wait_for(lambda: finder.find(_service(mark)))
        assert vitals.resident > 1_000_000
    finally:
        first.kill()
        first.wait()
    assert finder.find(_service(mark)) is None


def test_restarts_are_counted_over_restarts_of_the_exporter(tmp_path: Path) -> None:
    """The file remembers, also what was restarted while nobody looked."""
    file = tmp_path / "services.json"
    restarts = Restarts(file)
    restarts.see("kafka", "boot/1/100", 1000.0)
    restarts.see("kafka", "boot/1/100", 1000.0)
    restarts.see("kafka", "boot/2/200", 2000.0)
    assert restarts.count("kafka") == 1
    again = Restarts(file)
    again.see("kafka", "boot/2/200", 2000.0)
    assert again.count("kafka") == 1
    again = Restarts(file)
    again.see("kafka", "boot/3/300", 3000.0)
    assert again.count("kafka") == 2
    file.write_text("{broken")
    assert Restarts(file).count("kafka") == 0


def test_only_another_process_is_a_restart(tmp_path: Path) -> None:
    """A corrected clock moves the start's time and nothing else; a number given again is another process, and so is any
    after a boot."""
    restarts = Restarts(tmp_path / "services.json")
    restarts.see("kafka", "boot/7/100", 1000.0)
    restarts.see("kafka", "boot/7/100", 9000.0)  # the clock was hours behind
    assert restarts.count("kafka") == 0
    restarts.see("kafka", "boot/7/101", 9000.0)  # the same number, another start
    assert restarts.count("kafka") == 1
    restarts.see("kafka", "next/7/101", 9000.0)  # the same number and ticks, after a boot
    assert restarts.count("kafka") == 2


def test_a_file_of_an_older_version_is_taken_over(tmp_path: Path) -> None:
    """It knew start times alone: the count stays, the process that runs on is no restart, another one is."""
    file = tmp_path / "services.json"
    for started, count in ((1000.4, 5), (2000.0, 6)):
        file.write_text('{"counts": {"kafka": 5}, "started": {"kafka": 1000.0}}')
        restarts = Restarts(file)
        assert restarts.seen("kafka")
        restarts.see("kafka", "boot/1/100", started)
        restarts.see("kafka", "boot/1/100", started)
        assert restarts.count("kafka") == count
        assert Restarts(file).count("kafka") == count


def test_a_real_restart_is_another_identity_and_a_correction_of_the_clock_is_not(tmp_path: Path) -> None:
    """Of real processes: the kernel's ticks name them, within this run of the machine."""
    mark, boot = "zads-test-sleeper-4715", tmp_path / "boot_id"
    boot.write_text("first\n")

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(60)  # {mark}"])

    def identity() -> str:
        found = wait_for(lambda: Finder(boot_id=boot).find(_service(mark)))
        return found.identity

    process = start()
    try:
        one = identity()
        assert one == identity()
        assert one.startswith(f"first/{process.pid}/")
        process.kill()
        process.wait()
        process = start()
        assert identity() != one
        two = identity()
        boot.write_text("second\n")
        assert identity() == two.replace("first", "second")
    finally:
        process.kill()
        process.wait()


def test_a_full_disk_stops_no_counting(tmp_path: Path) -> None:
    """Restarts are counted in memory and kept as soon as the file can be written."""
    file = tmp_path / "state" / "services.json"
    restarts = Restarts(file)
    restarts.see("kafka", "boot/1/100", 1000.0)
    (blocker := file.with_suffix(".new")).mkdir()
    restarts.see("kafka", "boot/2/200", 2000.0)
    assert restarts.count("kafka") == 1
    blocker.rmdir()
    restarts.see("kafka", "boot/2/200", 2000.0)
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


REFUSAL = b"%s is not executed because it is not in the whitelist.\n"


def _zookeeper(*answers: bytes) -> tuple[str, list[bytes]]:
    """Start a listener that answers one word after the other, byte by byte; return its address and what it was asked."""
    server = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def serve() -> None:
        with server:
            for answer in answers:
                peer, _ = server.accept()
                with contextlib.suppress(OSError), peer:
                    asked.append(peer.recv(4))
                    for byte in answer:
                        peer.sendall(bytes([byte]))
                        time.sleep(0.001)

    threading.Thread(target=serve, daemon=True).start()
    return f"zookeeper://127.0.0.1:{server.getsockname()[1]}", asked


def test_zookeeper_has_to_say_imok() -> None:
    """In one piece or in four; nothing else and not less."""
    address, asked = _zookeeper(b"imok", b"nope", b"imo", b"")
    probe(address, 1.0)
    for _ in range(3):
        with pytest.raises(ConnectionError, match="instead of imok"):
            probe(address, 1.0)
    assert asked == [b"ruok"] * 4


def test_a_zookeeper_that_refuses_ruok_is_asked_for_srvr() -> None:
    """Which it answers whatever its whitelist is; it serves, it does not, or something refuses that too: nobody can tell."""
    address, asked = _zookeeper(REFUSAL % b"ruok", b"Zookeeper version: 3.8.4, built on x\nMode: standalone\n")
    probe(address, 1.0)
    assert asked == [b"ruok", b"srvr"]
    address, _ = _zookeeper(REFUSAL % b"ruok", b"This ZooKeeper instance is not currently serving requests\n")
    with pytest.raises(ConnectionError, match="not currently serving"):
        probe(address, 1.0)
    address, _ = _zookeeper(REFUSAL % b"ruok", REFUSAL % b"srvr")
    with pytest.raises(CannotTellError, match=r"add ruok to its 4lw\.commands\.whitelist"):
        probe(address, 1.0)


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
