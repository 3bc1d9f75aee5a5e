"""The words: what a phone shows at 3 a.m., in the field's own names, true also when it comes late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from notifier.facts import Facts
from notifier.links import links_of, safe
from notifier.message import Message
from notifier.model import Delivery, Incident
from notifier.render import Renderer, back, name_of
from notifier.routing import Router
from notifier.words import clock, duration, headline, lower, one_line, spoken
from tests.unit.notifier.record import Clock
from tests.unit.notifier.site import Site
from zads.config import Config, parse

NOW = 1_775_030_470.0  # 2026-04-01 08:01:10 UTC
KAFKA = (
    {"headline": "KAFKA DOWN", "service": "kafka-public", "label": "Kafka", "host": "zads", "part": "public"},
    {
        "pending": "20",
        "summary": "Kafka down on zads: its process is gone and was not restarted",
        "impact": "No community gets alerts. They wait at IPAC: delayed, nothing lost for 7 days.",
        "first": "systemctl status kafka on zads, then runbook step 2",
        "runbook_url": "docs/runbook.md#servicedown",
    },
)
AMPEL = (
    {"headline": "AMPEL BEHIND", "community": "ampel"},
    {
        "summary": "Ampel is 4m 47s behind (12306 alerts)",
        "impact": "Only Ampel gets alerts late; others are on time. It takes 197.4kB/s of its contracted 1MB/s.",
        "first": "zads stack logs community-ampel",
    },
)
EXPORTER = (
    {"headline": "EXPORTER DOWN", "job": "services", "host": "zads"},
    {
        "summary": "Exporter services on zads does not answer: we see less",
        "impact": "None for scientists; some tiles say UNKNOWN.",
    },
)


def _incident(
    what: tuple[dict[str, str], dict[str, str]], *, severity: str = "page", ago: float = 40.0, **words: Any
) -> Incident:
    labels, notes = what
    pending = float(notes.get("pending", 0))
    state = words.pop("state", "firing")
    at = NOW - ago + pending
    return Incident(42, "f", state, severity, labels, notes, at, at, **words)


def _render(incident: Incident, kind: Any = "firing", *, channel: str = "slack", ago: float = 0.0, **words: Any) -> Message:
    router = Router(parse('[kafka.public]\nbootstrap = ["k:9092"]\n[[notifier.oncall]]\nname = "operator 1"\n', "test"))
    renderer = Renderer("http://n/", router=router, reminder=1800, clock=Clock(NOW))
    return renderer.message(Delivery(1, incident, channel, kind, 1, NOW - ago, **words))


@pytest.mark.parametrize(
    ("incident", "title"),
    [
        (_incident(KAFKA), "Kafka down for 40 s: no community gets alerts"),
        (_incident(AMPEL, severity="ticket"), "AMPEL is 5 min behind (12,306 alerts): only AMPEL gets alerts late"),
        (_incident(EXPORTER, severity="ticket"), "Exporter services on zads does not answer for 40 s: we see less"),
        (_incident(({"headline": "KAFKA DOWN"}, {})), "Kafka down for 40 s"),
        (_incident(({}, {"effect": "nobody sees alerts"})), "Alert for 40 s: nobody sees alerts"),
    ],
)
def test_the_title_stands_alone(incident: Incident, title: str) -> None:
    """Object, state, duration, effect, in a phone's 80 characters."""
    assert _render(incident).title == title
    assert len(title) <= 80


def test_a_page_says_since_when_what_it_costs_and_what_to_do_first() -> None:
    """And who is on call, and when it is told again; links to acknowledge, to the runbook, the dashboard, a silence."""
    text = _render(_incident(KAFKA)).text
    for words in (
        "Since 08:00:30 UTC",
        "No community gets alerts.",
        "First: systemctl status kafka",
        "On call: operator 1. Told again at 08:31 UTC unless somebody acknowledges.",
        "Acknowledge: http://n/incident/42#acknowledge",
        "Runbook: http://n/runbook#servicedown",
        "Dashboard: http://n/dashboard/zads-health",
        "Silence: http://n/incident/42#silence",
    ):
        assert words in text


