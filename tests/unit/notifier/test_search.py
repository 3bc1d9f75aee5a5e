"""Searching and counting: by everything that can be asked, in any order of events, without keeping a webhook waiting."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.model import Alert, Receipt
from notifier.store import Store, schema
from notifier.store import search as module
from notifier.store.search import PAGE, TooSlow, Wanted
from tests.unit.notifier.record import Clock, drain, firing, make_store, resolved

HOUR = 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return make_store(tmp_path, clock)


def _take(store: Store, clock: Clock, mark: str, **words: Any) -> None:
    store.take([firing(clock.now, mark, **words)])


def _found(store: Store, **wanted: Any) -> list[str]:
    return [incident.fingerprint for incident in store.search(Wanted(**wanted)).incidents]


def test_each_criterion_finds_what_it_says(store: Store, clock: Clock) -> None:
    """Words of summary and labels (at their beginning, any case and accent), severity, subject as a whole, state; newest first."""
    _take(store, clock, "a", labels={"headline": "LASAIR BEHIND", "community": "lasair", "service": ""}, severity="ticket")
    _take(store, clock, "b", labels={"service": "kafka-public", "host": "zads-2"}, summary="Café Kafka är nere")
    _take(store, clock, "c", labels={"service": "mirrormaker", "community": "lasair-test"}, severity="info")
    store.acknowledge(2, "ada")
    store.take([resolved(clock.now, clock.now + 60, "c")])
    assert _found(store) == ["c", "b", "a"]
    assert _found(store, text="behind") == ["a"]
    assert _found(store, text="BEHI lasa") == ["a"]
    assert _found(store, text="ehind") == []
    assert _found(store, text="cafe") == _found(store, text="är") == ["b"]
    assert _found(store, text="kafka-pub") == ["b"]
    assert _found(store, severity="ticket") == ["a"]
    assert _found(store, about="lasair") == _found(store, about="LASAIR") == ["a"]
    assert _found(store, about="zads-2") == ["b"]
    assert _found(store, about="zads") == []
    assert _found(store, state="open") == ["b", "a"]
    assert _found(store, state="acknowledged") == ["b"]
    assert _found(store, state="firing") == ["a"]
    assert _found(store, state="resolved") == ["c"]
    assert _found(store, text="lasair", state="open", severity="ticket") == ["a"]
    assert _found(store, text="kafka", state="resolved", about="lasair") == []


def test_a_summary_that_changes_is_found_by_its_new_words_only(store: Store, clock: Clock) -> None:
    """Repetitions bring newer numbers; labels change when it fires again."""
    _take(store, clock, "a", summary="behind by minutes")
    _take(store, clock, "a", summary="behind by hours")
    assert _found(store, text="hours") == ["a"]
    assert _found(store, text="minutes") == []


def test_paged_is_what_went_out_as_a_page(store: Store, clock: Clock) -> None:
    """A page that nobody could be told is none yet, a ticket never is."""
    _take(store, clock, "a")
    _take(store, clock, "b", severity="ticket")
    assert _found(store, paged=True) == []
    drain(store, "email")
    assert _found(store, paged=True) == ["a"]


def test_a_period_finds_what_was_open_in_it(store: Store, clock: Clock) -> None:
    """Also what began before and what ended later; neither what was over before, nor what began at its very end."""
    began = clock.now
    for mark, lasts in (("over-before", 1.0), ("through", 50.0), ("still", None), ("inside", 1.0), ("after", 1.0)):
        if mark == "inside":
            clock.now = began + 10 * HOUR
        if mark == "after":
            clock.now = began + 20 * HOUR
        _take(store, clock, mark)
        if lasts is not None:
            at = clock.now
            clock.now += lasts * HOUR
            store.take([resolved(at, clock.now, mark)])
            clock.now = at
    period = {"begin": began + 5 * HOUR, "end": began + 20 * HOUR}
    assert _found(store, **period) == ["inside", "still", "through"]
    assert _found(store, **period, text="kafka", severity="page") == ["inside", "still", "through"]
    assert _found(store, begin=began + 19 * HOUR) == ["after", "still", "through"]
    assert _found(store, end=began + HOUR / 2) == ["still", "through", "over-before"]
    assert _found(store, begin=0.0, end=began) == []


def test_pages_of_results_lose_and_repeat_nothing(store: Store, clock: Clock) -> None:
    """Each begins where the last ended, also while new incidents come."""
    store.take([firing(clock.now, f"m{number}") for number in range(2 * PAGE + 3)])
    seen: list[int] = []
    before = None
    while True:
        found = store.search(Wanted(text="kafka", before=before))
        seen += [incident.id for incident in found.incidents]
        if not found.more:
            break
        before = seen[-1]
        _take(store, clock, f"new{before}")
    assert seen == list(range(2 * PAGE + 3, 0, -1))


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60), about=st.text(max_size=20), severity=st.text(max_size=10))
def test_no_text_is_syntax(tmp_path_factory: pytest.TempPathFactory, text: str, about: str, severity: str) -> None:
    """Quotes, operators, NUL, half a surrogate pair: it finds or does not, and raises nothing."""
    file = tmp_path_factory.getbasetemp() / "syntax"
    file.mkdir(exist_ok=True)
    store = make_store(file, Clock())
    try:
        store.search(Wanted(text=text, about=about, severity=severity))
        store.search(Wanted(text=f'{text}" OR words:* NEAR(', state="open"))
    finally:
        store.close()


@pytest.mark.parametrize("value", ["a\0b", "\x1b[31m", "x" * 5000, "żółw", '"; DROP TABLE incidents; --', ""])
def test_any_label_can_be_recorded_and_found_by_its_subject(value: str, store: Store, clock: Clock) -> None:
    """The index is written in the webhook's own transaction: a label that it could not take would lose the alert."""
    assert store.take([firing(clock.now, "odd", labels={"service": value, value or "k": value}, summary=value)])
    assert _found(store, text="kafka") == ["odd"]
    if value and "\0" not in value:
        assert _found(store, about=value) == ["odd"]


