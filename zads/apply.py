"""`zads config apply`: check, render, let the programs check, swap, reload; roll back when one refuses."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import tempfile
from pathlib import Path

from zads import render
from zads.config import Config, ConfigError, ConfigErrors, host_port


def apply(config: Config, rules: Path, directory: Path) -> list[str]:
    """Put the rendered files into `directory` and reload Prometheus and Alertmanager; return what was done.

    Raises ConfigErrors with what refused; then the former files stand and are loaded again.
    """
    files = render.render(config, rules)
    with tempfile.TemporaryDirectory(prefix="zads-apply-") as name:
        trial = Path(name)
        render.write(files, trial)
        errors = [error for command in _checks(rules) if (error := _check(command, trial))]
        if errors:
            raise ConfigErrors(str(directory), errors)
    former = {n: (directory / n).read_text(encoding="utf-8") for n in files if (directory / n).exists()}
    changed = sorted(n for n, text in files.items() if former.get(n) != text)
    render.write(files, directory)
    refused = reload_all(config)
    if refused:
        render.write(former, directory)
        for new in set(files) - set(former):
            (directory / new).unlink()
        reload_all(config)
        raise ConfigErrors(str(directory), [*refused, ConfigError("", "the former files were put back and loaded again")])
    return [f"{n} changed" for n in changed] or ["nothing changed"]


def _checks(rules: Path) -> list[list[str]]:
    static = [str(path) for path in sorted(rules.glob("*.rules.yml"))]
    return [
        ["promtool", "check", "rules", "thresholds.rules.yml", *static],
        ["promtool", "check", "config", "--syntax-only", "prometheus.yml"],
        ["amtool", "check-config", "alertmanager.yml"],
    ]


def _check(command: list[str], directory: Path) -> ConfigError | None:
    if shutil.which(command[0]) is None:
        return ConfigError(command[0], "is not installed, so the files cannot be checked")
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = (done.stdout + done.stderr).strip().splitlines()
    return ConfigError(" ".join(command[:2]), " / ".join(lines[-3:]))


def reload_all(config: Config) -> list[ConfigError]:
    """Ask Prometheus and Alertmanager to load their files; return what refused."""
    errors = []
    for name, address in (("prometheus", config.prometheus.address), ("alertmanager", config.alertmanager.address)):
        host, port = host_port(address)
        connection = http.client.HTTPConnection(host, port, timeout=20)
        try:
            connection.request("POST", "/-/reload")
            answer = connection.getresponse()
            words = answer.read().decode("utf-8", "replace").strip()
            if answer.status != 200:
                errors.append(ConfigError(name, f"did not take the new files: {words[:300]}"))
        except (OSError, http.client.HTTPException) as error:
            errors.append(ConfigError(name, f"{address} does not answer: {error}"))
        finally:
            connection.close()
    return errors
