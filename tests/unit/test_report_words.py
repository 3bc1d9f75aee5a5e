"""What a night is called, and that nothing unknown is called good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from zads.report.minutes import Span
from zads.report.model import Community, Counted, NightReport, Program
from zads.report.night_document import document, kind, mood
from zads.slo import Incident, Night
from zads.slo import Report as Promise

HOUR = 3600.0
DUSK = datetime(2026, 11, 25, 2, 30, tzinfo=UTC)
GOOD = Night("20261125", 600, 600, 0, 0, 0)


def _program(number: str = "1", *, up: float = 1000, here: float | None = 1000, missing: float | None = 0) -> Program:
    count = None if here is None else Counted(here, 0.0, final=True)
    return Program(number, number == "1", Counted(up, 0.0, final=True), count, missing, 0.0, 0.0)


def _night(minutes: Night | None = GOOD, incidents: tuple[Incident, ...] = ()) -> NightReport:
    start = DUSK.timestamp()
    promise = None if minutes is None else Promise("2026Q4", 0.99, 60000, 600.0, (minutes,), incidents)
    return NightReport(
        site="ZADS",
        night="20261125",
        dark=(Span(start, start + 10 * HOUR),),
        until=DUSK + timedelta(hours=16),
        over=True,
        observed=9.8 * HOUR,
        seen=10 * HOUR,
        programs=(_program(),),
        exposures={},
        per_exposure=None,
        sampled=1.0,
        delays=(),
        delay_goal=1200.0,
        communities=(),
        promise=promise,
        told=(),
        messages={},
        gaps=(),
        remarks=(),
        shown=Span(start, start + 10 * HOUR),
        rates={},
        percentiles={},
        lags={},
        batches={},
    )


@pytest.mark.parametrize(
    ("observed", "seen", "words"),
    [
        (9.8, 10.0, "A clear night: alerts came during 9.8 of 10.0 dark hours."),
        (5.0, 10.0, "A night with clouds or pauses: alerts came during 5.0 of 10.0 dark hours."),
        (1.0, 10.0, "Mostly cloudy or closed: alerts came during 1.0 of 10.0 dark hours."),
        (0.0, 10.0, "A closed night: no alert came to IPAC in 10.0 dark hours."),
        (0.0, 8.0, "A closed night: no alert came to IPAC in 10.0 dark hours (2.0 h of it nobody saw)."),
        (4.9, 5.0, "As far as was seen a clear night: alerts came during 4.9 of 10.0 dark hours (5.0 h of it nobody saw)."),
        (None, 0.0, "What kind of night it was is unknown: nobody saw whether alerts came in its 10.0 dark hours."),
    ],
)
def test_a_night_is_called_by_what_was_seen_of_it(observed: float | None, seen: float, words: str) -> None:
    came = None if observed is None else observed * HOUR
    assert kind(replace(_night(), observed=came, seen=seen * HOUR)) == words


def test_before_dusk_there_is_no_night_yet() -> None:
    early = replace(_night(), until=DUSK - timedelta(hours=1), over=False, observed=None, seen=0.0)
    assert kind(early) == "Not yet dark: dusk is at 02:30 UTC."


def test_a_well_night_is_well() -> None:
    told = document(_night())
    assert (told.mood, told.lede) == (
        "well",
        ("1,000 public alerts reached ZADS, and none is missing.", "No dark minute was bad."),
    )


def test_alerts_that_are_missing_are_trouble() -> None:
    """Also where duplicates fill the count up."""
    report = replace(_night(), programs=(replace(_program(here=1000, missing=40), surplus=40.0),))
    told = document(report)
    assert told.mood == "bad"
    assert told.lede[0] == "1,000 public alerts reached ZADS; 40 that MirrorMaker read are MISSING."
    assert report.public is not None and report.public.complete == pytest.approx(0.96)


def test_alerts_that_are_not_passed_on_are_counted() -> None:
    told = document(replace(_night(), programs=(_program(here=900),)))
    assert told.lede[0] == "900 public alerts reached ZADS; 100 of IPAC's are not passed on."


def test_a_count_that_is_not_known_makes_no_share() -> None:
    report = replace(_night(), programs=(_program(here=None),))
    assert report.public is not None and report.public.complete is None
    assert document(report).lede[0] == "How many public alerts reached ZADS is unknown."
    assert next(fact for fact in document(report).facts if fact.name == "complete").value == "unknown"


def test_bad_minutes_have_their_cause_and_unknown_ones_are_no_good_ones() -> None:
    incident = Incident("20261125", DUSK, DUSK + timedelta(minutes=12), 12, ("KAFKA DOWN (ServiceDown kafka-public)",))
    told = document(_night(Night("20261125", 600, 558, 12, 30, 0), (incident,)))
    assert told.mood == "bad"
    assert told.lede[1] == (
        "12 minutes of darkness were bad: KAFKA DOWN (ServiceDown kafka-public). Nobody saw 30 minutes of 600."
    )


@pytest.mark.parametrize("minutes", [None, Night("20261125", 600, 0, 0, 600, 0)])
def test_a_night_that_nobody_saw_is_not_well(minutes: Night | None) -> None:
    report = _night(minutes)
    assert mood(report) == "unknown"
    bad = next(fact for fact in document(report).facts if fact.name == "bad minutes")
    assert bad.value == "unknown"


def test_programs_that_are_not_public_have_no_share() -> None:
    """And one of their alerts on the public cluster is marked."""
    for here, marked in ((None, False), (5.0, True)):
        report = replace(_night(), programs=(_program(), _program("2", here=here)))
        table = document(report).sections[0].table
        assert table is not None
        assert table.rows[1] == ("2 not public", "1,000", "5" if here else "-", "-", "-", "-", "-")
        assert (1 in table.bad) == marked


def test_a_community_that_was_never_seen_is_unknown() -> None:
    """Not on time, not with nothing taken."""
    nothing = Community("ampel", True, None, None, None, None, None, None, None, None, None, None, None, None)
    sections = {one.title: one for one in document(replace(_night(), communities=(nothing,))).sections}
    taken, egress = sections["Communities"].table, sections["Egress"].table
    assert taken is not None and egress is not None
    assert taken.rows[0] == ("ampel", "unknown", "unknown", "unknown", "unknown")
    assert egress.rows[0] == ("ampel", "unknown", "unknown", "unknown", "unknown")


def test_messages_that_nobody_counted_are_not_none() -> None:
    told = next(one for one in document(_night()).sections if one.title == "What was told")
    assert told.after[-1] == "How many messages were sent is unknown: the notifier was not seen."
