"""Who is told what, when and why; who is on call; what waits."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from notifier.cli_explain import explain
from notifier.holds import Window, quiet_until
from notifier.plan import Audience
from notifier.routing import Router
from zads.config import Config, ConfigErrors, QuietHours, parse
from zads.matchers import parse_matcher

CHANNELS = """
[kafka.public]
bootstrap = ["k:9092"]
[notifier.email]
smarthost = "localhost:25"
sender = "z@example.org"
to = ["list@example.org", "one@example.org"]
[notifier.slack]
channel = "#c"
token_env = "T"
[notifier.pagerduty]
routing_key_env = "R"
[[community]]
name = "lasair"
contact = "them@example.org"
[[community]]
name = "fink"
contact = "the Fink team"
"""
PEOPLE = """
[[notifier.oncall]]
name = "one"
email = "one@example.org"
slack_user = "U001"
[[notifier.oncall]]
name = "two"
email = "two@example.org"
[[notifier.oncall]]
name = "three"
email = "three@example.org"
"""
LADDER = """
[[notifier.policy]]
name = "page"
[[notifier.policy.step]]
channels = ["pagerduty", "slack"]
[[notifier.policy.step]]
after = "10m"
channels = ["email", "slack"]
people = "on call"
[[notifier.policy.step]]
after = "25m"
channels = ["email"]
people = "next on call"
"""
LA = ZoneInfo("America/Los_Angeles")


def _config(*texts: str) -> Config:
    return parse("".join((CHANNELS, *texts)), "test")


def _at(text: str, zone: ZoneInfo = LA) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def test_the_severity_decides_where_no_rule_fits_and_an_unknown_one_is_a_ticket() -> None:
    router = Router(_config('[[notifier.rule]]\nmatch = [\'alertname="Exposed"\', \'service!=""\']\npolicy = "page"\n'))
    assert [one.channel for one in router.plan({}, "page", 0).first] == ["pagerduty", "slack", "email"]
    assert router.plan({}, "odd", 0) == router.plan({}, "ticket", 0)
    assert router.plan({}, "info", 0).first == ()
    assert router.plan({"alertname": "Exposed", "service": "kafka"}, "ticket", 0).policy == "page"
    assert router.plan({"alertname": "Exposed"}, "ticket", 0).policy == "ticket", "an absent label counts as empty"


def test_the_first_rule_that_fits_counts() -> None:
    rules = "".join(f'[[notifier.rule]]\nmatch = [\'host=~"k.*"\']\npolicy = "{name}"\n' for name in ("info", "page"))
    assert Router(_config(rules)).plan({"host": "k1"}, "ticket", 0).policy == "info"


def test_steps_tell_who_is_on_call_when_they_are_due() -> None:
    router = Router(_config(PEOPLE, LADDER))
    monday = _at("2024-01-01T09:00").timestamp()
    plan = router.plan({}, "page", monday)
    assert [step.after for step in plan.steps] == [0, 600, 1500]
    assert set(plan.steps[1].audience) == {Audience("email", "one@example.org", True), Audience("slack", "@U001", True)}
    assert plan.steps[2].audience == (Audience("email", "two@example.org"),)
    later = router.plan({}, "page", _at("2024-01-08T09:00").timestamp())
    # Two has no member id, so Slack's own channel is told.
    assert set(later.steps[1].audience) == {Audience("email", "two@example.org"), Audience("slack")}


def test_a_contact_gets_its_tickets_in_copy_and_nothing_else() -> None:
    router = Router(_config())
    assert router.plan({"community": "lasair"}, "ticket", 0).copies == (Audience("email", "them@example.org"),)
    assert router.plan({"community": "lasair"}, "page", 0).copies == ()
    assert router.plan({"community": "fink"}, "ticket", 0).copies == (), "it has no address"


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        ("2024-01-01T09:00", "one"),
        ("2024-01-08T08:59", "one"),
        ("2024-01-08T09:00", "two"),
        # Both weeks of both changes of the clock: the hand-over stays at nine by the local clock.
        ("2026-03-09T08:59", "three"),
        ("2026-03-09T09:00", "one"),
        ("2026-03-16T08:59", "one"),
        ("2026-03-16T09:00", "two"),
        ("2026-10-26T08:59", "three"),
        ("2026-10-26T09:00", "one"),
        ("2026-11-02T08:59", "one"),
        ("2026-11-02T09:00", "two"),
        ("2023-12-31T12:00", "three"),
    ],
)
def test_a_week_is_seven_local_days(moment: str, name: str) -> None:
    person = Router(_config(PEOPLE)).rota.at(_at(moment))
    assert person and person.name == name


def test_the_hand_over_is_where_the_file_puts_it() -> None:
    text = (
        PEOPLE
        + '[notifier]\ntimezone = "Europe/Berlin"\n[notifier.rotation]\nday = "thursday"\nhand_over = "17:30"\nweeks = 2\n'
    )
    rota = Router(parse(text + CHANNELS, "test")).rota
    zone = ZoneInfo("Europe/Berlin")
    names = [rota.at(_at(f"2024-01-{day}", zone)) for day in ("04T17:29", "04T17:30", "18T17:29", "18T17:30")]
    assert [person and person.name for person in names] == ["three", "one", "one", "two"]
    following = rota.next(_at("2024-01-05T00:00", zone))
    assert following and (following[0], following[1].name) == (_at("2024-01-18T17:30", zone), "two")


def test_who_stands_in_is_on_call_and_the_last_of_the_file_counts() -> None:
    rows = [
        ("two", "2024-01-02T00:00:00", "2024-01-03T00:00:00"),
        ("three", "2024-01-02T12:00:00-08:00", "2024-01-02T13:00:00"),
    ]
    text = "".join(f'[[notifier.override]]\nname = "{n}"\nbegins = {b}\nends = {e}\n' for n, b, e in rows)
    rota = Router(_config(PEOPLE, text)).rota
    changes = [(f"{at:%d %H:%M}", person.name) for at, person in rota.changes(_at("2024-01-01T10:00"))]
    assert changes[:5] == [
        ("02 00:00", "two"),
        ("02 12:00", "three"),
        ("02 13:00", "two"),
        ("03 00:00", "one"),
        ("08 09:00", "two"),
    ]


@pytest.mark.parametrize(
    ("moment", "hours"),
    [
        ("2026-06-10T21:59", None),
        ("2026-06-10T22:00", 10.0),
        ("2026-06-11T07:59:59", 1 / 3600),
        ("2026-06-11T08:00", None),
        # The nights of the change: an hour less, an hour more.
        ("2026-03-07T22:00", 9.0),
        ("2026-10-31T22:00", 11.0),
    ],
)
def test_quiet_hours_end_by_the_local_clock(moment: str, hours: float | None) -> None:
    now = _at(moment).astimezone(UTC).timestamp()
    until = quiet_until(QuietHours(), LA, now)
    assert (until is None) == (hours is None)
    assert until is None or hours is None or until - now == pytest.approx(hours * 3600)


def test_quiet_weekends_last_until_monday_morning() -> None:
    friday = _at("2026-06-12T22:30").timestamp()
    assert quiet_until(QuietHours(weekends=True), LA, friday) == _at("2026-06-15T08:00").timestamp()
    assert (
        quiet_until(QuietHours(weekends=True), LA, _at("2026-06-13T12:00").timestamp())
        == _at("2026-06-15T08:00").timestamp()
    )
    assert quiet_until(QuietHours(begins="12:00", ends="13:00"), LA, _at("2026-06-12T12:30").timestamp()) == pytest.approx(
        _at("2026-06-12T13:00").timestamp()
    )


def test_quiet_hours_hold_tickets_and_never_pages() -> None:
    router = Router(_config("[notifier.quiet_hours]\n"))
    night = _at("2026-06-10T23:00").timestamp()
    assert router.plan({}, "ticket", night).held_until == _at("2026-06-11T08:00").timestamp()
    assert router.plan({}, "page", night).held_until == 0


def test_planned_work_holds_pages_too_and_the_longest_counts() -> None:
    text = "[[notifier.maintenance]]\nbegins = 2026-06-10T10:00:00\nends = 2026-06-10T12:00:00\n"
    text += 'match = [\'service=~"kafka.*"\']\nwhy = "new disks"\n'
    router = Router(_config(text))
    noon = _at("2026-06-10T12:00").timestamp()
    plan = router.plan({"service": "kafka-public"}, "page", noon - 1)
    assert (plan.held_until, plan.held) == (noon, "planned work: new disks")
    assert router.plan({"service": "kafka-public"}, "page", noon).held_until == 0
    assert router.plan({"service": "mirrormaker"}, "page", noon - 1).held_until == 0
    router.windows = lambda: [Window(noon - 60, noon + 60, ("service!=''",), "more", 7, "somebody")]
    assert router.plan({"service": "kafka-public"}, "page", noon - 1).held == "planned work 7: more"


def test_explaining_says_who_what_when_and_why() -> None:
    config = _config(PEOPLE, LADDER, "[notifier.quiet_hours]\n")
    now = _at("2024-01-01T23:00").timestamp()
    page = list(explain(config, Router(config), {"severity": "page"}, now))
    assert page[0] == "policy page: no [[notifier.rule]] fits, so the severity decides"
    assert page[1] == "step 1 of 3, at once: PagerDuty to the service's own escalation, Slack to #c"
    assert page[2] == (
        "step 2 of 3, at Tue 02 Jan 07:10 UTC (23:10 PST), unless somebody acknowledges within 10 min:"
        " e-mail to one@example.org, Slack to @U001"
    )
    assert any(line.startswith("when Slack refuses for good: e-mail tells it") for line in page)
    ticket = list(explain(config, Router(config), {"severity": "ticket", "community": "lasair"}, now))
    assert any("quiet hours" in line and "08:00 PST" in line for line in ticket)
    assert "in copy: them@example.org, the contact of lasair" in ticket


def test_what_a_policy_names_has_to_exist() -> None:
    text = PEOPLE.replace('email = "two@example.org"\n', "") + LADDER.replace('after = "25m"', 'after = "5m"')
    text += (
        '[[notifier.rule]]\nmatch = ["odd"]\npolicy = "nobody"\n[[notifier.rule]]\nmatch = [\'a="b"\']\npolicy = "nobody"\n'
    )
    text += '[[notifier.override]]\nname = "four"\nbegins = 2026-01-02T00:00:00\nends = 2026-01-01T00:00:00\n'
    with pytest.raises(ConfigErrors) as refused:
        _config(text)
    found = {error.path for error in refused.value.errors}
    assert found == {
        "notifier.oncall[1].email",
        "notifier.policy[0].step[2].after",
        "notifier.rule[0].match[0]",
        "notifier.rule[0].policy",
        "notifier.rule[1].policy",
        "notifier.override[0].name",
        "notifier.override[0].ends",
    }


@pytest.mark.parametrize(
    ("text", "labels", "fits"),
    [
        ('a="b"', {"a": "b"}, True),
        ("a=b", {"a": "b"}, True),
        ('a!="b"', {}, True),
        ('a=""', {}, True),
        ('a=~"b|c"', {"a": "c"}, True),
        ('a=~"b"', {"a": "bc"}, False),
        ('a!~"b.*"', {"a": "bc"}, False),
        ('a="x\\"y"', {"a": 'x"y'}, True),
        ('a=~".*"', {"a": "two\nlines"}, True),
    ],
)
def test_matchers_are_those_of_alertmanager(text: str, labels: dict[str, str], fits: bool) -> None:
    assert parse_matcher(text).fits(labels) is fits
    assert parse_matcher(str(parse_matcher(text))) == parse_matcher(text)
