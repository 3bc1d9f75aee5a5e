"""The outcome of the last `zads config apply`: written by it, exposed as metrics by the services exporter.

`<state_dir>/config-applied.json` holds one JSON object, the fields of `Outcome`. It is written whatever happens,
also when the zads.toml that should be applied is no TOML at all.
"""

from __future__ import annotations

import json
import logging
import re
import time
import tomllib
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zads.config import Exporters

_LOG = logging.getLogger(__name__)
_NAME = "config-applied.json"
_MOST_ERRORS, _LONGEST = 5, 300


@dataclass(frozen=True)
class Outcome:
    """What came of the last apply, and which file is in effect; times are seconds since 1970."""

    success: bool
    at: float  # when it was tried
    source: str  # the zads.toml that was tried
    errors: tuple[str, ...] = ()  # the first of them, without secrets
    applied_digest: str = ""  # fingerprint of the zads.toml in effect, "" when none was ever applied
    applied_at: float = 0.0


def read_outcome(state_dir: Path) -> Outcome | None:
    """Return the outcome of the last apply, None where there was none or its record cannot be read."""
    try:
        data = json.loads((Path(state_dir) / _NAME).read_text(encoding="utf-8"))
        return Outcome(
            success=bool(data["success"]),
            at=float(data["at"]),
            source=str(data["source"]),
            errors=tuple(str(error) for error in data["errors"]),
            applied_digest=str(data["applied_digest"]),
            applied_at=float(data["applied_at"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def applied(state_dir: Path, source: Path, digest: str) -> None:
    """Record that the file is in effect."""
    now = time.time()
    _write(state_dir, Outcome(True, now, str(source), (), digest, now))


def refused(state_dir: Path, source: Path, error: BaseException) -> None:
    """Record that the file was refused, and that the former one is still in effect."""
    lines = str(error).splitlines() or [type(error).__name__]
    errors = tuple(line[:_LONGEST] for line in lines[:_MOST_ERRORS])
    former = read_outcome(state_dir) or Outcome(False, 0.0, "")
    _write(state_dir, replace(former, success=False, at=time.time(), source=str(source), errors=errors))


def _write(state_dir: Path, outcome: Outcome) -> None:
    file = Path(state_dir) / _NAME
    partial = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(asdict(outcome), indent=1) + "\n", encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        _LOG.warning("%s cannot be written (%s): no metric will say how this ended", file, error.strerror)


def state_dir_of(text: str) -> Path:
    """Return the state folder that a zads.toml names, as well as can be told when the text is broken."""
    with suppress(ValueError, RecursionError):
        return _named(tomllib.loads(text).get("exporters"))
    table = ""
    for line in text.splitlines():
        if header := re.match(r"\s*\[\s*([^\[\]]*?)\s*\]", line):
            table = header[1]
        elif table == "exporters" and re.match(r"\s*state_dir\s*=", line):
            with suppress(ValueError):
                return _named(tomllib.loads(line))
    return _named(None)


def _named(table: Any) -> Path:
    value = table.get("state_dir") if isinstance(table, dict) else None
    return Path(value) if isinstance(value, str) and value and "\0" not in value else Exporters().state_dir
