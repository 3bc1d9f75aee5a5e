"""The stand-in for PagerDuty's Events API v2: `POST /v2/enqueue`, as strict as the documentation says.

Sources: developer.pagerduty.com (Send an alert event, Events API v2 overview, rate limits, PD-CEF) and its
OpenAPI schema (PagerDuty/api-schema, events-v2). The words of the errors that PagerDuty is seen to give
(issues of tenderduty, robusta and SigNoz) are its own; the documentation lists none but the key's length.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from zads.stack.inbox_store import Inbox
from zads.stack.standin_http import Reply, decode
from zads.stack.standin_pagerduty_incidents import SERVICE, Incident, Incidents, seconds, user
from zads.stack.standin_rates import Rate, RateLimit

_LOG = logging.getLogger(__name__)
BODY_MOST = 512_000  # "Events API payloads are limited to 512 KB"
PAGERDUTY_RATE = Rate(120, 60.0)  # "approximately 120 calls/minute per integration key", sliding
_SUMMARY_MOST, _DEDUP_MOST = 1024, 255
_SEVERITIES = ("critical", "warning", "error", "info")
_ACTIONS = {"trigger": "firing", "acknowledge": "acknowledged", "resolve": "resolved"}
# What a person did in PagerDuty's app, and how the inbox calls the state that it leads to.
_DEEDS = {"acknowledge": "acknowledged", "resolve": "resolved", "unacknowledge": "triggered"}
_STATES = {"triggered": "firing", "acknowledged": "acknowledged", "resolved": "resolved"}


class PagerDuty:
    """One service with one integration key; what is open is known again after a restart."""

    def __init__(
        self,
        inbox: Inbox,
        routing_key: str,
        *,
        rate: Rate = PAGERDUTY_RATE,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._inbox, self._key = inbox, routing_key
        self._limit = RateLimit(rate.count, rate.seconds, clock)
        self.incidents = Incidents(wall)
        for message in inbox.all():
            self._restore(message)

    def _restore(self, message: dict[str, Any]) -> None:
        raw = message["raw"]
        if message["channel"] != "pagerduty" or not isinstance(raw, dict) or not isinstance(raw.get("dedup_key"), str):
            return
        key, action, at = raw["dedup_key"], raw.get("event_action"), seconds(message["at"])
        one = self.incidents.open(key)
        if action == "trigger":
            if one is None:
                self.incidents.trigger(key, message["title"], at)
            else:
                one.title = message["title"]
        elif one is not None and action in _DEEDS:
            by = user(raw["agent"]) if isinstance(raw.get("agent"), str) else SERVICE
            self.incidents.change(one, _DEEDS[action], by, at)

    def person(self, identity: str, deed: str, name: str) -> bool:
        """Do what a person does in the app: acknowledge, resolve or unacknowledge; tell whether the incident was open."""
        one = next((one for one in self.incidents.all() if one.identity == identity and one.status != "resolved"), None)
        if one is None or deed not in _DEEDS:
            return False
        self.incidents.change(one, _DEEDS[deed], user(name))
        raw = {"dedup_key": one.key, "event_action": deed, "agent": name, "incident": one.identity}
        self._keep(_STATES[one.status], one.title, raw)
        return True

    def enqueue(self, body: bytes | None) -> Reply:
        """Answer one event; None is a body over the limit."""
        if body is None or len(body) > BODY_MOST:
            return Reply(
                413, {"status": "invalid event", "message": "Event is too large", "errors": ["Size limit is 512 KB"]}
            )
        try:
            event = decode(body)
        except ValueError:
            return _invalid("Unrecognized object")
        if not isinstance(event, dict):
            return _invalid("Unrecognized object")
        errors = list(self._wrong_key(event.get("routing_key")))
        if not errors and self._limit.take(self._key):
            words = "Requests for this service are arriving too quickly.  Please retry later."
            return Reply(429, {"status": "throttle exceeded", "message": words, "errors": ["Request Limit Exceeded"]})
        errors += _wrong(event)
        return _invalid(*errors) if errors else self._accept(event)

    def _wrong_key(self, key: Any) -> Iterator[str]:
        if key is None or key == "":
            yield "'routing_key' is missing or blank"
        elif not isinstance(key, str):
            yield "'routing_key' is invalid (must be a string)"
        elif key != self._key:
            if len(key) != 32:
                yield "Length of 'routing_key' is incorrect (should be 32 characters)"
            if not re.fullmatch(r"[A-Za-z0-9]*", key):
                yield "'routing_key' cannot contain non-alphanumeric characters."
            if re.fullmatch(r"[A-Za-z0-9]{32}", key):
                yield "Invalid routing key"

    def _accept(self, event: dict[str, Any]) -> Reply:
        key = event.get("dedup_key") or uuid.uuid4().hex
        action = event["event_action"]
        raw = {**event, "routing_key": "(hidden)", "dedup_key": key}
        one = self.incidents.open(key)
        if action == "trigger":
            self._trigger(key, one, raw)
        elif one is None:
            _LOG.info("%s of an alert that is not open: dropped, as PagerDuty does", action)
        elif action == "resolve":
            self.incidents.change(one, "resolved")
            self._keep("resolved", one.title, raw)
        elif one.status == "triggered":  # a second acknowledgement changes nothing and tells nobody
            self.incidents.change(one, "acknowledged")
            self._keep("acknowledged", one.title, raw)
        return Reply(202, {"status": "success", "message": "Event processed", "dedup_key": key})

    def _trigger(self, key: str, one: Incident | None, raw: dict[str, Any]) -> None:
        """Open an incident, or add to the log of the open one.

        The real service writes a log entry and notifies nobody when the key is that of an open alert; an
        acknowledged one stays acknowledged. The inbox lists what reaches people, so such an event is no second
        page in it. Only a changed summary is seen by people (it becomes the alert's title): that is listed once,
        in the state that the incident is in, and marked as `duplicate` in its raw event.
        """
        title = raw["payload"]["summary"]
        if one is None:
            opened = self.incidents.trigger(key, title)
            self._keep("firing", title, {**raw, "incident": opened.identity})
        elif one.title != title:
            one.title = title
            self._keep(_STATES[one.status], title, {**raw, "duplicate": True})
        else:
            _LOG.info("another trigger of an open alert: in its log, nobody notified")

    def _keep(self, state: str, title: str, raw: dict[str, Any]) -> None:
        payload = raw["payload"] if isinstance(raw.get("payload"), dict) else {}
        details, summary = payload.get("custom_details"), payload.get("summary")
        # An end keeps its alert's title; what its event says in other words is in the text.
        lines = [summary] if isinstance(summary, str) and summary != title else []
        if isinstance(raw.get("agent"), str):
            lines.append(f"by {raw['agent']}, in PagerDuty's app")
        for name, value in details.items() if isinstance(details, dict) else ():
            lines.append(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
        self._inbox.add("pagerduty", state, title, "\n".join(lines) or title, raw)


def _invalid(*errors: str) -> Reply:
    return Reply(400, {"status": "invalid event", "message": "Event object is invalid", "errors": list(errors)})


def _wrong(event: dict[str, Any]) -> Iterator[str]:
    action, dedup = event.get("event_action"), event.get("dedup_key")
    if action is None or action == "":
        yield "'event_action' is missing or blank"
    elif not isinstance(action, str) or action not in _ACTIONS:
        yield "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')"
    if dedup is not None and not isinstance(dedup, str):
        yield "'dedup_key' is invalid (must be a string)"
    elif dedup is not None and len(dedup) > _DEDUP_MOST:
        yield f"'dedup_key' is too long (maximum is {_DEDUP_MOST} characters)"
    if action in ("acknowledge", "resolve"):
        if dedup is None or dedup == "":
            yield "'dedup_key' is missing or blank"
        # A payload is not looked at here: some integrations send one with every event, PagerDuty does not use it.
    elif action == "trigger":
        yield from _wrong_payload(event.get("payload"))
    yield from _text(event, "client", "client")
    yield from _url(event, "client_url", "client_url")
    yield from _wrong_context(event, "links", "href", ("http", "https"), ("text",))
    yield from _wrong_context(event, "images", "src", ("https",), ("alt",))


def _wrong_payload(payload: Any) -> Iterator[str]:
    if payload is None or payload == {}:
        yield "'payload' is missing or blank"
        return
    if not isinstance(payload, dict):
        yield "'payload' is invalid (must be an object)"
        return
    for name in ("summary", "source", "severity"):
        value = payload.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            yield f"'payload.{name}' is missing or blank"
        elif name == "severity" and value not in _SEVERITIES:
            yield "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')"
        elif not isinstance(value, str):
            yield f"'payload.{name}' is invalid (must be a string)"
    summary = payload.get("summary")
    if isinstance(summary, str) and len(summary) > _SUMMARY_MOST:
        yield f"'payload.summary' is too long (maximum is {_SUMMARY_MOST} characters)"
    for name in ("component", "group", "class"):
        yield from _text(payload, name, f"payload.{name}")
    if payload.get("timestamp") is not None and not _is_time(payload["timestamp"]):
        yield "'payload.timestamp' is invalid (must be ISO 8601)"
    if payload.get("custom_details") is not None and not isinstance(payload["custom_details"], dict):
        yield "'payload.custom_details' is invalid (must be an object)"


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _wrong_context(
    event: dict[str, Any], name: str, needed: str, schemes: tuple[str, ...], texts: tuple[str, ...]
) -> Iterator[str]:
    """Say what is wrong with the links or images: a list of objects, each with an address."""
    entries = event.get(name)
    if entries is None:
        return
    if not isinstance(entries, list):
        yield f"'{name}' is invalid (must be an array of objects)"
        return
    for number, entry in enumerate(entries):
        where = f"{name}[{number}]"
        if not isinstance(entry, dict):
            yield f"'{where}' is invalid (must be an object)"
            continue
        if entry.get(needed) is None or entry[needed] == "":
            yield f"'{where}.{needed}' is missing or blank"
        else:
            yield from _url(entry, needed, f"{where}.{needed}", schemes)
        if needed != "href":
            yield from _url(entry, "href", f"{where}.href")
        for text in texts:
            yield from _text(entry, text, f"{where}.{text}")


def _text(node: dict[str, Any], name: str, where: str) -> Iterator[str]:
    if node.get(name) is not None and not isinstance(node[name], str):
        yield f"'{where}' is invalid (must be a string)"


def _url(node: dict[str, Any], name: str, where: str, schemes: tuple[str, ...] = ("http", "https")) -> Iterator[str]:
    value = node.get(name)
    if value is None or value == "":
        return
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme.lower() not in schemes or not parts.netloc:
        yield f"'{where}' is invalid (must be a URL with {' or '.join(schemes)})"
