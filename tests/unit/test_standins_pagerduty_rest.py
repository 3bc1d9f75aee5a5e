"""PagerDuty's REST side over HTTP: who may read, what can be asked, what a person does in the app, kept over a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from zads.stack.inbox import DeadMan, application
from zads.stack.inbox_store import Inbox
from zads.stack.standin_pagerduty_rest import PagerDutyRest
from zads.stack.standins import PagerDuty, Slack

KEY, TOKEN = "0123456789abcdef0123456789abcdef", "u+token"
AT = 1_775_030_400.0


class Desk:
    """A service and its REST API, with clocks that a test moves."""

    def __init__(self, folder: Path) -> None:
        self.now, self.wall = 1000.0, AT
        self.inbox = Inbox(folder / "received.jsonl", lambda: self.wall)
        pagerduty = PagerDuty(self.inbox, KEY, clock=lambda: self.now, wall=lambda: self.wall)
        rest = PagerDutyRest(pagerduty.incidents, TOKEN, clock=lambda: self.now)
        app = application(self.inbox, Slack(self.inbox, "xoxb", "#a"), pagerduty, DeadMan(self.inbox), rest=rest)
        self.client = TestClient(app, follow_redirects=False)

    def event(self, key: str, action: str = "trigger") -> None:
        payload = {"summary": f"{key} down", "source": "h", "severity": "critical"}
        body = {"routing_key": KEY, "event_action": action, "dedup_key": key, "payload": payload}
        assert self.client.post("/pagerduty/v2/enqueue", json=body).status_code == 202

    def get(self, query: str = "", token: str = f"Token token={TOKEN}", accept: str = "x;version=2") -> Any:
        return self.client.get(f"/pagerduty/incidents?{query}", headers={"Authorization": token, "Accept": accept})

    def numbers(self, query: str) -> list[int]:
        return [one["incident_number"] for one in self.get(query).json()["incidents"]]

    def person(self, incident: str, deed: str, name: str = "Mansi K.", **headers: str) -> Any:
        data = {"incident": incident, "deed": deed, "name": name}
        return self.client.post("/pagerduty/person", data=data, headers=headers)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ({"token": ""}, 401, 2006),
        ({"token": f"Bearer {TOKEN}"}, 401, 2006),
        ({"token": "Token token=wrong"}, 401, 2006),
        ({"token": "Token token=forbidden"}, 403, 2010),
        ({"token": "Token token=expired"}, 402, 2012),
        ({"accept": "application/json"}, 400, 2002),
        ({"query": "limit=x"}, 400, 2001),
        ({"query": "limit=0"}, 400, 2001),
        ({"query": "offset=-1"}, 400, 2001),
        ({"query": "limit=100&offset=9901"}, 400, 2001),
        ({"query": "statuses[]=open"}, 400, 2001),
        ({"query": "date_range=some"}, 400, 2001),
        ({"query": "sort_by=name"}, 400, 2001),
        ({"query": "sort_by=created_at:up"}, 400, 2001),
        ({"query": "since=banana"}, 400, 2001),
        ({"query": "since=2025-01-01&until=2026-01-01"}, 400, 2001),
        ({"query": "status=triggered"}, 400, 2001),
    ],
)
def test_a_wrong_request_gets_the_documented_error(desk: Desk, words: dict[str, str], status: int, code: int) -> None:
    """The status, and PagerDuty's own code in the body."""
    answer = desk.get(**words)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_960_requests_in_a_minute(desk: Desk) -> None:
    """The next one is told in ratelimit-reset when to come again; a wrong key does not count."""
    desk.get(token="Token token=wrong")
    for _ in range(960):
        assert desk.get("limit=1").status_code == 200
    desk.now += 40
    answer = desk.get()
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, 2020)
    assert (answer.headers["ratelimit-limit"], answer.headers["ratelimit-reset"]) == ("960", "20")
    desk.now += 20
    assert desk.get().status_code == 200


def test_incidents_are_filtered_sorted_and_paged(desk: Desk) -> None:
    """By key, status and date; in pages with `more`; a total only where it is asked for."""
    for number in range(5):
        desk.wall = AT + number
        desk.event(f"k{number % 2}")
        desk.event(f"k{number % 2}", "resolve") if number < 3 else None
    assert desk.numbers("incident_key=k0") == [1, 3, 5]
    assert desk.numbers("incident_key=k0&sort_by=incident_number:desc") == [5, 3, 1]
    assert desk.numbers("incident_key=k0&statuses[]=resolved") == [1, 3]
    assert desk.numbers("incident_key=none") == []
    assert desk.numbers("sort_by=resolved_at:desc,incident_number:desc")[:2] == [5, 4]
    assert desk.numbers("service_ids[]=OTHER") == []
    page = desk.get("limit=2&offset=2&total=true").json()
    assert ([one["incident_number"] for one in page["incidents"]], page["more"], page["total"]) == ([3, 4], True, 5)
    assert desk.get("limit=2&offset=4").json()["more"] is False and desk.get().json()["total"] is None
    desk.wall = AT + 40 * 86_400
    assert desk.numbers("") == []
    assert desk.numbers("date_range=all&limit=1") == [1]
    assert desk.numbers("since=2026-04-01T08:00:02Z&until=2026-04-02") == [3, 4, 5]


