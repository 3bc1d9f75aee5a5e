"""The site in zads.toml: place, stream, Kafka, communities, hosts, services, thresholds.

Each key's description says what it means and in which unit; error messages and docs/config.md repeat it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from zads.config_secrets import secret
from zads.config_types import (
    Address,
    Bytes,
    BytesPerSecond,
    Degrees,
    File,
    Filled,
    Flag,
    HostName,
    Int,
    Metres,
    Name,
    Network,
    Number,
    Probe,
    Regex,
    Seconds,
    Severity,
    Text,
    Variable,
    known_zone,
)

Program = Annotated[Int, Field(ge=0, le=9)]


class Model(BaseModel):
    """A table of zads.toml: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Site(Model):
    """The telescope's place, from which night and day are computed."""

    name: Filled = Field("ZADS", description="what messages and the wall call this site")
    latitude: Degrees = Field(33.3573, ge=-90, le=90, description="degrees north of the equator")
    longitude: Degrees = Field(-116.8599, ge=-180, le=180, description="degrees east of Greenwich")
    elevation: Metres = Field(1707.0, ge=-500, le=9000, description="metres above the sea")
    sun_limit: Degrees = Field(-12.0, ge=-90, le=10, description="the Sun's altitude in degrees under which it is night")
    timezone: Annotated[Text, AfterValidator(known_zone)] = Field(
        "America/Los_Angeles", description="the site's time zone, for local times and for who is on call"
    )
    stack: Flag = Field(
        False, description="true on the local stack: what messages tell to do first names its commands, not systemd's"
    )


class Stream(Model):
    """What an alert topic looks like and how fast alerts should be."""

    topic_pattern: Regex = Field(
        r"^ztf_(?P<night>\d{8})_programid(?P<program>\d)$",
        description="regular expression of alert topics' names, with the named groups night and program",
    )
    public_programs: tuple[Program, ...] = Field(
        (1,), description="numbers of the programs that the public cluster may hold"
    )
    restricted_programs: tuple[Program, ...] = Field(
        (2, 3), description="numbers of the programs that must never reach the public cluster"
    )
    packet_bytes: Bytes = Field(70_000, gt=0, description="expected size of an alert packet in bytes")
    partitions: Int = Field(16, gt=0, le=100_000, description="partitions of an alert topic")
    retention: Seconds = Field(604800.0, description="how long Kafka keeps alerts: what is not read by then is lost")
    latency_objective: Seconds = Field(
        1200.0, description="time from exposure to community that 95 % of the alerts should keep"
    )

    @field_validator("topic_pattern")
    @classmethod
    def _named_groups(cls, value: str) -> str:
        missing = {"night", "program"} - set(re.compile(value).groupindex)
        if missing:
            raise ValueError(f"lacks the named group {' and '.join(sorted(missing))}: (?P<night>...)")
        return value

    @property
    def topic_regex(self) -> re.Pattern[str]:
        """The compiled topic pattern; use fullmatch."""
        return re.compile(self.topic_pattern)


class KafkaCluster(Model):
    """How to reach one Kafka cluster: `upstream` is IPAC's (may be missing), `public` the one that communities read."""

    bootstrap: tuple[Address, ...] = Field(
        min_length=1, description="addresses of brokers to begin with", examples=[["127.0.0.1:9092"]]
    )
    jmx: Address | None = Field(
        None, description="where Kafka's JMX agent serves metrics; without it none are scraped", examples=["127.0.0.1:7071"]
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how the brokers are spoken to: SSL encrypts, SASL logs in"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"] | None = Field(
        None, description="how to log in, with security_protocol SASL_*", examples=["SCRAM-SHA-512"]
    )
    sasl_username: Filled | None = Field(None, description="the monitor's user name in Kafka", examples=["zads-monitor"])
    sasl_password_file: File | None = Field(
        None, description="file that holds the user's password", examples=["/etc/zads/secrets/kafka_password"]
    )
    sasl_password_env: Variable | None = Field(
        None, description="environment variable that holds the user's password", examples=["ZADS_KAFKA_PASSWORD"]
    )
    ca_file: File | None = Field(
        None, description="certificates (PEM) that the brokers' are checked against", examples=["/etc/zads/ca.pem"]
    )
    cert_file: File | None = Field(
        None, description="the monitor's own certificate (PEM)", examples=["/etc/zads/monitor.pem"]
    )
    key_file: File | None = Field(
        None, description="the private key (PEM) of the own certificate", examples=["/etc/zads/secrets/monitor.key"]
    )

    def sasl_password(self) -> str:
        """Return the password.

        Raises SecretError when it cannot be had.
        """
        return secret("sasl_password", self.sasl_password_file, self.sasl_password_env)

    @property
    def has_sasl_password(self) -> bool:
        """Whether a password is named."""
        return bool(self.sasl_password_file or self.sasl_password_env)


