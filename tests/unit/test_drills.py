"""The drills' verdicts, their table, and that no alert that pages is without a drill or a reason; the stack itself is not needed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.drills import checks, document, table
from tests.drills.catalogue import DRILLS, NOT_DRILLED, PHASES
from tests.drills.judge import Seen, besides, outcomes, verdict
from tests.drills.letters import Event, Letter
from tests.drills.model import Drill, Stage, Told
from tests.drills.stand import Fired
from zads.config import load
from zads.runbook import read_rules

ROOT = Path(__file__).resolve().parents[2]
CONFIG = load(ROOT / "zads.toml")
T0 = 1_000_000.0
KAFKA = {"alertname": "ServiceDown", "service": "kafka-public", "severity": "page"}
DRILL = Drill(
    "Kafka dead",
    (Stage(("kill kafka",), (Told("ServiceDown", "page", 60, match={"service": "kafka-public"}),)),),
    ("kafka",),
)


def letter(after: float, channel: str, state: str = "firing", **more: object) -> Letter:
    one = Letter(T0 + after, channel, state, "Kafka down", "no community gets alerts", "ServiceDown", KAFKA, "page")
    return replace(one, **more)  # type: ignore[arg-type]


def seen(*letters: Letter, drill: Drill = DRILL, fired: tuple[Fired, ...] = ()) -> Seen:
    down = Fired("ServiceDown", KAFKA, T0 + 12, T0 + 32, T0 + 70)
    event = Event("ServiceDown", KAFKA, "page", T0 + 32, T0 + 33, "firing")
    return Seen(drill, [T0], T0 + 50, T0 + 100, letters, (down, *fired), [event])


GOOD = [letter(33.5 + n / 10, channel) for n, channel in enumerate(("pagerduty", "slack", "email"))]
GOOD += [letter(71 + n / 10, channel, "resolved") for n, channel in enumerate(("pagerduty", "slack", "email"))]


def judged(found: Seen, beside: bool = False) -> list[str]:
    return verdict(found, outcomes(found), lambda alert, labels: beside and alert == "DiskWillFill")


def test_a_page_in_time_by_all_channels_once_is_as_it_should_be() -> None:
    """And the waiting is told apart: 12 s to see, 20 s of `for`, 1 s to group, the last channel 0.7 s later."""
    found = seen(*GOOD)
    assert judged(found) == []
    (one,) = outcomes(found)
    assert one.arrived == pytest.approx(33.7)
    assert (one.detected, one.seen, one.waited, one.grouped) == (32, 12, 20, 1)
    assert one.delivered == pytest.approx(0.7)
    assert one.resolved == pytest.approx(21.2)


@pytest.mark.parametrize(
    ("letters", "words"),
    [
        ([one for one in GOOD if one.channel != "slack"], "ServiceDown did not arrive by slack"),
        (
            [replace(one, at=one.at + 30) if one.state == "firing" else one for one in GOOD],
            "arrived after 64 s, allowed are 60 s",
        ),
        ([*GOOD, letter(40, "slack")], "told 2 times by slack"),
        ([*GOOD, letter(40, "email", labels={**KAFKA, "task": "1"})], "told 2 times by email"),
        ([one for one in GOOD if one.state == "firing"], "the end of ServiceDown was not told"),
        ([*GOOD[:3], *(replace(one, at=one.at + 200) for one in GOOD[3:])], "resolved after 221 s, allowed are 90 s"),
        ([*GOOD, letter(40, "email", alert="HostDown", labels={}, title="Host down")], "told besides by email: HostDown"),
        ([*GOOD, letter(40, "email", alert="?", labels={}, title="what is this")], "told besides by email: ?"),
        ([replace(one, labels={**KAFKA, "service": "mirrormaker"}) for one in GOOD], "ServiceDown did not arrive by"),
    ],
)
def test_what_is_missing_late_twice_or_too_much_is_said(letters: list[Letter], words: str) -> None:
    """Each fault of the telling fails the verdict in words that name it."""
    assert any(words in one for one in judged(seen(*letters))), judged(seen(*letters))


def test_an_edit_is_no_second_message_and_a_neighbours_alert_no_surprise() -> None:
    """Slack's edits ring nowhere; what another drill causes beside this one is its own; a burnt budget is the run's."""
    extra = [
        letter(36, "slack", silent=True),
        letter(40, "email", alert="DiskWillFill", labels={}, title="Disk fills"),
        letter(41, "email", alert="BudgetBurning", labels={}, title="Budget"),
    ]
    assert judged(seen(*GOOD, *extra), beside=True) == []
    assert judged(seen(*GOOD, *extra)) != []


def test_a_note_has_to_be_noted_and_told_to_nobody() -> None:
    """A drill without a page fails when its note does not fire, and when somebody is told of it."""
    drill = Drill("restarted", (Stage(("restart kafka",), notes=("ServiceRestarted",)),), ())
    note = Fired("ServiceRestarted", {"severity": "info"}, T0, T0, T0 + 60)
    quiet = seen(drill=drill, fired=(note,))
    quiet.fired = [note]
    assert judged(quiet) == []
    assert besides(quiet, lambda *_: False) == ["ServiceRestarted (noted)"]
    quiet.fired = []
    assert judged(quiet) == ["ServiceRestarted was not noted"]
    assert any("told besides" in one for one in judged(seen(GOOD[0], drill=drill, fired=(note,))))


def test_what_fires_and_is_told_to_nobody_is_called_silenced() -> None:
    """The table says of each other alert what became of it."""
    mirror = Fired("ServiceDown", {"service": "mirrormaker", "severity": "page"}, T0, T0 + 40, T0 + 60)
    lag = Fired("CommunityLagging", {"severity": "ticket"}, T0, T0 + 40, T0 + 60)
    found = besides(seen(*GOOD, fired=(mirror, lag)), lambda *_: False)
    assert "CommunityLagging (silenced)" in found


def test_every_alert_that_pages_has_a_drill_or_a_reason() -> None:
    """Also those whose severity is the service's; no drill expects an alert, and no reason names one, that no rule has."""
    rules = [rule for rule in read_rules(ROOT / "alertrules") if rule.alert]
    names = {rule.name for rule in rules}
    pages = {rule.name for rule in rules if rule.labels.get("severity", "page") == "page"}
    drilled = {(told.alert, told.severity) for drill in DRILLS for told in drill.must}
    assert pages - {name for name, severity in drilled if severity == "page"} - NOT_DRILLED.keys() == set()
    assert {told.alert for drill in DRILLS for told in drill.must if told.alert[0].isupper()} <= names
    assert NOT_DRILLED.keys() <= names
    notes = {note for drill in DRILLS for stage in drill.stages for note in stage.notes}
    assert notes <= {rule.name for rule in rules if rule.severity == "info"}


