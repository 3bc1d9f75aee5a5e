"""The probe on a real Kafka with real packets: exact counts and bytes, right delays, and each failure in a sentence."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from exporters.probe.connecting import Connection, connect
from exporters.probe.faults import ProbeError
from exporters.probe.options import Since, Wanted
from exporters.probe.reading import Reading
from exporters.probe.report import Contract
from exporters.probe.report import of as report_of
from tests.integration.conftest import Node, free_pair
from tests.integration.test_kafka_lag_security import Secured
from zads import kafka
from zads.config import KafkaCluster
from zads.stack.alert_packets import Exposure, templates

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]
TEMPLATES = templates()
COMMAND = (sys.executable, "-m", "zads.cli", "probe")
STREAM = re.compile(r"^ztf_(?P<night>\d{8})_programid(?P<program>\d)$")


def packet(sequence: int, *, end: float, program: int = 1) -> bytes:
    """Return a real packet of an exposure of 30 s that ended at that time."""
    jd = (end - 30.0) / 86400.0 + 2440587.5
    return TEMPLATES[0].write(Exposure(jd, program, 600, 1), sequence, random.Random(sequence))


def send(
    address: str, topic: str, rows: list[tuple[bytes | None, float]], partitions: int = 4, compression: str = "lz4"
) -> None:
    """Put packets on record in turn over the partitions, with the timestamps that go with them."""
    producer = KafkaProducer(bootstrap_servers=address, acks=1, max_request_size=12_000_000, compression_type=compression)
    futures = [
        producer.send(topic, value, key=b"k", partition=n % partitions, timestamp_ms=int(at * 1000))
        for n, (value, at) in enumerate(rows)
    ]
    for future in futures:
        future.get(20)
    producer.close()


def eventually(good: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


class Live:
    """A reading in a thread, as `zads probe` does it, stopped by the test."""

    def __init__(self, cluster: KafkaCluster, topic: str, since: str = "latest", alerts: int | None = None) -> None:
        self.connection: Connection = connect(cluster)
        wanted = Wanted(re.compile(topic).fullmatch, f"topic {topic}")  # type: ignore[arg-type]
        self.reading = Reading(self.connection, wanted, Since.parse(since), STREAM)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.reading.run, args=(60.0, alerts, self._stop), daemon=True)
        self._thread.start()

    def __enter__(self) -> Live:
        return self

    def following(self, partitions: int = 4) -> None:
        """Wait until each partition's leader has answered."""
        places = self.reading.figures.partitions
        eventually(lambda: len(places) == partitions and all(place.seen for place in list(places.values())))

    def finish(self) -> dict[str, Any]:
        """End the reading and return its report's values."""
        self._stop.set()
        self._thread.join(20)
        report = report_of(self.reading, self.connection.address, self.connection.seconds, Contract(), None)
        return {**report.values, "state": report.state, "good": report.good, "words": " ".join(report.words)}

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        self.connection.close()


def probe(*arguments: str, folder: Path, **environment: str) -> tuple[int, str]:
    """Run the command somewhere else, without a config; return its exit code and what it printed."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("probed"))
    try:
        yield node.start()
    finally:
        node.stop()


def _topic(node: Node, night: str, partitions: int = 4) -> str:
    name = f"ztf_{night}_programid1"
    kafka.create_topics(KafkaCluster(bootstrap=(node.address,)), {name: partitions}, client_id="test")
    return name


def test_counts_bytes_and_delays_are_exact(node: Node, tmp_path: Path) -> None:
    """From the first alert on: every packet once, as many bytes as Kafka's log files have, delays to the millisecond."""
    name, made = _topic(node, "20260501"), time.time() - 500
    send(node.address, name, [(packet(n, end=made - 60 - n), made) for n in range(200)])
    code, text = probe(
        "--bootstrap", node.address, "--night", "20260501", "--from", "earliest", "--seconds", "4", "--json", folder=tmp_path
    )
    assert code == 0, text
    found = json.loads(text)
    assert (found["alerts"], found["decoded"], found["alerts_live"], found["partitions"]) == (200, 200, 0, 4)
    logs = (node.folder / "data").glob(f"{name}-*/*.log")
    assert found["bytes"] == found["backlog"]["bytes"] == sum(log.stat().st_size for log in logs)
    assert found["bytes_per_second"] == pytest.approx(found["bytes"] / found["seconds"], rel=0.001)
    assert found["delay_seconds"]["exposure"] == pytest.approx(
        {"p50": 159.0, "p95": 249.0, "p99": 257.0, "max": 259.0, "alerts": 200}, abs=0.002
    )
    assert found["delay_seconds"]["total"] == {"alerts": 0}
    assert (found["lag_alerts"], found["missing_offsets"], found["duplicates"], found["undecodable"]) == (0, 0, 0, {})
    assert set(found["connect_seconds"]) == {"dns", "tcp", "broker", "login", "metadata"}
    # A candid has 19 digits: as a number it would come out of a browser as another one.
    assert isinstance(found["newest_candid"], str)
    assert int(found["newest_candid"]) > 2**53