class Mirror(Model):
    """MirrorMaker 2, which copies alerts from upstream to public."""

    jmx: Address | None = Field(
        None,
        description="where MirrorMaker's JMX agent serves metrics; without it none are scraped",
        examples=["127.0.0.1:7072"],
    )
    source_alias: Filled = Field("ipac", description="MirrorMaker's alias of the upstream cluster")
    target_alias: Filled = Field("zads", description="MirrorMaker's alias of the public cluster")


class Internal(Model):
    """Networks that are ours (MirrorMaker, exporters): what they read is no community's."""

    networks: tuple[Network, ...] = Field(("127.0.0.1/32", "::1/128"), description="our own IP networks")


class Community(Model):
    """One community broker: who it is, how it is recognised, what it was promised."""

    name: Name = Field(description="short name, a label of its metrics", examples=["lasair"])
    label: Text = Field(
        "", description="what messages call it; when empty as the known ones write themselves", examples=["Lasair"]
    )
    contact: Text = Field("", description="whom to tell when it is behind", examples=["lasair@example.org"])
    groups: tuple[Regex, ...] = Field(
        (), description="its consumer groups: whole names, as regular expressions", examples=[["lasair", "lasair-.*"]]
    )
    networks: tuple[Network, ...] = Field(
        (), description="IP networks that its consumers connect from", examples=[["192.0.2.0/24"]]
    )
    contracted_bytes_per_second: BytesPerSecond = Field(
        1_000_000, gt=0, description="bytes per second that it was promised and promised to take"
    )
    burst_factor: Number = Field(5.0, ge=1, description="how many times the contracted rate it may take for a while")
    commits: Flag = Field(
        True,
        description="whether it commits offsets; false for readers whose lag Kafka does not know (Spark, manual assignment)",
    )
    commit_batch: Int = Field(
        1, ge=1, description="alerts that it takes before it commits: so many may be uncommitted and fine"
    )


class Contact(Model):
    """Somebody beside the communities and who is on call: `zads contacts` prints them, the runbook says when to call them."""

    role: Filled = Field(description="who this is, as the runbook says it", examples=["lead of operations"])
    name: Text = Field("", description="the person's name", examples=["A. Person"])
    reach: Filled = Field(description="how to reach them at night", examples=["+1 206 555 0100, lead@example.org"])


class Host(Model):
    """A machine that is watched."""

    name: Name = Field(description="short name, a label of its metrics", examples=["zads"])
    address: HostName = Field(description="its IP address or name", examples=["127.0.0.1"])
    probe: Address = Field(description="TCP address that answers while the machine lives", examples=["127.0.0.1:22"])


