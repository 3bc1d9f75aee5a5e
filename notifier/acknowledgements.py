"""Acknowledgements read back from PagerDuty by polling, so that no port of ours is open to the internet.

Who acknowledges in PagerDuty's app has acknowledged: the other channels are told and reminders end. Who resolves
there by hand has only acknowledged: whether it is over is Prometheus' to say. What the service itself did (our own
events, its timeouts) is no person's word and means nothing here.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from notifier.channels.pagerduty_read import PagerDutyReader
from notifier.model import DeliveryError
from notifier.words import one_line
from zads.config import PagerDuty

_LOG = logging.getLogger(__name__)
KEYS_AT_ONCE = 20  # one request each: 120 a minute at a look each ten seconds, of 960 that PagerDuty allows
_PAUSE, _LONG_PAUSE, _LONGEST_PAUSE = 30.0, 300.0, 900.0
_BUDGET = 5.0  # seconds of one look: who calls it has other things to watch
_NAME_MOST = 100


class Answer(NamedTuple):
    """What a person did: `who` acknowledged the incident `number` at `when` (seconds since 1970); "" took it back."""

    number: int
    who: str
    when: float


class Word(NamedTuple):
    """What PagerDuty says of one incident: `identity` and `at` tell one acknowledgement from the next."""

    identity: str
    who: str
    at: float


def read(incidents: Sequence[Mapping[str, Any]]) -> Word | None:
    """Return what a person said of the newest of these incidents: `who` is "" where nobody has; None when there is none."""
    newest = max(incidents, key=lambda one: (_integer(one.get("incident_number")), str(one.get("created_at"))), default=None)
    if newest is None:
        return None
    identity, status = str(newest.get("id", "")), newest.get("status")
    if status == "acknowledged":
        words = [_said(one.get("acknowledger"), one.get("at")) for one in _dicts(newest.get("acknowledgements"))]
        who, at = max((word for word in words if word[0]), key=lambda word: word[1], default=("", 0.0))
        # By our own event only: it tells nothing new, and takes nothing back either.
        return Word(identity, who, at) if who else None
    if status == "resolved":
        who, at = _said(newest.get("last_status_change_by"), newest.get("last_status_change_at"))
        return Word(identity, f"{who} (resolved at PagerDuty)", at) if who else None
    return Word(identity, "", _seconds(newest.get("last_status_change_at"))) if status == "triggered" else None


class Acknowledgements:
    """Asks PagerDuty about the incidents that it was told of.

    `keys` gives, at each look, the de-duplication key and the number of each incident that is asked about: those that
    fire and nobody has acknowledged; and those acknowledged at PagerDuty, where being taken back there matters.
    `outcomes` counts looks by "read" and "failed"; `trouble` is why the last one failed, "" when it did not.
    """

    def __init__(
        self,
        settings: PagerDuty,
        token: str,
        keys: Callable[[], Mapping[str, int]],
        *,
        clock: Callable[[], float] = time.time,
        timeout: float = 5.0,
    ) -> None:
        self._reader = PagerDutyReader(settings.api_url, token, timeout=timeout)
        self._keys, self._clock = keys, clock
        self._told: dict[str, Word] = {}
        self._turn: list[str] = []
        self._not_before = 0.0
        self._failures = 0
        self.outcomes: Counter[str] = Counter({"read": 0, "failed": 0})
        self.trouble = ""

    def look(self) -> list[Answer]:
        """Return what persons did at PagerDuty since the last look, each thing once; never raises for PagerDuty's sake.

        Where more incidents are open than may be asked about at once, they take turns.
        """
        keys = self._keys()
        self._told = {key: word for key, word in self._told.items() if key in keys}
        now = self._clock()
        if not keys:
            return []
        if now < self._not_before <= now + _LONGEST_PAUSE:
            return []
        # Whoever waited longest comes first; what is new comes before all others.
        known = set(self._turn)
        self._turn = [key for key in keys if key not in known] + [key for key in self._turn if key in keys]
        answers, begun = list[Answer](), time.monotonic()
        for key in self._turn[:KEYS_AT_ONCE]:
            if time.monotonic() - begun > _BUDGET:
                break  # it answers slowly: the others have their turn first at the next look
            try:
                word = read(self._reader.incidents(key))
            except DeliveryError as error:
                self._failed(error, now)
                return answers
            self._turn.remove(key)
            self._turn.append(key)
            answers += self._news(key, keys[key], word)
        self._works()
        return answers

    def _news(self, key: str, number: int, word: Word | None) -> list[Answer]:
        before = self._told.get(key)
        if word is None or word == before:
            return []
        if word.who:
            self._told[key] = word
            return [Answer(number, word.who, word.at)]
        if before is not None and before.identity == word.identity:
            del self._told[key]
            return [Answer(number, "", word.at)]
        return []

    def _failed(self, error: DeliveryError, now: float) -> None:
        self.outcomes["failed"] += 1
        self._failures += 1
        pause = error.retry_after or (_LONG_PAUSE if error.permanent else min(_PAUSE * self._failures, _LONG_PAUSE))
        self._not_before = now + min(pause, _LONGEST_PAUSE)
        if str(error) != self.trouble:
            _LOG.warning("pagerduty: acknowledgements cannot be read: %s; the next try is in %.0f s", error, pause)
        self.trouble = str(error)

    def _works(self) -> None:
        self.outcomes["read"] += 1
        if self.trouble:
            _LOG.warning("pagerduty: acknowledgements can be read again")
        self._failures, self.trouble = 0, ""


def _said(agent: Any, at: Any) -> tuple[str, float]:
    """Return a person's name and when; "" for a service or an integration."""
    if not isinstance(agent, dict) or not str(agent.get("type", "")).startswith("user"):
        return "", 0.0
    name = agent.get("summary") or agent.get("name") or "somebody"
    return one_line(str(name))[:_NAME_MOST] or "somebody", _seconds(at)


def _seconds(text: Any) -> float:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _integer(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
