"""PagerDuty: trigger, acknowledge and resolve with the key that triggered (Events API v2), by pdpyras.

pdpyras retries 429 without end and sleeps in the caller's thread; that is switched off here, since the
queue decides when to try again. The library is deprecated and kept behind this file and pagerduty_read.py
(docs/decisions/0002-pdpyras.md).

Answers: 202 accepted; 400, 413 and whatever else is 4xx stays; 408, 429 and 5xx pass (developer.pagerduty.com,
Events API v2 overview and rate limits). A repetition does no harm: the key makes it one alert.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import requests

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pdpyras announces its successor at import; the decision record knows
    import pdpyras

from notifier.channels.network import trouble
from notifier.channels.post import host_of
from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Receipt, retry_after
from notifier.words import one_line
from zads.config import PagerDuty

_TIMEOUT = 10
_SEVERITY = {"page": "critical", "ticket": "warning", "info": "info"}
_SUMMARY_MOST = 1024
_NAME_MOST = 255
_DETAIL_MOST = 8_000  # characters of each of the four; an event may have 512 KB
_PASSES = {408, 425, 429}
_THROTTLED = 30.0  # seconds; 120 events a minute and key, the documentation advises half a minute
# What the library would write stands in the delivery's own line; and its words hold the key's last letters.
_SILENT = logging.getLogger(f"{__name__}.library")


class PagerDutyChannel:
    """Send events to one service's integration key."""

    name = "pagerduty"

    def __init__(self, settings: PagerDuty, routing_key: str, source: str, *, timeout: float = _TIMEOUT) -> None:
        self._source, self._key, self._host = source, routing_key, host_of(settings.base_url)
        session = pdpyras.EventsAPISession(routing_key)
        session.url = settings.base_url.rstrip("/")
        session.timeout = timeout
        session.max_network_attempts = 0
        session.retry.clear()
        # The library repeats after 429 for ever, unless this is its number of tries and they are used up at once.
        session.retry[429] = 1
        session.max_http_attempts = -1
        session.log = _SILENT
        _SILENT.disabled = True
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
                "source": one_line(incident.labels.get("host", ""))[:_NAME_MOST] or self._source,
                "severity": _SEVERITY.get(incident.severity, "error"),
                "component": one_line(incident.subject)[:_NAME_MOST] or "zads",
                "class": one_line(incident.labels.get("alertname", ""))[:_NAME_MOST] or "alert",
                "custom_details": self._details(message),
            },
        }
        try:
            self._session.send_event(action, dedup_key=key, **fields)
        except pdpyras.PDClientError as error:
            raise self._refusal(error) from None
        except (requests.RequestException, OSError) as error:
            raise self._unanswered(error) from None
        return Receipt({"key": key} if action == "trigger" else {})

    @staticmethod
    def _details(message: Message) -> dict[str, str]:
        details = {
            "what": " ".join(message.what),
            "impact": message.impact,
            "first": message.first,
            "note": " ".join(message.notes),
        }
        return {name: text[:_DETAIL_MOST] for name, text in details.items() if text}

    def _refusal(self, error: pdpyras.PDClientError) -> DeliveryError:
        response = getattr(error, "response", None)
        if response is None:
            return self._unanswered(error)
        status, wait = response.status_code, retry_after(response.headers.get("Retry-After"))
        said = one_line(response.text[:300]).replace(self._key, "(the key)")[:200]
        words = f"{self._host} answered {status}: {said}"
        if status == 429:
            return DeliveryError(words, retry_after=_THROTTLED if wait is None else wait)
        permanent = 300 <= status < 500 and status not in _PASSES
        return DeliveryError(words, permanent=permanent, retry_after=None if permanent else wait, doubtful=not permanent)

    def _unanswered(self, error: Exception) -> DeliveryError:
        words, doubtful = trouble(error, self._host)
        return DeliveryError(words, doubtful=doubtful)
