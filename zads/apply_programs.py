"""Prometheus and Alertmanager: let their tools check the files, reload them, and ask what they have loaded."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from zads import render
from zads.cache import which
from zads.config import Config, ConfigError, host_port, reachable

_TIMEOUT = 20.0
_UNITS = {"y": 31536000.0, "w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class _Refusal(Exception):
    """A program does not do what it is asked."""


def check(files: Mapping[str, str], rules: Path) -> list[ConfigError]:
    """Let promtool and amtool look at the files in a folder of their own; return what they refuse."""
    if not list(rules.glob("*.rules.yml")):
        return [ConfigError("rendered.rules", f"{rules} holds no *.rules.yml: nothing would ever raise an alert")]
    with tempfile.TemporaryDirectory(prefix="zads-apply-") as name:
        trial = Path(name)
        render.write({name: text for name, text in files.items() if name not in render.SECRETS}, trial)
        commands = (["promtool", "check", "config", "prometheus.yml"], ["amtool", "check-config", "alertmanager.yml"])
        return [error for command in commands if (error := _check(command, trial))]


def _check(command: list[str], directory: Path) -> ConfigError | None:
    program = which(command[0])
    if program is None:
        return ConfigError(command[0], "is not installed, so the files cannot be checked")
    try:
        done = subprocess.run([program, *command[1:]], cwd=directory, capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        return ConfigError(command[0], "did not end within 60 s")
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip() and "SUCCESS" not in line]
    return ConfigError(" ".join(command[:2]), " / ".join(lines[-3:]).replace(f"{directory}/", ""))


def unreachable(config: Config) -> list[ConfigError]:
    """Return which program does not answer: found before anything is changed."""
    errors = []
    for name, address in _programs(config).items():
        try:
            _ask("GET", address, "/-/healthy")
        except _Refusal as error:
            errors.append(ConfigError(name, str(error)))
    return errors


def reload(config: Config, files: Mapping[str, str]) -> list[ConfigError]:
    """Make both load their files, and check that they have; return what refused."""
    errors = []
    for name, address in _programs(config).items():
        try:
            _ask("POST", address, "/-/reload")
            (_prometheus_loaded if name == "prometheus" else _alertmanager_loaded)(address, files, config.rendered.directory)
        except _Refusal as error:
            errors.append(ConfigError(name, str(error)))
    return errors


def _programs(config: Config) -> dict[str, str]:
    return {"prometheus": reachable(config.prometheus.address), "alertmanager": reachable(config.alertmanager.address)}


def _ask(method: str, address: str, path: str) -> str:
    host, port = host_port(address)
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        words = answer.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise _Refusal(f"{address} does not answer: {reason}") from None
    finally:
        connection.close()
    if answer.status == 403 and "ifecycle" in words:
        raise _Refusal(f"{address} does not reload when asked: start it with --web.enable-lifecycle")
    if answer.status != 200:
        raise _Refusal(f"{address} did not take the new files: {words[:300] or answer.status}")
    return words


def _data(address: str, path: str) -> Any:
    try:
        return json.loads(_ask("GET", address, path))["data"]
    except (ValueError, KeyError, TypeError):
        raise _Refusal(f"{address}{path} gives no answer as Prometheus does: what listens there?") from None


def _prometheus_loaded(address: str, files: Mapping[str, str], directory: Path) -> None:
    """Raise _Refusal unless what runs is what was written: the answer to a reload does not say which file was read."""
    try:
        running = yaml.safe_load(_data(address, "/api/v1/status/config")["yaml"])
    except (yaml.YAMLError, KeyError, TypeError):
        raise _Refusal(f"{address} does not say what it has loaded") from None
    where = _difference(running, yaml.safe_load(files["prometheus.yml"]))
    if where is not None:
        raise _Refusal(
            f"{address} runs with another {where} than {directory / 'prometheus.yml'}: is that its --config.file?"
        )
    groups = _data(address, "/api/v1/rules?type=record").get("groups", [])
    loaded = {_rule(r["name"], r["query"], r.get("labels")) for g in groups if g["name"] == "thresholds" for r in g["rules"]}
    written = yaml.safe_load(files["thresholds.rules.yml"])["groups"][0]["rules"]
    missing = [r for r in written if _rule(r["record"], r["expr"], r.get("labels")) not in loaded]
    if missing:
        file = directory / "thresholds.rules.yml"
        raise _Refusal(f"{address} runs with another {missing[0]['record']} than {file}: is that folder the one it reads?")


def _rule(name: str, expression: str, labels: Mapping[str, str] | None) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    number = re.fullmatch(r"vector\((.+)\)", expression)
    with suppress(ValueError):  # some other expression is compared as it stands
        expression = repr(float(number[1])) if number else expression
    return name, expression, tuple(sorted((labels or {}).items()))


def _alertmanager_loaded(address: str, files: Mapping[str, str], directory: Path) -> None:
    """Raise _Refusal unless Alertmanager's fingerprint of its file is the one of ours.

    The first six bytes of the file's MD5 as a number (Alertmanager, config/coordinator.go).
    """
    metric = re.search(r"^alertmanager_config_hash (\S+)$", _ask("GET", address, "/metrics"), re.MULTILINE)
    if metric is None:
        return  # a version that does not say
    ours = hashlib.md5(files["alertmanager.yml"].encode(), usedforsecurity=False).digest()[:6]
    if float(metric[1]) != float(int.from_bytes(ours, "little")):
        raise _Refusal(f"{address} runs with another file than {directory / 'alertmanager.yml'}: is that its --config.file?")


def _difference(running: Any, ours: Any, path: str = "") -> str | None:
    """Return where what runs lacks something of ours, None where it has it all; defaults that were added do not count."""
    if isinstance(ours, dict):
        if not isinstance(running, dict):
            return path or "content"
        for key, value in ours.items():
            if key in running or value not in ("", None, [], {}, False):
                found = _difference(running.get(key), value, f"{path}.{key}" if path else str(key))
                if found is not None:
                    return found
        return None
    if isinstance(ours, list):
        if not isinstance(running, list) or len(running) != len(ours):
            return path
        pairs = enumerate(zip(running, ours, strict=True))
        return next((d for i, (a, b) in pairs if (d := _difference(a, b, f"{path}[{i}]")) is not None), None)
    return None if _same(running, ours) else path


def _same(running: Any, ours: Any) -> bool:
    if running == ours:
        return True
    if not isinstance(running, str) or not isinstance(ours, str):
        return False
    # Prometheus writes durations in its own way, and paths from where it was started.
    return running.endswith(f"/{ours}") or (_seconds(ours) is not None and _seconds(running) == _seconds(ours))


def _seconds(text: str) -> float | None:
    parts = re.findall(r"(\d+)(ms|[ywdhms])", text)
    return sum(int(n) * _UNITS[u] for n, u in parts) if parts and "".join(n + u for n, u in parts) == text else None
