"""The notifier in zads.toml: its channels, who is on call, who is told what and when, and what is held back.

Matchers are written as Alertmanager writes them. Local times are those of `notifier.timezone`.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from zads.config_models import Model
from zads.config_secrets import SecretError, secret
from zads.config_types import (
    Address,
    Channel,
    File,
    Filled,
    Flag,
    Int,
    Kind,
    Mail,
    Name,
    Seconds,
    Severity,
    Url,
    Variable,
    Zone,
    parse_duration,
)
from zads.matchers import parse_matcher
from zads.passwords import HashError, check_hash
from zads.signing_key import signing_key


def _matcher(value: str) -> str:
    parse_matcher(value)
    return value


def _time_of_day(value: str) -> str:
    try:
        return datetime.strptime(value, "%H:%M").strftime("%H:%M")
    except ValueError:
        raise ValueError(f'{value!r} is no time of day; write "09:00" or "22:30"') from None


def _slack_user(value: str) -> str:
    if not re.fullmatch(r"[UW][A-Z0-9]{2,20}", value):
        raise ValueError(f'{value!r} is no member id of Slack; the profile\'s menu shows it, for example "U02AB3CDE"')
    return value


Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
TimeOfDay = Annotated[str, AfterValidator(_time_of_day), Kind("time of day", 'a time of day such as "09:00"')]
Delay = Annotated[float, BeforeValidator(parse_duration), Kind("duration", 'a duration such as "20m"')]
SlackUser = Annotated[str, AfterValidator(_slack_user), Kind("Slack member id", "a Slack member id in quotes")]
When = Annotated[datetime, Kind("date and time", "a date and time such as 2026-12-24T09:00:00")]
MatcherText = Annotated[str, AfterValidator(_matcher), Kind("matcher", "a matcher in quotes")]
# Whom a step tells: the channel's own list, or persons of the rotation.
People = Literal["on call", "next on call", "everybody"]
# What is configured, in the order in which another channel stands in for one that fails.
CHANNELS: tuple[Channel, ...] = ("pagerduty", "slack", "email", "webhook")


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
    """Slack: a bot, or an incoming webhook, that posts to one channel; without this table nothing is posted."""

    channel: Filled = Field(
        description="channel that gets messages; with webhook_url_file the one that was chosen in Slack",
        examples=["#zads-alerts"],
    )
    token_file: File | None = Field(
        None, description="file that holds the bot's token", examples=["/etc/zads/secrets/slack_token"]
    )
    token_env: Variable | None = Field(
        None, description="environment variable that holds the bot's token", examples=["ZADS_SLACK_TOKEN"]
    )
    webhook_url_file: File | None = Field(
        None,
        description="file that holds an incoming webhook's address, instead of a bot's token: nothing is edited or threaded",
        examples=["/etc/zads/secrets/slack_webhook_url"],
    )
    webhook_url_env: Variable | None = Field(
        None,
        description="environment variable that holds an incoming webhook's address",
        examples=["ZADS_SLACK_WEBHOOK_URL"],
    )
    base_url: Url = Field("https://slack.com/api/", description="where Slack's API is")

    @property
    def has_webhook_url(self) -> bool:
        """Tell whether messages go by an incoming webhook."""
        return self.webhook_url_file is not None or self.webhook_url_env is not None

    def token(self) -> str:
        """Return the bot's token.

        Raises SecretError when it cannot be had.
        """
        return secret("notifier.slack.token", self.token_file, self.token_env)

    def webhook_url(self) -> str:
        """Return the incoming webhook's address, which is a secret.

        Raises SecretError when it cannot be had, or is none.
        """
        value = secret("notifier.slack.webhook_url", self.webhook_url_file, self.webhook_url_env)
        try:
            parts = urlsplit(value)
            right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            right = False
        if not right:
            kind = "env" if self.webhook_url_env else "file"
            raise SecretError(f"notifier.slack.webhook_url_{kind}", "what it holds is no address that begins with https://")
        return value

    def key(self) -> str:
        """Return what lets us post: the webhook's address or the bot's token.

        Raises SecretError when it cannot be had.
        """
        return self.webhook_url() if self.has_webhook_url else self.token()


class PagerDuty(Model):
    """PagerDuty's Events API v2; without this table nobody is rung up."""

    routing_key_file: File | None = Field(
        None, description="file that holds the integration key", examples=["/etc/zads/secrets/pagerduty_key"]
    )
    routing_key_env: Variable | None = Field(
        None, description="environment variable that holds the integration key", examples=["ZADS_PAGERDUTY_KEY"]
    )
    base_url: Url = Field("https://events.pagerduty.com", description="where PagerDuty's Events API is")
    api_token_file: File | None = Field(
        None,
        description="file that holds a read-only REST API key, to read acknowledgements back; without one they are not read",
        examples=["/etc/zads/secrets/pagerduty_api_token"],
    )
    api_token_env: Variable | None = Field(
        None,
        description="environment variable that holds the REST API key",
        examples=["ZADS_PAGERDUTY_API_TOKEN"],
    )
    api_url: Url = Field("https://api.pagerduty.com", description="where PagerDuty's REST API is")

    def routing_key(self) -> str:
        """Return the integration key.

        Raises SecretError when it cannot be had.
        """
        return secret("notifier.pagerduty.routing_key", self.routing_key_file, self.routing_key_env)

    def api_token(self) -> str | None:
        """Return the REST API key, None where acknowledgements are not read back.

        Raises SecretError when it is named and cannot be had.
        """
        if self.api_token_file is None and self.api_token_env is None:
            return None
        return secret("notifier.pagerduty.api_token", self.api_token_file, self.api_token_env)


