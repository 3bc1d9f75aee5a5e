"""scripts/packages as it is, on machines of the tests' own: a PATH with an apt, a sudo and a Python that obey the test."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
TOOLS = """
    awk bash cat chmod cp cut date dirname basename env flock grep head ln ls make mkdir mktemp mv readlink rm sed
    sha256sum sh sleep sort tail tar touch tr wc
""".split()  # noqa: SIM905 - as one types it
FILES = """
    Makefile .ci/run pyproject.toml requirements.lock zads/__init__.py zads/cache.py zads/stack/__init__.py zads/stack/programs.py
    zads/stack/paths.py zads/stack/errors.py zads/stack/lock.py zads/stack/pom.xml scripts/packages scripts/venv
    scripts/tests scripts/down scripts/apt.bash scripts/common.bash scripts/compose-test
""".split()  # noqa: SIM905 - same

APT_GET = """\
case " $* " in
  *" update "*)
    [ -e "$FAKE/offline" ] && { echo 'E: Failed to fetch http://deb/InRelease  Temporary failure resolving deb' >&2; exit 100; }
    [ -e "$FAKE/locked" ] && { echo 'E: Could not get lock /var/lib/apt/lists/lock' >&2; exit 100; }
    touch "$FAKE/lists" ;;
  *" --print-uris "*)
    echo 'Need to get 66.1 MB of archives.'; echo 'After this operation, 233 MB of additional disk space will be used.' ;;
  *" download "*)
    [ -e "$FAKE/slow" ] && { echo $$ >"$FAKE/pid"; exec sleep 300; }
    [ -e "$FAKE/gone" ] && { echo 'E: Failed to fetch http://deb/p.deb  404  Not Found' >&2; exit 100; }
    [ -e "$FAKE/offline" ] && { echo 'E: Failed to fetch http://deb/p.deb  Temporary failure resolving deb' >&2; exit 100; }
    for word; do [ ! -d "$FAKE/debs/$word" ] || tar -C "$FAKE/debs/$word" -cf "$word.deb" .; done ;;
  *" install "*)
    [ -e "$FAKE/offline" ] && { echo 'E: Failed to fetch http://deb/java.deb  Temporary failure resolving deb' >&2; exit 100; }
    [ -e "$FAKE/broken" ] && { echo 'E: dpkg was interrupted' >&2; exit 100; }
    for word; do [ ! -d "$FAKE/installs/$word" ] || cp -a "$FAKE/installs/$word/." "$BIN/"; done
    case " $* " in *" python3-venv "*) rm -f "$FAKE/no-venv" ;; esac ;;
esac
"""
APT_CACHE = """\
[ -e "$FAKE/lists" ] || exit 100
case "$1" in
  depends) printf 'prometheus\\n  Depends: libjs-page\\nlibjs-page\\nadduser\\n' ;;
  show) shift 2; for word; do
      [ -e "$FAKE/unknown-$word" ] || printf 'Package: %s\\nFilename: pool/%s.deb\\nSize: 4000000\\n\\n' "$word" "$word"; done ;;
esac
"""
SUDO = """\
[ ! -e "$FAKE/password" ] || { echo 'sudo: a password is required' >&2; exit 1; }
[ "$1" != -n ] || shift
"$@"
"""
PYTHON3 = f"""\
case "$*" in
  '-c import ensurepip, venv') [ ! -e "$FAKE/no-venv" ] || exit 1 ;;
  *version_info*) [ ! -e "$FAKE/old" ] || exit 1 ;;
  --version) echo 'Python 3.9.2' ;;
  '-m venv --clear .venv')
    [ ! -e "$FAKE/no-venv" ] || {{ echo 'Error: ensurepip is not available' >&2; exit 1; }}
    rm -rf .venv; mkdir -p .venv/bin; cp "$FAKE/venv-python" .venv/bin/python; touch .venv/pip
    echo "command = python3 -m venv --clear $(pwd -P)/.venv" >.venv/pyvenv.cfg ;;
  *) exec '{PYTHON}' "$@" ;;
