"""Read the body of a webhook: Alertmanager's, version 4; Grafana's is a superset.

One alert that cannot be understood does not take the others of its body with it: it is kept apart with the
reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from notifier.model import Alert

_FINGERPRINT = re.compile(r"[A-Za-z0-9_-]{1,64}")


class BadBodyError(ValueError):
    """A webhook's body, or one alert of it, that cannot be understood; says why."""


@dataclass(frozen=True)
class Refused:
    """One alert that cannot be understood, as it came."""

    reason: str
    text: str


@dataclass(frozen=True)
class Body:
    """What a webhook says; `source` is the sender's own address."""

    alerts: tuple[Alert, ...]
    refused: tuple[Refused, ...]
    source: str


def parse_webhook(body: bytes) -> Body:
    """Return the alerts of a webhook; unknown fields are ignored.

    Raises BadBodyError, with the reason, when the body as a whole is not understood.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise BadBodyError("the body is not JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("alerts"), list):
        raise BadBodyError('the body has no list "alerts": is this an Alertmanager webhook?')
    if str(content.get("version", "4")) not in {"4", "1"}:
        raise BadBodyError(f"webhook version {content['version']!r} is not known, 4 is")
    source = _text(content.get("externalURL") or "")
    alerts, refused = list[Alert](), list[Refused]()
    for index, entry in enumerate(content["alerts"]):
        try:
            alerts.append(_alert(index, entry, source))
        except BadBodyError as error:
            refused.append(Refused(str(error), _text(json.dumps(entry, ensure_ascii=False))))
    return Body(tuple(alerts), tuple(refused), source)


def _alert(index: int, entry: Any, source: str) -> Alert:
    if not isinstance(entry, dict) or entry.get("status") not in ("firing", "resolved"):
        raise BadBodyError(f'alerts[{index}] has no status "firing" or "resolved"')
    labels, annotations = entry.get("labels") or {}, entry.get("annotations") or {}
    if not isinstance(labels, dict) or not isinstance(annotations, dict):
        raise BadBodyError(f"alerts[{index}].labels and .annotations must be objects")
    labels = {_text(key): _text(value) for key, value in labels.items()}
    starts_at = parse_time(entry.get("startsAt"), f"alerts[{index}].startsAt")
    if starts_at is None:
        raise BadBodyError(f"alerts[{index}].startsAt is missing")
    status: Literal["firing", "resolved"] = entry["status"]
    return Alert(
        _fingerprint(entry.get("fingerprint"), labels),
        status,
        starts_at,
        parse_time(entry.get("endsAt"), f"alerts[{index}].endsAt") if status == "resolved" else None,
        labels,
        {_text(key): _text(value) for key, value in annotations.items()},
        source,
    )


def _fingerprint(given: Any, labels: Mapping[str, str]) -> str:
    """Return the sender's fingerprint where it is a plain word (it goes into headers and keys), else one of our own."""
    text = _text(given or "")
    if _FINGERPRINT.fullmatch(text):
        return text
    content = text.encode() if text else json.dumps(sorted(labels.items())).encode()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _text(value: Any) -> str:
    """Return text that can be stored: JSON may carry half of a surrogate pair, UTF-8 may not."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def parse_time(text: Any, name: str = "time") -> float | None:
    """Return seconds since 1970 for an RFC 3339 time; None for Go's zero time."""
    if not isinstance(text, str) or not text or text.startswith("0001-"):
        return None
    # Go writes nanoseconds, Python reads microseconds.
    whole = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        moment = datetime.fromisoformat(whole.replace("Z", "+00:00"))
        if moment.tzinfo is None:
            raise ValueError
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise BadBodyError(f"{name}: {text[:60]!r} is no RFC 3339 time") from None
