"""The command zads: what goes wrong is said in a line with an exit code, never by a traceback."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from zads import config_docs
from zads.cli import build_parser, main
from zads.config import load
from zads.config_schema import tables

ROOT = Path(__file__).parents[2]
ZADS = str(Path(sys.executable).parent / "zads")


@dataclass
class _Entry:
    """An entry point whose command does, or whose import raises, what the test wants."""

    name: str
    call: Callable[[argparse.Namespace], int] | None = None
    on_import: BaseException | None = None

    def load(self) -> Callable[[Any], None]:
        if self.on_import is not None:
            raise self.on_import

        def register(commands: Any) -> None:
            commands.add_parser(self.name).set_defaults(func=self.call)

        return register


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(*entries: _Entry) -> None:
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: list(entries))

    return use


def _raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def call(_args: argparse.Namespace) -> int:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PermissionError(13, "Permission denied", "/etc/x"), 1, "zads do: /etc/x: Permission denied"),
        (ConnectionRefusedError(111, "Connection refused"), 1, "zads do: Connection refused"),
        (OSError("something of a library's"), 1, "zads do: something of a library's"),
        (ValueError("not this"), 1, "zads do: not this"),
        (ImportError("No module named 'x'"), 1, "zads do is not available: No module named 'x'"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_a_command_raises_is_one_line(
    commands: Callable[..., None], capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str
) -> None:
    commands(_Entry("do", _raising(error)))
    assert main(["do"]) == code
    err = capsys.readouterr().err
    assert words in err and len(err.splitlines()) == 1


def test_the_traceback_is_there_for_who_asks(
    commands: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZADS_DEBUG", "1")
    commands(_Entry("do", _raising(ValueError("not this"))))
    assert main(["do"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("No module named 'starlette'"), SyntaxError("bad"), RuntimeError("no")]
)
def test_a_part_that_cannot_be_imported_is_named_and_takes_no_other_away(
    commands: Callable[..., None], capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    commands(_Entry("broken", on_import=error), _Entry("fine", lambda _: 0))
    assert main(["fine"]) == 0
    for words in (["broken"], ["broken", "serve", "--port", "3"], ["broken", "--help"]):
        assert main(words) == 1
        err = capsys.readouterr().err
        assert "zads broken is not available" in err and str(error) in err and "invalid choice" not in err
    assert {"broken", "fine"} <= _names(build_parser())


def _names(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions if isinstance(action.choices, dict) for name in action.choices}


def test_an_interruption_while_importing_is_one(commands: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    commands(_Entry("do", on_import=KeyboardInterrupt()))
    assert main(["do"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_only_what_is_asked_for_is_imported(commands: Callable[..., None]) -> None:
    """Also where the value of --config is a command's name."""
    loaded: list[str] = []

    class Noted(_Entry):
        def load(self) -> Callable[[Any], None]:
            loaded.append(self.name)
            return super().load()

    commands(Noted("one", lambda _: 0), Noted("two", lambda _: 0))
    assert main(["--config", "two", "one"]) == 0
    assert main(["--config=two", "one"]) == 0
    assert loaded == ["one", "one"]
    with pytest.raises(SystemExit) as caught:
        main(["three"])
    assert caught.value.code == 2 and loaded == ["one", "one", "one", "two"]


def _zads(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ZADS, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False, timeout=60, **options)


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """As `zads config print | head -1` does."""
    read, write = os.pipe()
    os.close(read)
    try:
        for words in (["config", "print"], ["--help"]):
            done = _zads(*words, stdout=write)
            assert (done.returncode, done.stderr) == (0, "")
    finally:
        os.close(write)


def test_a_full_disk_under_the_output_is_said() -> None:
    with Path("/dev/full").open("w") as full:
        done = _zads("config", "print", stdout=full)
    assert done.returncode == 1 and done.stderr == "zads config: No space left on device\n"


def test_ctrl_c_at_any_moment_leaves_no_traceback() -> None:
    """From the first import of our own on; before that it is Python's own start."""
    script = "import os, signal, sys, threading\nfrom zads.cli import main\n"
    script += "threading.Timer(float(sys.argv[1]), os.kill, (os.getpid(), signal.SIGINT)).start()\n"
    script += "import time\ncode = main(['config', 'check'])\nos._exit(code)"
    for delay in (0.0, 0.02, 0.05, 0.1, 0.15):
        done = subprocess.run(
            [sys.executable, "-c", script, str(delay)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        assert "zads/" not in done.stderr, done.stderr
        assert done.returncode in {0, 130, -signal.SIGINT}, done.stderr


def test_check_prints_the_path_of_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none.toml"), "config", "check"]) == 2
    err = capsys.readouterr().err
    assert "none.toml: cannot be read: No such file or directory" in err and "1 error in" in err


def test_warnings_go_to_the_error_stream_and_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "zads.toml").write_text('[kafka.public]\nbootstrap = ["a:1"]\n[[community]]\nname = "a"\n')
    assert main(["--config", str(tmp_path / "zads.toml"), "config", "check"]) == 0
    captured = capsys.readouterr()
    assert f"{tmp_path / 'zads.toml'}:3: warning: community[0]: 'a' has neither groups nor networks" in captured.err
    assert captured.out == f"{tmp_path / 'zads.toml'} is right: 1 community, 0 hosts, 0 services\n"


def test_the_variable_names_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZADS_CONFIG", str(tmp_path / "x.toml"))
    assert build_parser("config").parse_args(["config", "check"]).config == tmp_path / "x.toml"
    monkeypatch.setenv("ZADS_CONFIG", "")
    assert build_parser("config").parse_args(["config", "check"]).config == Path("zads.toml")


def test_the_reference_is_up_to_date() -> None:
    assert (ROOT / "docs" / "config.md").read_text(encoding="utf-8") == config_docs.text(), "run `make generate`"


def test_the_reference_has_every_table_and_every_key() -> None:
    text = config_docs.text()
    for heading, model in tables():
        section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
        for name, field in model.model_fields.items():
            key = field.alias or name
            assert f"| `{key}` |" in section or f".{key}]" in text or f"[[{key}]]" in text, f"{heading} {key}"


def test_the_example_names_where_its_rendered_files_are() -> None:
    rendered = load(ROOT / "zads.toml").rendered
    assert str(rendered.site) == ".stack/config/zads.toml"
    assert list((ROOT / rendered.rules).glob("*.rules.yml"))
