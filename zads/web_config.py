"""Prometheus' own web configuration file: TLS and basic authentication for what we serve.

The file is that of `--web.config.file` in Prometheus, Alertmanager and their exporters
(https://prometheus.io/docs/prometheus/latest/configuration/https/): `tls_server_config`,
`basic_auth_users` with bcrypt hashes (`htpasswd -nBC 10 "" | tr -d ':'`), `http_server_config.headers`. What
is not supported here is refused by name instead of being ignored, since this file is about security.
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import ctypes.util
import hashlib
import hmac
import secrets
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_CLIENT_AUTH = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_HEADERS = {
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
}
# Compared with when the user is unknown, so that an answer's time does not tell who exists.
_NOBODY = "$2b$10$N9qo8uLOickgx2ZMRZoMyecBPBZPbMY9K9Iy/VaK.7YTHTLYF41De"
_MOST_REMEMBERED = 100


class WebConfigError(Exception):
    """The file cannot be used; the message says where and what to write instead."""


@dataclass(frozen=True)
class WebConfig:
    """What the file says; paths are absolute."""

    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    client_auth: ssl.VerifyMode = ssl.CERT_NONE
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    max_version: ssl.TLSVersion | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


def load(path: Path) -> WebConfig:
    """Read the file and what it names; relative paths in it are relative to its folder, as Prometheus has it.

    Raises WebConfigError.
    """
    config = read(path)
    try:
        if config.cert_file:
            _context(config)
        if config.users:
            _hash("", _NOBODY)
    except WebConfigError as error:
        raise WebConfigError(f"{path}: {error}") from None
    return config


def read(path: Path) -> WebConfig:
    """Read the file alone, not the keys that it names: who only has to know what is asked for need not read those.

    Raises WebConfigError.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise WebConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise WebConfigError(f"{path} is no valid YAML{line}") from None
    try:
        return _parse(data, path.parent)
    except WebConfigError as error:
        raise WebConfigError(f"{path}: {error}") from None


def _parse(data: Any, folder: Path) -> WebConfig:
    top = _table(data, "", {"tls_server_config", "basic_auth_users", "http_server_config"})
    tls = _table(
        top.get("tls_server_config"),
        "tls_server_config",
        {"cert_file", "key_file", "client_ca_file", "client_auth_type", "min_version", "max_version"},
    )
    http = _table(top.get("http_server_config"), "http_server_config", {"http2", "headers"})
    headers = _table(http.get("headers"), "http_server_config.headers", _HEADERS)
    if tls and not (tls.get("cert_file") and tls.get("key_file")):
        raise WebConfigError("tls_server_config: needs both cert_file and key_file")
    auth = str(tls.get("client_auth_type") or "")
    if auth not in _CLIENT_AUTH:
        known = ", ".join(name for name in _CLIENT_AUTH if name)
        raise WebConfigError(f"tls_server_config.client_auth_type: {auth!r} is not supported; write one of {known}")
    if _CLIENT_AUTH[auth] != ssl.CERT_NONE and not tls.get("client_ca_file"):
        raise WebConfigError(f"tls_server_config: client_auth_type {auth} needs client_ca_file")
    if tls.get("client_ca_file") and _CLIENT_AUTH[auth] == ssl.CERT_NONE:
        raise WebConfigError("tls_server_config: client_ca_file is of no use without a client_auth_type")
    return WebConfig(
        cert_file=_path(tls.get("cert_file"), folder),
        key_file=_path(tls.get("key_file"), folder),
        client_ca_file=_path(tls.get("client_ca_file"), folder),
        client_auth=_CLIENT_AUTH[auth],
        min_version=_version(tls.get("min_version"), "min_version") or ssl.TLSVersion.TLSv1_2,
        max_version=_version(tls.get("max_version"), "max_version"),
        users=_users(top.get("basic_auth_users")),
        headers={str(name): str(value) for name, value in headers.items()},
    )


