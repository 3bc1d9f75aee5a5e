"""Password hashes: the standard's own form, right ones fit, wrong lines are refused in words, the command prints one."""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
from pathlib import Path

import pytest

from notifier.cli_password import register
from zads.config import SecretError, parse
from zads.passwords import HashError, check_hash, fits, hash_password

# The example of passlib's documentation: made by another implementation.
_FOREIGN = "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"


def test_a_hash_fits_its_password_alone() -> None:
    """Another one each time; no word of the password in it."""
    line = hash_password("correct horse battery")
    assert line.startswith("$scrypt$ln=14,r=8,p=5$")
    assert fits("correct horse battery", line)
    assert not fits("correct horse batterx", line)
    assert not fits("", line)
    assert line != hash_password("correct horse battery")


def test_the_hash_of_another_implementation_fits() -> None:
    """passlib's own example: the form is no invention of ours."""
    assert fits("password", _FOREIGN)
    assert not fits("Password", _FOREIGN)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "correct horse battery",
        "$scrypt$",
        "$2y$10$" + "a" * 53,
        _FOREIGN[:-30],
        _FOREIGN + "\n",
        _FOREIGN.replace("ln=16", "ln=31"),
        _FOREIGN.replace("ln=16", "ln=18"),  # 256 MB
        _FOREIGN.replace("ln=16", "ln=0"),
        _FOREIGN.replace("r=8", "r=0"),
        _FOREIGN.replace("p=1", "p=99"),
        _FOREIGN.replace("ln=16", "ln=٣"),
    ],
)
def test_a_line_that_is_no_hash_is_refused_without_being_shown(line: str) -> None:
    """Also one that would take all memory, or minutes, at each log-in."""
    with pytest.raises(HashError) as error:
        check_hash(line)
    assert not line or line not in str(error.value)


def _config(tmp_path: Path, more: str) -> str:
    (tmp_path / "token").write_text("t")
    return f'[kafka.public]\nbootstrap = ["127.0.0.1:1"]\n[notifier]\ntoken_file = "{tmp_path}/token"\n{more}'


def test_the_file_of_the_hash_is_read_and_a_wrong_one_is_said(tmp_path: Path) -> None:
    """The error names key and file, not what stands there."""
    file = tmp_path / "hash"
    config = parse(_config(tmp_path, f'password_hash_file = "{file}"'))
    file.write_text(f"{_FOREIGN}\n")
    assert config.notifier.password() == _FOREIGN
    file.write_text("correct horse battery\n")
    with pytest.raises(SecretError) as error:
        config.notifier.password()
    assert "notifier.password_hash_file" in str(error.value) and "hash-password" in str(error.value)
    assert "horse" not in str(error.value)


def _run(typed: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import argparse; from notifier.cli_password import register; p = argparse.ArgumentParser();"
        "register(p.add_subparsers()); a = p.parse_args(['hash-password']); raise SystemExit(a.func(a))"
    )
    return subprocess.run(
        [sys.executable, "-c", program], input=typed, capture_output=True, text=True, timeout=30, check=False
    )


def test_the_command_prints_the_line_and_nothing_else() -> None:
    """From a pipe, for installers; the password is not echoed."""
    done = _run("correct horse battery\n")
    assert done.returncode == 0
    assert fits("correct horse battery", done.stdout.strip())
    assert "horse" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("typed", "words"), [("short\n", "too short"), ("", "too short"), ("x" * 201, "too long"), ("a" * 12 + "\t", "typed")]
)
def test_a_password_that_the_page_could_not_take_is_refused(typed: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a sentence, before anything is printed."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    args = parser.parse_args(["hash-password"])
    with pytest.raises(ValueError, match=words):
        args.func(args)
