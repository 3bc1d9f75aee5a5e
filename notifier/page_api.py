"""Open incidents for programs: `/api/v1/incidents.json`, read-only, described in docs/notifier-page.md."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from notifier.model import Incident
from notifier.page_public import public, public_labels
from notifier.page_state import Now
from notifier.render import name_of, summary_of

VERSION = 1
_MOST = 1000


def incidents(now: Now, external_url: str) -> Mapping[str, Any]:
    """Return what is open; numbers that may become large are text, times are RFC 3339 in UTC."""
    base = external_url.rstrip("/")
    everything = [*now.open, *now.noted]
    change = now.duty.hand_over
    return {
        "version": VERSION,
        "at": _time(now.at),
        "open": len(now.open),
        "incidents": [_incident(one, base) for one in everything[:_MOST]],
        "truncated": len(everything) > _MOST,
        "on_call": {
            "now": _public(now.duty.now),
            "next": _public(now.duty.next),
            "hand_over": _time(change.timestamp()) if change else None,
        },
        "channels": [
            {
                "name": one.name,
                "works": one.healthy,
                "waiting": one.waiting,
                "parked": one.parked,
                "broken_since": _time(one.since),
            }
            for one in now.channels
        ],
        "watchdog_heard": _time(now.heard),
        "record_writable": now.writable,
    }


def _incident(one: Incident, base: str) -> Mapping[str, Any]:
    return {
        "id": str(one.id),
        "severity": one.severity,
        "state": one.state,
        "headline": public(name_of(one)),
        "summary": public(summary_of(one)),
        "about": public(one.subject),
        "labels": public_labels(one.labels),
        "began_at": _time(one.began_at),
        "acknowledged_at": _time(one.acknowledged_at),
        "acknowledged_by": _public(one.acknowledged_by or None),
        "url": f"{base}/incident/{one.id}",
    }


def _public(words: str | None) -> str | None:
    return None if words is None else public(words)


def _time(at: float | None) -> str | None:
    try:
        return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None
