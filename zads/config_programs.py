"""The programs in zads.toml: exporters, Prometheus, Alertmanager, notifier, wall, and the files rendered for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from zads.config_models import Model
from zads.config_secrets import secret
from zads.config_types import (
    Address,
    BytesPerSecond,
    Channel,
    File,
    Filled,
    Flag,
    HostName,
    Int,
    Mail,
    Port,
    Regex,
    Retention,
    Seconds,
    Severity,
    Size,
    Url,
    Variable,
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
    interval: Pace = Field(5.0, description="time between two collections")
    max_series: Int = Field(500_000, gt=0, description="most series of one exporter; what is over it is dropped and counted")
    kafka_lag_port: Port = Field(9308, description="TCP port of kafka-lag")
    broker_egress_port: Port = Field(9309, description="TCP port of broker-egress")
    alert_arrival_port: Port = Field(9310, description="TCP port of alert-arrival")
    services_port: Port = Field(9311, description="TCP port of services")
    all_port: Port = Field(9312, description="TCP port of `zads export all`, all of them in one process")
    state_dir: File = Field(
        Path("/var/lib/zads"),
        description="folder for what has to survive a restart: totals, the record of the last apply, ids of our processes",
    )
    decode_bytes_per_second: BytesPerSecond = Field(
        4_000_000, gt=0, description="bytes of alert packets that alert-arrival decodes per second at most"
    )
    kafka_lag: KafkaLag = KafkaLag()


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


class Email(Model):
    """E-mail, one transaction per recipient; without this table none is sent."""

    smarthost: Address = Field(description="SMTP server that takes our mail", examples=["smtp.example.org:587"])
    sender: Mail = Field(description="address that mail comes from", examples=["zads-monitor@example.org"])
    to: tuple[Mail, ...] = Field(min_length=1, description="addresses that get mail", examples=[["oncall@example.org"]])
    starttls: Flag = Field(True, description="whether the connection has to be encrypted")
    username: Filled | None = Field(None, description="user name to log in with", examples=["zads-monitor"])
    password_file: File | None = Field(
        None, description="file that holds the user's password", examples=["/etc/zads/secrets/smtp_password"]
    )
    password_env: Variable | None = Field(
        None, description="environment variable that holds the user's password", examples=["ZADS_SMTP_PASSWORD"]
    )

    def password(self) -> str | None:
        """Return the password, None where nobody logs in.

        Raises SecretError when it cannot be had.
        """
        if self.username is None:
            return None
        return secret("notifier.email.password", self.password_file, self.password_env)


class Slack(Model):
    """Slack: a bot that posts to one channel; without this table nothing is posted."""

    channel: Filled = Field(description="channel that gets messages", examples=["#zads-alerts"])
    token_file: File | None = Field(
        None, description="file that holds the bot's token", examples=["/etc/zads/secrets/slack_token"]
    )
    token_env: Variable | None = Field(
        None, description="environment variable that holds the bot's token", examples=["ZADS_SLACK_TOKEN"]
    )
    base_url: Url = Field("https://slack.com/api/", description="where Slack's API is")

    def token(self) -> str:
        """Return the bot's token.

        Raises SecretError when it cannot be had.
        """
        return secret("notifier.slack.token", self.token_file, self.token_env)


class PagerDuty(Model):
    """PagerDuty's Events API v2; without this table nobody is rung up."""

    routing_key_file: File | None = Field(
        None, description="file that holds the integration key", examples=["/etc/zads/secrets/pagerduty_key"]
    )
    routing_key_env: Variable | None = Field(
        None, description="environment variable that holds the integration key", examples=["ZADS_PAGERDUTY_KEY"]
    )
    base_url: Url = Field("https://events.pagerduty.com", description="where PagerDuty's Events API is")

    def routing_key(self) -> str:
        """Return the integration key.

        Raises SecretError when it cannot be had.
        """
        return secret("notifier.pagerduty.routing_key", self.routing_key_file, self.routing_key_env)


class OnCall(Model):
    """One person of the weekly rotation, which is handed over on Mondays at 09:00 local time."""

    name: Filled = Field(description="what messages call this person", examples=["operator 1"])
    email: Mail | None = Field(None, description="this person's address", examples=["operator1@example.org"])


class Notifier(Model):
    """The notifier: where it listens, what it keeps, whom it tells."""

    listen: Address = Field("127.0.0.1:9380", description="where it listens for alerts and serves its page")
    external_url: Url = Field("http://127.0.0.1:9380", description="where people reach its page, for links in messages")
    store: File = Field(Path("/var/lib/zads/notifier.sqlite3"), description="file that holds incidents and what was sent")
    token_file: File | None = Field(
        Path("/etc/zads/secrets/alertmanager_token"),
        description="file that holds the token that Alertmanager shows the notifier",
    )
    token_env: Variable | None = Field(
        None,
        description="environment variable that holds the token that Alertmanager shows the notifier",
        examples=["ZADS_ALERTMANAGER_TOKEN"],
    )
    password_file: File | None = Field(
        None,
        description="file that holds the password of the notifier's page; without one nobody can log in",
        examples=["/etc/zads/secrets/page_password"],
    )
    password_env: Variable | None = Field(
        None,
        description="environment variable that holds the password of the notifier's page",
        examples=["ZADS_PAGE_PASSWORD"],
    )
    reminder: Seconds = Field(1800.0, description="time after which a page that nobody acknowledged is sent again")
    email: Email | None = None
    slack: Slack | None = None
    pagerduty: PagerDuty | None = None
    routes: dict[Severity, tuple[Channel, ...]] = Field(
        {"page": ("pagerduty", "slack", "email"), "ticket": ("email", "slack"), "info": ()},
        description="channels that are told, by severity; a severity that is left out gets those that are configured",
        examples=[{"page": ["pagerduty", "slack", "email"]}],
    )
    oncall: tuple[OnCall, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if "token_env" in data:
            data.setdefault("token_file", None)  # the default file makes way
        routes = data.get("routes", {})
        if isinstance(routes, dict):
            # Routes default to the channels that are configured, so that a short file is a working one.
            have = [name for name in ("pagerduty", "slack", "email") if data.get(name) is not None]
            by_day = [name for name in have if name != "pagerduty"]
            data["routes"] = {"page": have, "ticket": by_day, "info": [], **routes}
        return data

    def token(self) -> str:
        """Return the token that Alertmanager has to show.

        Raises SecretError when it cannot be had.
        """
        return secret("notifier.token", self.token_file, self.token_env)

    def password(self) -> str | None:
        """Return the password of the page, None when none is set.

        Raises SecretError when it is named and cannot be had.
        """
        if self.password_file is None and self.password_env is None:
            return None
        return secret("notifier.password", self.password_file, self.password_env)


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
