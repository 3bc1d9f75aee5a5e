"""The notifier's own metrics, from the catalogue."""

from __future__ import annotations

import time
from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from notifier.books import BUCKETS
from notifier.dispatch import Dispatcher
from notifier.routing import Router
from notifier.store import Store
from notifier.watch import Watch
from zads.collector import product_version, render
from zads.metrics import counter, gauge, histogram


def metrics(router: Router, store: Store, dispatcher: Dispatcher, watch: Watch) -> bytes:
    """Return the text of /metrics."""
    return render([*_channels(store, dispatcher), *_incidents(router, store), *_heartbeat(store, watch)])


def _channels(store: Store, dispatcher: Dispatcher) -> Iterable[Metric]:
    outcomes, retries = counter("zads_notifications_total"), counter("zads_notifications_retries_total")
    waiting, oldest = gauge("zads_notifications_queue_length"), gauge("zads_notifications_oldest_pending_seconds")
    parked, healthy = gauge("zads_notifications_dead_letters"), gauge("zads_channel_healthy")
    delays = histogram("zads_notifications_delivery_seconds")
    queue, dead = store.queue(), store.parked()
    for name, book in dispatcher.books.items():
        for outcome in ("sent", "failed", "refused", "folded", "digest", "emergency"):
            outcomes.add_metric([name, outcome], store.folded[name] if outcome == "folded" else book.outcomes[outcome])
        retries.add_metric([name], book.retries)
        length, age = queue.get(name, (0, 0.0))
        waiting.add_metric([name], length)
        oldest.add_metric([name], age)
        parked.add_metric([name], dead.get(name, 0))
        healthy.add_metric([name], float(dispatcher.healthy(name)))
        total, buckets = 0, []
        for edge, count in zip((*map(str, BUCKETS), "+Inf"), book.delays, strict=True):
            total += count
            buckets.append((edge, float(total)))
        delays.add_metric([name], buckets=buckets, sum_value=book.delay_sum)
    return [outcomes, retries, waiting, oldest, parked, healthy, delays]


def _incidents(router: Router, store: Store) -> Iterable[Metric]:
    states, info, duty = gauge("zads_incidents"), gauge("zads_incident_info"), gauge("zads_on_call_info")
    for state, count in store.states().items():
        states.add_metric([state], count)
    for incident in store.open_incidents():
        labels = [incident.headline, incident.state, incident.severity, incident.subject, incident.acknowledged_by]
        info.add_metric([*labels, str(int(incident.began_at))], 1)
    name = router.on_call(time.time())
    if name:
        duty.add_metric([name], 1)
    build = gauge("zads_build_info")
    build.add_metric([product_version()], 1)
    return [states, info, duty, build]


def _heartbeat(store: Store, watch: Watch) -> Iterable[Metric]:
    heard = gauge("zads_heartbeat_last_timestamp_seconds")
    if watch.last_heard is not None:
        heard.add_metric([], watch.last_heard)
    renewed, at = gauge("zads_record_renewed_timestamp_seconds"), store.renewed_at
    if at is not None:
        renewed.add_metric([], at)
    return [heard, renewed]
