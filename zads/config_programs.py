"""The programs in zads.toml: exporters, Prometheus, Alertmanager, notifier, wall, and the files rendered for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from zads.config_models import Model
from zads.config_scrape import Scrape
from zads.config_types import (
    Address,
    BytesPerSecond,
    File,
    Flag,
    HostName,
    Int,
    Port,
    Regex,
    Retention,
    Seconds,
    Size,
)

# Prometheus forgets a series that it has not seen for five minutes.
Pace = Annotated[Seconds, Field(ge=0.1, le=300)]


class KafkaLag(Model):
    """What kafka-lag shows; the groups and topics of communities are always read, whatever is shown."""

    topics: tuple[Regex, ...] = Field((".*",), description="topics to show: whole names, as regular expressions")
    topics_exclude: tuple[Regex, ...] = Field(("__.*",), description="of these, topics not to show")
    groups: tuple[Regex, ...] = Field((".*",), description="consumer groups to show: whole names, as regular expressions")
    groups_exclude: tuple[Regex, ...] = Field(
        (), description="of these, groups not to show", examples=[["console-consumer-.*"]]
    )
    per_partition: Flag = Field(True, description="whether each partition has its own series of lag and offset")
    seconds_per_partition: Flag = Field(False, description="whether each partition has its own series of lag in seconds")
    read_committed: Flag = Field(
        False, description="whether a log's end is its last stable offset, as for transactional readers"
    )


class Exporters(Model):
    """Where the exporters listen, how often they look, what they keep."""

    listen: HostName = Field("127.0.0.1", description="address that they listen on, without port")
    one_process: Flag = Field(
        False, description="whether they run as one process, `zads export all`, which Prometheus then scrapes at all_port"
    )
    web_config_file: File | None = Field(
        None,
        description="TLS and passwords for what they serve: a file as --web.config.file of Prometheus' own programs takes it",
        examples=["/etc/zads/web.yml"],
    )
    interval: Pace = Field(5.0, description="time between two collections")
    max_series: Int = Field(500_000, gt=0, description="most series of one exporter; what is over it is dropped and counted")
    kafka_lag_port: Port = Field(9308, description="TCP port of kafka-lag")
    broker_egress_port: Port = Field(9309, description="TCP port of broker-egress")
    alert_arrival_port: Port = Field(9310, description="TCP port of alert-arrival")
    services_port: Port = Field(9311, description="TCP port of services")
    all_port: Port = Field(
        9312, description="TCP port of `zads export all`, all of them in one process: /NAME/metrics each, /metrics together"
    )
    state_dir: File = Field(
        Path("/var/lib/zads"),
        description="folder for what has to survive a restart: totals, the record of the last apply, ids of our processes",
    )
    decode_bytes_per_second: BytesPerSecond = Field(
        4_000_000, gt=0, description="bytes of alert packets that alert-arrival decodes per second at most"
    )
    community_ports: tuple[Port, ...] = Field(
        (),
        description="TCP ports, on Kafka's host, of the listeners that communities read from, for broker-egress; when empty "
        "those of kafka.public.bootstrap and those that the brokers advertise to the monitor: name them where the monitor "
        "uses another listener than the communities",
        examples=[[9092, 9093]],
    )
    kafka_lag: KafkaLag = KafkaLag()
    scrape: Scrape = Scrape()


class Prometheus(Model):
    """Prometheus: its address, its pace, how long it keeps."""

    address: Address = Field("127.0.0.1:9090", description="where it listens")
    scrape_interval: Pace = Field(10.0, description="time between two scrapes")
    evaluation_interval: Pace = Field(5.0, description="time between two evaluations of the rules")
    retention: Retention = Field("400d", description="how long samples are kept")
    retention_size: Size = Field("20GB", description="how much disk samples take at most; 0B for no limit")
    node_exporter: Address | None = Field("127.0.0.1:9100", description="where the host's node_exporter listens")


class Alertmanager(Model):
    """Alertmanager, which hands alerts to the notifier."""

    address: Address = Field("127.0.0.1:9093", description="where it listens")


class Wall(Model):
    """The wall page, for machines without Grafana."""

    listen: Address = Field("127.0.0.1:8080", description="where it listens")


class Rendered(Model):
    """The files that `zads config apply` writes for other programs, and what they are made from."""

    directory: File = Field(
        Path("/etc/zads/rendered"),
        description="folder of the rendered files: Prometheus and Alertmanager read theirs there, our programs its zads.toml",
    )
    rules: File = Field(Path("alertrules"), description="folder of the alert rules (*.rules.yml)")

    @property
    def site(self) -> Path:
        """The applied copy of zads.toml: what our own programs read."""
        return self.directory / "zads.toml"
