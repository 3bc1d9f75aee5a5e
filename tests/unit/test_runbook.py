"""The runbook: a section in one form for each alert, commands that can be run, links that lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from notifier.runbook import runbook as page
from zads.cli import build_parser
from zads.contacts_cli import ROLES
from zads.metrics import METRICS
from zads.runbook import read_rules, runbook_text, section

ROOT = Path(__file__).resolve().parents[2]
TEXT = runbook_text() or ""
RULES = read_rules(ROOT / "alertrules")
# RecordRenewed is told by the notifier itself, by no rule.
ALERTS = sorted({rule.name for rule in RULES if rule.alert} | {"RecordRenewed"})
PARTS = ("Means", "Affected", "Check", "Fix", "Call")
DOCS = sorted((ROOT / "docs").glob("*.md"))


def _anchors(text: str) -> set[str]:
    """The anchors of a Markdown page, as GitHub makes them."""
    bare = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    titles = re.findall(r"^#{1,6} (.*)$", bare, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _links(text: str) -> list[str]:
    bare = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    return re.findall(r"\[[^\]]+\]\(([^)\s]+)\)", bare)


def _commands(alert: str) -> list[str]:
    block = re.search(r"\*\*Check:\*\*\n\n```sh\n(.*?)\n```", section(TEXT, alert) or "", re.DOTALL)
    return block[1].splitlines() if block else []


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_its_section_in_one_form(alert: str) -> None:
    """What it means, who is affected, how to check, how to fix, when to call whom: in that order, none empty."""
    text = section(TEXT, alert)
    assert text is not None, f"no heading {alert}"
    assert re.findall(r"^\*\*(\w+):\*\*", text, re.MULTILINE) == list(PARTS)
    for part in re.split(r"^\*\*\w+:\*\*", text, flags=re.MULTILINE)[1:]:
        assert len(part.strip()) > 6
    steps = re.search(r"\*\*Fix:\*\*\n\n(.*?)\n\n\*\*Call", text, re.DOTALL)
    assert steps and steps[1].startswith("1. ")


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_checked_by_two_commands(alert: str) -> None:
    """Of ours or of the system, that can be run as they stand: nothing to fill in."""
    commands = _commands(alert)
    assert len(commands) == 2, commands
    assert commands[0] != commands[1]
    for command in commands:
        assert command.split()[0] in {"zads", "ps", "df", "ip", "timedatectl", "systemctl", "curl", "ss"}, command
        assert not re.search(r"YYYYMMDD|NAME|HOST|PID|\.\.\.", command), command


def test_each_check_is_a_command_that_zads_takes() -> None:
    """Each subcommand exists and takes these arguments, up to a pipe; where it is piped to is of the system."""
    parser = build_parser()
    known = {"grep", "head", "tail", "sort"}
    for alert in ALERTS:
        for command in _commands(alert):
            words = shlex.shlex(command, posix=True, punctuation_chars="|")
            words.whitespace_split = True
            first, *rest = " ".join(shlex.quote(w) if w != "|" else w for w in words).split(" | ")
            if first.startswith("zads "):
                assert callable(parser.parse_args(shlex.split(first)[1:]).func), command
            assert all(part.split()[0] in known for part in rest), command


def test_whom_to_call_is_printed_and_nowhere_else() -> None:
    """Each role that the runbook calls is one that `zads contacts` prints."""
    assert "/etc/zads/contacts" not in TEXT and "`zads contacts`" in TEXT
    for role in ROLES:
        assert re.search(rf"\*\*Call:\*\*[^\n]*{re.escape(role)}", TEXT, re.IGNORECASE), role


def test_what_the_checks_ask_prometheus_is_promql_of_known_series(tmp_path: Path) -> None:
    """Each expression is parsed by promtool, and its series are exported, recorded, or a foreign exporter's."""
    expressions = re.findall(r"zads query '([^']*)'", TEXT)
    assert len(expressions) > len(ALERTS)
    rules = [{"record": f"check:{index}", "expr": expression} for index, expression in enumerate(expressions)]
    file = tmp_path / "checks.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "checks", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", "--lint=none", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # What rules read is known: tests/unit/test_rules.py sees to that.
    known = set(METRICS) | {rule.name for rule in RULES}
    known |= {name for rule in RULES for name in re.findall(r"\bzads[_:][A-Za-z0-9_:]+", rule.expression)}
    for expression in expressions:
        for name in re.findall(r"\bzads[_:][A-Za-z0-9_:]+", expression):
            assert name in known, f"{name} in: {expression}"


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_each_link_leads_somewhere(file: Path) -> None:
    """Files that exist, anchors that the page has; links to the outside are not followed."""
    text = file.read_text(encoding="utf-8")
    for link in _links(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path) if path else file
        assert target.exists(), f"{file.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in _anchors(target.read_text(encoding="utf-8")), f"{file.name}: {link}"


def test_each_alerts_own_link_leads_to_its_section() -> None:
    """On the notifier's page too, which makes its own anchors."""
    shown = set(re.findall(r'id="([^"]+)"', page(TEXT)))
    for rule in RULES:
        if rule.alert:
            file, _, anchor = rule.annotations["runbook_url"].partition("#")
            assert file == "docs/runbook.md"
            assert anchor in _anchors(TEXT)
            assert anchor in shown
    assert {link.removeprefix("#") for link in _links(TEXT) if link.startswith("#")} <= shown


def test_a_step_that_a_message_names_exists() -> None:
    """A message says "runbook step 2": the fix has that many steps."""
    for rule in RULES:
        for number in re.findall(r"runbook step (\d)", rule.annotations.get("first", "")):
            assert re.search(rf"^{number}\. ", section(TEXT, rule.name) or "", re.MULTILINE), rule.name


@pytest.mark.parametrize(
    ("title", "templates"), [("a broker is down", 2), ("a failed transfer from IPAC", 2), ("a security incident", 2)]
)
def test_each_procedure_has_its_steps_and_its_messages(title: str, templates: int) -> None:
    """Numbered steps with whom to call, and texts to communities that only need their blanks filled."""
    found = re.search(rf"^# Procedure: {title}\n(.*?)(?=^# |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    steps = re.findall(r"^(\d)\. ", found[1], re.MULTILINE)
    assert steps == [str(number) for number in range(1, len(steps) + 1)] and len(steps) >= 6
    messages = re.findall(r"```\nSubject: ZADS: .*?```", found[1], re.DOTALL)
    assert len(messages) == templates
    assert all("HH:MM" in message or "YYYYMMDD" in message for message in messages)
    assert re.search(r"[Cc]all the (lead of operations|data lead)", found[1])