def test_sentences_are_put_right_and_commands_are_left_alone() -> None:
    """ "Ampel" of Prometheus' title function is AMPEL; community-ampel in a command stays what it is."""
    message = _render(_incident(AMPEL, severity="ticket"))
    assert "AMPEL is 5 min behind (12,306 alerts)." in message.text
    assert "It takes 197 kB/s of its contracted 1 MB/s." in message.text
    assert message.first == "zads stack logs community-ampel"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"headline": "KAFKA DOWN"}, "Kafka back"),
        ({"headline": "IPAC'S KAFKA DOWN", "label": "IPAC's Kafka", "service": "x"}, "IPAC's Kafka back"),
        ({"headline": "MIRRORMAKER HANGS", "label": "MirrorMaker", "service": "x"}, "MirrorMaker answers again"),
        ({"headline": "KAFKA FLAPPING", "label": "Kafka", "service": "x"}, "Kafka steady again"),
        ({"headline": "ALERTS NOT ARRIVING"}, "Alerts arriving again"),
        ({"headline": "ALERCE BEHIND", "community": "alerce"}, "ALeRCE on time again"),
        ({"headline": "LASAIR AWAY", "community": "lasair"}, "Lasair connected again"),
        ({"headline": "MONITORING BLIND"}, "Monitoring sees again"),
        ({"headline": "RESTRICTED DATA EXPOSED"}, "Restricted data no longer exposed"),
        ({"headline": "UNKNOWN CONSUMER"}, "Unknown consumer: over"),
    ],
)
def test_the_end_says_what_is_good_again(labels: dict[str, str], words: str) -> None:
    """Not "Kafka flapping back"."""
    assert back(_incident((labels, {}))) == words


def test_the_end_says_how_long_and_how_many() -> None:
    """With the number of alerts that were passed on, where it is known."""
    over = _incident(KAFKA, ago=540, state="resolved", resolved_at=NOW)
    assert _render(over, "resolved").title == "Kafka back after 9 min"
    renderer = Renderer("http://n", facts=lambda _: "16,203 alerts passed on meanwhile", clock=Clock(NOW))
    message = renderer.message(Delivery(1, over, "slack", "resolved", 1, NOW))
    assert message.title == "Kafka back after 9 min: 16,203 alerts passed on meanwhile"
    assert "Kafka down from 07:52:10 UTC to 08:01:10 UTC (9 min)." in message.text


def test_what_comes_late_says_so_whatever_the_number_of_tries() -> None:
    """The first try may be the late one, after the notifier itself was away."""
    message = _render(_incident(KAFKA, ago=2000), ago=1980)
    assert message.title.startswith("Kafka down for 33 min")
    assert "Late: written 07:28:10 UTC, Slack took it only at 08:01:10 UTC." in message.text


def test_what_was_over_before_it_could_be_told_reads_so() -> None:
    """One message for both, and no "back" of what nobody had heard of."""
    over = _incident(KAFKA, ago=3740, state="resolved", resolved_at=NOW - 2540)
    message = _render(over, "resolved", ago=2540, told=False)
    assert message.title == "Kafka down 06:58-07:18 UTC, over now (Slack delayed this until 08:01 UTC)"
    assert "Slack did not take the message when it began." in message.text
    assert _render(over, "resolved", ago=2540).title == "Kafka back after 20 min"


def test_again_still_and_acknowledged_are_told_apart() -> None:
    """By their first words."""
    page = _incident(KAFKA, ago=2040)
    assert _render(page, again=True).title.startswith("Kafka down again for 34 min")
    assert _render(page, "reminder").title.startswith("Still: Kafka down for 34 min")
    known = replace(page, state="acknowledged", acknowledged_by="Ada\r\nBcc: x", acknowledged_at=NOW)
    assert _render(known, "acknowledged").title.startswith("Ada Bcc: x has it: Kafka down for 34 min")
    # A page that is told only after the acknowledgement promises no further one.
    assert "Told again" not in _render(known).text


