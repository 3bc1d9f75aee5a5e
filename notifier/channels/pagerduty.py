"""PagerDuty: trigger, acknowledge and resolve with the key that triggered (Events API v2), by pdpyras.

pdpyras retries 429 without end and sleeps in the caller's thread; that is switched off here, since the
queue decides when to try again. The library is deprecated and kept behind this one file
(docs/decisions/0002-pdpyras.md).
"""

from __future__ import annotations

import warnings
from typing import Any

import requests

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pdpyras announces its successor at import; the decision record knows
    import pdpyras

from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Receipt, retry_after
from notifier.words import one_line
from zads.config import PagerDuty

_TIMEOUT = 10
_SEVERITY = {"page": "critical", "ticket": "warning", "info": "info"}
_SUMMARY_MOST = 1024


class PagerDutyChannel:
    """Send events to one service's integration key."""

    name = "pagerduty"

    def __init__(self, settings: PagerDuty, routing_key: str, source: str) -> None:
        self._source = source
        session = pdpyras.EventsAPISession(routing_key)
        session.url = settings.base_url.rstrip("/")
        session.timeout = _TIMEOUT
        session.max_network_attempts = 0
        session.sleep_timer = 0.1
        session.retry.clear()
        session.retry[429] = 1  # 0 would mean "for ever" (pdpyras 5.4.1)
        self._session = session

    def send(self, delivery: Delivery, message: Message) -> Receipt:
        """Send the event; triggering again with the same key only adds to the incident's log.

        PagerDuty shows what a trigger carries; with the other events the same fields go into its log.
        """
        # An episode's key serves also a page that was sent from memory; what triggered must also resolve.
        key = delivery.references.get("key") or delivery.incident.episode_key[:255]
        action = {"resolved": "resolve", "acknowledged": "acknowledge"}.get(delivery.kind, "trigger")
        incident = delivery.incident
        fields: dict[str, Any] = {
            "client": "ZADS Monitor",
            "client_url": message.links[0][1],
            "links": [{"href": url, "text": name} for name, url in message.links],
            "payload": {
                "summary": message.title[:_SUMMARY_MOST],
                "source": one_line(incident.labels.get("host", "")) or self._source,
                "severity": _SEVERITY.get(incident.severity, "error"),
                "component": one_line(incident.subject) or "zads",
                "class": one_line(incident.labels.get("alertname", "")) or "alert",
                "custom_details": self._details(message),
            },
        }
        try:
            self._session.send_event(action, dedup_key=key, **fields)
        except pdpyras.PDClientError as error:
            raise self._refusal(error) from None
        except requests.RequestException as error:
            raise DeliveryError(f"pagerduty: {type(error).__name__}", doubtful=True) from None
        return Receipt({"key": key} if action == "trigger" else {})

    @staticmethod
    def _details(message: Message) -> dict[str, str]:
        details = {
            "what": " ".join(message.what),
            "impact": message.impact,
            "first": message.first,
            "note": " ".join(message.notes),
        }
        return {name: text for name, text in details.items() if text}

    @staticmethod
    def _refusal(error: pdpyras.PDClientError) -> DeliveryError:
        response = getattr(error, "response", None)
        if response is None:
            cause = error.__cause__
            return DeliveryError(f"pagerduty: {type(cause).__name__ if cause else error}", doubtful=True)
        wait = retry_after(response.headers.get("Retry-After"))
        words = f"pagerduty: {response.status_code} {response.text[:200]}"
        if response.status_code == 429:
            # 120 events a minute and key; the documentation advises half a minute.
            return DeliveryError(words, retry_after=30.0 if wait is None else wait)
        ours = 400 <= response.status_code < 500
        return DeliveryError(words, permanent=ours, doubtful=not ours)