def test_delays_to_here_are_of_what_comes_while_it_looks(node: Node) -> None:
    """40 lay there; 60 come, put on record 7 s and exposed 80 s before they are sent: the 40 count in no delay to here."""
    name, begin = _topic(node, "20260502"), time.time()
    send(node.address, name, [(packet(n, end=begin - 5000), begin - 4000) for n in range(40)])
    with Live(KafkaCluster(bootstrap=(node.address,)), name, "earliest") as live:
        live.following()
        eventually(lambda: live.reading.figures.alerts == 40)
        now = time.time()
        send(node.address, name, [(packet(n, end=now - 80), now - 7) for n in range(100, 160)])
        eventually(lambda: live.reading.figures.alerts == 100)
        took = time.time() - now
        found = live.finish()
    assert (found["alerts"], found["alerts_live"], found["backlog"]["alerts"]) == (100, 60, 40)
    record, total = found["delay_seconds"]["record"], found["delay_seconds"]["total"]
    assert record["alerts"] == total["alerts"] == 60
    assert 7 <= record["p50"] <= record["max"] <= 7 + took + 0.01
    assert 80 <= total["p50"] <= total["max"] <= 80 + took + 0.01
    assert found["state"] == "good"


def test_it_is_in_no_group_and_commits_nothing(node: Node, tmp_path: Path) -> None:
    """After a probe the cluster knows no new group; with --group it does, and that group has no commit."""
    name = _topic(node, "20260503")
    send(node.address, name, [(packet(n, end=time.time()), time.time()) for n in range(8)])
    reader = kafka.ClusterReader(KafkaCluster(bootstrap=(node.address,)), client_id="test")
    arguments = ("--bootstrap", node.address, "--night", "20260503", "--from", "earliest", "--alerts", "8", "--json")
    code, text = probe(*arguments, folder=tmp_path)
    assert (code, json.loads(text)["alerts"]) == (0, 8)
    reader.metadata()
    assert not reader.groups().values
    # Longer than the 5 s after which a consumer commits by itself.
    arguments = ("--bootstrap", node.address, "--night", "20260503", "--from", "earliest", "--seconds", "9", "--json")
    code, text = probe(*arguments, "--group", "a-probe", folder=tmp_path)
    assert (code, json.loads(text)["alerts"]) == (0, 8), text
    reader.metadata()
    groups = reader.groups().values
    assert set(groups) == {"a-probe"}
    assert not reader.committed(groups.values()).values.get("a-probe")
    reader.close()


def test_a_topic_that_appears_is_read_whole(node: Node) -> None:
    """The night begins while it looks: the first alerts are not passed over."""
    name = "ztf_20260504_programid1"
    with Live(KafkaCluster(bootstrap=(node.address,)), name) as live:
        eventually(lambda: live.reading._first is not None)
        _topic(node, "20260504")
        send(node.address, name, [(packet(n, end=time.time()), time.time()) for n in range(12)])
        eventually(lambda: live.reading.figures.alerts == 12)
        found = live.finish()
    assert (found["alerts_live"], found["state"]) == (12, "good")