esac
"""
VENV_PYTHON = """\
case "$*" in
  '-m pip --version' | '-c import pip, zads' | '-c import zads, psutil, rich') [ -e .venv/pip ] ;;
  '-m pip install '*)
    [ -e "$FAKE/slow" ] && { echo $$ >"$FAKE/pid"; exec sleep 300; }
    [ -e "$FAKE/offline" ] && { echo 'ERROR: Could not find a version that satisfies x (from versions: none)' >&2; exit 1; }
    [ -e "$FAKE/full" ] && { echo 'ERROR: Could not install: [Errno 28] No space left on device' >&2; exit 1; }
    for name in zads ruff mypy lint-imports pytest; do cp "$FAKE/tool" ".venv/bin/$name"; done ;;
  *chromium*) command -v chromium || true ;;
esac
"""


class Machine:
    """A checkout in a folder with a space in its name, and a PATH on which every program is the test's."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.bin, self.fake = folder / "my checkout", folder / "bin", folder / "fake"
        self.cache, self.home = folder / "my cache", folder / "home"
        for made in (self.bin, self.fake, self.home):
            made.mkdir()
        for name in FILES:
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.checkout / name)
        for name in TOOLS:
            found = shutil.which(name)
            assert found, name
            (self.bin / name).symlink_to(found)
        self.put("apt-get", APT_GET)
        self.put("apt-cache", APT_CACHE)
        self.put("python3", PYTHON3)
        self.put("dpkg-deb", 'cat "$2"')
        self.put("id", "echo 1000")
        self.put("sudo", SUDO)
        self.put("venv-python", VENV_PYTHON, self.fake)
        self.put("tool", 'case $* in *"stack up"*) exit "$(cat "$FAKE/up" 2>/dev/null || echo 0)" ;; esac', self.fake)
        java = "echo 'openjdk version \"17.0.1\"' >&2"
        self.package("default-jre-headless", "java", java, "installs")
        self.package("maven", "mvn", "", "installs")
        self.package("chromium", "chromium", "", "installs")
        self.package("libatomic1", "none", "", "installs")
        self.package("python3", "none", "", "installs")
        for name, program in (
            ("prometheus", "prometheus"),
            ("prometheus", "promtool"),
            ("prometheus-alertmanager", "prometheus-alertmanager"),
            ("prometheus-alertmanager", "amtool"),
            ("prometheus-node-exporter", "prometheus-node-exporter"),
        ):
            self.package(f"{name}/usr/bin", program, f'echo "{program} $*"\necho "flags: --web.local-assets"')
        page = self.fake / "debs" / "libjs-page" / "usr" / "share" / "javascript"
        page.mkdir(parents=True)
        (page / "page.js").write_text("1")
        self.set("lists")

    def put(self, name: str, script: str, folder: Path | None = None) -> None:
        """Put a program on PATH that notes its call and then does what the script says."""
        path = (folder or self.bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        note = "" if name in {"python3", "venv-python", "id"} else 'echo "${0##*/} $*" >>"$FAKE/calls"\n'
        path.write_text(f"#!/bin/bash\n{note}{textwrap.dedent(script)}\n", encoding="utf-8")
        path.chmod(0o755)

    def package(self, name: str, program: str, script: str, kind: str = "debs") -> None:
        self.put(program, script, self.fake / kind / name)

    def set(self, *flags: str) -> None:
        for flag in flags:
            (self.fake / flag).touch()

    def unset(self, *flags: str) -> None:
        for flag in flags:
            (self.fake / flag).unlink(missing_ok=True)

    def install(self, *packages: str) -> None:
        for package in packages:
            shutil.copytree(self.fake / "installs" / package, self.bin, dirs_exist_ok=True)

    @property
    def calls(self) -> list[str]:
        """What was called that changes something."""
        try:
            lines = (self.fake / "calls").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        asking = ("apt-cache", "java", "prometheus --", "promtool", "amtool", "prometheus-", "dpkg-deb", "chromium")
        return [line for line in lines if not line.startswith(asking) and "--print-uris" not in line]

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": str(self.bin),
            "HOME": str(self.home),
            "ZADS_CACHE_DIR": str(self.cache),
            "FAKE": str(self.fake),
            "BIN": str(self.bin),
            "TMPDIR": str(self.home),
        }

    def start(self, *argv: str, stdin: int = subprocess.DEVNULL, yes: bool = False) -> subprocess.Popen[str]:
        return subprocess.Popen(
            argv,
            cwd=self.checkout,
            env={**self.env, **({"YES": "1"} if yes else {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *argv: str, yes: bool = False) -> tuple[int, str]:
        return self.ended(self.start(*argv, yes=yes))

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        output, _ = process.communicate(timeout=60)
        assert "Traceback" not in output, output
        assert not [line for line in output.splitlines() if ": line " in line], output  # an error of bash itself
        assert [path.name for path in self.home.iterdir() if path.name.startswith("zads-setup")] == []
        return process.returncode, output

    def answer(self, answer: str, *argv: str) -> tuple[int, str]:
        """Run it with a terminal at which somebody types the answer."""
        mine, theirs = pty.openpty()
        process = self.start(*argv, stdin=theirs)
        os.write(mine, f"{answer}\n".encode())
        result = self.ended(process)
        os.close(mine)
        os.close(theirs)
        return result

    def interrupt(self, number: signal.Signals, *argv: str) -> tuple[int, str]:
        """Send the signal to the whole group, as Ctrl-C at a terminal does, while the fake sleeps."""
        process, pid = self.start(*argv), self.fake / "pid"
        deadline = time.monotonic() + 20
        while not (pid.exists() and pid.read_text()):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, number)
        result = self.ended(process)
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)
        return result


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_fresh_machine_is_told_everything_and_set_up(machine: Machine) -> None:
    """Packages with apt's own sizes, the sudo commands, what is unpacked without root; then nothing more is needed."""
    machine.set("no-venv")
    code, text = machine.run("scripts/packages", "up")
    assert code == 0, text
    assert "installed by apt-get, with all that they need (66.1 MB to fetch, 233 MB on disk):" in text
    assert "sudo apt-get update\n" in text
    assert "sudo apt-get install --no-install-recommends python3-venv default-jre-headless maven\n" in text
    assert f"unpacked into {machine.cache} (16.0 MB to fetch; no root, no service):" in text
    assert "Kafka's jars, by Maven" in text and "Python packages, by pip, into .venv" in text
    assert text.count("There is no terminal to ask at: going on.") == 1
    calls = "\n".join(machine.calls)
    assert "-o APT::Update::Error-Mode=any" in calls, "or apt-get would be content with no network"
    assert "NEEDRESTART_SUSPEND=1" in calls, "or Ubuntu would restart services"
    assert [c for c in machine.calls if c.startswith("sudo") and "prometheus" in c] == [], "that would start services"
    assert (machine.cache / "packages" / "prometheus" / "usr" / "share" / "javascript" / "page.js").exists()
    done = subprocess.run(
        [machine.cache / "bin" / "prometheus", "--a=b c"], capture_output=True, text=True, env=machine.env, check=True
    )
    home = machine.cache / "bin" / ".." / "packages" / "prometheus"
    assert done.stdout.splitlines()[0] == f"prometheus --web.local-assets={home}/usr/share/prometheus/web --a=b c"
    assert {path.name for path in (machine.cache / "bin").iterdir()} == {
        "prometheus",
        "promtool",
        "prometheus-alertmanager",
        "amtool",
        "prometheus-node-exporter",
    }
    (machine.fake / "calls").unlink()
    assert machine.run("scripts/packages", "up") == (0, "")
    assert machine.calls == []


def test_it_asks_at_a_terminal_and_no_changes_nothing(machine: Machine) -> None:
    code, text = machine.answer("n", "scripts/packages", "up")
    assert code == 1 and "Nothing was changed." in text
    assert machine.calls == []
    code, text = machine.answer("y", "scripts/packages", "up")
    assert code == 0, text
    assert "sudo env DEBIAN_FRONTEND=noninteractive" in "\n".join(machine.calls), "sudo may ask for its password"


def test_yes_asks_nothing_even_at_a_terminal(machine: Machine) -> None:
    mine, theirs = pty.openpty()
    code, text = machine.ended(machine.start("scripts/packages", "up", stdin=theirs, yes=True))
    os.close(mine)
    os.close(theirs)
    assert code == 0 and "[y/N]" not in text and "no terminal" not in text


def test_root_needs_no_sudo(machine: Machine) -> None:
    machine.put("id", "echo 0")
    (machine.bin / "sudo").unlink()
    code, text = machine.run("scripts/packages", "up")
    assert code == 0 and "sudo apt-get" not in text


def test_without_sudo_the_administrators_command_is_given(machine: Machine) -> None:
    """Before anything is asked or changed."""
    (machine.bin / "sudo").unlink()
    code, text = machine.run("scripts/packages", "up")
    assert code == 1
    assert "as root: apt-get update && apt-get install --no-install-recommends default-jre-headless maven" in text
    assert machine.calls == []


def test_without_sudo_what_is_only_unpacked_still_works(machine: Machine) -> None:
    (machine.bin / "sudo").unlink()
    machine.install("default-jre-headless", "maven")
    code, text = machine.run("scripts/packages", "up")
    assert code == 0, text
    assert "apt-get install" not in text and (machine.cache / "bin" / "promtool").exists()


def test_a_sudo_that_wants_a_password_without_a_terminal_is_said(machine: Machine) -> None:
    machine.set("password")
    code, text = machine.run("scripts/packages", "up")
    assert code == 1 and "sudo does not let this user install here." in text and "a password is required" in text


def test_empty_package_lists_are_read_first(machine: Machine) -> None:
    """With sudo they are, after asking; without it the command is given."""
    machine.unset("lists")
    code, text = machine.answer("n", "scripts/packages", "up")
    assert code == 1 and "Read apt's package lists?" in text and machine.calls == []
    code, text = machine.run("scripts/packages", "up")
    assert code == 0, text
    assert "\n".join(machine.calls).count("apt-get update") == 2, "sudo's line and apt-get's: once"
    machine.unset("lists")
    shutil.rmtree(machine.cache)
    (machine.bin / "sudo").unlink()
    code, text = machine.run("scripts/packages", "up")
    assert code == 1 and "as root: apt-get update" in text


@pytest.mark.parametrize("lists", [True, False])
def test_no_network_is_said_in_plain_words(machine: Machine, lists: bool) -> None:
    """Whether apt's lists were read before or not: what could not be fetched, why, what to do."""
    machine.set("offline")
    if not lists:
        machine.unset("lists")
    code, text = machine.run("scripts/packages", "up")
    assert code == 1
    what = "default-jre-headless maven" if lists else "apt's package lists"
    assert f"{what} could not be fetched: apt-get does not reach its servers." in text
    assert "Temporary failure resolving" in text and "Check the network" in text


def test_no_network_for_what_is_unpacked(machine: Machine) -> None:
    machine.install("default-jre-headless", "maven")
    machine.set("offline")
    code, text = machine.run("scripts/packages", "up")
    assert code == 1 and "prometheus could not be fetched" in text
    assert [path.name for path in (machine.cache / "packages").iterdir()] == ["lock"]
    machine.unset("offline")
    assert machine.run("scripts/packages", "up")[0] == 0


def test_a_list_that_cannot_be_read_does_not_matter_when_the_packages_come(machine: Machine) -> None:
    """A foreign source that is broken is common."""
    machine.put(
        "apt-get",
        APT_GET.replace('[ -e "$FAKE/offline" ] && { echo \'E: Failed to fetch http://deb/InRelease', "{ echo 'E: x"),
    )
    code, text = machine.run("scripts/packages", "up")
    assert code == 0 and "not all of them could be read; going on" in text


def test_lists_that_are_out_of_date(machine: Machine) -> None:
    """The command is given; root reads them anew by itself, once."""
    machine.install("default-jre-headless", "maven")
    machine.set("gone")
    code, text = machine.run("scripts/packages", "up")
    assert code == 1 and "out of date" in text and "sudo apt-get update" in text
    machine.put("id", "echo 0")
    machine.put("apt-get", APT_GET.replace('touch "$FAKE/lists"', 'rm -f "$FAKE/gone"'))
    code, text = machine.run("scripts/packages", "up")
    assert code == 0, text


def test_a_package_manager_in_trouble_is_quoted(machine: Machine) -> None:
    machine.set("broken")
    code, text = machine.run("scripts/packages", "up")
    assert code == 1 and "dpkg was interrupted" in text and "dpkg --configure -a" in text


def test_programs_on_path_are_taken_whatever_their_origin(machine: Machine) -> None:
    machine.install("default-jre-headless", "maven")
    for name in ("prometheus", "promtool", "alertmanager", "amtool", "node_exporter"):
        machine.put(name, "")
    assert machine.run("scripts/packages", "up") == (0, "")
    assert not machine.cache.exists()


def test_an_old_java_is_said(machine: Machine) -> None:
    machine.put("java", "echo 'openjdk version \"11.0.2\"' >&2")
    code, text = machine.run("scripts/packages", "up")
    assert code == 0
    assert f"Kafka needs Java 17 or newer; {machine.bin}/java is version 11." in text


def test_an_old_python_is_said(machine: Machine) -> None:
    machine.set("old")
    code, text = machine.run("scripts/packages", "up")
    assert code == 1 and "Python 3.11 or newer is needed" in text and "Python 3.9.2" in text and "PYTHON=" in text


def test_no_python_is_installed_first_and_the_rest_seen_then(machine: Machine) -> None:
    (machine.bin / "python3").rename(machine.fake / "installs" / "python3" / "python3")
    code, text = machine.run("scripts/packages", "up")
    assert code == 0, text
    assert text.index("install --no-install-recommends python3 python3-venv") < text.index("default-jre-headless maven")


def test_a_python_that_the_distribution_cannot_help_is_said(machine: Machine) -> None:
    """python3-venv belongs to another Python than the one on PATH."""
    machine.put("apt-get", APT_GET.replace('rm -f "$FAKE/no-venv"', ":"))
    machine.set("no-venv")
    code, text = machine.run("scripts/packages", "install")
    assert code == 1 and "PYTHON=/usr/bin/python3 make install" in text


def test_a_distribution_without_apt(machine: Machine) -> None:
    (machine.bin / "apt-get").unlink()
    code, text = machine.run("scripts/packages", "up")
    assert code == 1 and "no Debian or Ubuntu" in text
    assert "  maven: Maven, which fetches Kafka's jars" in text and "  prometheus: prometheus, promtool" in text


def test_ubuntu_has_no_chromium_and_that_is_no_reason_to_stop(machine: Machine) -> None:
    """Only `make test` wants one; a package that has to be there, though, is asked for by name."""
    machine.run("scripts/packages", "up")
    machine.set("unknown-chromium")
    code, text = machine.run("scripts/packages", "test")
    assert code == 0, text
    machine.unset("unknown-chromium")
    code, text = machine.run("scripts/packages", "test")
    assert code == 0 and "the browser in which the pages are tested" in text
    shutil.rmtree(machine.cache)
    machine.set("unknown-prometheus")
    code, text = machine.run("scripts/packages", "up")
    assert code == 1 and "apt has no package prometheus." in text and "universe" in text


def test_a_program_that_does_not_run_is_not_taken(machine: Machine) -> None:
    """As after a full disk, or with the package of another processor."""
    machine.install("default-jre-headless", "maven")
    machine.package("prometheus/usr/bin", "promtool", "exit 126")
    code, text = machine.run("scripts/packages", "up")
    assert code == 1 and "promtool of the package prometheus does not run" in text
    assert [path.name for path in (machine.cache / "packages").iterdir()] == ["lock"]
    assert list((machine.cache / "bin").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_packages_are_fetched(machine: Machine, number: signal.Signals) -> None:
    """Nothing half-done is left, nobody goes on fetching, and the next run is as the first."""
    machine.install("default-jre-headless", "maven")
    machine.set("slow")
    code, text = machine.interrupt(number, "scripts/packages", "up")
    assert code == 130 and "Interrupted." in text
    assert [path.name for path in (machine.cache / "packages").iterdir()] == ["lock"]
    machine.unset("slow")
    assert machine.run("scripts/packages", "up")[0] == 0
