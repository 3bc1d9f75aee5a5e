"""What the notifier knows: alerts as they come in, incidents as they are remembered, deliveries as they go out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

Severity = Literal["page", "ticket", "info"]
Kind = Literal["firing", "reminder", "acknowledged", "resolved", "digest"]
PAGE: Severity = "page"


@dataclass(frozen=True)
class Alert:
    """One alert of a webhook's body; times are seconds since 1970."""

    fingerprint: str
    status: Literal["firing", "resolved"]
    starts_at: float
    ends_at: float | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def severity(self) -> str:
        """page, ticket or info; what carries no severity is a ticket, so that nothing is lost for a missing label."""
        return self.labels.get("severity", "ticket")


@dataclass(frozen=True)
class Incident:
    """One trouble from its first firing to its end."""

    id: int
    fingerprint: str
    state: Literal["firing", "acknowledged", "resolved"]
    severity: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float
    opened_at: float
    resolved_at: float | None
    acknowledged_at: float | None
    acknowledged_by: str

    @property
    def headline(self) -> str:
        """Two or three words."""
        return self.labels.get("headline") or self.labels.get("alertname", "ALERT")

    @property
    def began_at(self) -> float:
        """When the trouble began: Prometheus says when the alert fired, which is after its waiting time."""
        pending = self.annotations.get("pending", "")
        return self.starts_at - (float(pending) if pending.isdigit() else 0.0)

    @property
    def key(self) -> str:
        """The key that providers know the incident by."""
        return f"zads-{self.id}-{self.fingerprint}"

    @property
    def episode_key(self) -> str:
        """The key of this episode, also where the record could not be written and gave no number."""
        return f"zads-{self.fingerprint}-{int(self.starts_at)}"

    @property
    def subject(self) -> str:
        """What it is about: the community, service or host."""
        for name in ("community", "service", "host", "channel", "job"):
            if self.labels.get(name):
                return self.labels[name]
        return self.labels.get("alertname", "")


@dataclass(frozen=True)
class Delivery:
    """One message to one channel about one incident."""

    id: int
    incident: Incident
    channel: str
    kind: Kind
    attempts: int
    created_at: float
    doubtful: bool = False
    fallback_for: str = ""
    references: Mapping[str, str] = field(default_factory=dict)


class DeliveryError(Exception):
    """A provider did not take a message.

    `permanent`: trying again changes nothing (revoked key, unknown recipient). `retry_after`: seconds that
    the provider asked for. `doubtful`: it may have taken the message although no answer came.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after: float | None = None, doubtful: bool = False
    ) -> None:
        self.permanent, self.retry_after, self.doubtful = permanent, retry_after, doubtful
        super().__init__(message)


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110: seconds or a date); None where there is none."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


class BadBodyError(ValueError):
    """A webhook's body that cannot be understood; says why."""


def parse_time(text: Any) -> float | None:
    """Return seconds since 1970 for an RFC 3339 time; None for Go's zero time."""
    if not isinstance(text, str) or not text or text.startswith("0001-"):
        return None
    # Go writes nanoseconds, Python reads microseconds.
    head, dot, rest = text.partition(".")
    if dot:
        digits = rest.rstrip("Zz")
        zone = ""
        for sign in "+-":
            if sign in digits:
                digits, _, zone = digits.partition(sign)
                zone = sign + zone
        text = f"{head}.{digits[:6]}{zone or '+00:00'}"
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        raise BadBodyError(f"{text!r} is no RFC 3339 time") from None


def parse_webhook(body: bytes) -> list[Alert]:
    """Return the alerts of an Alertmanager webhook (version 4; Grafana's is a superset).

    Unknown fields are ignored. Raises BadBodyError with the reason.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise BadBodyError("the body is not JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("alerts"), list):
        raise BadBodyError('the body has no list "alerts": is this an Alertmanager webhook?')
    if str(content.get("version", "4")) not in {"4", "1"}:
        raise BadBodyError(f"webhook version {content['version']!r} is not known, 4 is")
    return [_alert(index, entry) for index, entry in enumerate(content["alerts"])]


def _alert(index: int, entry: Any) -> Alert:
    if not isinstance(entry, dict) or entry.get("status") not in {"firing", "resolved"}:
        raise BadBodyError(f'alerts[{index}] has no status "firing" or "resolved"')
    labels, annotations = entry.get("labels") or {}, entry.get("annotations") or {}
    if not isinstance(labels, dict) or not isinstance(annotations, dict):
        raise BadBodyError(f"alerts[{index}].labels and .annotations must be objects")
    labels = {_text(key): _text(value) for key, value in labels.items()}
    starts_at = parse_time(entry.get("startsAt"))
    if starts_at is None:
        raise BadBodyError(f"alerts[{index}].startsAt is missing")
    return Alert(
        _text(entry.get("fingerprint") or fingerprint(labels)),
        entry["status"],
        starts_at,
        parse_time(entry.get("endsAt")),
        labels,
        {_text(key): _text(value) for key, value in annotations.items()},
    )


def _text(value: Any) -> str:
    """Return text that can be stored: JSON may carry half of a surrogate pair, UTF-8 may not."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return a stable name for a set of labels, where the sender gave none."""
    text = json.dumps(sorted(labels.items())).encode()
    return hashlib.blake2b(text, digest_size=8).hexdigest()
