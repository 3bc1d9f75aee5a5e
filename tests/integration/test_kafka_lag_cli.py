"""`zads export` as a process on a real Kafka: once, check, serve, reload, end."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.test_kafka_lag import Bench, wait
from zads.config import KafkaCluster

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


class Export:
    """A zads.toml of its own and the command."""

    def __init__(self, folder: Path, cluster: KafkaCluster) -> None:
        self.folder, self.file, self.port, self.all_port = folder, folder / "zads.toml", free_port(), free_port()
        self.bootstrap = cluster.bootstrap[0]
        self.write()

    def write(self, more: str = "", **exporters: object) -> None:
        settings: dict[str, object] = {
            "interval": '"500ms"',
            "kafka_lag_port": self.port,
            "all_port": self.all_port,
            "state_dir": f'"{self.folder}/state"',
            **exporters,
        }
        lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
        text = f'[kafka.public]\nbootstrap = ["{self.bootstrap}"]\n[exporters]\n{lines}\n{more}\n'
        self.file.write_text(text, encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "zads.cli", "--config", str(self.file), "export", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, check=False)

    @contextlib.contextmanager
    def serving(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        log = (self.folder / "log").open("w")
        process = subprocess.Popen(self.command(*arguments), stdout=log, stderr=subprocess.STDOUT, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)
            log.close()

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def get(self, path: str, port: int | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def value(self, name: str, port: int | None = None, **labels: str) -> float | None:
        for family in text_string_to_metric_families(self.get("/metrics", port)[1]):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return None


@pytest.fixture
def export(tmp_path: Path, cluster: KafkaCluster) -> Export:
    return Export(tmp_path, cluster)


@pytest.fixture(scope="module")
def bench(cluster: KafkaCluster) -> Bench:
    return Bench(cluster)


def test_once_prints_the_metrics_and_says_by_its_exit_code_whether_all_is_well(export: Export, bench: Bench) -> None:
    """For a look by hand and for scripts; standard output is metrics only."""
    bench.topic("once")
    bench.send("once", 4)
    bench.commit("once-group", "once", {0: 1})
    done = export.run("kafka-lag", "--once")
    assert done.returncode == 0, done.stderr
    samples = [s for family in text_string_to_metric_families(done.stdout) for s in family.samples]
    assert [s.value for s in samples if s.name == "kafka_consumergroup_lag_sum" and s.labels["topic"] == "once"] == [3]
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=done.stdout, capture_output=True, text=True, check=False
    )
    # kafka_exporter's names are what they are; what promtool calls an error of form would be another thing.
    assert checked.returncode in {0, 3}, checked.stderr
    assert "error while linting" not in checked.stderr
    export.bootstrap = f"127.0.0.1:{free_port()}"
    export.write()
    done = export.run("kafka-lag", "--once")
    assert done.returncode == 1
    assert f"kafka-lag: no broker of {export.bootstrap} answers: ConnectionRefusedError" in done.stderr
    assert 'zads_cluster_up{cluster="public"} 0.0' in done.stdout
    assert "Traceback" not in done.stderr


def test_a_look_at_all_by_hand_leaves_the_totals_of_the_running_exporters_alone(export: Export) -> None:
    """One page with what each sees; the files of the state folder stay as they are."""
    state = export.folder / "state"
    state.mkdir()
    for name in ("alert-arrival", "kafka-lag"):
        (state / f"{name}.json").write_text("{}", encoding="utf-8")
    done = export.run("all", "--once")
    for name in ("kafka-lag", "broker-egress", "alert-arrival", "services"):
        assert done.stdout.count(f'zads_collector_success{{collector="{name}"}}') == 1
    assert done.stdout.count("# TYPE zads_collector_success gauge") == 1
    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback" not in done.stderr
    assert "process_resident_memory_bytes" in done.stdout
    assert {file.name: file.read_text() for file in state.iterdir()} == {"alert-arrival.json": "{}", "kafka-lag.json": "{}"}


def test_check_looks_at_the_files_that_the_config_names(export: Export) -> None:
    """Before a start: every fault, by its key, and exit code 2; nothing is connected to."""
    done = export.run("kafka-lag", "--check")
    assert (done.returncode, done.stdout.strip()) == (0, f"{export.file} is right for kafka-lag")
    export.file.write_text(
        '[kafka.public]\nbootstrap = ["127.0.0.1:1"]\nsecurity_protocol = "SASL_SSL"\nsasl_mechanism = "PLAIN"\n'
        'sasl_username = "zads"\nsasl_password_file = "/nowhere/password"\nca_file = "/nowhere/ca.pem"\n',
        encoding="utf-8",
    )
    done = export.run("kafka-lag", "--check", "--web.config.file", "/nowhere/web.yml")
    assert done.returncode == 2
    for words in ("/nowhere/password", "/nowhere/ca.pem", "/nowhere/web.yml", "No such file"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_it_serves_becomes_ready_and_ends_with_0(export: Export) -> None:
    """SIGTERM and SIGINT are an orderly end, and quick."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with export.serving("kafka-lag") as process:
            wait(lambda: export.get("/-/ready")[0] == 200)
            assert export.get("/-/healthy")[0] == 200
            assert "sees 1 broker, " in export.get("/")[1]
            begin = time.monotonic()
            process.send_signal(number)
            assert process.wait(10) == 0
            assert time.monotonic() - begin < 5
            assert "Traceback" not in export.log()
            assert not list((export.folder / "state" / "pids").glob("*"))


