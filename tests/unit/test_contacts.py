"""`zads contacts`: everybody whom the runbook tells to call, with the way to reach them; what is missing is said."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from zads import contacts_cli
from zads.config import ConfigErrors, load, parse
from zads.contacts_cli import ROLES, rows

ROOT = Path(__file__).resolve().parents[2]
SITE = '[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n'


def test_the_example_knows_everybody(capsys: pytest.CaptureFixture[str]) -> None:
    """On call, the four roles of the runbook, each community; nobody is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    contacts_cli.register(parser.add_subparsers())
    args = parser.parse_args(["--config", str(ROOT / "zads.toml"), "contacts"])
    assert args.func(args) == 0
    out = capsys.readouterr().out
    config = load(ROOT / "zads.toml")
    for role in ROLES:
        assert f"\n{role} " in out
    for community in config.communities:
        assert community.contact and community.contact in out
    for person in config.notifier.oncall:
        assert person.name in out and person.email and person.email in out
    assert "ALeRCE" in out and "zads notify oncall" in out and "not known" not in out


def test_what_zads_toml_does_not_say_is_said_to_be_missing() -> None:
    """A site that was just begun: each role and community has its line, and what to write where."""
    found = dict(rows(parse(SITE + "[[community]]\nname = \"lasair\"\ngroups = ['lasair']\n")))
    assert set(found) == {"on call", *ROLES, "Lasair"}
    assert all(" add " in how and "zads.toml" in how for how in found.values())


def test_a_role_is_known_however_it_is_written_and_may_have_two_people() -> None:
    text = (
        SITE + '[[contact]]\nrole = "Data Lead"\nname = "A"\nreach = "+1"\n[[contact]]\nrole = "data lead"\nreach = "+2"\n'
    )
    found = [row for row in rows(parse(text)) if "data lead" in row[0].lower()]
    assert found == [("Data Lead", "A: +1"), ("data lead", "+2")]


@pytest.mark.parametrize(
    "text", ['role = "x"', 'reach = "x"', 'role = ""\nreach = "x"', 'role = "x"\nreach = "x"\nphone = "1"']
)
def test_half_a_contact_is_refused(text: str) -> None:
    with pytest.raises(ConfigErrors):
        parse(f"{SITE}[[contact]]\n{text}\n")
