"""Acknowledgements read back from PagerDuty: over the wire from the stand-in, and every answer that its REST API documents."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from notifier.acknowledgements import KEYS_AT_ONCE, Acknowledgements, Word, read
from notifier.channels.pagerduty_read import PagerDutyReader
from tests.unit.notifier.record import Clock
from tests.unit.notifier.site import KEY, Site, free_port
from tests.unit.notifier.wire import CUT, GARBAGE, SLOW, serving
from zads.config import PagerDuty as Settings
from zads.stack.inbox import DeadMan, application
from zads.stack.standin_pagerduty_rest import PagerDutyRest

TOKEN = "u+a-rest-token-wxyz"
AT = 1_775_030_400.0


class Desk:
    """PagerDuty's stand-in behind HTTP, with what a person does there; and what the notifier has told it."""

    def __init__(self, site: Site) -> None:
        self.pagerduty, self.keys = site.pagerduty, dict[str, int]()
        self.clock = Clock()
        url = f"http://127.0.0.1:{site.http}/pagerduty"
        self.acknowledgements = self.reader(url)
        self.url = url

    def reader(self, url: str, token: str = TOKEN) -> Acknowledgements:
        settings = Settings(routing_key_env="X", api_url=url)
        return Acknowledgements(settings, token, lambda: self.keys, clock=self.clock, timeout=5)

    def event(self, key: str, action: str = "trigger") -> None:
        payload = {"summary": f"{key} down", "source": "h", "severity": "critical"}
        body = {"routing_key": KEY, "event_action": action, "dedup_key": key, "payload": payload}
        assert self.pagerduty.enqueue(json.dumps(body).encode()).status == 202

    def tell(self, key: str) -> str:
        """Trigger, and return PagerDuty's id of the incident."""
        self.keys[key] = len(self.keys) + 1
        self.event(key)
        return self.pagerduty.incidents.all()[-1].identity

    def look(self) -> list[tuple[int, str]]:
        """Look again after ten seconds; return who acknowledged what."""
        self.clock.now += 10
        return [(answer.number, answer.who) for answer in self.acknowledgements.look()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    site = Site(tmp_path)
    rest = PagerDutyRest(site.pagerduty.incidents, TOKEN)
    try:
        site.serve(application(site.inbox, site.slack, site.pagerduty, DeadMan(site.inbox), rest=rest), site.http)
        yield Desk(site)
    finally:
        site.close()


def test_who_acknowledges_in_the_app_has_acknowledged(desk: Desk) -> None:
    """With the name and the time, once; the others stay as they are."""
    first, _ = desk.tell("zads-a-1"), desk.tell("zads-b-1")
    assert desk.look() == []
    assert desk.pagerduty.person(first, "acknowledge", "Mansi K.")
    desk.clock.now += 10
    answers = desk.acknowledgements.look()
    assert [(answer.number, answer.who) for answer in answers] == [(1, "Mansi K.")]
    assert answers[0].when == pytest.approx(desk.pagerduty.incidents.all()[0].changed_at, abs=1.1)
    assert desk.look() == []


def test_a_second_person_is_news_and_taking_back_too(desk: Desk) -> None:
    """After its time-out PagerDuty pages again: nobody has it any more."""
    incident = desk.tell("zads-a-1")
    desk.pagerduty.person(incident, "acknowledge", "one")
    assert desk.look() == [(1, "one")]
    desk.pagerduty.incidents.wall = lambda: AT + 1e9
    desk.pagerduty.person(incident, "acknowledge", "two")
    assert desk.look() == [(1, "two")]
    desk.pagerduty.person(incident, "unacknowledge", "two")
    assert desk.look() == [(1, "")]
    assert desk.look() == []
    desk.pagerduty.incidents.wall = lambda: AT + 2e9
    desk.pagerduty.person(incident, "acknowledge", "one")
    assert desk.look() == [(1, "one")]


def test_who_resolves_there_has_only_acknowledged(desk: Desk) -> None:
    """Whether it is over, Prometheus says."""
    desk.pagerduty.person(desk.tell("zads-a-1"), "resolve", "Mansi K.")
    assert desk.look() == [(1, "Mansi K. (resolved at PagerDuty)")]
    assert desk.look() == []


def test_what_our_own_events_did_is_no_persons_word(desk: Desk) -> None:
    """The page's button told PagerDuty, and so did the end: neither comes back as an acknowledgement."""
    desk.tell("zads-a-1")
    desk.event("zads-a-1", "acknowledge")
    assert desk.look() == []
    desk.event("zads-a-1", "resolve")
    assert desk.look() == []


def test_the_newest_incident_of_a_key_counts(desk: Desk) -> None:
    """It fired again under the same key: who acknowledged the one before has not acknowledged this one."""
    old = desk.tell("zads-a-1")
    desk.pagerduty.person(old, "acknowledge", "of yesterday")
    desk.event("zads-a-1", "resolve")
    desk.event("zads-a-1")
    assert desk.look() == []
    desk.pagerduty.person(desk.pagerduty.incidents.all()[-1].identity, "acknowledge", "of today")
    assert desk.look() == [(1, "of today")]


def test_what_is_no_longer_asked_about_is_forgotten(desk: Desk) -> None:
    """It ended here; when it is asked about again its acknowledgement is told again, with its time."""
    desk.pagerduty.person(desk.tell("zads-a-1"), "acknowledge", "one")
    assert desk.look() == [(1, "one")]
    desk.keys.clear()
    assert desk.look() == []
    desk.keys["zads-a-1"] = 7
    assert desk.look() == [(7, "one")]


def test_many_incidents_take_turns(desk: Desk) -> None:
    """A storm stays far below PagerDuty's rate; each is asked about in its turn."""
    for number in range(3 * KEYS_AT_ONCE):
        desk.pagerduty.person(desk.tell(f"zads-{number}-1"), "acknowledge", "one")
    looks = [desk.look() for _ in range(4)]
    assert [len(answers) for answers in looks] == [KEYS_AT_ONCE] * 3 + [0]
    assert len({number for answers in looks for number, _ in answers}) == 3 * KEYS_AT_ONCE


@pytest.mark.parametrize(
    ("token", "words"),
    [("wrong", "401: it does not accept the key"), ("forbidden", "403: the key may not"), ("expired", "402: the account")],
)
def test_a_key_that_is_refused_is_said_once_and_tried_seldom(
    desk: Desk, token: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing breaks; a look every ten seconds asks once in five minutes."""
    desk.tell("zads-a-1")
    desk.acknowledgements = desk.reader(desk.url, token)
    for _ in range(60):
        assert desk.look() == []
    assert desk.acknowledgements.outcomes == {"read": 0, "failed": 2}
    assert words in desk.acknowledgements.trouble
    assert caplog.text.count("acknowledgements cannot be read") == 1


def _answers(*incidents: Mapping[str, Any], more: bool = False) -> Any:
    return 200, {"Content-Type": "application/json"}, json.dumps({"incidents": incidents, "more": more})


def _look(url: str, clock: Clock, **words: Any) -> Acknowledgements:
    settings = Settings(routing_key_env="X", api_url=url)
    return Acknowledgements(settings, TOKEN, lambda: {"k": 1}, clock=clock, **words)


ACKNOWLEDGED: dict[str, Any] = {
    "id": "Q1",
    "incident_number": 5,
    "status": "acknowledged",
    "acknowledgements": [
        {"at": "2026-04-01T08:00:00Z", "acknowledger": {"type": "user_reference", "summary": "one"}},
        {"at": "2026-04-01T08:05:00Z", "acknowledger": {"type": "service_reference", "summary": "ZADS"}},
    ],
}


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        ((429, {"ratelimit-reset": "20", "ratelimit-remaining": "0"}, "{}"), 20),
        ((429, {"Retry-After": "40"}, ""), 40),
        ((429, {}, ""), 30),
        ((429, {"ratelimit-reset": "99999"}, ""), 900),
        ((400, {}, '{"error": {"message": "Invalid Input Provided", "code": 2001}}'), 300),
        ((401, {}, ""), 300),
        ((403, {}, ""), 300),
        ((404, {}, ""), 300),
        ((301, {"Location": "http://127.0.0.1:1/"}, ""), 300),
        ((408, {}, ""), 30),
        ((500, {}, ""), 30),
        ((503, {"Retry-After": "7"}, ""), 7),
        ((200, {}, "<html>log in</html>"), 30),
        ((200, {}, "[]"), 30),
        ((200, {}, '{"incidents": 5}'), 30),
        (CUT, 30),
        (SLOW, 30),
        (GARBAGE, 30),
    ],
)
def test_no_answer_ends_anything_and_each_has_its_pause(answer: Any, pause: int, caplog: pytest.LogCaptureFixture) -> None:
    """One request, no repetition of the library's; then nothing until the pause is over; then it works again, and says so."""
    clock = Clock()
    with serving(answer, _answers(ACKNOWLEDGED)) as wire, caplog.at_level(logging.DEBUG, "notifier"):
        one = _look(wire.url, clock, timeout=0.5)
        assert one.look() == [] and one.outcomes["failed"] == 1 and one.trouble
        clock.now += pause - 1
        assert one.look() == [] and len(wire.got) == 1
        clock.now += 1.1
        assert [(answer.number, answer.who, answer.when) for answer in one.look()] == [(1, "one", AT)]
        assert (one.trouble, one.outcomes, len(wire.got)) == ("", {"read": 1, "failed": 1}, 2)
    assert "can be read again" in caplog.text
    assert TOKEN[-4:] not in caplog.text


def test_nobody_there_and_a_clock_that_jumps(caplog: pytest.LogCaptureFixture) -> None:
    """Refused: a pause that grows; a clock set back by a day does not hold it for a day."""
    clock = Clock()
    one = _look(f"http://127.0.0.1:{free_port()}", clock)
    for _ in range(100):
        one.look()
        clock.now += 10
    assert 4 <= one.outcomes["failed"] <= 9
    assert "nobody listens there" in one.trouble and caplog.text.count("cannot be read") == 1
    before = one.outcomes["failed"]
    clock.now -= 86_400
    one.look()
    assert one.outcomes["failed"] == before + 1


def test_the_request_is_the_documented_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Token, version, key, all statuses, all times, newest first; no password of ~/.netrc in the key's place."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(file))
    with serving(_answers()) as wire:
        assert PagerDutyReader(f"{wire.url}/", TOKEN).incidents("zads-a b&c") == []
    request = wire.got[0]
    assert request.headers["authorization"] == f"Token token={TOKEN}"
    assert request.headers["accept"] == "application/vnd.pagerduty+json;version=2"
    assert request.path == (
        "/incidents?incident_key=zads-a+b%26c&date_range=all&statuses%5B%5D=triggered&statuses%5B%5D=acknowledged"
        "&statuses%5B%5D=resolved&sort_by=incident_number%3Adesc&limit=25&offset=0"
    )


def test_pages_are_read_to_their_end_but_not_for_ever() -> None:
    """`more` leads to the next page; a server that always has more is left after four."""
    pages = [_answers({"incident_number": number}, more=number < 3) for number in (1, 2, 3)]
    with serving(*pages) as wire:
        found = PagerDutyReader(wire.url, TOKEN).incidents("k")
    assert [one["incident_number"] for one in found] == [3, 2, 1]
    assert [request.path.partition("offset=")[2] for request in wire.got] == ["0", "25", "50"]
    with serving(_answers(more=True)) as wire:
        PagerDutyReader(wire.url, TOKEN).incidents("k")
    assert len(wire.got) == 4


@pytest.mark.parametrize(
    ("incident", "word"),
    [
        (ACKNOWLEDGED, Word("Q1", "one", AT)),
        ({**ACKNOWLEDGED, "acknowledgements": ACKNOWLEDGED["acknowledgements"][1:]}, None),
        ({**ACKNOWLEDGED, "acknowledgements": []}, None),
        ({**ACKNOWLEDGED, "acknowledgements": None}, None),
        ({**ACKNOWLEDGED, "acknowledgements": ["x", {"at": 5, "acknowledger": None}]}, None),
        ({"id": "Q1", "status": "triggered", "last_status_change_at": "2026-04-01T08:00:00Z"}, Word("Q1", "", AT)),
        ({"id": "Q1", "status": "resolved"}, None),
        ({"id": "Q1", "status": "resolved", "last_status_change_by": {"type": "service_reference", "summary": "x"}}, None),
        (
            {
                "id": "Q1",
                "status": "resolved",
                "last_status_change_at": "2026-04-01T10:00:00+02:00",
                "last_status_change_by": {"type": "user", "name": "a\r\nb"},
            },
            Word("Q1", "a b (resolved at PagerDuty)", AT),
        ),
        ({"id": "Q1", "status": "a new one"}, None),
        ({}, None),
    ],
)
def test_what_an_incident_says(incident: Mapping[str, Any], word: Word | None) -> None:
    """Only persons count; what is missing or new means nothing, and breaks nothing."""
    assert read([incident]) == word
    assert read([incident, {**ACKNOWLEDGED, "incident_number": 9, "id": "Q9"}]) == Word("Q9", "one", AT)
    assert read([]) is None
