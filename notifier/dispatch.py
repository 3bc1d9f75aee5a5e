"""Send what is queued: one worker per channel, so that a dead Slack never delays PagerDuty."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from notifier.books import ChannelBooks, backoff
from notifier.channels import Channel
from notifier.model import Delivery, DeliveryError, Receipt
from notifier.pace import LIMITS, Limit, Pace
from notifier.plain import written
from notifier.render import Renderer
from notifier.store import Store
from notifier.unrecorded import Unrecorded

_LOG = logging.getLogger(__name__)
_IDLE = 30.0
_STORM = 20
_LONGEST_PAUSE = 900.0
_AFTER_DEFECT = 30.0
_RECORD_AGAIN = 5.0
# Which channel tells what this one refuses for good: of the channel, an alert's labels and severity, and what is broken.
Fallback = Callable[[str, Mapping[str, str], str, Collection[str]], "str | None"]


def unforeseen(error: Exception) -> DeliveryError:
    """Return a defect of ours as a delivery's failure: whether the provider took the message is not known."""
    return DeliveryError(f"{type(error).__name__}: {error}", doubtful=True)


def _whole(delivery: Delivery) -> bool:
    """Tell whether what becomes of it says something of the whole channel: a mention in Slack goes where all go."""
    return not delivery.target or delivery.target.startswith("@")