def _table(value: Any, path: str, known: set[str]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WebConfigError(f"{path or 'the file'}: has to be a table of keys and values")
    for key in value:
        if key not in known:
            where = f"{path}.{key}" if path else str(key)
            raise WebConfigError(f"{where}: is not supported here; known are {', '.join(sorted(known))}")
    return value


def _path(value: Any, folder: Path) -> Path | None:
    return folder / str(value) if value else None


def _version(value: Any, key: str) -> ssl.TLSVersion | None:
    if value is None:
        return None
    if value not in _VERSIONS:
        raise WebConfigError(f"tls_server_config.{key}: {value!r} is not supported; write TLS12 or TLS13")
    return _VERSIONS[value]


def _users(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WebConfigError("basic_auth_users: has to be a table of user names and bcrypt hashes")
    for name, hashed in value.items():
        # Not a word about what stands there: it may be a password.
        if not isinstance(hashed, str) or not hashed.startswith(("$2a$", "$2b$", "$2y$")) or len(hashed) != 60:
            raise WebConfigError(f"basic_auth_users.{name}: is no bcrypt hash; make one: htpasswd -nBC 10 {name}")
    return {str(name): hashed for name, hashed in value.items()}


def _context(config: WebConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = config.min_version
    if config.max_version:
        context.maximum_version = config.max_version
    try:
        context.load_cert_chain(str(config.cert_file), str(config.key_file))
    except OSError as error:
        reason = error.strerror or getattr(error, "reason", "") or "it does not fit"
        raise WebConfigError(f"tls_server_config: {config.cert_file} with {config.key_file}: {reason}") from None
    if config.client_ca_file:
        try:
            context.load_verify_locations(str(config.client_ca_file))
        except OSError as error:
            reason = error.strerror or getattr(error, "reason", "") or "it is no certificate"
            raise WebConfigError(f"tls_server_config.client_ca_file: {config.client_ca_file}: {reason}") from None
    context.verify_mode = config.client_auth
    return context


class Tls:
    """The TLS context, made anew when a certificate's file has changed: renewed ones need no restart."""

    def __init__(self, config: WebConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._stamp = self._read_stamp()
        self._made = _context(config)

    def context(self) -> ssl.SSLContext:
        """Return the context for the next connection; the former one while new files do not fit together."""
        with self._lock:
            stamp = self._read_stamp()
            if stamp != self._stamp:
                with suppress(WebConfigError):  # half renewed: the certificate is written, its key is not yet
                    self._made, self._stamp = _context(self._config), stamp
            return self._made

    def _read_stamp(self) -> tuple[float, ...]:
        files = (self._config.cert_file, self._config.key_file, self._config.client_ca_file)
        stamps = []
        for file in files:
            try:
                stamps.append(file.stat().st_mtime if file else 0.0)
            except OSError:
                stamps.append(-1.0)
        return tuple(stamps)


class BasicAuth:
    """Who may read: compares with bcrypt hashes, and remembers what it has compared, since bcrypt is slow by design."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users
        self._salt = secrets.token_bytes(16)
        self._known: dict[bytes, bool] = {}
        self._lock = threading.Lock()

    def allows(self, header: str | None) -> bool:
        """Tell whether the Authorization header names a user with the right password."""
        if not self._users:
            return True
        scheme, _, encoded = (header or "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            name, separator, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        if not separator or "\0" in password:
            return False
        hashed = self._users.get(name, _NOBODY)
        key = hashlib.sha256(b"\0".join((self._salt, name.encode(), hashed.encode(), password.encode()))).digest()
        with self._lock:  # one at a time: guesses must not take all processors
            if key not in self._known:
                if len(self._known) >= _MOST_REMEMBERED:
                    self._known.clear()
                right = hmac.compare_digest(_hash(password, hashed), hashed.replace("$2y$", "$2b$", 1))
                self._known[key] = right and name in self._users
            return self._known[key]


def _hash(password: str, hashed: str) -> str:
    """Return the bcrypt hash of the password with the other hash's salt: by bcrypt where installed, else by libcrypt.

    Raises WebConfigError when neither knows bcrypt. Prometheus' $2y$ is the same algorithm as $2b$.
    """
    salt = hashed.replace("$2y$", "$2b$", 1).encode()
    try:
        import bcrypt  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        library = ctypes.util.find_library("crypt")
        if library is None:
            raise WebConfigError("basic_auth_users: needs the Python package bcrypt, or libcrypt") from None
        crypt = ctypes.CDLL(library).crypt
        crypt.restype, crypt.argtypes = ctypes.c_char_p, (ctypes.c_char_p, ctypes.c_char_p)
        found = crypt(password.encode(), salt)
        if not found or not found.startswith(b"$2"):
            raise WebConfigError(
                "basic_auth_users: this libcrypt knows no bcrypt; install the Python package bcrypt"
            ) from None
        return str(found.decode())
    return str(bcrypt.hashpw(password.encode()[:72], salt).decode())
