"""A program of your own: each message as JSON, signed as Standard Webhooks 1.0.0 says (standardwebhooks.com).

Headers: `webhook-id`, the same for each try, so that a receiver knows a repetition; `webhook-timestamp`, the
seconds since 1970 of this try; `webhook-signature`, "v1," and the base64 of HMAC-SHA256 over "id.timestamp.body".
A receiver answers 2xx once it has the message, also to a repetition; 410 when it wants no more.
The body is that of `body_of`; `version` changes when a field changes its meaning or goes, new fields may come.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from notifier.channels.post import TIMEOUT, post
from notifier.message import Message
from notifier.model import Delivery, Receipt
from notifier.words import one_line
from zads.config import Webhook
from zads.signing_key import signing_key

VERSION = 1
BODY_MOST = 256_000  # bytes; an incident of ours has some 3,000
_TEXT_MOST = 4_000
_HINTS = {
    401: "it does not accept the signature: check notifier.webhook.secret at both ends, and both clocks",
    403: "it does not accept the signature: check notifier.webhook.secret at both ends, and both clocks",
    404: "check the path of notifier.webhook.url",
    410: "it wants no more messages: take [notifier.webhook] out, or write its new address",
}


def body_of(delivery: Delivery, message: Message, site: str) -> dict[str, Any]:
    """Return the body: what happened, the incident as it is known now, and the words that people are told.

    `type` is incident.firing, .reminder, .acknowledged, .resolved, or incident.digest for many at once;
    `incident.key` is the same from its first message to its end. Times are UTC; what is not known is null.
    """
    incident = delivery.incident
    return {
        "version": VERSION,
        "type": f"incident.{delivery.kind}",
        "timestamp": _utc(delivery.created_at),
        "id": identity(delivery),
        "kind": delivery.kind,
        "site": site,
        "incident": {
            "id": incident.id or None,
            "key": _key(delivery),
            "state": incident.state,
            "severity": incident.severity,
            "headline": one_line(incident.headline),
            "since": _utc(incident.began_at),
            "opened_at": _utc(incident.opened_at),
            "acknowledged_at": _utc(incident.acknowledged_at),
            "acknowledged_by": incident.acknowledged_by or None,
            "resolved_at": _utc(incident.resolved_at),
            "labels": dict(incident.labels),
            "annotations": dict(incident.annotations),
        },
        "message": {
            "state": message.state,
            "severity": message.severity,
            "title": message.title,
            "what": list(message.what),
            "impact": message.impact,
            "first": message.first,
            "notes": list(message.notes),
            "links": [{"name": name, "url": url} for name, url in message.links],
        },
        "shortened": False,
    }


def identity(delivery: Delivery) -> str:
    """Return the delivery's name for the receiver; it holds no full stop, which parts what is signed."""
    text = f"zads-{delivery.key}-{delivery.incident.fingerprint}"
    if re.fullmatch(r"[\w-]{1,128}", text, re.ASCII):
        return text
    return f"zads-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def encode(body: Mapping[str, Any]) -> bytes:
    """Return the body's bytes; one that is too large loses the annotations, then the ends of its texts, then the labels."""
    for shorten in (_whole, _without_annotations, _cut, _bare):
        data = json.dumps(shorten(dict(body)), separators=(",", ":")).encode()
        if len(data) <= BODY_MOST:
            break
    return data


def sign(key: bytes, name: str, seconds: int, data: bytes) -> str:
    """Return the signature of one try."""
    mark = hmac.new(key, f"{name}.{seconds}.".encode() + data, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(mark).decode()}"


class WebhookChannel:
    """Post to one address.

    Raises ValueError when the secret is none.
    """

    name = "webhook"

    def __init__(
        self,
        settings: Webhook,
        secret: str,
        site: str,
        *,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._site = settings, site
        # An empty one has been complained of already, together with all other secrets that are missing.
        self._key = signing_key(secret) if secret else b""
        self._timeout, self._clock = timeout, clock

    def send(self, delivery: Delivery, message: Message) -> Receipt:
        """Post the message; what the receiver knows the incident by is remembered, also where it fires again."""
        data, name, seconds = encode(body_of(delivery, message, self._site)), identity(delivery), int(self._clock())
        headers = {
            "webhook-id": name,
            "webhook-timestamp": str(seconds),
            "webhook-signature": sign(self._key, name, seconds, data),
        }
        answer = post(self._settings.url, data, headers, ca_file=self._settings.ca_file, timeout=self._timeout)
        if answer.accepted:
            return Receipt({"key": _key(delivery)})
        hint = _HINTS.get(answer.status, "")
        if 300 <= answer.status < 400:
            hint = "it is somewhere else now, and nothing signed is sent on: correct notifier.webhook.url"
        raise answer.error(hint)


def _key(delivery: Delivery) -> str:
    return delivery.references.get("key") or delivery.incident.episode_key


def _utc(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def _whole(body: dict[str, Any]) -> dict[str, Any]:
    return body


def _without_annotations(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "incident": {**body["incident"], "annotations": {}}, "shortened": True}


def _cut(body: dict[str, Any]) -> dict[str, Any]:
    """Keep the beginning of each text, and the first entries of each list."""

    def short(value: Any) -> Any:
        if isinstance(value, str):
            return value[:_TEXT_MOST]
        if isinstance(value, list):
            return [short(one) for one in value[:20]]
        if isinstance(value, dict):
            return {name[:200]: short(one) for name, one in value.items()}
        return value

    shortened: dict[str, Any] = short(_without_annotations(body))
    return shortened


def _bare(body: dict[str, Any]) -> dict[str, Any]:
    cut = _cut(body)
    return {**cut, "incident": {**cut["incident"], "labels": {}}}