class Service(Model):
    """A service on one of the hosts."""

    name: Name = Field(description="short name, a label of its metrics", examples=["kafka-public"])
    host: Name = Field(description="name of the [[host]] that it runs on", examples=["zads"])
    role: Literal["kafka", "mirror", "zookeeper", "http", "tcp"] = Field("tcp", description="what it is")
    label: Text = Field("", description="what messages call it; its name when empty", examples=["Kafka"])
    probe: Probe = Field(
        description="where its protocol is tried: kafka://, zookeeper://, http://, https://, tcp:// or tls://",
        examples=["kafka://127.0.0.1:9092"],
    )
    process: Regex = Field(
        "",
        description="regular expression of its command line; empty for a service on another machine",
        examples=[r"kafka\.Kafka"],
    )
    unit: Filled | None = Field(None, description="its systemd unit", examples=["kafka.service"])
    severity: Severity | None = Field(
        None,
        description="what its end is: page wakes somebody, ticket waits for the day, info is noted; when not given,"
        " page for the public Kafka and MirrorMaker, ticket for everything else, IPAC's Kafka too: it is not ours to start",
        examples=["ticket"],
    )


class Thresholds(Model):
    """What alert rules compare with; each becomes a series `zads:threshold_NAME`."""

    service_recovering: Seconds = Field(300.0, description="a service that was restarted may recover for so long")
    restarts_per_hour: Int = Field(3, ge=0, description="restarts of a service within an hour that are too many")
    community_lag: Seconds = Field(1800.0, description="age of a community's next unread alert that is too old")
    mirror_lag: Seconds = Field(120.0, description="age of the oldest alert that was not passed on")
    arrival_stalled: Seconds = Field(120.0, description="time without any alert while upstream has some")
    latency_mirror: Seconds = Field(120.0, description="time from upstream to public that is too long")
    late_for: Seconds = Field(
        900.0, description="how long within an hour alerts may come from IPAC later than stream.latency_objective"
    )
    will_lose_alerts: Seconds = Field(43200.0, description="time to retention's end at which unread alerts are in danger")
    community_stalled: Seconds = Field(
        900.0, description="time without a commit, while alerts wait, after which a reader stands"
    )
    below_contract: Seconds = Field(
        600.0, description="age of its next unread alert from which a community has to take the rate of its contract"
    )
    egress_capacity: BytesPerSecond = Field(
        125_000_000, gt=0, description="bytes per second that the network of Kafka's host carries; 1 Gbit/s when not given"
    )
    egress_near_capacity: Number = Field(0.8, gt=0, le=1, description="share of egress_capacity that is too near to it")
    alert_rate_low: Number = Field(
        0.1, ge=0, le=1, description="share of the usual hour's alerts (median of 14 days) under which a dark hour is noted"
    )
    disk_fills_page: Seconds = Field(14400.0, description="time to a full disk that wakes somebody")
    disk_fills_ticket: Seconds = Field(86400.0, description="time to a full disk that can wait for the day")
    inodes_low: Number = Field(0.05, ge=0, le=1, description="share of a disk's inodes that has to be free")
    memory_low: Number = Field(0.05, ge=0, le=1, description="share of a host's memory that has to be available")
    cpu_saturated: Number = Field(
        0.95, ge=0, le=1, description="share of a host's processors that may be busy over 15 minutes; 1 is never too much"
    )
    clock_skew: Seconds = Field(1.0, description="how far a host's clock may be off: delays are measured with it")
    network_errors: Number = Field(0.01, ge=0, le=1, description="share of an interface's packets that may be damaged")
    open_files: Number = Field(0.8, ge=0, le=1, description="share of its limit of open files that a service may use")
    certificate_expires: Seconds = Field(1_209_600.0, description="time to the end of a listener's certificate")
    backup_too_old: Seconds = Field(129_600.0, description="age of the last good backup; only where one is reported")
    updates_overdue: Seconds = Field(
        1_209_600.0, description="how long security updates or a reboot may wait; only where they are reported"
    )
    collector_stale: Seconds = Field(120.0, description="age of what an exporter shows, while it says that all is well")
    notifications_stuck: Seconds = Field(300.0, description="age of the oldest message that a channel has not taken")


class Slo(Model):
    """The promise to the communities."""

    objective: Number = Field(0.99, gt=0, lt=1, description="share of a quarter's night minutes that have to be good")
