"""`zads config apply` when something refuses: the former files come back and are loaded, and the record says so."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.unit.test_apply_reload import Site as Programs
from zads import apply_programs, reload, render
from zads.apply import ApplyRefused, ApplyRuns, apply
from zads.apply_files import KEPT, Swap, with_kept_lines
from zads.apply_record import read_outcome, refused, state_dir_of
from zads.cli import main
from zads.config import ConfigErrors, Exporters, load, parse


class Program:
    """Stands for Prometheus and Alertmanager both: loads files when told, says what it has loaded, or refuses."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.loads, self.refuse_next, self.files = directory, 0, 0, dict[str, str]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.loads += 1
                if outer.refuse_next:
                    outer.refuse_next -= 1
                    self._say(500, "failed to reload config: no mood")
                    return
                outer.read()
                self._say(200, "")

            def do_GET(self) -> None:
                self._say(200, outer.answer(self.path))

            def _say(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.http.server_address[1]}"

    def read(self) -> None:
        self.files = {p.name: p.read_text() for p in self.directory.iterdir() if p.suffix == ".yml"}

    def answer(self, path: str) -> str:
        if path.startswith("/api/v1/status/config"):
            return json.dumps({"data": {"yaml": self.files["prometheus.yml"]}})
        if path.startswith("/api/v1/rules"):
            group = yaml.safe_load(self.files["thresholds.rules.yml"])["groups"][0]
            rules = [{"name": r["record"], "query": r["expr"], "labels": r.get("labels", {})} for r in group["rules"]]
            return json.dumps({"data": {"groups": [{"name": "thresholds", "rules": rules}]}})
        digest = hashlib.md5(self.files.get("alertmanager.yml", "").encode()).digest()[:6]
        return f"alertmanager_config_hash {float(int.from_bytes(digest, 'little'))}\n"


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Program]:
    yield from _running(Program(tmp_path / "rendered"))


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Program]:
    yield from _running(Program(tmp_path / "rendered"))


