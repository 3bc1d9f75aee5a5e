"""A cluster's security as kafka-python and Python's ssl want it; secrets are read from their files."""

from __future__ import annotations

import importlib.util
import ssl
from typing import Any

from zads.config import KafkaCluster, SecretError


def client_settings(cluster: KafkaCluster) -> dict[str, Any]:
    """Return kafka-python's settings for the cluster.

    Raises SecretError when the password cannot be had.
    """
    settings: dict[str, Any] = {
        "bootstrap_servers": list(cluster.bootstrap),
        "security_protocol": cluster.security_protocol,
    }
    for key, path in (
        ("ssl_cafile", cluster.ca_file),
        ("ssl_certfile", cluster.cert_file),
        ("ssl_keyfile", cluster.key_file),
    ):
        if path:
            settings[key] = str(path)
    if cluster.sasl_mechanism:
        settings["sasl_mechanism"] = cluster.sasl_mechanism
    if cluster.sasl_username:
        settings["sasl_plain_username"] = cluster.sasl_username
    if cluster.has_sasl_password:
        settings["sasl_plain_password"] = cluster.sasl_password()
    return settings


def tls_context(cluster: KafkaCluster) -> ssl.SSLContext | None:
    """Return the TLS context for the cluster's listener, None where it speaks plain text.

    The broker's certificate and host name are verified, as kafka-python does it.
    Raises OSError (also ssl.SSLError) when a certificate's file cannot be read.
    """
    if cluster.security_protocol not in {"SSL", "SASL_SSL"}:
        return None
    context = ssl.create_default_context(cafile=str(cluster.ca_file) if cluster.ca_file else None)
    if cluster.cert_file:
        context.load_cert_chain(str(cluster.cert_file), str(cluster.key_file) if cluster.key_file else None)
    return context


def faults(cluster: KafkaCluster) -> list[tuple[str, str]]:
    """Return what keeps the cluster's security from being used: (key, reason), without connecting."""
    found = []
    try:
        client_settings(cluster)
    except SecretError as error:
        found.append((error.key, error.why))
    for key in ("ca_file", "cert_file", "key_file"):
        file = getattr(cluster, key)
        try:
            if file:
                file.read_bytes()
        except OSError as error:
            found.append((key, f"{file} cannot be read: {error.strerror}"))
    if cluster.sasl_mechanism == "GSSAPI" and importlib.util.find_spec("gssapi") is None:
        words = "GSSAPI (Kerberos) needs the Python package gssapi, which is not installed, and a ticket (kinit)"
        found.append(("sasl_mechanism", words))
    if not found:
        try:
            tls_context(cluster)
        except OSError as error:  # ssl.SSLError: not a certificate, or a key that does not belong to it
            found.append(("ca_file, cert_file or key_file", getattr(error, "reason", None) or str(error)))
    return found