class Webhook(Model):
    """A program of your own that gets each message as JSON, signed with a shared secret; without this table none does."""

    url: Url = Field(description="where messages are posted to", examples=["https://bridge.example.org/zads"])
    secret_file: File | None = Field(
        None, description="file that holds the secret that signs each body", examples=["/etc/zads/secrets/webhook_secret"]
    )
    secret_env: Variable | None = Field(
        None, description="environment variable that holds the secret that signs each body", examples=["ZADS_WEBHOOK_SECRET"]
    )
    ca_file: File | None = Field(None, description="certificates that vouch for the receiver; none for the system's own")

    def secret(self) -> str:
        """Return the secret that signs: "whsec_" and base64, as Standard Webhooks writes it.

        Raises SecretError when it cannot be had, or is not of that form.
        """
        value = secret("notifier.webhook.secret", self.secret_file, self.secret_env)
        try:
            signing_key(value)
        except ValueError as error:
            kind = "env" if self.secret_env else "file"
            raise SecretError(f"notifier.webhook.secret_{kind}", f"the secret {error}") from None
        return value


class OnCall(Model):
    """One person of the rotation; the first one's first week is that of 2024-01-01."""

    name: Filled = Field(description="what messages call this person", examples=["operator 1"])
    email: Mail | None = Field(None, description="this person's address", examples=["operator1@example.org"])
    slack_user: SlackUser | None = Field(
        None, description="this person's member id in Slack, for being mentioned", examples=["U02AB3CDE"]
    )


class Rotation(Model):
    """When the next person of `oncall` takes over."""

    hand_over: TimeOfDay = Field("09:00", description="local time of the hand-over")
    day: Day = Field("monday", description="day of the hand-over")
    weeks: Int = Field(1, ge=1, le=52, description="weeks that each person is on call")


class Override(Model):
    """Somebody stands in for whoever the rotation names."""

    name: Filled = Field(description="who stands in: a name of [[notifier.oncall]]", examples=["operator 2"])
    begins: When = Field(description="when it begins; local time, or with an offset", examples=["2026-12-24T09:00:00"])
    ends: When = Field(description="when it ends", examples=["2026-12-26T09:00:00"])


class Step(Model):
    """One step of a policy: who is told, and how long after the first message."""

    after: Delay = Field(0.0, description="time since the incident began to be told; nobody acknowledged it so far")
    channels: tuple[Channel, ...] = Field(
        min_length=1, description="channels that are told", examples=[["pagerduty", "slack"]]
    )
    people: People | None = Field(
        None,
        description="persons of the rotation to whom e-mail goes and whom Slack mentions, instead of email.to",
        examples=["next on call"],
    )


class Policy(Model):
    """Who is told, and who next while nobody acknowledges; `reminder` later all of them are told again, and so on."""

    name: Name = Field(description="name that [[notifier.rule]] uses; page, ticket and info replace the built-in ones")
    steps: tuple[Step, ...] = Field(min_length=1, alias="step")