def test_an_end_that_nobody_reported_claims_no_more_than_is_known() -> None:
    """Closed by reconciliation."""
    over = _incident(KAFKA, ago=900, state="resolved", resolved_at=NOW - 400, ending="unseen")
    assert "Nobody reported its end" in _render(over, "resolved").text


def _many() -> list[Delivery]:
    found = [_incident(AMPEL, severity="ticket") for _ in range(20)]
    found = [replace(one, id=number) for number, one in enumerate(found)] + [replace(_incident(KAFKA), id=30)]
    return [Delivery(one.id, one, "slack", "firing", 1, NOW) for one in found]


def test_a_digest_counts_and_names_the_worst_and_tells_nothing_that_is_over_as_firing() -> None:
    """What ended while it waited is counted as over, once."""
    renderer = Renderer("http://n", clock=Clock(NOW))
    message = renderer.digest(_many())
    assert message.title == "21 alerts on 2 subjects since 08:00 UTC, worst: Kafka down"
    assert message.severity == "page"
    assert message.what[0].startswith("Kafka down")
    assert message.what[1].endswith("(20 of these)")
    over = [replace(d, incident=replace(d.incident, state="resolved")) for d in _many()]
    both = over + [replace(d, kind="resolved") for d in over]
    assert renderer.digest(both).title == "21 alerts on 2 subjects over, the first since 08:00 UTC, worst: Kafka down"
    assert renderer.digest([*_many(), replace(over[0], incident=replace(over[0].incident, id=99))]).title.endswith(
        "1 others over"
    )


def test_html_is_escaped_and_has_nothing_remote() -> None:
    """Labels are data."""
    evil = _incident(
        ({"headline": "<b>X"}, {"summary": "<script>alert(1)</script>", "first": "<img src=x>", "impact": "<i>"})
    )
    text = _render(evil).html
    assert "<script" not in text and "<img" not in text and "<i>" not in text
    assert "src=" not in text.replace("src=x", "")


def test_links_cannot_break_out() -> None:
    """Only web addresses, with all quoted that ends one; a dashboard's name is a plain word."""
    assert safe("https://x/a b?c=d&e=f#g") == "https://x/a%20b?c=d&e=f#g"
    assert safe("https://x> <!channel>|Runbook") == "https://x%3E%20%3C!channel%3E%7CRunbook"
    for bad in ("javascript:alert(1)", "data:text/html,x", "https://", "//x", "http://[", "https://x/" + "a" * 2000, ""):
        assert safe(bad) is None
    notes = {"runbook_url": "javascript:alert(1)", "dashboard": "a/../b"}
    assert [name for name, _ in links_of(_incident(({}, notes)), "http://n")] == ["Acknowledge", "Dashboard", "Silence"]
    assert dict(links_of(_incident(({}, notes)), "http://n"))["Dashboard"] == "http://n/dashboard/zads-health"
    memory = replace(_incident(KAFKA), id=0)
    assert links_of(memory, "http://n")[0] == ("Incident", "http://n/")


def test_the_dashboard_shows_what_the_message_is_about() -> None:
    """A community's own, Kafka's host; the others have nothing to choose, and a strange name cannot break out."""

    def link(uid: str, **labels: str) -> str:
        return dict(links_of(_incident((labels, {"dashboard": uid})), "http://n"))["Dashboard"]

    assert link("zads-community", community="lasair") == "http://n/dashboard/zads-community?var-community=lasair"
    assert link("zads-kafka", host="zads", service="kafka") == "http://n/dashboard/zads-kafka?var-host=zads"
    assert link("zads-kafka") == "http://n/dashboard/zads-kafka"
    assert link("zads-report", host="zads") == "http://n/dashboard/zads-report"
    assert (
        link("zads-community", community="a&b=<c>|d \ud800")
        == "http://n/dashboard/zads-community?var-community=a%26b%3D%3Cc%3E%7Cd+%3F"
    )


