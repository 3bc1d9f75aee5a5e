"""Send what is queued: one worker per channel, so that a dead Slack never delays PagerDuty."""

from __future__ import annotations

import itertools
import logging
import random
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

from notifier.channels import Channel
from notifier.model import Delivery, DeliveryError, Incident
from notifier.render import digest, render
from notifier.store import Store

_LOG = logging.getLogger(__name__)
_FIRST, _MOST = 5.0, 900.0
_IDLE = 30.0
_FOLD_AFTER = 120.0
_STORM = 20
_UNHEALTHY_AFTER = 3
_PROBE_MOST = 60.0  # while a provider is away, one try a minute, whatever waits
BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


class ChannelBooks:
    """What the metrics say of one channel."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.retries = 0
        self.failures = 0  # in a row
        self.refused = False  # the last answer was a permanent error
        self.held_until = 0.0  # the circuit is open, or the provider asked for a pause
        self.delays: list[int] = [0] * (len(BUCKETS) + 1)
        self.delay_sum = 0.0

    @property
    def healthy(self) -> bool:
        """Tell whether the provider accepts."""
        return not self.refused and self.failures < _UNHEALTHY_AFTER

    def sent(self, seconds: float) -> None:
        """Count a delivery that arrived after so many seconds."""
        self.outcomes["sent"] += 1
        self.failures, self.refused = 0, False
        self.delays[sum(seconds > edge for edge in BUCKETS)] += 1
        self.delay_sum += seconds


def backoff(attempts: int, rng: Callable[[], float] = random.random) -> float:
    """Return the seconds until the next try: full jitter, 5 s doubled up to 15 minutes."""
    return float(max(1.0, rng() * min(_MOST, _FIRST * 2 ** min(attempts - 1, 20))))


class Dispatcher:
    """The workers of all channels."""

    def __init__(
        self,
        store: Store,
        channels: Iterable[Channel],
        external_url: str,
        *,
        fallback: Callable[[str, str, Collection[str]], str | None] = lambda _channel, _severity, _broken: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._url, self._fallback, self._clock = store, external_url, fallback, clock
        self.channels = {channel.name: channel for channel in channels}
        self.books: dict[str, ChannelBooks] = defaultdict(ChannelBooks)
        for name in self.channels:
            self.books[name] = ChannelBooks()
        self._wake = {name: threading.Event() for name in self.channels}
        self._emergencies = itertools.count(1)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the workers."""
        for name in self.channels:
            thread = threading.Thread(target=self._work, args=(name,), name=f"send-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float = 10.0) -> None:
        """Let each worker finish what it has claimed."""
        self._stop.set()
        for event in self._wake.values():
            event.set()
        for thread in self._threads:
            thread.join(timeout)

    def wake(self, channels: Iterable[str]) -> None:
        """Tell workers that there is something to do."""
        for name in channels:
            if name in self._wake:
                self._wake[name].set()

    def emergency(self, incidents: Iterable[Incident], channels: Iterable[str], reason: str) -> None:
        """Send pages straight from memory: the record cannot be written, and nobody shall sleep through it."""
        for incident in incidents:
            # A number of its own, below those of the record: channels remember by it who has taken what.
            delivery = Delivery(-next(self._emergencies), incident, "", "firing", 1, self._clock())
            message = render(delivery, self._url, self._clock())
            message = type(message)(
                message.state,
                message.severity,
                message.subject,
                message.title,
                (*message.lines, f"Sent from memory: the notifier's record cannot be written ({reason})."),
                message.links,
            )
            for name in channels:
                threading.Thread(target=self._send_now, args=(name, delivery, message), daemon=True).start()

    def _send_now(self, name: str, delivery: Delivery, message: object) -> None:
        channel = self.channels.get(name)
        if channel is None:
            return
        for attempt in range(1, 6):
            try:
                channel.send(delivery, message)  # type: ignore[arg-type]
                self.books[name].outcomes["emergency"] += 1
                return
            except DeliveryError as error:
                _LOG.warning("emergency by %s, try %d: %s", name, attempt, error)
                if self._stop.wait(error.retry_after or min(2.0**attempt, 30.0)):
                    return

    def _work(self, name: str) -> None:
        while not self._stop.is_set():
            self._wake[name].clear()
            try:
                held = self.books[name].held_until - self._clock()
                if held > 0:
                    self._pause(held)
                    continue
                worked = self._storm(name) or self._one(name)
                due = 0.0 if worked else self._store.next_due(name)
            except sqlite3.Error as error:
                _LOG.error("the record cannot be used: %s", error)
                worked, due = False, 5.0
            if not worked:
                # What is due but waits for an earlier message of its incident is looked at again soon.
                wait = _IDLE if due is None else max(1.0, min(due, _IDLE))
                self._wake[name].wait(wait)

    def _pause(self, seconds: float) -> None:
        """Wait although there may be something to send: a new message does not lift a provider's limit."""
        self._stop.wait(min(seconds, _MOST))

    def _storm(self, name: str) -> bool:
        """Tell many at once in one message; PagerDuty groups by itself and keeps each incident."""
        if name == "pagerduty":
            return False
        many = self._store.storm(name, _STORM)
        if not many:
            return False
        try:
            first = many[0]
            lead = Delivery(first.id, first.incident, name, "digest", first.attempts, first.created_at)
            self.channels[name].send(lead, digest(many, self._url, self._clock()))
        except DeliveryError as error:
            if error.permanent:
                for delivery in many:
                    self._on_error(name, delivery, error)
            else:
                self._note_failure(name, error)
                self._store.release_many(many, str(error), error.retry_after or backoff(first.attempts))
            return True
        self._store.sent_many(many)
        self.books[name].sent(self._clock() - many[0].created_at)
        self.books[name].outcomes["digest"] += len(many)
        _LOG.info("sent", extra={"channel": name, "digest": len(many)})
        return True

    def _one(self, name: str) -> bool:
        delivery = self._store.claim(name)
        if delivery is None:
            return False
        late = self._clock() - delivery.created_at
        over = delivery.incident.state == "resolved" and delivery.kind in {"firing", "reminder", "acknowledged"}
        if over and late > _FOLD_AFTER and name != "pagerduty" and self._store.fold(delivery):
            self.books[name].outcomes["folded"] += 1
            return True
        if delivery.attempts > 1:
            self.books[name].retries += 1
        try:
            references = self.channels[name].send(delivery, render(delivery, self._url, self._clock()))
        except DeliveryError as error:
            self._on_error(name, delivery, error)
        except Exception as error:  # the loop's edge: a defect here must not end the worker
            _LOG.exception("channel %s failed in a way it should not", name)
            self._on_error(name, delivery, DeliveryError(f"{type(error).__name__}: {error}", doubtful=True))
        else:
            self._on_sent(name, delivery, references)
        return True

    def _on_sent(self, name: str, delivery: Delivery, references: Mapping[str, str]) -> None:
        self._store.sent(delivery, references)
        self.books[name].sent(self._clock() - delivery.created_at)
        _LOG.info("%s: incident %d %s sent, try %d", name, delivery.incident.id, delivery.kind, delivery.attempts)

    def _note_failure(self, name: str, error: DeliveryError) -> None:
        book = self.books[name]
        book.failures += 1
        book.refused = error.permanent
        book.outcomes["refused" if error.permanent else "failed"] += 1
        if error.retry_after:
            book.held_until = self._clock() + error.retry_after
        elif not error.permanent and book.failures >= _UNHEALTHY_AFTER:
            book.held_until = self._clock() + min(_PROBE_MOST, backoff(book.failures))

    def _on_error(self, name: str, delivery: Delivery, error: DeliveryError) -> None:
        self._note_failure(name, error)
        _LOG.warning(
            "%s: incident %d %s not sent, try %d: %s", name, delivery.incident.id, delivery.kind, delivery.attempts, error
        )
        again, fallback = error.retry_after or backoff(delivery.attempts), None
        if error.permanent:
            broken = [other for other, book in self.books.items() if not book.healthy]
            fallback = None if delivery.fallback_for else self._fallback(name, delivery.incident.severity, broken)
        self._store.failed(
            delivery, str(error), None if error.permanent else again, doubtful=error.doubtful, fallback=fallback
        )
        if fallback:
            self.wake([fallback])