class Rule(Model):
    """Alerts that another policy than that of their severity tells; the first rule that fits counts."""

    match: tuple[MatcherText, ...] = Field(
        min_length=1, description="matchers that have to fit all", examples=[['alertname="RestrictedDataExposed"']]
    )
    policy: Name = Field(
        description="the policy: a name of [[notifier.policy]], or page, ticket, info", examples=["security"]
    )


class QuietHours(Model):
    """Local hours in which tickets wait; pages never do."""

    begins: TimeOfDay = Field("22:00", description="local time from which tickets wait")
    ends: TimeOfDay = Field("08:00", description="local time at which they go out")
    weekends: Flag = Field(False, description="whether tickets wait all Saturday and Sunday too")


class Maintenance(Model):
    """Planned work: what fits is recorded and told only when it still fires at the end."""

    begins: When = Field(description="when it begins; local time, or with an offset", examples=["2026-12-01T10:00:00"])
    ends: When = Field(description="when it ends", examples=["2026-12-01T12:00:00"])
    match: tuple[MatcherText, ...] = Field(
        min_length=1, description="matchers that have to fit all", examples=[['service="kafka-public"']]
    )
    why: Filled = Field(description="what is done, for the page and the record", examples=["new disks in the Kafka host"])


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
    password_hash_file: File | None = Field(
        None,
        description="file that holds the hash of the page's password instead: zads notify hash-password prints it",
        examples=["/etc/zads/secrets/page_password_hash"],
    )
    password_hash_env: Variable | None = Field(
        None,
        description="environment variable that holds the hash of the page's password",
        examples=["ZADS_PAGE_PASSWORD_HASH"],
    )
    reminder: Seconds = Field(1800.0, description="time after which a page that nobody acknowledged is sent again")
    acknowledged_for: Seconds = Field(
        14400.0, description="time after which a page that was acknowledged and still fires is sent again"
    )
    timezone: Zone | None = Field(
        None, description="time zone of hand-overs and quiet hours; the site's by default", examples=["America/New_York"]
    )
    report_to: tuple[Mail, ...] = Field(
        (),
        description="addresses that get the night's report when `zads notify mail-report` is run (docs/report.md)",
        examples=[["zads-list@example.org"]],
    )
    email: Email | None = None
    slack: Slack | None = None
    pagerduty: PagerDuty | None = None
    webhook: Webhook | None = None
    routes: dict[Severity, tuple[Channel, ...]] = Field(
        {"page": ("pagerduty", "slack", "email"), "ticket": ("email", "slack"), "info": ()},
        description="channels that are told, by severity; a severity that is left out gets those that are configured",
        examples=[{"page": ["pagerduty", "slack", "email"]}],
    )
    policies: tuple[Policy, ...] = Field((), alias="policy")
    rules: tuple[Rule, ...] = Field((), alias="rule")
    oncall: tuple[OnCall, ...] = ()
    rotation: Rotation = Rotation()
    overrides: tuple[Override, ...] = Field((), alias="override")
    quiet_hours: QuietHours | None = None
    maintenance: tuple[Maintenance, ...] = ()

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
            have = [name for name in CHANNELS if data.get(name) is not None]
            by_day = [name for name in have if name != "pagerduty"]
            data["routes"] = {"page": have, "ticket": by_day, "info": [], **routes}
        return data

    def token(self) -> str:
        """Return the token that Alertmanager has to show.

        Raises SecretError when it cannot be had.
        """
        return secret("notifier.token", self.token_file, self.token_env)

    def password(self) -> str | None:
        """Return the password of the page, or the hash of it that is kept instead ("$scrypt$..."); None when none is set.

        Raises SecretError when it is named and cannot be had, or when the hash is none.
        """
        hashed = self.password_hash_file is not None or self.password_hash_env is not None
        if not hashed and self.password_file is None and self.password_env is None:
            return None
        if not hashed:
            return secret("notifier.password", self.password_file, self.password_env)
        line = secret("notifier.password_hash", self.password_hash_file, self.password_hash_env)
        try:
            check_hash(line)
        except HashError as error:
            key = f"notifier.password_hash_{'env' if self.password_hash_env else 'file'}"
            raise SecretError(key, f"{self.password_hash_env or self.password_hash_file} {error}") from None
        return line
