"""The collector of services: one that hangs delays nothing, what is not here is not down."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path

import psutil
import pytest

from exporters.services.askers import Askers, CannotTellError
from exporters.services.collector import ServicesCollector
from exporters.services.here import local_hosts
from exporters.services.processes import Finder
from exporters.services.restarts import Restarts
from zads.collector import Reading
from zads.config import Config, Host, KafkaCluster, Service

SELF = re.escape(psutil.Process().cmdline()[0])  # pytest, or a worker of it


def _config(*services: Service, hosts: tuple[Host, ...] = ()) -> Config:
    hosts = hosts or (Host(name="zads", address="127.0.0.1", probe="127.0.0.1:1"),)
    return Config(kafka={"public": KafkaCluster(bootstrap=("127.0.0.1:1",))}, host=hosts, service=services)


def _service(name: str, *, probe: str = "tcp://127.0.0.1:1", host: str = "zads", process: str = SELF) -> Service:
    return Service(name=name, host=host, role="tcp", probe=probe, process=process)


def _value(reading: Reading, name: str, **labels: str) -> float | None:
    for family in reading.families:
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return None


def test_a_probe_that_hangs_delays_nothing_but_itself(tmp_path: Path) -> None:
    """A name server that does not answer knows no timeout: the collection ends, the others are right, it is not asked again."""
    asked: list[str] = []
    release = threading.Event()

    def ask(address: str, _timeout: float) -> float:
        asked.append(address)
        if "hangs" in address:
            release.wait(20)
        return 0.01

    services = [_service(f"hangs{n}", probe=f"tcp://hangs{n}:1") for n in range(12)] + [
        _service("well", probe="tcp://well:1")
    ]
    collector = ServicesCollector(_config(*services), Finder(), Restarts(tmp_path / "s.json"), ask=ask, deadline=0.3)
    for _ in range(3):
        begin = time.monotonic()
        reading = collector.collect()
        assert time.monotonic() - begin < 2
        assert _value(reading, "zads_service_answering", service="well") == 1
        assert _value(reading, "zads_service_answering", service="hangs3") == 0
        assert reading.errors == {"ProbeHangs": 12}
    assert sum("hangs" in address for address in asked) == 12
    release.set()
    time.sleep(0.2)
    collector.collect()
    reading = collector.collect()
    assert _value(reading, "zads_service_answering", service="hangs3") == 1
    assert not reading.errors
    collector.close()


def test_a_probe_that_fails_oddly_fails_alone() -> None:
    """An OSError is an answer; anything else is counted, and no other question suffers."""

    def refuse() -> float:
        raise ConnectionRefusedError

    def odd() -> float:
        raise UnicodeError("label empty or too long")

    askers: Askers[str] = Askers(4, 1.0)

    def unwilling() -> float:
        raise CannotTellError("refuses to say")

    asked = askers.ask({"yes": lambda: 0.5, "no": refuse, "odd": odd, "unwilling": unwilling})
    assert asked.answers == {"yes": 0.5, "no": None, "odd": None}
    assert asked.errors == {"UnicodeError": 1, "ProbeCannotTell": 1}
    assert asked.why == {
        "no": "ConnectionRefusedError",
        "odd": "UnicodeError: label empty or too long",
        "unwilling": "refuses to say",
    }
    askers.close()


def test_a_process_that_is_another_machines_is_not_down(tmp_path: Path) -> None:
    """The exporter on the monitor says nothing of Kafka's process; on its own machine a missing one is down."""
    hosts = (
        Host(name="here", address="127.0.0.1", probe="127.0.0.1:1"),
        Host(name="there", address="192.0.2.7", probe="192.0.2.7:1"),
    )
    services = (
        _service("mine", host="here"),
        _service("gone", host="here", process="no-such-process-4713"),
        _service("theirs", host="there", process="no-such-process-4713"),
        _service("renamed", host="there"),
    )
    collector = ServicesCollector(
        _config(*services, hosts=hosts), Finder(), Restarts(tmp_path / "s.json"), ask=lambda address, timeout: 0.01
    )
    reading = collector.collect()
    collector.close()
    assert _value(reading, "zads_service_up", service="mine") == 1
    assert _value(reading, "zads_service_up", service="gone") == 0
    assert _value(reading, "zads_service_up", service="theirs") is None
    assert _value(reading, "zads_service_answering", service="theirs") == 1
    # Seen here, whatever the address says: it is this machine's.
    assert _value(reading, "zads_service_up", service="renamed") == 1