def test_garbage_duplicates_and_other_compressions(node: Node) -> None:
    """Counted by reason, never fatal; a candid that comes again is told by its digits."""
    name, now = _topic(node, "20260505"), time.time()
    good = packet(1, end=now)
    bad: list[bytes | None] = [None, b"", b"garbage", good[:5000], b"Obj\x01" + bytes(3000)]
    with Live(KafkaCluster(bootstrap=(node.address,)), name) as live:
        live.following()
        send(node.address, name, [(good, now), *((one, now) for one in bad), (packet(2, end=now), now)], compression="gzip")
        send(node.address, name, [(good, now)])
        eventually(lambda: live.reading.figures.alerts == 8)
        found = live.finish()
    assert (found["decoded"], found["undecodable"]) == (3, {"empty": 2, "not_avro": 1, "truncated": 1, "bad_schema": 1})
    assert found["duplicates"] == 1
    assert found["duplicate_candids"] == [str(live.reading.figures.duplicate_candids[0])]
    assert "1 alerts came again" in found["words"]


def test_a_broker_restart_costs_no_alert(node: Node) -> None:
    """It goes on where it was; meanwhile the failure is counted, and at the end nothing is wrong any more."""
    name, now = _topic(node, "20260506"), time.time()
    with Live(KafkaCluster(bootstrap=(node.address,)), name) as live:
        live.following()
        send(node.address, name, [(packet(n, end=now), now) for n in range(10)])
        eventually(lambda: live.reading.figures.alerts == 10)
        node.stop()
        eventually(lambda: sum(live.reading.figures.failures.values()) > 0)
        node.start()
        send(node.address, name, [(packet(n, end=now), now) for n in range(10, 25)])
        eventually(lambda: live.reading.figures.alerts == 25, 40)
        found = live.finish()
    assert (found["missing_offsets"], found["duplicates"], found["state"]) == (0, 0, "good")
    assert found["failures"]


def test_alerts_that_kafka_deleted_are_told_and_passed_over(node: Node) -> None:
    """What it wanted next is gone: it goes on at the log's start and says how many it missed."""
    name, now = _topic(node, "20260507", 1), time.time()
    send(node.address, name, [(packet(n, end=now), now) for n in range(30)], partitions=1)
    with Live(KafkaCluster(bootstrap=(node.address,)), name, "earliest") as live:
        eventually(lambda: live.reading.figures.alerts == 30)
        admin = KafkaAdminClient(bootstrap_servers=node.address)
        admin.delete_records({TopicPartition(name, 0): 25})
        admin.close()
        # As if it had been slower: it stood at 3 when the first 25 were deleted.
        live.reading.figures.begin_at((name, 0), 3)
        live.connection.fetcher.seek((name, 0), 3)
        eventually(lambda: live.reading.figures.alerts == 35)
        found = live.finish()
    assert (found["deleted_offsets"], found["missing_offsets"], found["state"]) == (22, 0, "good")
    assert "22 alerts were deleted before they were read" in found["words"]


def test_silence_is_not_the_same_as_not_being_able_to_read(node: Node, tmp_path: Path) -> None:
    """A topic that may be read and brings nothing: exit 0, and it says whose silence it is. No topic: exit 1."""
    name = _topic(node, "20260508")
    send(node.address, name, [(packet(n, end=time.time()), time.time()) for n in range(4)])
    code, text = probe("--bootstrap", node.address, "--night", "20260508", "--seconds", "4", folder=tmp_path)
    assert code == 0, text
    assert "it is the stream that is silent" in text
    code, text = probe("--bootstrap", node.address, "--night", "20010101", "--seconds", "2", folder=tmp_path)
    assert code == 1
    assert "There is no topic of the night (20010101), program 1." in text
    assert "The newest alert topic is ztf_2026" in text