def test_times_and_durations_are_said_as_people_say_them() -> None:
    """Seconds up to a minute and a half, then minutes, hours, days."""
    assert [duration(s) for s in (12, 540, 7500, 400_000)] == ["12 s", "9 min", "2 h 5 min", "5 d"]
    assert clock(NOW, NOW) == "08:01:10 UTC"
    assert clock(NOW, NOW, exact=False) == "08:01 UTC"
    assert clock(NOW, NOW + 86400) == "Wed 01 Apr 08:01 UTC"
    assert clock(1e20, NOW) == "an unknown time"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ampel is 4m 47s behind", "AMPEL is 5 min behind"),
        ("waited for 2h 2m 3s", "waited for 2 h 2 min"),
        ("2d 3h 4m 5s ago", "2 d ago"),
        ("47.21s late", "47 s late"),
        ("12306 alerts of night 20260401", "12,306 alerts of night 20260401"),
        ("kafka-30s and v1.5s stay", "kafka-30s and v1.5s stay"),
        ("Alerce, Antares and Fink", "ALeRCE, ANTARES and Fink"),
        ("a\r\nb\x85c", "a b c"),
    ],
)
def test_sentences_of_prometheus_become_readable(text: str, said: str) -> None:
    """Its humanizeDuration and title functions write for machines."""
    assert spoken(text) == said


def test_headlines_become_sentences() -> None:
    """With the site's and the field's own spelling, and only whole words."""
    assert headline("ALERTS LATE FROM IPAC") == "Alerts late from IPAC"
    assert headline("MY KAFKA DOWN", "my Kafka") == "My Kafka down"
    assert headline("FINKEL BEHIND") == "Finkel behind"
    assert lower("IPAC's Kafka") == "IPAC's Kafka" and lower("No alerts") == "no alerts"
    assert name_of(_incident(({"alertname": "ServiceDown"}, {}))) == "Service down"
    assert one_line("a\u202eb") == "a b"


def _config(site: Site) -> Config:
    return parse(
        site.toml
        + """
        [[host]]
        name = "zads"
        address = "127.0.0.1"
        probe = "127.0.0.1:1"
        [[service]]
        name = "kafka-public"
        host = "zads"
        role = "kafka"
        probe = "kafka://127.0.0.1:1"
        """
    )


def test_numbers_are_asked_of_prometheus_where_they_say_something(quiet: Site) -> None:
    """How many wait while it fires; how many were passed on when it is over; one question for all channels."""
    quiet.start_monitoring()
    facts = Facts(_config(quiet), lambda: True, clock=Clock(NOW))
    quiet.monitoring.facts = {"waiting": 1412, "passed": 16203, "missing": 0}
    assert facts(_incident(KAFKA)) == "1,412 alerts wait"
    assert facts(_incident(KAFKA)) == "1,412 alerts wait"
    assert len(quiet.monitoring.queries) == 1
    over = _incident(KAFKA, ago=540, state="resolved", resolved_at=NOW)
    assert facts(over) == "16,203 alerts passed on meanwhile, 1,412 still wait"
    assert "offset 540s" in quiet.monitoring.queries[-1]
    quiet.monitoring.facts = {"waiting": 0, "passed": 16203, "missing": 0}
    assert facts(replace(over, id=43)) == "16,203 alerts passed on meanwhile, none missing"
    assert facts(_incident(AMPEL)) == ""


def test_no_number_keeps_a_page_waiting(quiet: Site) -> None:
    """Nobody answers, or Prometheus is known to be away: the page goes without."""
    assert Facts(_config(quiet), lambda: True)(_incident(KAFKA)) == ""
    quiet.start_monitoring()
    quiet.monitoring.facts = {"waiting": 5}
    assert Facts(_config(quiet), lambda: False)(_incident(KAFKA)) == ""
    assert quiet.monitoring.queries == []
