"""`zads sim` in a container: what nobody there would obey is refused with what does it."""

from __future__ import annotations

import argparse

import pytest

from zads.stack import in_containers


def _call(_args: argparse.Namespace) -> int:
    return 0


@pytest.mark.parametrize(
    ("verb", "code", "words"), [("slow", 0, ""), ("kill", 2, "docker compose kill"), ("fill", 2, "make up")]
)
def test_in_a_container(
    verb: str, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What goes by the control file works, the engine's deeds name its command, the rest says where it works."""
    monkeypatch.setenv("ZADS_CONTAINERS", "1")
    assert in_containers.obeyed(verb, _call)(argparse.Namespace()) == code
    assert words in capsys.readouterr().err


def test_elsewhere_everything_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a supervisor nothing is refused."""
    monkeypatch.delenv("ZADS_CONTAINERS", raising=False)
    assert in_containers.obeyed("kill", _call) is _call
