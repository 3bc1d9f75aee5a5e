"""The gallery shows every kind of message as it is handed over, and each of them reads well on a phone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import sync_playwright

from notifier.gallery import build, main
from notifier.gallery_cases import of_rules, of_states
from notifier.gallery_pages import PHONE_LETTERS, Shown, mrkdwn
from tests.support.screenshot import ARGUMENTS
from tests.unit.notifier.test_page_browser import _CONTRAST, _OUTSIDE
from zads.stack import programs
from zads.stack.standin_slack_blocks import problems

_RULES = Path(__file__).resolve().parents[3] / "alertrules"
_TESTS = _RULES / "tests"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gallery")


@pytest.fixture(scope="module")
def shown(folder: Path) -> dict[str, Shown]:
    return {one.name: one for one in build(folder, [*of_states(), *of_rules(_TESTS)])}


def test_each_alert_of_the_rules_is_shown(shown: dict[str, Shown]) -> None:
    """By the texts that the rules' tests expect, so that one without a test stands out here."""
    alerts = {
        rule["alert"]
        for file in _RULES.glob("*.rules.yml")
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert len(alerts) > 30
    assert alerts - {name.split("-")[1] for name in shown if name.startswith("rule-")} == set()


def test_each_kind_of_message_is_shown_by_each_channel(shown: dict[str, Shown], folder: Path) -> None:
    """Each in a file that is there; what Slack got is what it allows; PagerDuty is told trigger, acknowledge, resolve."""
    assert len([name for name in shown if not name.startswith("rule-")]) >= 25
    for one in shown.values():
        assert one.files and all((folder / path).stat().st_size for path in one.files.values())
        for _, body in one.slack:
            assert problems(body["blocks"]) == []
    assert {"mail", "mail's html", "text", "slack", "pagerduty", "webhook"} <= shown["state-1-firing"].files.keys()
    events = {
        name: [call["body"]["event_action"] for call in json.loads((folder / f"{name}.pagerduty.json").read_text())]
        for name, one in shown.items()
        if one.push
    }
    assert [events[f"state-{state}"] for state in ("1-firing", "5-acknowledged", "7-resolved")] == [
        ["trigger"],
        ["acknowledge"],
        ["resolve"],
    ]
    assert events["test"] == ["trigger", "resolve"]
    index = (folder / "index.html").read_text()
    assert all(f'href="{path}"' in index for one in shown.values() for path in one.files.values())


def test_a_locked_phone_shows_the_whole_of_what_is_told(shown: dict[str, Shown]) -> None:
    """Object, state, how long or how much, effect: within 80 letters, for each page and ticket of the rules, and each state."""
    long = {name: one.title for name, one in shown.items() if len(one.title) > PHONE_LETTERS}
    assert not long
    for name in ("state-1-firing", "state-4-reminder", "rule-ServiceDown-1", "rule-HostDown-1", "ticket-1-firing"):
        assert re.fullmatch(r"(Still: )?\w[\w' ]+ .*\d+ (s|min|h)\b.*: .{8,}", shown[name].title), shown[name].title


def test_no_text_shows_what_a_template_left_behind(shown: dict[str, Shown], folder: Path) -> None:
    """Neither Go's complaints nor braces nor "NaN", in any file."""
    for file in folder.glob("*.txt"):
        text = file.read_text()
        assert not re.search(r"<no value>|%!|\{\{|\}\}|\bNaN\b|\+Inf|<error|\[\]", text), (file.name, text)


def test_the_picture_of_slack_reads_markup_as_slack_does() -> None:
    """Links, mentions, bold, entities; what is escaped stays text."""
    assert mrkdwn("*PAGE* a &lt;b&gt; &amp;amp;") == "<b>PAGE</b> a &lt;b&gt; &amp;amp;"
    assert mrkdwn("<https://x/?a=1&amp;b|Run *it*>") == '<a href="https://x/?a=1&amp;b">Run *it*</a>'
    assert mrkdwn("<@U1> <!here>") == '<span class="call">@U1</span> <span class="call">!here</span>'
    assert mrkdwn("a_b_c 2*3*4 08:01:10") == "a_b_c 2*3*4 08:01:10"
    assert "<i>x</i>" in mrkdwn("_x_") and "<code>*x*</code>" in mrkdwn("`*x*`") and "<s>x</s>" in mrkdwn("~x~")


def test_without_the_rules_tests_it_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and a status that scripts see."""
    assert main([str(tmp_path / "out"), "--tests", str(tmp_path)]) == 2
    assert "holds no tests of rules" in capsys.readouterr().err


@pytest.mark.browser
def test_mail_reads_well_on_a_phone_and_a_desk_by_day_and_night(shown: dict[str, Shown], folder: Path) -> None:
    """In Chromium: nothing runs out at the side, letters stand out from what is behind them, thumbs find the links."""
    found: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=programs.find("chromium"), args=ARGUMENTS)
        for width in (390, 700):
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
                for one in shown.values():
                    if not one.mail or one.name.startswith("rule-"):
                        continue
                    page.goto((folder / one.mail).as_uri())
                    where = f"{one.name} {width} {scheme}: "
                    found += [where + words for words in (*page.evaluate(_CONTRAST), *page.evaluate(_OUTSIDE))]
                    low = "() => [...document.querySelectorAll('a')].filter((a) => a.getBoundingClientRect().height < 40).length"
                    found += [f"{where}a link is too low for a thumb"] if page.evaluate(low) else []
                    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
                    found += [] if dark == (scheme == "dark") else [f"{where}not in the reader's colours"]
                page.close()
        browser.close()
    assert found == []