def test_an_older_record_can_be_searched_after_the_update(tmp_path: Path, clock: Clock) -> None:
    """What was there before the index is in it."""
    file = tmp_path / "n.sqlite3"
    db = sqlite3.connect(file, isolation_level=None)
    before = next(n for n, step in enumerate(schema._STEPS) if any("incident_text" in statement for statement in step))
    for step in schema._STEPS[:before]:
        for statement in step:
            db.execute(statement)
    db.execute(f"PRAGMA user_version={before}")
    db.execute(
        "INSERT INTO incidents (fingerprint, state, severity, labels, annotations, starts_at, opened_at)"
        " VALUES ('old', 'resolved', 'page', '{\"service\": \"kafka\"}', '{\"summary\": \"long ago\"}', 1, 1)"
    )
    db.close()
    store = make_store(tmp_path, clock)
    assert _found(store, text="long ago", about="kafka", severity="page") == ["old"]
    _take(store, clock, "new")
    assert _found(store) == ["new", "old"]


def test_a_webhook_does_not_wait_for_a_search_nor_a_search_for_it(store: Store, clock: Clock) -> None:
    """While one reads, another writes; while the record's own lock is held, one searches."""
    _take(store, clock, "a")
    with store._apart() as reading:
        cursor = reading.execute("SELECT * FROM incidents")
        assert cursor.fetchone()
        _take(store, clock, "b")
    answers: list[list[str]] = []
    with store._lock:
        thread = threading.Thread(target=lambda: answers.append(_found(store, text="kafka")))
        thread.start()
        thread.join(10)
    assert answers == [["b", "a"]]


def test_a_search_that_takes_too_long_is_given_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do, and its seat is free again."""
    monkeypatch.setattr(module, "_LONGEST", 0.2)
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) SELECT COUNT(*) FROM c"
    for _ in range(module._AT_ONCE + 1):
        with pytest.raises(TooSlow, match="shorter period"), store._apart() as db:
            db.execute(endless).fetchone()


def test_only_so_many_search_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is told so after a moment."""
    monkeypatch.setattr(module, "_LONGEST", 0.2)
    with store._apart(), store._apart(), pytest.raises(TooSlow, match="Others are searching"):
        store.search(Wanted())
    assert store.search(Wanted()).incidents == ()


def test_a_search_cannot_write(store: Store) -> None:
    """Its connection is read-only."""
    with pytest.raises(sqlite3.OperationalError, match="readonly"), store._apart() as db:
        db.execute("DELETE FROM incidents")


@pytest.mark.parametrize("question", ["open_incidents", "states", "queue", "parked", "held_back", "last_failures"])
def test_what_the_first_page_asks_reads_no_whole_table(question: str, store: Store) -> None:
    """SQLite's plan names an index that holds only what is open, waits or failed: a long history costs nothing."""
    asked: list[str] = []
    store._open().set_trace_callback(asked.append)
    getattr(store, question)()
    store._open().set_trace_callback(None)
    assert asked
    small = ("incidents_now", "deliveries_waits", "deliveries_parked", "attempts_failed")
    for row in store._open().execute(f"EXPLAIN QUERY PLAN {asked[0]}"):
        table = row["detail"].startswith("SCAN") and "(subquery" not in row["detail"]
        assert not table or any(index in row["detail"] for index in small), row["detail"]


