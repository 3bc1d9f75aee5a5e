"""docker-compose.yml and the Dockerfile beside the facts that they repeat."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from zads.config import load
from zads.stack import container_files, containers
from zads.stack.containers import Layout

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CONFIG = load(ROOT / "zads.toml")
ONE_SHOT = {"init"}


def _port(text: str) -> int:
    return int(text.rsplit(":", 1)[1])


def test_ports_are_those_of_the_one_config() -> None:
    """What the file publishes, and where the containers listen, are the ports of the example zads.toml."""
    wanted = {
        "prometheus": CONFIG.prometheus.address,
        "alertmanager": CONFIG.alertmanager.address,
        "notifier": CONFIG.notifier.listen,
        "wall": CONFIG.wall.listen,
        "node-exporter": CONFIG.prometheus.node_exporter or "",
    }
    assert {name: _port(address) for name, address in wanted.items()} == containers.PORTS
    assert CONFIG.exporters.all_port == containers.ALL_PORT
    for name in ("notifier", "wall"):
        assert SERVICES[name]["ports"][0].endswith(f":-{containers.PORTS[name]}}}:{containers.PORTS[name]}")


def test_health_checks_ask_where_the_config_says() -> None:
    """Every port in a health check is one that zads.toml gives that program."""
    exporters = CONFIG.exporters
    wanted = {
        "kafka-public": _port(CONFIG.kafka["public"].bootstrap[0]),
        "kafka-upstream": _port(CONFIG.kafka["upstream"].bootstrap[0]),
        "mirrormaker": _port(CONFIG.mirror.jmx or ""),
        "kafka-lag": exporters.kafka_lag_port,
        "broker-egress": exporters.broker_egress_port,
        "alert-arrival": exporters.alert_arrival_port,
        "services": exporters.services_port,
        "exporters": containers.ALL_PORT,
        **containers.PORTS,
    }
    for name, port in wanted.items():
        assert str(port) in " ".join(SERVICES[name]["healthcheck"]["test"]), name


def test_ports_are_published_on_loopback_only() -> None:
    """Only Grafana, the notifier, the wall and the stand-ins' inbox face the user, each on 127.0.0.1."""
    published = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert set(published) == {"grafana", "notifier", "wall", "inbox"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_every_container_is_contained() -> None:
    """No capability, no new privileges, a read-only root, an end to memory, processes and log; restarted when it ends."""
    for name, one in SERVICES.items():
        assert one["read_only"] is True and one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["mem_limit"] and one["pids_limit"] and one["logging"]["options"]["max-size"], name
        assert one["restart"] == ("no" if name in ONE_SHOT else "unless-stopped"), name
        assert "healthcheck" in one or name in {*ONE_SHOT, "kafka-host"}, name
        assert one.get("user", "1000") not in ("0", "root", "0:0"), name


def test_images_are_pinned_in_one_place() -> None:
    """Every official image stands once, by tag and digest; Kafka's is the version that `make up` runs."""
    images = COMPOSE["x-images"]
    for name, image in images.items():
        if name != "ours":
            assert re.search(r":-docker\.io/\S+:v?\d+\.\d+\.\d+@sha256:[0-9a-f]{64}}", image), name
    assert {one["image"] for one in SERVICES.values()} == set(images.values())
    kafka = re.search(r"<kafka\.version>(.*)</kafka", (ROOT / "zads/stack/pom.xml").read_text(encoding="utf-8"))
    assert kafka and f"apache/kafka:{kafka[1]}@" in images["kafka"]


def test_communities_stand_alone_on_their_network() -> None:
    """Each community of zads.toml has a container, on the internal network alone, at the address it is known by."""
    config = container_files.parse(containers.derive((ROOT / "zads.toml").read_text(encoding="utf-8"), Layout()))
    assert COMPOSE["networks"]["communities"]["internal"] is True
    for community in config.communities:
        networks = SERVICES[f"community-{community.name}"]["networks"]
        address = networks["communities"]["ipv4_address"].replace("${ZADS_SUBNET:-10.213}", Layout().subnet)
        assert list(networks) == ["communities"] and [str(one) for one in community.networks] == [f"{address}/32"]
    on_it = {name for name, one in SERVICES.items() if "communities" in (one.get("networks") or ())}
    assert on_it == {"kafka-host", *(f"community-{one.name}" for one in config.communities)}


def test_kafka_and_its_exporters_share_the_holders_network() -> None:
    """A Kafka that is started again leaves nobody in a network that is gone: the holder owns it."""
    for name in ("kafka-public", "kafka-lag", "broker-egress", "alert-arrival", "services", "node-exporter-night"):
        assert SERVICES[name]["network_mode"] == "service:kafka-host"
    for name in ("kafka-public", "kafka-upstream", "mirrormaker", "services"):
        assert SERVICES[name]["pid"] == "service:kafka-host"


def test_memory_limits_hold_what_java_asks_for() -> None:
    """The container of a Java program may use what its command line may take."""
    config = container_files.parse(containers.derive((ROOT / "zads.toml").read_text(encoding="utf-8"), Layout()))
    for name, words in container_files.java_arguments(config).items():
        if not name.endswith(".format"):
            limit = re.search(r"(\d+)m", SERVICES[name]["mem_limit"])
            assert limit and int(limit[1]) * 1.048 > container_files.memory_needed(words), name


def test_the_monitor_alone_needs_no_part_of_the_night() -> None:
    """Whatever a container of the profile `monitor` waits for is in that profile."""
    for name, one in SERVICES.items():
        for other in one.get("depends_on", {}):
            assert set(one["profiles"]) <= set(SERVICES[other]["profiles"]), f"{name} waits for {other}"


def test_the_default_is_the_whole_night() -> None:
    """A fresh clone starts the night: .env says so, and nothing in it is a secret."""
    text = (ROOT / ".env").read_text(encoding="utf-8")
    assert "COMPOSE_PROFILES=night" in text.splitlines()
    assert not re.search(r"(?i)password|token|secret", text)


def test_every_service_has_its_stand_in() -> None:
    """The file that the tests lay over this one knows every service but Grafana, and changes no command, mount or port."""
    text = (ROOT / "tests/compose/docker-compose.local.yml").read_text(encoding="utf-8").replace("!reset", "")
    local = yaml.safe_load(text)["services"]
    assert set(local) == set(SERVICES) - {"grafana"}
    assert {key for one in local.values() for key in one} <= {"build", "image", "pid", "depends_on"}


@pytest.mark.parametrize("name", ["answers.sh", "kafka.sh", "when.sh"])
def test_scripts_are_right(name: str) -> None:
    """The containers' scripts are sound bash."""
    done = subprocess.run(["bash", "-n", ROOT / "deploy/compose" / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_dockerfile_pins_nothing_twice() -> None:
    """Bases are build arguments, the last stage installs nothing, and the user is not root."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    last = text[text.rindex("FROM ") :]
    assert last.startswith("FROM ${PYTHON}") and "RUN" not in last and "USER 10001:10001" in last
    assert not re.search(r"\d+\.\d+\.\d+", text.replace("maven:3.9.11", ""))
