"""docs/notifier.md names tests, metrics, keys and commands that exist, covers the whole comparison, and its examples work."""

from __future__ import annotations

import argparse
import re
import shlex
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from notifier.channels.webhook import sign
from zads.cli import build_parser
from zads.config import parse
from zads.metrics import METRICS
from zads.signing_key import signing_key

_ROOT = Path(__file__).resolve().parents[3]
TEXT = (_ROOT / "docs/notifier.md").read_text(encoding="utf-8")
_REFERENCE = (_ROOT / "docs/config.md").read_text(encoding="utf-8")
_KAFKA = '[kafka.public]\nbootstrap = ["k:9092"]\n'


def _blocks(kind: str) -> list[str]:
    # A block may stand in a list: its indent is no part of it.
    found = re.findall(rf"^( *)```{kind}\n(.*?)^ *```", TEXT, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"(?m)^{indent}", "", text) for indent, text in found]


def test_every_test_that_is_named_exists() -> None:
    """As a function of this name in a file of tests."""
    there = {
        name
        for file in (_ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 50
    assert named - there == set()


def test_every_metric_file_and_alert_that_is_named_exists() -> None:
    """Metrics in the catalogue, links and pictures on the disk, alerts in the runbook."""
    named = set(re.findall(r"\bzads_[a-z_]+\b", TEXT))
    assert len(named) > 10
    assert named - METRICS.keys() == set()
    for path in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert path.startswith("https://") or (_ROOT / "docs" / path).is_file(), path
    assert all((_ROOT / path).is_file() for path in re.findall(r"`(tests/[\w/.]+)`", TEXT))
    runbook = (_ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    for alert in ("ChannelUnhealthy", "NotifierQueueStuck", "NotifierDown", "AlertmanagerNotSending", "ServiceFlapping"):
        assert alert in TEXT and f"\n## {alert}\n" in runbook


def test_each_feature_says_what_holds_and_what_shows_it() -> None:
    """Rows 2 to 53; what is left out has its reason, the rest a test."""
    lines = [line for line in TEXT.split("\n## Features\n", 1)[1].splitlines() if line.startswith("|")][2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [int(row[0]) for row in rows] == list(range(2, 54))
    for number, _, here, shown in rows:
        assert "`test_" in shown or here.startswith("left out: "), number
        assert "left out" not in here or re.search(r"left out: .{15,}", here), number


def test_every_setting_that_is_shown_is_one() -> None:
    """Each TOML example is a site's file that is accepted, alone and all together."""
    examples = _blocks("toml")
    assert len(examples) >= 5
    for example in examples:
        parse(_KAFKA + _with_channels(example), "docs/notifier.md")
    keys = set(re.findall(r"`(?:notifier\.)?([a-z_]+_(?:file|env|for|url)|reminder|slack_user|listen|store)`", TEXT))
    assert len(keys) > 5
    assert {key for key in keys - {"runbook_url"} if f"`{key}`" not in _REFERENCE} == set()  # an annotation


def _with_channels(example: str) -> str:
    """Add the channels that an example's routes name."""
    channels = {
        "email": '[notifier.email]\nsmarthost = "s:25"\nsender = "a@b.org"\nto = ["a@b.org"]\n',
        "slack": '[notifier.slack]\nchannel = "#a"\ntoken_env = "T"\n',
        "pagerduty": '[notifier.pagerduty]\nrouting_key_env = "K"\n',
    }
    there = tomllib.loads(example)["notifier"]
    needed = "routes" in there
    return example + "".join(text for name, text in channels.items() if needed and name not in there)


def _commands() -> list[str]:
    shown = re.findall(r"^ {4,}(zads .*)$", TEXT, re.MULTILINE) + re.findall(r"`(zads (?:notify|config) [^`]+)`", TEXT)
    return [re.split(r"\s+[>#]", command)[0] for command in shown]


def test_every_command_that_is_shown_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the parser of the installed command, with all its words."""
    commands = _commands()
    assert len(commands) > 15

    def refuse(_self: argparse.ArgumentParser, message: str) -> None:
        raise AssertionError(message)

    monkeypatch.setattr(argparse.ArgumentParser, "error", refuse)
    parser = build_parser()
    named = {parser.parse_args(shlex.split(command)[1:]).func.__module__ for command in commands}
    assert {"notifier.cli", "notifier.cli_actions", "notifier.cli_explain", "notifier.cli_password"} <= named


def test_the_example_of_a_receiver_takes_ours_and_nothing_else() -> None:
    """Our signature, and neither another body nor another secret nor an old one."""
    scope: dict[str, Any] = {}
    exec(_blocks("python")[0], scope)
    secret, body = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", b'{"a":1}'
    now = int(time.time())

    def headers(at: int) -> dict[str, str]:
        mark = sign(signing_key(secret), "zads-1", at, body)
        return {"webhook-id": "zads-1", "webhook-timestamp": str(at), "webhook-signature": f"v1,old {mark}"}

    verified = scope["verified"]
    assert verified(secret, headers(now), body)
    assert not verified(secret, headers(now), body + b" ")
    assert not verified(secret.replace("MDE", "MDI"), headers(now), body)
    assert not verified(secret, headers(now - 3600), body)