def test_this_machines_hosts_are_found_by_address() -> None:
    """By number and by name; a name that does not resolve is not ours."""
    hosts = [
        Host(name=f"h{n}", address=address, probe="127.0.0.1:1")
        for n, address in enumerate(("127.0.0.1", "localhost", "192.0.2.7", "no-such-host.invalid"))
    ]
    assert local_hosts(hosts) == {"h0", "h1"}


def test_a_service_without_a_process_is_only_asked(tmp_path: Path) -> None:
    """It is elsewhere: up or down is not ours to say."""
    config = _config(_service("far", process=""))
    collector = ServicesCollector(config, Finder(), Restarts(tmp_path / "s.json"), ask=lambda address, timeout: 0.01)
    reading = collector.collect()
    collector.close()
    assert _value(reading, "zads_service_up", service="far") is None
    assert _value(reading, "zads_service_answering", service="far") == 1


def test_vitals_are_those_of_the_process(tmp_path: Path) -> None:
    """This very process: its memory, files and threads."""
    config = _config(_service("me"))
    finder = Finder(lambda: [psutil.Process(os.getpid())])
    collector = ServicesCollector(config, finder, Restarts(tmp_path / "s.json"), ask=lambda address, timeout: 0.01)
    reading = collector.collect()
    collector.close()
    assert (_value(reading, "zads_service_resident_memory_bytes") or 0) > 10_000_000
    assert (_value(reading, "zads_service_open_files") or 0) > 2
    assert (_value(reading, "zads_service_threads") or 0) >= 1
    assert _value(reading, "zads_service_start_time_seconds") == pytest.approx(time.time(), abs=3600)


def test_what_refuses_to_say_is_neither_up_nor_down(tmp_path: Path) -> None:
    """No value, a count, and words that say what to do; the others are as they are."""

    def ask(address: str, _timeout: float) -> float:
        if "keeper" in address:
            raise CannotTellError("keeper:1 refuses to say: add ruok to its 4lw.commands.whitelist")
        if "silent" in address:
            raise ConnectionRefusedError(111, "Connection refused")
        return 0.0034

    services = [
        _service("keeper", probe="tcp://keeper:1", process="no-such-process-4714"),
        _service("silent", probe="tcp://silent:1", process=""),
        _service("well", probe="tcp://well:1"),
    ]
    collector = ServicesCollector(_config(*services), Finder(), Restarts(tmp_path / "s.json"), ask=ask)
    reading = collector.collect()
    collector.close()
    assert _value(reading, "zads_service_answering", service="keeper") is None
    assert _value(reading, "zads_service_answering", service="silent") == 0
    assert _value(reading, "zads_service_answering", service="well") == 1
    assert reading.errors == {"ProbeCannotTell": 1}
    assert reading.ok
    keeper, silent, well = reading.seen.split("; ")
    assert keeper == (
        "keeper: does not say how it is (keeper:1 refuses to say: add ruok to its 4lw.commands.whitelist), "
        "its process is gone"
    )
    assert silent == "silent: does not answer (Connection refused)"
    assert re.fullmatch(r"well: answers in 3 ms, up since \w{3} \d\d:\d\d UTC", well)


def test_without_services_the_words_say_so(tmp_path: Path) -> None:
    """As with what `zads init` writes; a host that is silent is named."""
    config = Config(
        kafka={"public": KafkaCluster(bootstrap=("127.0.0.1:1",))},
        host=(Host(name="zads", address="127.0.0.1", probe="127.0.0.1:1"),),
    )
    collector = ServicesCollector(config, Finder(), Restarts(tmp_path / "s.json"))
    assert collector.collect().seen == "host zads: does not answer (Connection refused)"
    collector.close()
    collector = ServicesCollector(config.model_copy(update={"hosts": ()}), Finder(), Restarts(tmp_path / "s.json"))
    assert collector.collect().seen == "the Sun alone: zads.toml has no [[service]]"
    collector.close()