# -- statistics ------------------------------------------------------------------------------------


def test_the_numbers_are_those_that_happened(store: Store, clock: Clock) -> None:
    """Median and 95th percentile by the nearest rank, by severity; counted per UTC day; the noisiest first."""
    clock.now = 1_775_030_400.0 + 12 * HOUR  # noon
    took = [60.0, 120.0, 600.0]
    for number, seconds in enumerate(took):
        began = clock.now
        _take(store, clock, f"p{number}")
        drain(store, "email")
        clock.now = began + seconds
        store.acknowledge(number + 1, "ada")
        clock.now = began + 2 * seconds
        store.take([resolved(began, clock.now, f"p{number}")])
        clock.now = began
    for _ in range(3):
        _take(store, clock, "noisy", severity="ticket")
        store.take([resolved(clock.now, clock.now, "noisy")])
        clock.now += HOUR  # beyond the half hour in which it would be the same incident
    _take(store, clock, "nobody")
    store.take([resolved(clock.now, clock.now, "nobody")])
    numbers = store.numbers(7)
    assert (numbers.acknowledged["page"].count, numbers.acknowledged["page"].median) == (3, 120.0)
    assert numbers.acknowledged["page"].p95 == 600.0
    assert numbers.resolved["page"].median == 120.0  # 0, 120, 240, 1200
    assert "ticket" not in numbers.acknowledged
    assert numbers.unacknowledged == 1
    assert numbers.per_day["2026-04-01"] == {"page": 4, "ticket": 3}
    assert list(numbers.per_day) == [f"2026-03-{day}" for day in range(26, 32)] + ["2026-04-01"]
    assert numbers.messages["2026-04-01"] == {"email": 5}  # three begins and the ends of two
    assert (numbers.noisiest[0].count, numbers.noisiest[0].severity) == (3, "ticket")


def test_an_empty_record_has_numbers_too(store: Store) -> None:
    """Nothing happened, on each day."""
    numbers = store.numbers(90)
    assert len(numbers.per_day) == 90
    assert not numbers.noisiest and not numbers.acknowledged


def test_numbers_are_counted_once_a_minute(store: Store, clock: Clock) -> None:
    """Readers who reload cost nothing."""
    assert store.numbers(7) is store.numbers(7)


# -- timelines -------------------------------------------------------------------------------------


def test_a_timeline_has_each_attempt_with_recipient_error_and_next_try(store: Store, clock: Clock) -> None:
    """Failed, tried again at a known time, sent late; what nobody has tried yet stands at the end."""
    _take(store, clock, "a")
    delivery = store.claim("email")
    assert delivery
    store.failed(delivery, "451 greylisted", 300.0, doubtful=False, fallback=None)
    tried = [entry for entry in store.entries(1) if entry.channel == "email"]
    assert [(e.outcome, e.detail, e.next_at) for e in tried] == [("retry", "451 greylisted", clock.now + 300.0)]
    assert [e.channel for e in store.entries(1) if e.waits] == ["pagerduty", "slack"]
    clock.now += 300.0
    again = store.claim("email")
    assert again
    store.sent(again, Receipt())
    tried = [entry for entry in store.entries(1) if entry.channel == "email"]
    assert [(e.outcome, e.next_at, e.took) for e in tried] == [("retry", None, 0.0), ("sent", None, 300.0)]


def test_the_last_failure_of_each_channel_is_known(store: Store, clock: Clock) -> None:
    """In the provider's words, the newest of each."""
    _take(store, clock, "a")
    for channel, words in (("email", "first"), ("slack", "invalid_auth")):
        delivery = store.claim(channel)
        assert delivery
        store.failed(delivery, words, 0.0 if channel == "email" else None, doubtful=False, fallback=None)
    delivery = store.claim("email")
    assert delivery
    store.failed(delivery, "second", 60.0, doubtful=False, fallback=None)
    assert {name: words for name, (_, words) in store.last_failures().items()} == {
        "email": "second",
        "slack": "invalid_auth",
    }


def test_an_alert_of_any_text_is_taken(store: Store, clock: Clock) -> None:
    """Labels as Alertmanager may send them, through the triggers of the index."""
    odd = Alert("o", "firing", clock.now, None, {"severity": "päge'\"", "job": "'||x||'"}, {"summary": "%_\\"}, "")
    store.take([odd])
    assert _found(store, severity="päge'\"") == _found(store, about="'||x||'") == ["o"]
