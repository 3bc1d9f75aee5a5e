"""Who gets what: severity to channels, from zads.toml; and who is on call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from zads.config import Config

_HAND_OVER_HOUR = 9
_WEEK = timedelta(days=7)


def channels_for(config: Config, severity: str) -> tuple[str, ...]:
    """Return the channels of a severity; an unknown one is a ticket, so that nothing is lost by a typing error."""
    routes: Mapping[str, tuple[str, ...]] = {str(key): value for key, value in config.notifier.routes.items()}
    return tuple(routes.get(severity, routes.get("ticket", ())))


def fallback_for(config: Config, channel: str, severity: str, broken: Collection[str] = ()) -> str | None:
    """Return the channel that tells what `channel` refuses for good: one that would not tell it anyway.

    A ticket that another channel of its route tells wakes nobody through PagerDuty.
    """
    used = set(channels_for(config, severity))
    if severity != "page" and used - {channel} - set(broken):
        return None
    for other in ("pagerduty", "slack", "email"):
        if other != channel and other not in used and getattr(config.notifier, other) is not None:
            return other
    return None


def on_call(config: Config, now: datetime) -> str | None:
    """Return who is on call: a weekly rotation, handed over on Mondays at 09:00 local time.

    Local time is the site's zone; a week is seven local days, so that daylight saving moves nothing.
    """
    people = config.notifier.oncall
    if not people:
        return None
    local = now.astimezone(ZoneInfo(config.site.timezone)).replace(tzinfo=None)
    monday = datetime(2024, 1, 1, _HAND_OVER_HOUR)
    return people[(local - monday) // _WEEK % len(people)].name
