"""What arrived at the stand-ins, and which alert each message is about."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_string
from email.policy import default as policy
from pathlib import Path
from typing import Any

from tests.drills.model import OUTSIDE
from zads.runbook import Rule

_DELIVERY = re.compile(r"<zads-delivery-(\d+)-")
_Common = tuple[float, str, str, str, str]
_HEADLINE = re.compile(r"\[ZADS\] (.*) \((?:firing|resolved)\)$")
_KEY = re.compile(r"zads-(.+)-\d+$")


@dataclass(frozen=True)
class Letter:
    """One message as it arrived; `via`: the notifier, alertmanager or outside; `alert` is "?" where nobody knows."""

    at: float
    channel: str
    state: str
    title: str
    text: str
    alert: str
    labels: Mapping[str, str] = field(default_factory=dict)
    severity: str = ""
    via: str = "notifier"
    to: str = ""
    silent: bool = False  # an edit, or a new title of an open alert: nobody's telephone rings

    @property
    def who(self) -> tuple[str, str, str]:
        """The alert, the channel and the recipient: whoever is told something twice has this twice."""
        return json.dumps([self.alert, sorted(self.labels.items())]), self.channel, self.to


@dataclass(frozen=True)
class Event:
    """When an alert's webhook was committed by the notifier; `starts` is when Prometheus said that it fires."""

    alert: str
    labels: Mapping[str, str]
    severity: str
    starts: float
    at: float
    status: str


class Record:
    """The notifier's record, read beside it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def _rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        db = sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=10)
        db.row_factory = sqlite3.Row
        try:
            return db.execute(statement, values).fetchall()
        finally:
            db.close()

    def incidents(self) -> dict[int, sqlite3.Row]:
        """Return all incidents by number."""
        return {row["id"]: row for row in self._rows("SELECT * FROM incidents")}

    def deliveries(self) -> dict[int, int]:
        """Return the incident of each delivery."""
        return {row["id"]: row["incident"] for row in self._rows("SELECT id, incident FROM deliveries")}

    def waiting(self) -> int:
        """Return how many messages wait for a channel."""
        (row,) = self._rows("SELECT COUNT(*) AS n FROM deliveries WHERE state IN ('pending', 'claimed')")
        return int(row["n"])

    def open(self) -> list[tuple[str, dict[str, str]]]:
        """Return the alerts of open incidents that somebody was told of."""
        rows = self._rows("SELECT labels FROM incidents WHERE state!='resolved' AND severity!='info'")
        return [(labels.get("alertname", "?"), labels) for row in rows if (labels := json.loads(row["labels"]))]

    def events(self, since: float) -> list[Event]:
        """Return what Alertmanager has said since a time, oldest first."""
        found = self._rows(
            "SELECT e.*, i.labels, i.severity FROM events e JOIN incidents i ON i.id=e.incident WHERE e.at>=? ORDER BY e.at",
            since,
        )
        result = []
        for row in found:
            labels = json.loads(row["labels"])
            name = labels.get("alertname", "?")
            result.append(Event(name, labels, row["severity"], row["starts_at"], row["at"], row["status"]))
        return result


class Reader:
    """Tell of each message of the inbox which alert it is about."""

    def __init__(self, record: Record, rules: Iterable[Rule]) -> None:
        self._record = record
        self._direct = {
            rule.labels.get("headline", ""): rule for rule in rules if rule.alert and rule.labels.get("path") == "direct"
        }

    def read(self, messages: Iterable[Mapping[str, Any]]) -> list[Letter]:
        """Return the messages as letters."""
        incidents, deliveries = self._record.incidents(), self._record.deliveries()
        prints = {row["fingerprint"]: number for number, row in incidents.items()}
        letters = []
        for one in messages:
            common: _Common = (_seconds(one["at"]), one["channel"], one["state"], one["title"], one["text"])
            raw = one["raw"]
            number, to, silent = _incident(raw, deliveries, prints)
            if number in incidents:
                row = incidents[number]
                labels = json.loads(row["labels"])
                alert = labels.get("alertname", "?")
                letters.append(Letter(*common, alert, labels, row["severity"], "notifier", to, silent))
            elif isinstance(raw, dict) and raw.get("source") == "outside dead-man's switch":
                letters.append(Letter(*common, OUTSIDE, {}, "page", "outside", "", silent))
            else:
                letters.append(self._around(common, raw, to, silent))
        return letters

    def _around(self, common: _Common, raw: Any, to: str, silent: bool) -> Letter:
        """Return a letter that came from Alertmanager itself, known by its headline or its labels."""
        title, text = common[3], common[4]
        found = _HEADLINE.match(title)
        words = f"{title}\n{text}\n{json.dumps(raw) if isinstance(raw, dict) else ''}"
        for headline, rule in self._direct.items():
            if (found and found[1] == headline) or re.search(rf"alertname = {rule.name}\b", words):
                return Letter(*common, rule.name, {}, rule.severity, "alertmanager", to, silent)
        for rule in self._direct.values():
            begin = re.split(r"\{\{", rule.annotations.get("summary", ""))[0].strip()
            if begin and begin in words:
                return Letter(*common, rule.name, {}, rule.severity, "alertmanager", to, silent)
        return Letter(*common, "?", {}, "", "alertmanager", to, silent)


def _incident(raw: Any, deliveries: Mapping[int, int], prints: Mapping[str, int]) -> tuple[int, str, bool]:
    """Return the incident of a raw message (0: unknown), its recipient, and whether it is silent."""
    if isinstance(raw, str):
        mail = message_from_string(raw, policy=policy)
        found = _DELIVERY.match(str(mail.get("Message-ID", "")))
        return (deliveries.get(int(found[1]), 0) if found else 0), str(mail.get("To", "")), False
    if not isinstance(raw, dict):
        return 0, "", False
    if isinstance(raw.get("metadata"), dict):
        payload = raw["metadata"].get("event_payload") or {}
        return int(payload.get("incident") or 0), str(raw.get("channel", "")), bool(raw.get("edited"))
    if found := _KEY.match(str(raw.get("dedup_key", ""))):
        return prints.get(found[1], 0), "", bool(raw.get("duplicate"))
    body = raw.get("data", raw)
    inner = body.get("incident") if isinstance(body, dict) else None
    number = str(inner.get("id", "")) if isinstance(inner, dict) else ""
    return (int(number) if number.isdigit() else 0), "", False


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
