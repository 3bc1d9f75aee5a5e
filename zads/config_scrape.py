"""[exporters.scrape] of zads.toml: what Prometheus shows the exporters, and by what it knows them."""

from __future__ import annotations

from pydantic import Field

from zads.config_models import Model
from zads.config_secrets import secret
from zads.config_types import File, Filled, HostName, Variable


class Scrape(Model):
    """How Prometheus reads the exporters where their `web_config_file` asks for TLS or a password."""

    ca_file: File | None = Field(
        None,
        description="certificates (PEM) that the exporters' is checked against; the system's when it is missing",
        examples=["/etc/zads/ca.pem"],
    )
    server_name: HostName | None = Field(
        None,
        description="name in the exporters' certificate, where it is another than the address that they listen on",
        examples=["monitor.example.org"],
    )
    cert_file: File | None = Field(
        None, description="Prometheus' own certificate (PEM), where one is asked for", examples=["/etc/zads/prometheus.pem"]
    )
    key_file: File | None = Field(
        None,
        description="the private key (PEM) of Prometheus' own certificate",
        examples=["/etc/zads/secrets/prometheus.key"],
    )
    username: Filled | None = Field(
        None, description="user of basic_auth_users that Prometheus logs in as", examples=["prometheus"]
    )
    password_file: File | None = Field(
        None, description="file that holds the user's password", examples=["/etc/zads/secrets/scrape_password"]
    )
    password_env: Variable | None = Field(
        None, description="environment variable that holds the user's password", examples=["ZADS_SCRAPE_PASSWORD"]
    )

    def password(self) -> str | None:
        """Return the password, None where nobody logs in.

        Raises SecretError when it cannot be had.
        """
        if self.username is None:
            return None
        return secret("exporters.scrape.password", self.password_file, self.password_env)