def test_the_objective_decides_the_exit_code(node: Node, tmp_path: Path) -> None:
    """95 % within 20 minutes: kept with 70 s, missed with 30 minutes."""
    for night, ago, wanted in (("20260509", 70.0, 0), ("20260510", 1800.0, 1)):
        name = _topic(node, night)
        process = subprocess.Popen(
            [*COMMAND, "--bootstrap", node.address, "--topic", name, "--alerts", "20", "--seconds", "40", "--max-delay", "20m", "--json"],
            cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            sequence = 0
            while process.poll() is None:  # until it has begun, what is sent lies there before
                send(node.address, name, [(packet(sequence + n, end=time.time() - ago), time.time()) for n in range(4)])
                sequence += 4
            found = json.loads(process.communicate()[0])
        finally:
            process.kill()
        assert process.returncode == wanted, found
        assert found["state"] == ("late" if wanted else "good")
        assert found["delay_seconds"]["total"]["p50"] == pytest.approx(ago, abs=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_with_the_report(node: Node, tmp_path: Path, number: signal.Signals) -> None:
    """An hour was asked for; what was read until then is told, by the usual exit code."""
    name = _topic(node, f"202605{11 + number}")
    send(node.address, name, [(packet(n, end=time.time()), time.time()) for n in range(6)])
    file = tmp_path / "out"
    with file.open("w") as out:
        process = subprocess.Popen(
            [*COMMAND, "--bootstrap", node.address, "--topic", name, "--from", "earliest", "--seconds", "1h"],
            cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        # Alerts are read while they come: it is stopped in the middle, when six of them are surely there for it.
        eventually(lambda: len(list((Path("/proc") / str(process.pid) / "task").iterdir())) >= 4)
        time.sleep(1.5)
        process.send_signal(number)
        assert process.wait(20) == 0, file.read_text()
    finally:
        process.kill()
    assert "alerts                     6," in file.read_text()


def test_metrics_for_the_textfile_collector_are_whole_and_valid(node: Node, tmp_path: Path) -> None:
    """Again and again until it is stopped; promtool takes the file, and a failing probe says so in it."""
    name = _topic(node, "20260512")
    send(node.address, name, [(packet(n, end=time.time()), time.time()) for n in range(5)])
    file = tmp_path / "zads_probe.prom"
    command = [*COMMAND, "--topic", name, "--from", "earliest", "--seconds", "2", "--quiet"]
    process = subprocess.Popen(
        [*command, "--bootstrap", node.address, "--textfile", str(file), "--once-per", "1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        eventually(lambda: file.exists() and "zads_probe_alerts_total 10.0" in file.read_text(), 40)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
    text = file.read_text()
    assert "zads_probe_success 1.0" in text
    assert 'zads_probe_delay_seconds{percentile="p95",stage="exposure"}' in text
    assert list(tmp_path.iterdir()) == [file]
    promtool = shutil.which("promtool")
    assert promtool
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    code, _ = probe("--bootstrap", "127.0.0.1:1", "--textfile", str(file), folder=tmp_path)
    assert code == 1
    assert "zads_probe_success 0.0" in file.read_text()
    assert 'zads_probe_state_info{state="tcp"} 1.0' in file.read_text()


def test_wrong_options_are_told_apart_from_a_stream_that_cannot_be_read(tmp_path: Path) -> None:
    """Exit code 2, with what to write instead; nothing is connected to."""
    for arguments, words in (
        ((), "name a broker with --bootstrap HOST:PORT"),
        (("--bootstrap", "somewhere"), 'write "host:port"'),
        (("--bootstrap", "h:1", "--from", "-10x"), "-10m"),
        (("--bootstrap", "h:1", "--night", "yesterday"), "YYYYMMDD"),
        (("--bootstrap", "h:1", "--topic", "("), "no regular expression"),
        (("--bootstrap", "h:1", "--community", "lasair"), "no such community"),
        (("--bootstrap", "h:1", "--once-per", "60"), "--textfile"),
        (("--bootstrap", "h:1", "--group", "g", "--from", "-10m"), "a group goes on where it was"),
        (("--config", "nowhere.toml"), "nowhere.toml: cannot be read"),
        (("--bootstrap", "h:1", "--security-config", "nowhere.toml"), "nowhere.toml: cannot be read"),
    ):
        code, text = probe(*arguments, folder=tmp_path)
        assert (code, words in text) == (2, True), (arguments, code, text)
    file = tmp_path / "login.toml"
    file.write_text('security_protocol = "SASL_SSL"\nsasl_mechanism = "ROT13"\n')
    code, text = probe("--bootstrap", "h:1", "--security-config", str(file), folder=tmp_path)
    assert code == 2
    assert f"{file}:2: kafka.public.sasl_mechanism" in text


def test_addresses_that_do_not_work_are_said_with_what_to_do(node: Node, tmp_path: Path) -> None:
    """A name that is none, a port where nothing listens, something that is no Kafka, an address behind an allowlist."""
    listener = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
    mute = f"127.0.0.1:{listener.getsockname()[1]}"
    for address, words in (
        ("no-such-host.invalid:9092", "cannot be resolved"),
        ("127.0.0.1:1", "refuses the connection"),
        (mute, "takes the connection and then says nothing"),
    ):
        code, text = probe("--bootstrap", address, "--seconds", "2", folder=tmp_path)
        assert (code, words in text) == (1, True), text
    listener.close()
    code, text = probe(
        "--bootstrap", f"127.0.0.1:1,{node.address}", "--night", "20260508", "--seconds", "2", folder=tmp_path
    )
    assert code == 0, text


def test_a_broker_address_that_does_not_work_from_here(tmp_path: Path) -> None:
    """The bootstrap address answers, the cluster's own name for the broker does not: the operator's advertised.listeners."""
    port, inner = free_pair(), free_pair()
    listeners = f"PLAINTEXT://127.0.0.1:{port},OUTER://127.0.0.1:{inner}"
    node = Node(
        tmp_path / "inner",
        port=port,
        extra=f"listeners={listeners},CONTROLLER://127.0.0.1:{port + 1}\n"
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{port},OUTER://127.0.0.1:1\n"
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OUTER:PLAINTEXT,CONTROLLER:PLAINTEXT\n",
    )
    try:
        node.start()
        _topic(node, "20260501", 1)
        code, text = probe("--bootstrap", f"127.0.0.1:{inner}", "--night", "20260501", "--seconds", "3", folder=tmp_path)
    finally:
        node.stop()
    assert code == 1
    assert "127.0.0.1:1" in text, text
    assert "advertised.listeners" in text


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, int]]:
    """A Kafka that lets in who logs in, to what they may read: (node, the port for logging in)."""
    port, login = free_pair(), free_pair()
    listeners = f"PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{login}"
    jaas = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_probe="right";'
    node = Node(
        tmp_path_factory.mktemp("guarded"),
        port=port,
        extra=f"listeners={listeners},CONTROLLER://127.0.0.1:{port + 1}\nadvertised.listeners={listeners}\n"
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT\n"
        "sasl.enabled.mechanisms=PLAIN\nauthorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
        f"super.users=User:ANONYMOUS\nlistener.name.sasl_plaintext.plain.sasl.jaas.config={jaas}\n",
    )
    try:
        node.start()
        admin = KafkaAdminClient(bootstrap_servers=node.address)
        for night, operation in (("20260601", ACLOperation.READ), ("20260602", ACLOperation.DESCRIBE), ("20260603", None)):
            name = _topic(node, night)
            send(node.address, name, [(packet(n, end=time.time()), time.time()) for n in range(9)])
            if operation is not None:
                pattern = ResourcePattern(ResourceType.TOPIC, name)
                admin.create_acls([ACL("User:probe", "*", operation, ACLPermissionType.ALLOW, pattern)])
        admin.close()
        yield node, login
    finally:
        node.stop()


def _login(folder: Path, password: str, mechanism: str = "PLAIN") -> str:
    (folder / "password").write_text(password)
    file = folder / "login.toml"
    file.write_text(
        f'security_protocol = "SASL_PLAINTEXT"\nsasl_mechanism = "{mechanism}"\nsasl_username = "probe"\n'
        f'sasl_password_file = "{folder}/password"\n'
    )
    return str(file)


def test_the_right_to_read_the_topic_is_all_it_needs(guarded: tuple[Node, int], tmp_path: Path) -> None:
    """No right on a group, none on the cluster; what it may not read, or join, it says, and whom to ask."""
    there = ("--bootstrap", f"127.0.0.1:{guarded[1]}", "--security-config", _login(tmp_path, "right"), "--from", "earliest")
    code, text = probe(*there, "--night", "20260601", "--alerts", "9", "--json", folder=tmp_path)
    assert code == 0, text
    assert json.loads(text)["alerts"] == 9
    for name in ("ztf_20260602_programid1", "ztf_20260603_programid1"):
        code, text = probe(*there, "--topic", name, "--seconds", "20", folder=tmp_path)
        assert code == 1
        assert f"{name} is there, and probe may not read it" in text, text
        assert "grant READ" in text
    code, text = probe(*there, "--night", "20260601", "--group", "g", "--seconds", "10", folder=tmp_path)
    assert code == 1
    assert "The group g is not ours" in text, text


def test_a_refused_log_in_is_said_without_the_password(guarded: tuple[Node, int], tmp_path: Path) -> None:
    """A wrong password, a log-in that the broker does not know, and a client that does not log in where it has to."""
    address = f"127.0.0.1:{guarded[1]}"
    for mechanism, words in (
        ("PLAIN", "refuses the log-in of probe by PLAIN"),
        ("SCRAM-SHA-256", "does not know the log-in SCRAM-SHA-256: it takes PLAIN"),
        (None, "If the listener wants a log-in"),
        ("PLAIN", "takes no log-in"),
    ):
        arguments = ("--security-config", _login(tmp_path, "a-wrong-one", mechanism)) if mechanism else ()
        where = guarded[0].address if words == "takes no log-in" else address
        code, text = probe("--bootstrap", where, *arguments, "--seconds", "2", folder=tmp_path)
        assert (code, words in text) == (1, True), text
        assert "a-wrong-one" not in text
        assert "Traceback" not in text


def test_sasl_over_tls(tmp_path: Path) -> None:
    """It reads; an authority that is not ours, a listener with TLS spoken to without it, and the reverse: each in words."""
    folder = tmp_path / "secured"
    folder.mkdir()
    secured = Secured(folder)
    try:
        (tmp_path / "password").write_text("plain secret")

        def login(protocol: str, authority: str) -> str:
            file = tmp_path / "tls.toml"
            sasl = f'sasl_mechanism = "PLAIN"\nsasl_username = "zads"\nsasl_password_file = "{tmp_path}/password"\n'
            trusted = f'ca_file = "{secured.folder}/{authority}.pem"\n' if protocol == "SASL_SSL" else ""
            file.write_text(f'security_protocol = "{protocol}"\n{trusted}{sasl}')
            return str(file)

        address = f"localhost:{secured.tls}"
        arguments = ("--topic", "secured", "--from", "earliest", "--alerts", "9", "--json", "--bootstrap")
        code, text = probe(*arguments, address, "--security-config", login("SASL_SSL", "broker"), folder=tmp_path)
        found = json.loads(text)
        assert (found["alerts"], found["undecodable"], found["state"]) == (9, {"not_avro": 9}, "undecodable"), text
        assert code == 1
        assert found["connect_seconds"]["tls"] > 0
        for where, protocol, authority, words in (
            (address, "SASL_SSL", "other", "is not trusted"),
            (f"127.0.0.1:{secured.node.port}", "SASL_SSL", "broker", 'set security_protocol = "SASL_PLAINTEXT"'),
            (address, "SASL_PLAINTEXT", "broker", 'set security_protocol = "SASL_SSL"'),
        ):
            code, text = probe(*arguments, where, "--security-config", login(protocol, authority), folder=tmp_path)
            assert (code, words in json.loads(text)["words"][0]) == (1, True), text
    finally:
        secured.node.stop()


def test_connecting_to_nothing_raises_what_to_say() -> None:
    """The step's name is the report's state."""
    with pytest.raises(ProbeError) as caught:
        connect(KafkaCluster(bootstrap=("127.0.0.1:1", "127.0.0.1:2")))
    assert caught.value.step == "tcp"
    assert "127.0.0.1:1" in str(caught.value)
    assert "127.0.0.1:2" in str(caught.value)
