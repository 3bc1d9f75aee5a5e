"""The stack's own site: zads.toml moved to a longitude where dusk was an hour ago, and its secrets."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from zads.config import Config
from zads.night import longitude_for_dusk

_LONGITUDE = re.compile(r"^longitude\s*=.*$", re.MULTILINE)
_SITE = re.compile(r"^\[site\]\s*(#.*)?$", re.MULTILINE)


def moved(text: str, config: Config, now: datetime | None = None) -> str:
    """Return the text of zads.toml with a longitude where dusk was one hour before `now`."""
    dusk = (now or datetime.now(UTC)) - timedelta(hours=1)
    longitude = longitude_for_dusk(dusk, config.site.latitude, config.site.sun_limit)
    line = f"longitude = {longitude}  # dusk was at {dusk:%H:%M} UTC"
    if _LONGITUDE.search(text):
        return _LONGITUDE.sub(line, text, count=1)
    if _SITE.search(text):
        return _SITE.sub(f"[site]\n{line}", text, count=1)
    return f"[site]\n{line}\n\n{text}"


def make_secrets(config: Config) -> None:
    """Create the stack's secrets where they do not exist: random keys that only the stand-ins know."""
    wanted: list[tuple[Path, str]] = [(config.notifier.token_file, secrets.token_urlsafe(24))]
    if config.notifier.password_file:
        wanted.append((config.notifier.password_file, secrets.token_urlsafe(12)))
    if config.notifier.slack:
        wanted.append((config.notifier.slack.token_file, f"xoxb-{secrets.token_urlsafe(24)}"))
    if config.notifier.pagerduty:
        wanted.append((config.notifier.pagerduty.routing_key_file, secrets.token_hex(16)))
    for path, value in wanted:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(value + "\n", encoding="utf-8")
