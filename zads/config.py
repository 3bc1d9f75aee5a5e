"""Read zads.toml into frozen, typed models: every error at once, each with its line and dotted path.

The file names everything once: site, stream, Kafka clusters, communities, hosts, services,
thresholds, routes. All that other programs read is rendered from these models. This module is the door:
the rest of the code imports what it needs from here.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from zads import config_checks
from zads.config_errors import ConfigError, ConfigErrors, dotted, located
from zads.config_lines import line_of, locate
from zads.config_models import Community, Host, Internal, KafkaCluster, Mirror, Service, Site, Slo, Stream, Thresholds
from zads.config_notifier import (
    CHANNELS,
    Email,
    Maintenance,
    Notifier,
    OnCall,
    PagerDuty,
    Policy,
    QuietHours,
    Rule,
    Slack,
    Step,
    Webhook,
)
from zads.config_programs import Alertmanager, Exporters, Prometheus, Rendered, Wall
from zads.config_schema import Config
from zads.config_secrets import SecretError, read_secret, secret
from zads.config_types import Channel, Severity, duration_text, host_port, joined, parse_duration, reachable
from zads.config_validate import validate

__all__ = [
    "CHANNELS",
    "Alertmanager",
    "Channel",
    "Community",
    "Config",
    "ConfigError",
    "ConfigErrors",
    "Email",
    "Exporters",
    "Host",
    "Internal",
    "KafkaCluster",
    "Maintenance",
    "Mirror",
    "Notifier",
    "OnCall",
    "PagerDuty",
    "Policy",
    "Prometheus",
    "QuietHours",
    "Rendered",
    "Rule",
    "SecretError",
    "Service",
    "Severity",
    "Site",
    "Slack",
    "Slo",
    "Step",
    "Stream",
    "Thresholds",
    "Wall",
    "Webhook",
    "check_secrets",
    "default_path",
    "duration_text",
    "host_port",
    "joined",
    "load",
    "located",
    "parse",
    "parse_duration",
    "reachable",
    "read",
    "read_secret",
    "secret",
    "warnings",
]
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def _toml(text: str, source: str) -> dict[str, Any]:
    """Return the data of the text; raises ConfigErrors with the line where it is no TOML."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigErrors(source, [ConfigError("", "not valid TOML: brackets are nested too deeply")]) from None
    except ValueError as error:  # TOMLDecodeError, or a number that Python finds too long
        message, place = str(error), _PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else (text.count("\n") + 1 if place else None)
        words = f"not valid TOML: {_PLACE.sub('', message)}" + (f" in column {place[2]}" if place and place[2] else "")
        # The line itself is not shown: it may hold a secret that somebody was about to write here.
        if line and re.match(
            r"\s*[\w.\"'-]+\s*=\s*[^\W\d]", text.splitlines()[line - 1] if line <= text.count("\n") + 1 else ""
        ):
            words += '; text stands in quotes: key = "text"'
        raise ConfigErrors(source, [ConfigError("", words, line)]) from None


def parse(text: str, source: str = "zads.toml") -> Config:
    """Parse the text of a zads.toml.

    Raises ConfigErrors with every error found, not only the first.
    """
    config, errors = validate(_toml(text, source))
    if config is None:
        lines = locate(text)
        found = [replace(error, line=line_of(lines, path)) for path, error in errors]
        raise ConfigErrors(source, sorted(found, key=lambda e: (e.line is None, e.line or 0)))
    return config


def read(path: Path | str) -> str:
    """Return the text of a zads.toml.

    Raises ConfigErrors when it cannot be read.
    """
    try:
        return Path(path).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        reason = f"it is no UTF-8 text (byte {error.start})"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise ConfigErrors(str(path), [ConfigError("", f"cannot be read: {reason}")])


def load(path: Path | str) -> Config:
    """Read and check a zads.toml.

    Raises ConfigErrors, also when the file cannot be read.
    """
    return parse(read(path), str(path))


def warnings(text: str, config: Config) -> list[ConfigError]:
    """Return what is allowed and probably not meant."""
    lines = locate(text)
    return [
        ConfigError(dotted(finding.path), finding.message, line_of(lines, finding.path))
        for finding in config_checks.warnings(config)
    ]


def check_secrets(config: Config) -> list[ConfigError]:
    """Read every secret that the configuration names, and return what cannot be had."""
    notifier = config.notifier
    calls = [notifier.token, notifier.password]
    calls += [config.exporters.scrape.password]
    calls += [channel for channel in (notifier.email and notifier.email.password,) if channel]
    calls += [notifier.slack.key] if notifier.slack else []
    calls += [notifier.pagerduty.routing_key, notifier.pagerduty.api_token] if notifier.pagerduty else []
    calls += [notifier.webhook.secret] if notifier.webhook else []
    errors = []
    for call in calls:
        try:
            call()
        except SecretError as error:
            errors.append(ConfigError(error.key, error.why))
    for name, cluster in config.kafka.items():
        try:
            if cluster.has_sasl_password:
                cluster.sasl_password()
        except SecretError as error:
            errors.append(ConfigError(f"kafka.{name}.{error.key}", error.why))
    return errors


def default_path() -> Path:
    """Return the config's path: ZADS_CONFIG, else ./zads.toml."""
    return Path(os.environ.get("ZADS_CONFIG") or "zads.toml")
