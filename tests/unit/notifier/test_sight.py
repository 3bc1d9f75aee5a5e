"""A dead Prometheus never ends in "Kafka back"; a living one delays no end."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from notifier.daemon import Notifier
from notifier.sight import Sight
from tests.unit.notifier.record import Clock, firing, make_store, resolved
from tests.unit.notifier.site import Site, alert, wait


def _rfc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _looked(site: Site) -> Notifier:
    """Start all, with a Prometheus that has run for an hour and has been looked at."""
    site.start_providers()
    site.start_monitoring()
    site.monitoring.started = time.time() - 3600
    notifier = site.start()
    assert notifier.sight.look()
    assert site.heartbeat() == 200
    return notifier


def test_a_true_end_is_told_by_all_three_within_seconds(quiet: Site) -> None:
    """Prometheus is well: nothing is held, not even for an alert that began before the last restart of Prometheus."""
    notifier = _looked(quiet)
    quiet.post(alert())
    wait(lambda: quiet.all_told("firing"), 5)
    begin = time.monotonic()
    assert quiet.post(alert("resolved")) == 200
    wait(lambda: quiet.all_told("resolved"), 5)
    assert time.monotonic() - begin < 5
    assert notifier.store.open_incidents() == []


def test_an_end_while_prometheus_is_dead_is_not_told_and_comes_later(quiet: Site) -> None:
    """Alertmanager times the alert out and says resolved; it stays open, until five minutes of full sight close it."""
    clock = Clock(time.time())
    quiet.start_providers()
    quiet.start_monitoring()
    notifier = quiet.start(clock=clock)
    notifier.watch.look()
    quiet.heartbeat()
    quiet.post(alert())
    wait(lambda: quiet.all_told("firing"), 5)
    quiet.monitoring.ready = False
    assert quiet.post(alert("resolved")) == 200
    time.sleep(0.5)
    assert not any(quiet.got(channel, "resolved") for channel in ("pagerduty", "slack", "email"))
    assert [i.state for i in notifier.store.open_incidents()] == ["firing"]
    assert "not believed" in quiet.request("/incident/1")[1]
    # Prometheus is back, and Alertmanager does not know the alert any more.
    quiet.monitoring.ready = True
    for _ in range(12):
        clock.now += 31
        quiet.heartbeat()
        notifier.watch.look()
    wait(lambda: quiet.all_told("resolved"), 5)
    assert "Nobody reported its end" in quiet.got("slack", "resolved")[-1]["text"]


def test_a_firing_that_prometheus_resumes_keeps_the_incident_open(quiet: Site) -> None:
    """Cut off for some minutes, back with the same startsAt: no end, no second page; its true end is told."""
    notifier = _looked(quiet)
    quiet.post(alert())
    wait(lambda: quiet.all_told("firing"), 5)
    quiet.monitoring.ready = False
    quiet.post(alert("resolved"))
    quiet.monitoring.ready = True
    assert notifier.sight.look()
    quiet.post(alert())
    notifier.sight._unwell_at = time.time() - 400  # five minutes have passed
    quiet.post(alert("resolved"))
    wait(lambda: quiet.all_told("resolved"), 5)
    assert len(quiet.got("pagerduty", "firing")) == 1


def test_an_end_that_prometheus_itself_denies_is_not_told(quiet: Site) -> None:
    """Cut off from Alertmanager only: Prometheus is ready and says that the alert fires."""
    notifier = _looked(quiet)
    one = alert()
    quiet.post(one)
    quiet.monitoring.firing = [one["labels"]]
    quiet.post(alert("resolved"))
    assert [i.state for i in notifier.store.open_incidents()] == ["firing"]
    quiet.monitoring.firing = [{**one["labels"], "service": "another"}]
    quiet.post(alert("resolved"))
    assert notifier.store.open_incidents() == []


def test_after_a_restart_of_prometheus_only_older_alerts_are_held(quiet: Site) -> None:
    """What it has not yet found again may time out; what began since then is judged by what it sees."""
    notifier = _looked(quiet)
    quiet.monitoring.started = time.time() - 60
    notifier.sight.look()
    younger = _rfc(time.time() - 30)
    quiet.post(alert(), alert(mark="young", starts=younger))
    quiet.post(alert("resolved"), alert("resolved", mark="young", starts=younger))
    assert [i.fingerprint for i in notifier.store.open_incidents()] == ["f-a"]


def test_others_are_not_judged_by_our_prometheus(quiet: Site) -> None:
    """Grafana's end counts whether our Prometheus lives or not."""
    notifier = _looked(quiet)
    quiet.post(alert(), source="http://grafana:3000/")
    quiet.monitoring.ready = False
    quiet.post(alert("resolved"), source="http://grafana:3000/")
    assert notifier.store.open_incidents() == []


def test_where_prometheus_was_never_seen_every_end_is_believed(quiet: Site) -> None:
    """A notifier without a Prometheus must not keep everything open for ever."""
    quiet.start_providers()
    notifier = quiet.start()
    quiet.heartbeat()
    quiet.post(alert())
    quiet.post(alert("resolved"))
    assert notifier.store.open_incidents() == []


def test_a_restart_of_the_notifier_does_not_make_it_believe(quiet: Site) -> None:
    """It was seen dead before the restart: what it says in the next minutes is held all the same."""
    store = make_store(quiet.folder, Clock(time.time()))
    quiet.start_monitoring()
    Sight(quiet.config, store).look()
    quiet.stop_port(quiet.prometheus)
    Sight(quiet.config, store).look()
    again = Sight(quiet.config, store)
    old = time.time() - 1000
    assert again.disbelieved([resolved(old, old + 5)]) == {("f", old)}
    quiet.serve(quiet.monitoring.application(), quiet.prometheus)
    again.look()
    third = Sight(quiet.config, store)
    assert third.disbelieved([resolved(old, old + 5), firing(old, "g")]) == {("f", old)}


def test_the_end_of_the_watchdog_says_that_prometheus_is_lost(quiet: Site) -> None:
    """It is no sign of life, and ends of older alerts are not believed after it."""
    notifier = _looked(quiet)
    heard = notifier.watch.last_heard
    quiet.post(alert())
    assert quiet.heartbeat("resolved") == 200
    assert notifier.watch.last_heard == heard
    quiet.post(alert("resolved"))
    assert [i.state for i in notifier.store.open_incidents()] == ["firing"]


@pytest.mark.parametrize("number", [40])
def test_many_ends_at_once_share_few_looks(quiet: Site, number: int) -> None:
    """A storm that ends does not become a storm of questions to Prometheus."""
    notifier = _looked(quiet)
    quiet.post(*[alert(mark=str(n)) for n in range(number)])
    asked: list[float] = []
    ask = notifier.sight._ask

    def counted(began: float, now: float) -> Any:
        asked.append(began)
        return ask(began, now)

    notifier.sight._ask = counted  # type: ignore[method-assign]
    quiet.post(*[alert("resolved", mark=str(n)) for n in range(number)])
    assert notifier.store.open_incidents() == []
    assert len(asked) == 1