def test_a_taken_port_is_said_with_the_key_to_change(export: Export) -> None:
    """In one line, exit code 1."""
    with socket.create_server(("127.0.0.1", export.port)):
        done = export.run("kafka-lag")
    assert done.returncode == 1
    assert f"127.0.0.1:{export.port} cannot be listened on: Address already in use" in done.stderr
    assert "exporters.kafka_lag_port" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_starts_before_kafka_does_and_ends_while_kafka_is_away(export: Export) -> None:
    """Not ready, healthy, and it says why; no error in the log but the one line."""
    export.bootstrap = f"127.0.0.1:{free_port()}"
    export.write()
    with export.serving("kafka-lag") as process:
        wait(lambda: export.get("/-/healthy")[0] == 200)
        wait(lambda: "no broker" in export.get("/-/ready")[1])
        assert export.get("/-/ready")[0] == 503
        assert export.value("zads_cluster_up", cluster="public") == 0
        time.sleep(2)
        process.terminate()
        assert process.wait(10) == 0
    assert export.log().count("WARNING") == 1, export.log()


def test_a_reload_keeps_counters_and_takes_what_is_new(export: Export, bench: Bench) -> None:
    """SIGHUP: another community, another port; a file that is wrong changes nothing and is said."""
    night = "ztf_20260501_programid1"
    bench.topic(night, 2)
    bench.send(night, 30)
    bench.commit("lasair", night, {0: 10})
    lasair = '[[community]]\nname = "lasair"\ngroups = ["lasair"]\n'
    export.write(lasair)
    with export.serving("kafka-lag") as process:
        wait(lambda: export.get("/-/ready")[0] == 200)
        bench.commit("lasair", night, {0: 25})
        wait(lambda: export.value("zads_community_delivered_alerts_total", community="lasair", night="20260501") == 15)
        since = export.value("zads_community_idle_seconds", community="lasair")
        export.write(lasair + '[[community]]\nname = "ampel"\ngroups = ["ampel"]\n')
        process.send_signal(signal.SIGHUP)
        wait(lambda: export.value("zads_community_lag_alerts", community="ampel", night="20260501") == 30)
        assert export.value("zads_community_delivered_alerts_total", community="lasair", night="20260501") == 15
        assert since is not None
        export.file.write_text("[kafka.public]\nbootstrap = 7\n", encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        wait(lambda: "is not taken, the former configuration stays" in export.log())
        assert export.get("/-/ready")[0] == 200
        other = free_port()
        export.write(lasair, kafka_lag_port=other)
        process.send_signal(signal.SIGHUP)
        wait(lambda: export.get("/-/ready", other)[0] == 200)
        assert export.get("/-/ready")[0] == 0
        assert export.value("zads_community_delivered_alerts_total", other, community="lasair", night="20260501") == 15
        with socket.create_server(("127.0.0.1", export.port)):
            export.write(lasair)
            process.send_signal(signal.SIGHUP)
            wait(lambda: "cannot be listened on" in export.log())
            wait(lambda: export.get("/-/ready", other)[0] == 200)
        process.terminate()
        assert process.wait(10) == 0
    assert "Traceback" not in export.log()


def test_counters_of_communities_go_on_over_a_kill_and_count_what_happened_meanwhile(export: Export, bench: Bench) -> None:
    """kill -9; meanwhile ten alerts are committed and a topic with forty unread ones is deleted. --once writes nothing."""
    stay, go = "ztf_20260601_programid1", "ztf_20260602_programid1"
    for night in (stay, go):
        bench.topic(night, 2)
        bench.send(night, 60)
    bench.commit("lasair", stay, {0: 10})
    bench.commit("lasair", go, {0: 20})
    export.write('[[community]]\nname = "lasair"\ngroups = ["lasair"]\n')
    file = export.folder / "state" / "kafka-lag.json"

    def counted(name: str, night: str | None = None) -> float | None:
        metric = f"zads_community_{name}_alerts_total"
        return export.value(metric, community="lasair", night=night) if night else export.value(metric, community="lasair")

    with export.serving("kafka-lag"):
        wait(lambda: counted("committed") == 0)
        bench.commit("lasair", stay, {0: 25})
        wait(lambda: counted("committed") == 15)
        wait(lambda: export.value("zads_community_lag_alerts", community="lasair", night="20260602") == 40)
    bench.commit("lasair", stay, {0: 35})
    bench.admin.delete_topics([go])
    before = file.read_bytes()
    done = export.run("kafka-lag", "--once")
    assert done.returncode == 0, done.stderr
    assert 'zads_community_committed_alerts_total{community="lasair",program="1"} 25.0' in done.stdout
    assert file.read_bytes() == before
    with export.serving("kafka-lag"):
        wait(lambda: counted("lost") == 40)
        assert counted("committed") == counted("delivered", "20260601") == 25
        assert export.value("zads_collector_errors_total", reason="StateDamaged") is None
    file.write_bytes(file.read_bytes()[:-20])
    with export.serving("kafka-lag"):
        wait(lambda: export.value("zads_collector_errors_total", reason="StateDamaged") == 1)
        wait(lambda: counted("lost") == 0)
    (aside,) = file.parent.glob("kafka-lag.json.damaged-*")
    assert aside.name in export.log()
    assert "totals of communities begin anew" in export.log()
    bench.admin.delete_topics([stay])


def test_all_in_one_process_a_path_each(export: Export, bench: Bench) -> None:
    """One port; /metrics is all together; under 150 MB; SIGTERM ends all."""
    export.write('[[community]]\nname = "lasair"\ngroups = ["lasair"]\nnetworks = ["192.0.2.0/24"]\n')
    assert export.run("all", "--check").returncode == 0
    with export.serving("all") as process:
        names = ("kafka-lag", "broker-egress", "alert-arrival", "services")
        for name in names:
            wait(
                lambda name=name: (
                    f'zads_collector_success{{collector="{name}"}} 1.0' in export.get(f"/{name}/metrics", export.all_port)[1]
                ),
                40,
            )
        together = export.get("/metrics", export.all_port)[1]
        assert all(f'zads_collector_success{{collector="{name}"}} 1.0' in together for name in names)
        memory = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        assert memory < 150e6
        process.terminate()
        assert process.wait(15) == 0
    assert "Traceback" not in export.log(), export.log()
