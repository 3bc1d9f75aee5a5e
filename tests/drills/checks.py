"""The runbook's checks: commands that print something else when all is well.

One rule makes them fit the stack, where no systemd is: `systemctl status NAME` is `zads stack status`, `journalctl -u
NAME` is `zads stack logs NAME`, and a unit's name loses its `.service`. All others run as they stand.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from zads import cache
from zads.runbook import section

_BLOCK = re.compile(r"\*\*Check:\*\*\s*```sh\n(.*?)```", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$")
_WITHIN = 60


def commands(runbook: str, alert: str) -> list[str]:
    """Return the two commands of a section's Check, as they run here."""
    text = section(runbook, alert) or ""
    found = _BLOCK.search(text)
    return [here(line) for line in found[1].splitlines() if line.strip()] if found else []


def here(command: str) -> str:
    """Return a command as it runs on the stack."""
    command = re.sub(r"systemctl (?:status|is-active|--failed)\b[^|;&]*", "zads stack status ", command)
    command = re.sub(r"journalctl (?:-\w+ )*-u (\S+)(?: -n (\d+))?", r"zads stack logs \1", command)
    return command.replace(".service", "").strip()


def run(command: str, root: Path) -> str:
    """Return what a command prints, with its errors; at most a minute long."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), str(cache.folder() / "bin")])
    try:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=_WITHIN,
            env={**os.environ, "PATH": path, "COLUMNS": "200"},
        )
    except subprocess.TimeoutExpired:
        return f"(did not end within {_WITHIN} s)"
    return (done.stdout + done.stderr).strip()


def lines(output: str) -> dict[str, float | None]:
    """Return an output's lines by all that is no number at their end, with that number."""
    found: dict[str, float | None] = {}
    for line in output.splitlines():
        words, _, last = line.strip().rpartition(" ")
        if _NUMBER.match(last):
            found[words] = float(last)
        elif line.strip():
            found[line.strip()] = None
    return found


def differ(healthy: Sequence[str], faulty: str) -> bool:
    """Tell whether an output differs from healthy ones by more than these do from each other.

    A line that no healthy output has and one that all have and this has not are differences; a number is one when it
    lies outside of what the healthy ones span by as much again, and by a tenth and 0.5 at least.
    """
    well, ill = [lines(one) for one in healthy], lines(faulty)
    always = set.intersection(*(set(one) for one in well))
    ever = set.union(*(set(one) for one in well))
    if set(ill) - ever or always - set(ill):
        return True
    for words, value in ill.items():
        seen = [number for one in well if (number := one.get(words)) is not None]
        if value is None or not seen:
            continue
        low, high = min(seen), max(seen)
        room = max(high - low, 0.1 * max(abs(low), abs(high)), 0.5 if high > 1 else 0.05)
        if not low - room <= value <= high + room:
            return True
    return False