class Dispatcher:
    """The workers of all channels."""

    def __init__(
        self,
        store: Store,
        channels: Iterable[Channel],
        renderer: Renderer,
        *,
        fallback: Fallback = lambda _channel, _labels, _severity, _broken: None,
        limits: Mapping[str, Limit] = LIMITS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self.renderer, self._fallback, self._clock = store, renderer, fallback, clock
        self.channels = {channel.name: channel for channel in channels}
        self.books = {name: ChannelBooks(clock) for name in self.channels}
        self._paces = {name: Pace(limits.get(name)) for name in self.channels}
        self._unrecorded = {name: Unrecorded() for name in self.channels}
        self._wake = {name: threading.Event() for name in self.channels}
        self._stop = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Start the workers."""
        for name in self.channels:
            thread = threading.Thread(target=self._work, args=(name,), name=f"send-{name}", daemon=True)
            self._threads[name] = thread
            thread.start()

    def stop(self, timeout: float = 12.0) -> None:
        """Let each worker finish what it has claimed; all of them together get `timeout` seconds."""
        self._stop.set()
        for event in self._wake.values():
            event.set()
        deadline = time.monotonic() + timeout
        for thread in list(self._threads.values()):
            thread.join(max(0.0, deadline - time.monotonic()))

    def wake(self, channels: Iterable[str]) -> None:
        """Tell workers that there is something to do."""
        for name in channels:
            if name in self._wake:
                self._wake[name].set()

    def running(self, name: str) -> bool:
        """Tell whether the channel's worker lives; before the start it does."""
        thread = self._threads.get(name)
        return thread is None or thread.is_alive()

    def healthy(self, name: str) -> bool:
        """Tell whether messages reach all of the channel's recipients."""
        book = self.books[name]
        return book.works and not book.complaints and self.running(name)

    def _work(self, name: str) -> None:
        while not self._stop.is_set():
            self._wake[name].clear()
            try:
                self._step(name)
            except sqlite3.Error as error:
                _LOG.error("the record cannot be used: %s", error)
                self._without_record(name, error)
                self._stop.wait(_RECORD_AGAIN)
            except Exception as error:  # the loop's edge: no defect ends a worker for good
                _LOG.exception("the worker of %s failed in a way it should not", name)
                self.books[name].failed(unforeseen(error))
                self._release(name, error)
                self._stop.wait(1.0)

    def _step(self, name: str) -> None:
        self._unrecorded[name].write()
        held = self.books[name].held()
        if held > 0:
            # A new message does not lift a provider's limit: only the end of the process ends this wait.
            self._stop.wait(min(held, _LONGEST_PAUSE))
            return
        pause = self._paces[name].wait()
        if pause > 0:
            self._stop.wait(pause)
            return
        if self._storm(name) or self._one(name):
            return
        due = self._store.next_due(name)
        # What is due but waits for an earlier message of its incident is looked at again soon.
        self._wake[name].wait(_IDLE if due is None else max(1.0, min(due, _IDLE)))

    def _release(self, name: str, error: Exception) -> None:
        try:
            self._store.release(name, f"{type(error).__name__}: {error}", _AFTER_DEFECT)
        except sqlite3.Error as problem:
            _LOG.error("what %s had claimed comes back when its lease ends: %s", name, problem)

    def _storm(self, name: str) -> bool:
        """Tell many at once in one message; PagerDuty groups by itself and keeps each incident."""
        if name == "pagerduty":
            return False
        many = self._store.storm(name, _STORM)
        if not many:
            return False
        first = many[0]
        lead = Delivery(
            first.id,
            first.incident,
            name,
            "digest",
            first.attempts,
            min(delivery.created_at for delivery in many),
            any(delivery.doubtful for delivery in many),
            name=first.name,
            target=first.target,
        )
        try:
            receipt = self._send(lead, many)
        except DeliveryError as error:
            self._on_storm_error(lead, many, error)
            return True
        self._count(lead, receipt)
        self.books[name].outcomes["digest"] += len(many)
        _LOG.info("%s: digest of %d sent, try %d", name, len(many), first.attempts)
        again = self._again_in(receipt, first.attempts)
        self._note(name, many, lambda: self._store.sent_many(many, receipt, again))
        return True

    def _on_storm_error(self, lead: Delivery, many: Collection[Delivery], error: DeliveryError) -> None:
        if error.permanent:
            for delivery in many:
                self._on_error(delivery, error)
            return
        self.books[lead.channel].failed(error, to_all=_whole(lead))
        _LOG.warning("%s: digest not sent, try %d: %s", lead.channel, lead.attempts, error)
        again = error.retry_after or backoff(lead.attempts)
        words, doubtful = str(error), error.doubtful
        self._note(lead.channel, many, lambda: self._store.release_many(many, words, again, doubtful=doubtful), again)

    def _one(self, name: str) -> bool:
        delivery = self._store.claim(name)
        if delivery is None:
            return False
        if delivery.attempts > 1:
            self.books[name].retries += 1
        try:
            receipt = self._send(delivery)
        except DeliveryError as error:
            self._on_error(delivery, error)
            return True
        self._on_sent(delivery, receipt)
        return True

    def _on_sent(self, delivery: Delivery, receipt: Receipt) -> None:
        name = delivery.channel
        self._count(delivery, receipt)
        _LOG.info("%s: incident %d %s sent, try %d", name, delivery.incident.id, delivery.kind, delivery.attempts)
        again = self._again_in(receipt, delivery.attempts)
        self._note(name, [delivery], lambda: self._store.sent(delivery, receipt, again))

    def _note(
        self, name: str, deliveries: Iterable[Delivery], record: Callable[[], None], again_in: float | None = None
    ) -> None:
        self._unrecorded[name].note([delivery.id for delivery in deliveries], record, again_in)

    def _without_record(self, name: str, trouble: sqlite3.Error) -> None:
        """Send pages that were accepted before the record failed, if it can still be read; what comes of it is recorded later.

        Nobody sleeps through them because a disk is full. Their names are the same as ever: should the process end
        before they are recorded, the receiving side knows the repetition.
        """
        try:
            while not self._stop.is_set() and self.books[name].held() <= 0:
                if (pause := self._paces[name].wait()) > 0:
                    self._stop.wait(pause)
                    continue
                delivery = self._store.page_that_waits(name, self._unrecorded[name].done())
                if delivery is None:
                    return
                try:
                    receipt = self._send(delivery, note=f"The notifier's record cannot be written ({trouble}).")
                except DeliveryError as error:
                    self.books[name].failed(error, to_all=_whole(delivery))
                    _LOG.warning("%s: incident %d not sent without the record: %s", name, delivery.incident.id, error)
                    self._unrecorded[name].later(delivery.id, error.retry_after or backoff(delivery.attempts))
                else:
                    self.books[name].outcomes["emergency"] += 1
                    self._on_sent(delivery, receipt)
        except sqlite3.Error:
            return  # it cannot be read either, or what was sent cannot be noted yet
        except Exception as error:  # the loop's edge, as that of `_work`
            _LOG.exception("the worker of %s failed in a way it should not", name)
            self.books[name].failed(unforeseen(error))

    def _send(self, delivery: Delivery, many: Collection[Delivery] = (), *, note: str = "") -> Receipt:
        """Render and send one delivery, or a digest of many.

        Raises DeliveryError, also for a defect of the channel's code.
        """
        try:
            self._paces[delivery.channel].spent()
            message = written(self.renderer, delivery, tuple(many))
            return self.channels[delivery.channel].send(delivery, message.noting(note) if note else message)
        except DeliveryError:
            raise
        except Exception as error:  # the edge of the channel's code
            _LOG.exception("channel %s failed in a way it should not", delivery.channel)
            raise unforeseen(error) from error

    @staticmethod
    def _again_in(receipt: Receipt, attempts: int) -> dict[str, float]:
        return {target: error.retry_after or backoff(attempts) for target, error in receipt.missed.items()}

    def _count(self, delivery: Delivery, receipt: Receipt) -> None:
        book = self.books[delivery.channel]
        book.sent(self._clock() - delivery.created_at, receipt, to_all=_whole(delivery))
        for recipient, error in receipt.missed.items():
            words = "refused for good" if error.permanent else "does not take it now"
            _LOG.warning("%s: %s %s, the others have it: %s", delivery.channel, recipient, words, error)

    def _on_error(self, delivery: Delivery, error: DeliveryError) -> None:
        name, attempts = delivery.channel, delivery.attempts
        self.books[name].failed(error, to_all=_whole(delivery))
        _LOG.warning("%s: incident %d %s not sent, try %d: %s", name, delivery.incident.id, delivery.kind, attempts, error)
        again, fallback = error.retry_after or backoff(attempts), None
        if error.permanent and not (delivery.fallback_for or delivery.target):
            broken = [other for other, book in self.books.items() if not book.works]
            incident = delivery.incident
            fallback = self._fallback(name, incident.labels, incident.severity, broken)
        words, doubtful, pause = str(error), error.doubtful, None if error.permanent else again
        self._note(
            name,
            [delivery],
            lambda: self._store.failed(delivery, words, pause, doubtful=doubtful, fallback=fallback),
            pause,
        )
        if fallback:
            self.wake([fallback])
