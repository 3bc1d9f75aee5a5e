"""How Prometheus scrapes our own exporters: at which address and path, with TLS and a password where they ask for them.

What they ask for stands in `exporters.web_config_file`; what Prometheus answers with in [exporters.scrape]. The two
are compared here, since a difference would look like four dead exporters.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from zads import web_config
from zads.config import Config, ConfigError, ConfigErrors, joined

PASSWORD = "secrets/scrape_password"  # noqa: S105 - the name of its file


def places(config: Config) -> dict[str, tuple[str, str]]:
    """Return the address and the path of each exporter's metrics."""
    exporters = config.exporters
    ports = {
        "kafka-lag": exporters.kafka_lag_port,
        "broker-egress": exporters.broker_egress_port,
        "alert-arrival": exporters.alert_arrival_port,
        "services": exporters.services_port,
    }
    if exporters.one_process:
        together = joined(exporters.listen, exporters.all_port)
        return {name: (together, f"/{name}/metrics") for name in ports}
    return {name: (joined(exporters.listen, port), "/metrics") for name, port in ports.items()}


def settings(config: Config) -> dict[str, Any]:
    """Return what their scrape jobs say about TLS and the login; files are named, no secret is in it.

    Raises ConfigErrors when the web config file cannot be read, or asks for what [exporters.scrape] does not give.
    """
    exporters, scrape = config.exporters, config.exporters.scrape
    if exporters.web_config_file is None:
        return {}
    try:
        web = web_config.read(exporters.web_config_file)
    except web_config.WebConfigError as error:
        raise ConfigErrors("zads.toml", [ConfigError("exporters.web_config_file", str(error))]) from None
    errors = _differences(config, web)
    if errors:
        raise ConfigErrors("zads.toml", errors)
    found: dict[str, Any] = {}
    if web.cert_file:
        files = {key: getattr(scrape, key) for key in ("ca_file", "cert_file", "key_file")}
        tls = {key: str(file.resolve()) for key, file in files.items() if file}
        tls |= {"server_name": scrape.server_name} if scrape.server_name else {}
        found = {"scheme": "https"} | ({"tls_config": tls} if tls else {})
    if scrape.username:
        file = scrape.password_file or config.rendered.directory / PASSWORD
        found["basic_auth"] = {"username": scrape.username, "password_file": str(Path(file).resolve())}
    return found


def _differences(config: Config, web: web_config.WebConfig) -> list[ConfigError]:
    """Return where what the exporters ask for and what Prometheus would give them do not fit."""
    scrape, file = config.exporters.scrape, config.exporters.web_config_file
    errors = []
    if web.users and scrape.username is None:
        errors.append(ConfigError("exporters.scrape.username", f"is missing: {file} asks for a user and a password"))
    elif scrape.username is not None and scrape.username not in web.users:
        words = f"{scrape.username!r} is no user of {file}: " + (
            f"known are {', '.join(sorted(web.users))}" if web.users else "it has no basic_auth_users"
        )
        errors.append(ConfigError("exporters.scrape.username", words))
    if web.client_auth == ssl.CERT_REQUIRED and scrape.cert_file is None:
        errors.append(ConfigError("exporters.scrape.cert_file", f"is missing: {file} asks for a client's certificate"))
    if not web.cert_file:
        given = ("ca_file", "server_name", "cert_file", "key_file")
        words = f"would not be used: {file} has no tls_server_config"
        errors += [ConfigError(f"exporters.scrape.{key}", words) for key in given if getattr(scrape, key) is not None]
    return errors