def _running(program: Program) -> Iterator[Program]:
    threading.Thread(target=program.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield program
    program.http.shutdown()
    program.http.server_close()


@pytest.fixture
def source(tmp_path: Path, prometheus: Program, alertmanager: Program) -> Path:
    """A site that is in effect."""
    (tmp_path / "rules").mkdir()
    rule = {"groups": [{"name": "a", "rules": [{"record": "a", "expr": "vector(1)"}]}]}
    (tmp_path / "rules" / "a.rules.yml").write_text(yaml.safe_dump(rule))
    file = tmp_path / "zads.toml"
    file.write_text(
        f"""[site]
name = "ZADS"
[kafka.public]
bootstrap = ["127.0.0.1:1"]
[thresholds]
service_recovering = "20s"
[exporters]
state_dir = "{tmp_path}/state"
[prometheus]
address = "{prometheus.address}"
[alertmanager]
address = "{alertmanager.address}"
[rendered]
directory = "{tmp_path}/rendered"
rules = "{tmp_path}/rules"
"""
    )
    apply(file)
    return file


def _edit(source: Path, old: str = '"20s"', new: str = '"21s"') -> None:
    source.write_text(source.read_text().replace(old, new))


def _contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("who", ["prometheus", "alertmanager"])
def test_when_one_refuses_the_former_files_come_back_and_are_loaded(
    source: Path, who: str, prometheus: Program, alertmanager: Program, request: pytest.FixtureRequest
) -> None:
    before = _contents(source.parent / "rendered")
    request.getfixturevalue(who).refuse_next = 1
    _edit(source)
    with pytest.raises(ApplyRefused, match=f"{who}: .*no mood(.|\n)*put back and loaded again"):
        apply(source)
    assert _contents(source.parent / "rendered") == before
    assert prometheus.files["thresholds.rules.yml"] == before["thresholds.rules.yml"]
    assert alertmanager.files["alertmanager.yml"] == before["alertmanager.yml"]
    outcome = read_outcome(source.parent / "state")
    assert outcome is not None and not outcome.success and "no mood" in outcome.errors[0]


def test_when_the_former_files_are_not_taken_either_it_is_said(source: Path, prometheus: Program) -> None:
    prometheus.refuse_next = 2
    _edit(source)
    with pytest.raises(ApplyRefused, match=r"put back, but not all took them: prometheus: .*no mood"):
        apply(source)


def test_a_write_that_fails_half_way_is_taken_back(source: Path, prometheus: Program) -> None:
    """The last of the files cannot be replaced; the first have been."""
    rendered = source.parent / "rendered"
    before = _contents(rendered)
    (rendered / "zads.toml").unlink()
    (rendered / "zads.toml").mkdir()
    _edit(source)
    with pytest.raises(IsADirectoryError):
        apply(source)
    after = _contents(rendered)
    assert after == {name: text for name, text in before.items() if name != "zads.toml"}
    assert prometheus.files["thresholds.rules.yml"] == before["thresholds.rules.yml"]
    outcome = read_outcome(source.parent / "state")
    assert outcome is not None and not outcome.success


def test_a_full_disk_is_found_before_anything_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both files are written before one is replaced."""
    render.write({"a": "old", "b": "old"}, tmp_path)
    written = render._write_through

    def full(file: Path, text: str, mode: int) -> None:
        if file.name == "b.new":
            raise OSError(28, "No space left on device", str(file))
        written(file, text, mode)

    monkeypatch.setattr(render, "_write_through", full)
    swap = Swap(tmp_path, {"a": "new", "b": "new"})
    with pytest.raises(OSError, match="No space"):
        swap.forward()
    assert (tmp_path / "a").read_text() == "old"
    swap.back()
    assert _contents(tmp_path) == {"a": "old", "b": "old"}


def test_our_own_programs_read_the_applied_copy(source: Path, tmp_path: Path) -> None:
    """On SIGHUP; when one of them refuses, all go back to the former file, Prometheus and Alertmanager too."""
    programs = Programs(tmp_path / "programs")
    programs.state, programs.toml = tmp_path / "state", tmp_path / "rendered" / "zads.toml"
    try:
        programs.start("wall")
        programs.start("notifier")
        _edit(source)
        assert apply(source)[-1].endswith("of our own: notifier, wall")
        good = reload.digest(source.read_text())
        outcome = read_outcome(tmp_path / "state")
        assert outcome is not None and outcome.applied_digest == good
        assert {entry.digest for entry in reload.living(tmp_path / "state")} == {good}
        _edit(source, '"ZADS"', '"refuse"')
        with pytest.raises(ApplyRefused, match=r"notifier: process \d+ did not take it: not this one(.|\n)*loaded again"):
            apply(source)
        assert {(e.digest, e.error) for e in reload.living(tmp_path / "state")} == {(good, "")}
        assert reload.digest(programs.toml.read_text()) == good
    finally:
        for process in programs.running:
            process.kill()
            process.communicate()


def test_a_program_that_reads_another_file_is_pointed_out(source: Path, tmp_path: Path) -> None:
    programs = Programs(tmp_path / "programs")
    programs.state = tmp_path / "state"
    try:
        programs.start("wall")
        assert apply(source)[-1] == f"wall reads {programs.toml}, not the applied copy {tmp_path}/rendered/zads.toml"
    finally:
        for process in programs.running:
            process.kill()
            process.communicate()


def test_an_interruption_takes_everything_back(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _contents(source.parent / "rendered")
    reload, calls = apply_programs.reload, []

    def interrupted(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return reload(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(apply_programs, "reload", interrupted)
    _edit(source)
    with pytest.raises(KeyboardInterrupt):
        apply(source)
    assert _contents(source.parent / "rendered") == before
    assert len(calls) == 2


def test_two_applies_do_not_mix(source: Path) -> None:
    """The second one says which process runs the first, and leaves the record to it."""
    before = read_outcome(source.parent / "state")
    with (source.parent / "state" / "apply.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ApplyRuns, match=f"process {os.getpid()}"):
            apply(source)
        assert main(["--config", str(source), "config", "apply"]) == 1
    assert read_outcome(source.parent / "state") == before
    apply(source)


def test_the_argument_goes_before_what_zads_toml_names(
    source: Path, tmp_path: Path, prometheus: Program, alertmanager: Program
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    prometheus.directory = alertmanager.directory = other
    _edit(source, f'rules = "{tmp_path}/rules"', 'rules = "/nowhere"')
    apply(source, other, tmp_path / "rules")
    assert load(other / "zads.toml").rendered.directory == tmp_path / "rendered"


def test_an_alertmanager_that_reads_another_file_is_noticed(source: Path, tmp_path: Path, alertmanager: Program) -> None:
    """Its reload succeeds all the same."""
    alertmanager.directory = tmp_path / "elsewhere"
    alertmanager.directory.mkdir()
    _edit(source)
    with pytest.raises(ApplyRefused, match=r"alertmanager: .* runs with another file than"):
        apply(source)


@pytest.mark.parametrize("text", ["[exporters", "x = \n[exporters]\nstate_dir = 'there'", "[exporters]\nstate_dir = 3\n"])
def test_a_source_that_is_no_toml_is_recorded_as_failed(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Exporters.model_fields["state_dir"], "default", Path("default"))
    Exporters.model_rebuild(force=True)
    try:
        Path("zads.toml").write_text(text)
        with pytest.raises(ConfigErrors):
            apply(Path("zads.toml"))
        outcome = read_outcome(Path("there" if "there" in text else "default"))
    finally:
        monkeypatch.undo()
        Exporters.model_rebuild(force=True)
    assert outcome is not None and not outcome.success and outcome.errors and outcome.applied_digest == ""


def test_the_state_folder_is_found_in_a_broken_text() -> None:
    good = '[site]\nname = "a"\n[exporters] # c\n state_dir = "/x"  # here\n[prometheus]\nstate_dir = "/y"\n'
    assert state_dir_of(good) == Path("/x")
    assert state_dir_of(good + "[broken") == Path("/x")
    assert state_dir_of("[broken") == Exporters().state_dir


def test_a_record_that_is_damaged_is_none(tmp_path: Path) -> None:
    assert read_outcome(tmp_path) is None
    refused(tmp_path, Path("/zads.toml"), ValueError("first\nsecond"))
    outcome = read_outcome(tmp_path)
    assert outcome is not None and outcome.errors == ("first", "second")
    (tmp_path / "config-applied.json").write_text('{"success": true}')
    assert read_outcome(tmp_path) is None


def test_a_marked_line_of_the_applied_copy_is_kept() -> None:
    """The local stack's site stays where it was moved to, whatever else changes."""
    text = "[site]\nlongitude = -116.8599  # Palomar\nlatitude = 33.0\n"
    former = f"[site]\nlongitude = 12.5  # dusk was at 17:05 UTC {KEPT}\nlatitude = 10.0\n"
    assert with_kept_lines(text, former) == f"[site]\nlongitude = 12.5  # dusk was at 17:05 UTC {KEPT}\nlatitude = 33.0\n"
    for short in ("[site]\nlatitude = 33.0\n", "x = 1\n", "site.longitude = 3\n"):
        kept = with_kept_lines(short, former)
        assert "12.5" in kept and KEPT in kept
        assert with_kept_lines(short, kept) == kept
    assert with_kept_lines(text, None) == text
    with pytest.raises(ConfigErrors, match=r"site\.longitude: write this key on a line of its own"):
        with_kept_lines("site = { longitude = 3 }\n", former)


def test_apply_keeps_the_marked_line(source: Path) -> None:
    copy = source.parent / "rendered" / "zads.toml"
    copy.write_text(copy.read_text().replace('name = "ZADS"', f'name = "Moved" {KEPT}'))
    _edit(source)
    apply(source)
    assert load(copy).site.name == "Moved"
    assert load(copy).thresholds.service_recovering == 21.0
    assert load(source).site.name == "ZADS"


def test_a_bad_folder_is_said_plainly(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file stands where the folder should be, or nothing may be written there."""
    for words in (
        ["config", "render", "/proc/nowhere"],
        ["config", "apply", "/proc/nowhere"],
        ["config", "apply", str(source)],
    ):
        assert main(["--config", str(source), *words]) == 1
        err = capsys.readouterr().err
        assert words[-1] in err and "Traceback" not in err


def test_render_writes_the_copy_too_and_needs_rules(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(source), "config", "render", str(tmp_path / "out")]) == 0
    assert load(tmp_path / "out" / "zads.toml") == load(source)
    assert main(["--config", str(source), "config", "render", str(tmp_path / "out"), "--rules", str(tmp_path / "no")]) == 1
    assert "holds no *.rules.yml" in capsys.readouterr().err


def test_a_secret_of_the_environment_that_is_missing_is_said(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source.write_text(source.read_text() + '[notifier]\ntoken_env = "ZADS_NO_SUCH_TOKEN"\n')
    assert main(["--config", str(source), "config", "apply"]) == 2
    assert "notifier.token_env: the environment variable ZADS_NO_SUCH_TOKEN is not set" in capsys.readouterr().err


def test_every_kind_of_difference_is_found() -> None:
    """Defaults that Prometheus adds are none; a missing target, another number of jobs and another value are."""
    difference = apply_programs._difference
    ours = {"global": {"scrape_interval": "1m30s"}, "jobs": [{"name": "a", "targets": ["x:1"]}]}
    assert difference({**ours, "global": {"scrape_interval": "90s", "timeout": "10s"}}, ours) is None
    assert difference({**ours, "jobs": []}, ours) == "jobs"
    assert difference({**ours, "jobs": [{"name": "a", "targets": ["x:2"]}]}, ours) == "jobs[0].targets[0]"
    assert difference({"global": {}}, ours) == "global.scrape_interval"
    assert difference("text", ours) == "content"


def test_files_are_readable_whatever_the_umask(tmp_path: Path) -> None:
    former = os.umask(0o077)
    try:
        render.write({"a": "", "secrets/slack_token": ""}, tmp_path)
    finally:
        os.umask(former)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "secrets" / "slack_token").stat().st_mode & 0o777 == 0o640


def test_a_site_without_upstream_is_rendered() -> None:
    files = render.render(parse('[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n'), Path("/rules"))
    jobs = {job["job_name"] for job in yaml.safe_load(files["prometheus.yml"])["scrape_configs"]}
    assert "kafka-lag" in jobs and "jmx" not in jobs