def test_what_a_person_does_is_read_back(desk: Desk) -> None:
    """Acknowledged by name, taken back, resolved; listed in the inbox; on what is over nothing can be done."""
    desk.event("k")
    (incident,) = desk.get().json()["incidents"]
    assert (incident["status"], incident["acknowledgements"], incident["incident_key"]) == ("triggered", [], None)
    desk.wall += 60
    assert desk.person(incident["id"], "acknowledge").status_code == 200
    (incident,) = desk.get().json()["incidents"]
    who = {"id": incident["acknowledgements"][0]["acknowledger"]["id"], "type": "user_reference", "summary": "Mansi K."}
    assert incident["acknowledgements"] == [{"at": "2026-04-01T08:01:00Z", "acknowledger": who}]
    assert incident["last_status_change_by"] == who
    desk.person(incident["id"], "unacknowledge")
    (incident,) = desk.get().json()["incidents"]
    assert (incident["status"], incident["acknowledgements"]) == ("triggered", [])
    desk.person(incident["id"], "resolve")
    (incident,) = desk.get().json()["incidents"]
    assert (incident["status"], incident["resolved_at"]) == ("resolved", "2026-04-01T08:01:00Z")
    assert desk.person(incident["id"], "acknowledge").status_code == 404
    assert desk.person("Q999999", "resolve").status_code == 404
    assert [m["state"] for m in desk.inbox.all()] == ["firing", "acknowledged", "firing", "resolved"]
    assert "by Mansi K., in PagerDuty's app" in desk.inbox.all()[1]["text"]


def test_our_own_events_are_the_services_doing(desk: Desk) -> None:
    """As PagerDuty shows them: by the service, not by a person."""
    desk.event("k")
    desk.event("k", "acknowledge")
    (incident,) = desk.get().json()["incidents"]
    assert incident["acknowledgements"][0]["acknowledger"]["type"] == "service_reference"
    desk.event("k", "resolve")
    assert desk.get().json()["incidents"][0]["last_status_change_by"]["type"] == "service_reference"


def test_the_page_has_buttons_for_what_is_open(desk: Desk) -> None:
    """Escaped, without a script; a press leads back to the page; nobody else's page can press."""
    desk.event('k"><script>')
    text = desk.client.get("/").text
    assert "<script" not in text and "Open at PagerDuty" in text
    assert '<button name="deed" value="acknowledge">Acknowledge</button>' in text
    assert "form-action 'self'" in desk.client.get("/").headers["Content-Security-Policy"]
    incident = desk.get().json()["incidents"][0]["id"]
    assert desk.person(incident, "acknowledge", **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    answer = desk.person(incident, "acknowledge", **{"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert 'value="unacknowledge"' in desk.client.get("/").text
    desk.person(incident, "resolve")
    assert "Open at PagerDuty" not in desk.client.get("/").text


def test_who_acknowledged_is_known_after_a_restart(tmp_path: Path) -> None:
    """With the number, the name and the times of before."""
    before = Desk(tmp_path)
    for key in ("a", "b"):
        before.event(key)
        before.wall += 30
    before.person("Q000001", "acknowledge")
    before.person("Q000002", "resolve")
    shown = before.get().json()["incidents"]
    after = Desk(tmp_path)
    assert after.get().json()["incidents"] == shown
    after.event("b")
    assert after.numbers("incident_key=b") == [2, 3]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    query=st.dictionaries(st.sampled_from(["limit", "offset", "since", "until", "sort_by", "statuses[]", "x"]), st.text())
)
def test_no_query_breaks_it(desk: Desk, query: dict[str, str]) -> None:
    """200 or 400, never 500."""
    headers = {"Authorization": f"Token token={TOKEN}", "Accept": "x;version=2"}
    desk.now += 60
    assert desk.client.get("/pagerduty/incidents", params=query, headers=headers).status_code in {200, 400}
    answer = desk.client.post("/pagerduty/person", content=json.dumps(query))
    assert answer.status_code == 404