def test_the_channels_that_are_waited_for_are_those_of_zads_toml() -> None:
    """A page goes by all three, a ticket wakes nobody; who changes the routes changes the drills."""
    routes = CONFIG.notifier.routes
    assert {severity: set(Told("x", severity, 1).by) for severity in ("page", "ticket")} == {
        severity: set(getattr(routes, severity) if hasattr(routes, severity) else routes[severity])
        for severity in ("page", "ticket")
    }


def test_drills_are_whole() -> None:
    """Each name is one; none runs twice; each cause is a command of `zads sim`; a page that is at once is within 60 s."""
    names = [drill.name for drill in DRILLS]
    assert len(set(names)) == len(names) == len({table.slug(name) for name in names})
    verbs = set(re.findall(r'"([a-z-]+)", "', (ROOT / "zads" / "stack" / "sim_cli.py").read_text(encoding="utf-8")))
    verbs |= {"kill", "stop", "pause", "restart", "heal"}
    for drill in DRILLS:
        for stage in drill.stages:
            assert all(cause.split()[0] in verbs for cause in stage.causes), drill.name
            assert stage.must or stage.notes, drill.name
        assert drill.heals or not drill.must, drill.name
        assert drill.resolve or drill.lingers, drill.name
    gone = [told for drill in DRILLS for told in drill.must if told.alert in {"ServiceNotAnswering", "HostDown"}]
    gone += [t for d in DRILLS for t in d.must if t.alert == "ServiceDown" and t.severity == "page" and t.state == "firing"]
    assert len(gone) >= 5
    assert all(told.within <= 60 for told in gone)


