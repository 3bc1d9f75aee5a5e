"""The incidents of PagerDuty's stand-in: opened by events, acknowledged and resolved by events or by persons."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

SERVICE = {"id": "PZADS01", "type": "service_reference", "summary": "ZADS"}
_KEPT = 10_000


def user(name: str) -> dict[str, str]:
    """Return a person as PagerDuty refers to one."""
    return {"id": f"P{zlib.crc32(name.encode('utf-8', 'replace')):08X}", "type": "user_reference", "summary": name}


@dataclass
class Incident:
    """One incident with one alert; `status` is triggered, acknowledged or resolved, times are seconds since 1970."""

    number: int
    key: str
    title: str
    created_at: float
    changed_at: float
    status: str = "triggered"
    changed_by: Mapping[str, str] = field(default_factory=lambda: SERVICE)
    acknowledgements: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    @property
    def identity(self) -> str:
        """PagerDuty's id."""
        return f"Q{self.number:06d}"

    def change(self, status: str, by: Mapping[str, str], at: float) -> None:
        """Change the status; an end and a taking back clear the acknowledgements, as PagerDuty does."""
        self.status, self.changed_by, self.changed_at = status, by, at
        if status == "acknowledged":
            self.acknowledgements.append((by, at))
        else:
            self.acknowledgements.clear()

    def as_json(self) -> dict[str, Any]:
        """Return it as the REST API writes it; its alert has the key, so the incident has none."""
        return {
            "id": self.identity,
            "type": "incident",
            "summary": f"[#{self.number}] {self.title}",
            "incident_number": self.number,
            "title": self.title,
            "created_at": utc(self.created_at),
            "updated_at": utc(self.changed_at),
            "status": self.status,
            "incident_key": None,
            "service": SERVICE,
            "assignments": [],
            "last_status_change_at": utc(self.changed_at),
            "last_status_change_by": dict(self.changed_by),
            "resolved_at": utc(self.changed_at) if self.status == "resolved" else None,
            "acknowledgements": [{"at": utc(at), "acknowledger": dict(by)} for by, at in self.acknowledgements],
            "urgency": "high",
        }


class Incidents:
    """All incidents, oldest first; the oldest ones that are over are forgotten."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.wall = wall
        self._all: list[Incident] = []
        self._open: dict[str, Incident] = {}
        self._last = 0

    def open(self, key: str) -> Incident | None:
        """Return the open incident with this key."""
        return self._open.get(key)

    def all(self) -> list[Incident]:
        """Return all, oldest first."""
        return list(self._all)

    def trigger(self, key: str, title: str, at: float | None = None) -> Incident:
        """Open one."""
        now = self.wall() if at is None else at
        self._last += 1
        one = Incident(self._last, key, title, now, now)
        self._open[key] = one
        self._all.append(one)
        if len(self._all) > _KEPT:
            self._all = [old for old in self._all[:-_KEPT] if old.status != "resolved"] + self._all[-_KEPT:]
        return one

    def change(self, one: Incident, status: str, by: Mapping[str, str] = SERVICE, at: float | None = None) -> None:
        """Change an open one's status."""
        one.change(status, by, self.wall() if at is None else at)
        if status == "resolved":
            self._open.pop(one.key, None)


def utc(seconds: float) -> str:
    """Return a time as PagerDuty writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def seconds(text: Any) -> float | None:
    """Return the seconds of such a time; None where it is none."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
