"""The stack's own site: zads.toml moved to a longitude where dusk was an hour ago, and its secrets."""

from __future__ import annotations

import base64
import re
import secrets
import tomllib
from datetime import UTC, datetime, timedelta

from zads.apply_files import KEPT
from zads.config import Config
from zads.night import longitude_for_dusk

_LONGITUDE = re.compile(r"^([ \t]*)((?:site[ \t]*\.[ \t]*)?longitude)[ \t]*=.*$", re.MULTILINE)
_SITE = re.compile(r"^[ \t]*\[[ \t]*site[ \t]*\][ \t]*(#.*)?$", re.MULTILINE)


def moved(text: str, config: Config, now: datetime | None = None) -> str:
    """Return the text of zads.toml with a longitude where dusk was one hour before `now`.

    Raises ValueError where there is no dusk at the site's latitude, or where the text hides its longitude.
    """
    dusk = (now or datetime.now(UTC)) - timedelta(hours=1)
    longitude = longitude_for_dusk(dusk, config.site.latitude, config.site.sun_limit)
    line = f"longitude = {longitude}  # dusk was at {dusk:%H:%M} UTC {KEPT}"
    if _LONGITUDE.search(text):
        result = _LONGITUDE.sub(lambda m: f"{m[1]}{m[2]}{line.removeprefix('longitude')}", text, count=1)
    elif _SITE.search(text):
        result = _SITE.sub(f"[site]\n{line}", text, count=1)
    else:
        result = f"[site]\n{line}\n\n{text}"
    wanted = tomllib.loads(text)
    wanted["site"] = {**wanted.get("site", {}), "longitude": longitude}
    try:
        right = tomllib.loads(result) == wanted
    except tomllib.TOMLDecodeError:
        right = False
    if not right:
        raise ValueError("write longitude on a line of its own under [site]")
    return result


def random_key() -> str:
    """Return a password that nobody has to type."""
    return secrets.token_urlsafe(24)


def make_secrets(config: Config) -> None:
    """Create the stack's secrets where they do not exist: random keys that only the stand-ins know."""
    notifier = config.notifier
    wanted = [
        (notifier.token_file, secrets.token_urlsafe(24)),
        (notifier.password_file, secrets.token_urlsafe(12)),
        (notifier.slack.token_file if notifier.slack else None, f"xoxb-{secrets.token_urlsafe(24)}"),
        (notifier.pagerduty.routing_key_file if notifier.pagerduty else None, secrets.token_hex(16)),
        (notifier.pagerduty.api_token_file if notifier.pagerduty else None, secrets.token_urlsafe(15)),
        (
            notifier.webhook.secret_file if notifier.webhook else None,
            f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
        ),
    ]
    for path, value in wanted:
        if path is None:
            continue  # not configured, or in the environment
        if path.exists() and path.stat().st_size:
            continue  # an empty one is what a full disk left
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".new")
        partial.touch(mode=0o600)
        partial.write_text(value + "\n", encoding="utf-8")
        partial.replace(path)