def test_lanes_beside_each_other_share_no_alert() -> None:
    """What one drill of a phase expects, no other lane of that phase takes for its own."""
    for phase in PHASES:
        for lane in phase:
            for other in phase:
                if other is not lane:
                    for told in (told for drill in lane for told in drill.must):
                        labels = {**told.match, "severity": told.severity}
                        assert not any(drill.owns(told.alert, labels) for drill in other)


HEALTHY = ["up job=a: 1\nup job=b: 1\nrate: 0.031", "up job=a: 1\nup job=b: 1\nrate: 0.028"]


@pytest.mark.parametrize(
    ("faulty", "told"),
    [
        ("up job=a: 1\nup job=b: 1\nrate: 0.030", False),
        ("up job=a: 0\nup job=b: 1\nrate: 0.030", True),
        ("up job=a: 1\nrate: 0.030", True),
        ("up job=a: 1\nup job=b: 1\nrate: 0.030\nup job=c: 1", True),
        ("nothing", True),
        ("up job=a: 1\nup job=b: 1\nrate: 7", True),
    ],
)
def test_a_check_tells_more_than_figures_that_move_by_themselves(faulty: str, told: bool) -> None:
    """A number within what healthy ones span is no difference; a line that is gone or new, or a number far off, is."""
    assert checks.differ(HEALTHY, faulty) is told


def test_the_runbooks_commands_run_on_the_stack_by_one_rule() -> None:
    """systemctl and journalctl become the stack's own commands; what Prometheus and the exporters say stays as it stands."""
    assert checks.here("systemctl status kafka.service") == "zads stack status"
    assert checks.here("journalctl -u kafka -n 100") == "zads stack logs kafka"
    assert checks.here("zads query 'up == 0'") == "zads query 'up == 0'"
    text = "## A\n\n**Check:**\n\n```sh\nzads query 'up'\nsystemctl --failed\n```\n\n**Fix:** none\n"
    assert checks.commands(text, "A") == ["zads query 'up'", "zads stack status"]
    assert checks.commands(text, "B") == []


def test_the_table_says_where_the_time_went_and_what_is_avoidable() -> None:
    """Sight over collect, scrape and evaluate together, grouping and delivery over two seconds are avoidable."""
    (one,) = outcomes(seen(*GOOD))
    assert table.waiting(one, CONFIG) == "seen 12 s, for 20 s, group 1.0 s, delivery 0.7 s"
    slow = replace(one, seen=30.0, delivered=5.0)
    assert table.waiting(slow, CONFIG).endswith("; avoidable: seen 10.0 s, delivery 3.0 s")
    grows = replace(slow, told=Told("CommunityLagging", "ticket", 300, builds=True))
    assert table.waiting(grows, CONFIG).endswith("; avoidable: delivery 3.0 s")


def test_what_is_kept_makes_the_document_and_a_second_run_replaces_its_own_rows(tmp_path: Path) -> None:
    """The Markdown has each drill once, its verdict, and the checks that told nothing."""
    from tests.drills.conduct import Check, Result

    found = seen(*GOOD)
    check = Check("ServiceDown", "zads query 'up'", "a: 1", "a: 1", differs=False)
    for wrong in (["late"], []):
        table.keep(Result(DRILL, T0, outcomes(found), [], wrong, GOOD, [check]), CONFIG, tmp_path)
    kept = table.kept(tmp_path, [DRILL])
    assert len(kept) == 1
    text = document.document(kept, [DRILL], CONFIG)
    assert "1 of 1 drills as they should be" in text
    assert text.count("| Kafka dead |") == 1
    assert "`zads query 'up'` (ServiceDown)" in text
    assert "`zads sim kill kafka`" in text
    assert json.loads((tmp_path / "kafka-dead.json").read_text(encoding="utf-8"))["wrong"] == []


def test_messages_are_written_as_their_reader_saw_them(tmp_path: Path) -> None:
    """One file for each message, with title and text."""
    from tests.drills.conduct import Result

    table.letters(Result(DRILL, T0, [], [], [], GOOD, []), tmp_path)
    files = sorted((tmp_path / "kafka-dead").iterdir())
    assert len(files) == len(GOOD)
    assert "Kafka down" in files[0].read_text(encoding="utf-8")
