"""SASL and TLS on a real Kafka: certificates by keytool, passwords by PLAIN and SCRAM; refusals, and how they end."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from exporters.kafka_lag.collector import build
from tests.integration.conftest import Node, free_pair
from tests.integration.test_kafka_lag_faults import eventually, lags, samples
from zads import kafka
from zads.collector import CollectorLoop
from zads.config import Config, KafkaCluster, parse

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


class Secured:
    """A Kafka with a SASL_SSL, a SASL_PLAINTEXT and a mutual-TLS listener beside the plain one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._certificates()
        self.tls, self.plain, self.mutual = free_pair(), free_pair(), free_pair()
        port = free_pair()
        listeners = (
            f"PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{self.tls},"
            f"SASL_PLAINTEXT://127.0.0.1:{self.plain},SSL://127.0.0.1:{self.mutual}"
        )
        login = "org.apache.kafka.common.security"
        users = 'user_zads="plain secret"'
        extra = f"""listeners={listeners},CONTROLLER://127.0.0.1:{port + 1}
advertised.listeners={listeners.replace("127.0.0.1", "localhost")}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL
ssl.keystore.type=PKCS12
ssl.keystore.location={folder}/broker.p12
ssl.keystore.password=changeit
ssl.truststore.type=PKCS12
ssl.truststore.location={folder}/trust.p12
ssl.truststore.password=changeit
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
"""
        for listener in ("sasl_ssl", "sasl_plaintext"):
            extra += f"listener.name.{listener}.plain.sasl.jaas.config={login}.plain.PlainLoginModule required {users};\n"
            extra += f"listener.name.{listener}.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;\n"
        self.node = Node(folder / "node", port=port, extra=extra, scram="SCRAM-SHA-512=[name=zads,password=scram-secret]")
        self.node.start()
        self._fill()

    def _certificates(self) -> None:
        """A broker's key and the monitor's, each trusted by the other side."""
        store = "-storetype PKCS12 -storepass changeit -noprompt"
        for command in (
            f"keytool -genkeypair -alias broker -keyalg RSA -validity 2 -dname CN=localhost -ext SAN=dns:localhost,ip:127.0.0.1 "
            f"-keystore broker.p12 {store}",
            f"keytool -exportcert -rfc -alias broker -file broker.pem -keystore broker.p12 {store}",
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout monitor.key -out monitor.pem -days 2 -subj /CN=zads-monitor",
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 2 -subj /CN=somebody",
            f"keytool -importcert -alias monitor -file monitor.pem -keystore trust.p12 {store}",
        ):
            done = subprocess.run(command.split(), cwd=self.folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr

    def _fill(self) -> None:
        kafka.create_topics(KafkaCluster(bootstrap=(self.node.address,)), {"secured": 1}, client_id="test")
        producer = KafkaProducer(bootstrap_servers=self.node.address)
        for _ in range(9):
            producer.send("secured", b"x")
        producer.flush(20)
        producer.close()
        consumer = KafkaConsumer(bootstrap_servers=self.node.address, group_id="g", enable_auto_commit=False)
        consumer.commit({TopicPartition("secured", 0): OffsetAndMetadata(2, "", -1)})
        consumer.close()

    def config(self, port: int, protocol: str, **settings: object) -> Config:
        lines = "".join(f'{key} = "{value}"\n' for key, value in settings.items())
        return parse(
            f'[kafka.public]\nbootstrap = ["localhost:{port}"]\nsecurity_protocol = "{protocol}"\n{lines}'
            f'[exporters]\ninterval = "300ms"\nstate_dir = "{self.folder}/state"\n'
        )

    def secret(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text + "\n", encoding="utf-8")
        return file


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    made = Secured(tmp_path_factory.mktemp("secured"))
    try:
        yield made
    finally:
        made.node.stop()


@pytest.mark.parametrize(("mechanism", "password"), [("PLAIN", "plain secret"), ("SCRAM-SHA-512", "scram-secret")])
@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_lag_over_sasl(secured: Secured, protocol: str, mechanism: str, password: str) -> None:
    """With a user and a password from a file, encrypted or not."""
    settings: dict[str, object] = {
        "sasl_mechanism": mechanism,
        "sasl_username": "zads",
        "sasl_password_file": secured.secret("password", password),
    }
    if protocol == "SASL_SSL":
        settings["ca_file"] = secured.folder / "broker.pem"
    config = secured.config(secured.tls if protocol == "SASL_SSL" else secured.plain, protocol, **settings)
    assert not kafka.faults(config.kafka["public"])
    loop = CollectorLoop(build(config), 0.3)
    snapshot = loop.once()
    assert snapshot.ok, snapshot.words
    assert lags(snapshot) == {("g", "secured"): 7.0}
    loop.stop()


def test_lag_over_mutual_tls(secured: Secured) -> None:
    """The broker asks for our certificate; a stranger's does not get in."""

    def config(name: str) -> Config:
        return secured.config(
            secured.mutual,
            "SSL",
            ca_file=secured.folder / "broker.pem",
            cert_file=secured.folder / f"{name}.pem",
            key_file=secured.folder / f"{name}.key",
        )

    loop = CollectorLoop(build(config("monitor")), 0.3)
    assert lags(loop.once()) == {("g", "secured"): 7.0}
    loop.stop()
    loop = CollectorLoop(build(config("other")), 0.3)
    assert not loop.once().ok
    assert samples(loop.snapshot(), "zads_cluster_up", "cluster") == {("public",): 0.0}
    loop.stop()


def test_a_broker_that_nobody_vouches_for_is_not_believed(secured: Secured) -> None:
    """Another authority: the reason is the certificate."""
    config = secured.config(
        secured.tls,
        "SASL_SSL",
        ca_file=secured.folder / "other.pem",
        sasl_mechanism="PLAIN",
        sasl_username="zads",
        sasl_password_file=secured.secret("password", "plain secret"),
    )
    loop = CollectorLoop(build(config), 0.3)
    snapshot = loop.once()
    assert not snapshot.ok
    assert "SSLCertVerificationError" in snapshot.words
    assert samples(snapshot, "zads_collector_errors_total", "reason")[("SSLCertVerificationError",)] == 1
    loop.stop()


def test_a_wrong_password_is_tried_ever_more_seldom_and_a_right_one_taken_without_a_restart(
    secured: Secured, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker answers, so it is up; the refusal is counted by its reason; no secret stands anywhere."""
    file = secured.secret("changing", "wrong-secret")
    config = secured.config(
        secured.tls,
        "SASL_SSL",
        ca_file=secured.folder / "broker.pem",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="zads",
        sasl_password_file=file,
    )
    clock = [1000.0]
    collector = build(config)
    collector._backoff._monotonic = lambda: clock[0]
    loop = CollectorLoop(collector, 0.3)

    def refused() -> float:
        found = samples(loop.once(), "zads_collector_errors_total", "reason")
        return sum(count for (reason,), count in found.items() if "Authentication" in reason)

    with caplog.at_level(logging.DEBUG, logger="zads"):
        assert refused() == 1, loop.snapshot().words
        assert not loop.snapshot().ok
        assert samples(loop.snapshot(), "zads_cluster_up", "cluster") == {("public",): 1.0}
        assert refused() == 1, "0.3 s have not passed on the clock"
        assert "next try in" in loop.snapshot().words
        for number, wait in enumerate((0.4, 0.7, 1.3, 2.5), start=2):
            clock[0] += wait
            assert refused() == number
        secured.secret("changing", "scram-secret")
        clock[0] += 61
        eventually(lambda: lags(loop.once()) == {("g", "secured"): 7.0}, 20)
        assert samples(loop.snapshot(), "zads_collector_success", "collector") == {("kafka-lag",): 1.0}
    assert "wrong-secret" not in caplog.text
    assert "wrong-secret" not in loop.snapshot().body.decode()
    loop.stop()


def test_refusals_are_told_before_the_start(secured: Secured) -> None:
    """What `--check` finds: each fault by its key."""
    config = secured.config(
        secured.tls,
        "SASL_SSL",
        ca_file=secured.folder / "nowhere.pem",
        cert_file=secured.folder / "monitor.pem",
        key_file=secured.folder / "nowhere.key",
        sasl_mechanism="PLAIN",
        sasl_username="zads",
        sasl_password_file=secured.folder / "nowhere",
    )
    assert {key for key, _ in kafka.faults(config.kafka["public"])} == {"sasl_password_file", "ca_file", "key_file"}
    config = secured.config(
        secured.mutual,
        "SSL",
        ca_file=secured.folder / "broker.pem",
        cert_file=secured.folder / "monitor.pem",
        key_file=secured.folder / "other.key",
    )
    assert len(kafka.faults(config.kafka["public"])) == 1
