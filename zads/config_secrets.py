"""Secrets come from a file or from the environment, never from zads.toml; no message here holds one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


class SecretError(ValueError):
    """A secret cannot be had: which key asks for it, and why."""

    def __init__(self, key: str, why: str) -> None:
        self.key, self.why = key, why
        super().__init__(f"{key}: {why}")


def read_secret(path: Path) -> str:
    """Return the secret that stands in a file, without the white space around it.

    Raises OSError (not readable) or ValueError (empty, or no single line of text); neither message holds the secret.
    """
    data = Path(path).read_bytes()
    try:
        secret = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no UTF-8 text: put the secret on its first line") from None
    if not secret:
        raise ValueError(f"{path} is empty: put the secret on its first line")
    if not secret.isprintable():
        raise ValueError(f"{path} holds more than one line: put only the secret there")
    return secret


def secret(key: str, file: Path | None, variable: str | None, environment: Mapping[str, str] | None = None) -> str:
    """Return the secret of `key` ("notifier.slack.token") from its file or from an environment variable.

    Raises SecretError, a ValueError, with what is wrong and the key to set; it never holds the secret.
    """
    if variable is not None:
        value = (os.environ if environment is None else environment).get(variable, "").strip()
        if not value:
            raise SecretError(f"{key}_env", f"the environment variable {variable} is not set, or is empty")
        if not value.isprintable():
            raise SecretError(f"{key}_env", f"the environment variable {variable} holds more than one line")
        return value
    if file is None:
        raise SecretError(key, f"no secret is named: set {key}_file or {key}_env")
    try:
        return read_secret(file)
    except OSError as error:
        raise SecretError(f"{key}_file", f"{file} cannot be read: {error.strerror or 'it is no file'}") from None
    except ValueError as error:
        raise SecretError(f"{key}_file", str(error)) from None
