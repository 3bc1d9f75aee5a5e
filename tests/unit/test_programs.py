"""Programs are found on PATH, then in the cache; Kafka's jars are whole or fetched anew: with a Maven of the tests' own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from zads.stack import lock, programs
from zads.stack.errors import StackError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a PATH of its own (`bin`) and a cache with a space in its name."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("ZADS_CACHE_DIR", str(tmp_path / "my cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    programs.java_version.cache_clear()
    return tmp_path


def put(path: Path, script: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\nPATH=/usr/bin:/bin\n{textwrap.dedent(script)}", encoding="utf-8")
    path.chmod(0o755)
    return path


def java(path: Path, version: str = "17.0.15") -> Path:
    return put(path, f"echo 'openjdk version \"{version}\" 2025-04-15' >&2")


@pytest.fixture
def maven(box: Path) -> Callable[[str], Path]:
    """Return what makes a Maven whose deeds are a script; $out is where the jars belong."""
    java(box / "bin" / "java")

    def make(script: str) -> Path:
        head = f"""\
            echo "$@" >> '{box}/calls'
            echo "$JAVA_HOME" > '{box}/java_home'
            for word; do case $word in -DoutputDirectory=*) out=${{word#*=}} ;; esac; done
            jar() {{ '{sys.executable}' -c 'import sys, zipfile
            with zipfile.ZipFile(sys.argv[1], "w") as z: z.writestr("a", sys.argv[2])' "$out/$1" "$2"; }}
            """
        return put(box / "bin" / "mvn", textwrap.dedent(head) + textwrap.dedent(script))

    return make


WHOLE = """\
mkdir -p "$out"
jar jmx_prometheus_javaagent-1.jar agent; jar kafka.jar kafka
echo '[INFO] Scanning for projects...'
for n in 1 2 3; do echo "Downloaded from central: https://registry/$n.jar (8.5 MB at 3.1 MB/s)"; done
"""


def fetch(box: Path) -> tuple[Path, list[str]]:
    said: list[str] = []
    return programs.jars(box / "my cache", said.append), said


def failure(box: Path) -> str:
    with pytest.raises(StackError) as raised:
        fetch(box)
    return str(raised.value)


def test_path_comes_before_the_cache_and_other_projects_names_are_known(box: Path) -> None:
    """Debian's names and upstream's; the cache only when PATH has neither."""
    cached = put(box / "my cache" / "bin" / "prometheus-alertmanager")
    assert programs.find("alertmanager") == str(cached)
    upstream = put(box / "bin" / "alertmanager")
    assert programs.find("alertmanager") == str(upstream)
    assert programs.look("promtool") is None
    tool = put(box / "my cache" / "bin" / "promtool")
    assert programs.find("promtool") == str(tool)
    assert programs.look("chromium") is None
    snap = put(box / "bin" / "chromium-browser")
    assert programs.find("chromium") == str(snap)
    chrome = put(box / "bin" / "google-chrome")
    assert programs.find("chromium") == str(chrome)


@pytest.mark.parametrize("program", ["prometheus", "promtool", "amtool", "alertmanager", "node_exporter", "mvn"])
def test_what_is_nowhere_is_named_with_its_package(box: Path, program: str) -> None:
    with pytest.raises(StackError, match=rf"{program} is not on this machine[\s\S]*make up[\s\S]*sudo apt-get install"):
        programs.find(program)


def test_java_has_to_be_new_enough_and_an_old_one_is_said(box: Path) -> None:
    """No Java, one that is too old, one that does not run, then a good one behind it on PATH, or by JAVA_HOME."""
    with pytest.raises(StackError, match=r"Java 17 or newer; there is none[\s\S]*default-jre-headless"):
        programs.find("java")
    old = java(box / "bin" / "java", "1.8.0_392")
    with pytest.raises(StackError, match=f"{old} is version 8"):
        programs.find("java")
    broken = put(box / "other" / "java", "exit 1")
    os.environ["PATH"] += f"{os.pathsep}{broken.parent}"
    with pytest.raises(StackError, match=f"{old} is version 8; {broken} does not run"):
        programs.find("java")
    good = java(box / "third" / "bin" / "java", "21.0.1")
    os.environ["JAVA_HOME"] = str(good.parent.parent)
    assert programs.find("java") == str(good)
    del os.environ["JAVA_HOME"]
    os.environ["PATH"] += f"{os.pathsep}{good.parent}"
    assert programs.find("java") == str(good)


def test_what_is_missing_is_told_with_how_it_comes(box: Path, maven: Callable[[str], Path]) -> None:
    """Nothing with services of its own is ever to be installed; Maven only while the jars are missing."""
    (box / "bin" / "java").unlink()
    rows = {package: how for how, package, _ in programs.missing(test=True) if package}
    rows.pop("libatomic1", None)  # a matter of the machine that the tests run on
    assert rows == {
        "default-jre-headless": "install",
        "maven": "install",
        "prometheus": "unpack",
        "prometheus-alertmanager": "unpack",
        "prometheus-node-exporter": "unpack",
        "chromium": "install",
    }
    java(box / "bin" / "java")
    programs.java_version.cache_clear()
    maven(WHOLE)
    assert "maven" not in {package for _, package, _ in programs.missing()}
    fetch(box)
    (box / "bin" / "mvn").unlink()
    for name in ("prometheus", "promtool", "amtool", "alertmanager", "node_exporter"):
        put(box / "bin" / name)
    assert list(programs.missing()) == []


def test_the_jars_are_fetched_once_with_the_pinned_plugin_and_strict_checksums(
    box: Path, maven: Callable[[str], Path]
) -> None:
    """In a cache with a space in its name; progress in a few lines; nothing but the jars and a lock is left."""
    maven(WHOLE)
    folder, said = fetch(box)
    assert said[0] == "Fetching Kafka's jars by Maven (about 75 MB, unless it has them already) ..."
    assert said[1:] == ["  17 of at most 75 MB", "Kafka's jars are there: 2 files."]
    assert programs.agent(folder).name == "jmx_prometheus_javaagent-1.jar"
    assert programs.classpath(folder) == f"{folder}/*"
    assert sorted(path.name for path in (box / "my cache").iterdir()) == [folder.name, "jars.lock"]
    call = (box / "calls").read_text()
    assert " -C " in call and "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies" in call
    assert "-Daether.connector.requestTimeout=60000" in call and "-Daether.connector.connectTimeout=20000" in call
    assert (box / "java_home").read_text().strip() == str(box), "Maven runs with the Java that was found"
    assert fetch(box) == (folder, [])
    assert (box / "calls").read_text() == call


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: (f / "kafka.jar").write_bytes((f / "kafka.jar").read_bytes()[:9]), "kafka.jar has 9 bytes instead of"),
        (lambda f: (f / "kafka.jar").unlink(), "kafka.jar is missing"),
        (lambda f: (f / "log4j.jar").write_bytes(b"x"), "log4j.jar does not belong there"),
        (lambda f: (f / programs.MANIFEST).unlink(), "no list of what belongs there"),
        (lambda f: (f / programs.MANIFEST).write_text(""), "is empty|is missing|does not belong"),
        (lambda f: (f / programs.MANIFEST).write_text("garbage\n"), "no list"),
    ],
)
def test_a_set_that_is_not_whole_is_fetched_anew(
    box: Path, maven: Callable[[str], Path], harm: Callable[[Path], object], words: str
) -> None:
    """Truncated, missing or foreign jars, a manifest that is gone: said, and mended."""
    maven(WHOLE)
    folder, _ = fetch(box)
    harm(folder)
    said: list[str] = []
    assert programs.jars(box / "my cache", said.append) == folder
    assert "are fetched anew" in said[0]
    assert any(word in said[0] for word in words.split("|")), said[0]
    assert fetch(box) == (folder, [])
    assert sorted(path.name for path in (box / "my cache").iterdir()) == [folder.name, "jars.lock"]


def test_what_an_interrupted_fetch_left_is_cleared(box: Path, maven: Callable[[str], Path]) -> None:
    maven(WHOLE)
    (box / "my cache" / "jars-download-abc" / "jars").mkdir(parents=True)
    (box / "my cache" / "jars-former-1").mkdir()
    folder, _ = fetch(box)
    assert sorted(path.name for path in (box / "my cache").iterdir()) == [folder.name, "jars.lock"]


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("[ERROR] Could not transfer artifact a:b:1 from/to central: Unknown host x -> [Help 1]", "does not get them"),
        ("[ERROR] Checksum validation failed, expected 1 but is 2", "not what its checksums say"),
        ("[ERROR] transfer failed: PKIX path building failed", "does not trust the certificate"),
        ("[ERROR] Error copying artifact: No space left on device", "disk is full"),
        ("The JAVA_HOME environment variable is not defined correctly", "does not find Java"),
        ("[ERROR] something else", "Maven failed"),
    ],
)
def test_mavens_failure_is_told_in_plain_words(box: Path, maven: Callable[[str], Path], output: str, what: str) -> None:
    """What could not be fetched, Maven's own reason without its hints and traces, what to do; nothing is left."""
    noise = "\n".join(f"echo 'at org.apache.maven.Deep.call{n}'" for n in range(50))
    maven(f"{noise}\necho '{output}'\necho '[ERROR] To see the full stack trace, use the -e switch.'\nexit 1")
    text = failure(box)
    assert what in text and "run it again" in text
    assert "-e switch" not in text and "[Help 1]" not in text
    assert text.count("\n") <= 4
    assert [path.name for path in (box / "my cache").iterdir()] == ["jars.lock"]


def test_no_java_is_said_as_such_and_not_as_trouble_of_the_network(box: Path, maven: Callable[[str], Path]) -> None:
    maven(WHOLE)
    (box / "bin" / "java").unlink()
    assert "Kafka needs Java 17" in failure(box)
    assert not (box / "calls").exists()


def test_a_broken_jar_in_mavens_own_store_is_not_taken(box: Path, maven: Callable[[str], Path]) -> None:
    """Maven copies what it has without looking; the name of the file to delete is given."""
    maven(WHOLE + 'head -c 40 "$out/kafka.jar" > "$out/k"; mv "$out/k" "$out/kafka.jar"')
    text = failure(box)
    assert "kafka.jar is broken" in text and "~/.m2/repository" in text


def test_a_maven_that_hangs_is_ended(box: Path, maven: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a message, and with its children."""
    monkeypatch.setattr(programs, "_LIMIT", 0.5)
    maven(f"sleep 300 & echo $! > '{box}/pid'; echo 'Downloading from central: x'; wait")
    assert "Kafka's jars were not there after" in failure(box)
    assert ends(int((box / "pid").read_text()))


def test_a_cache_that_cannot_be_written_is_said(box: Path, maven: Callable[[str], Path]) -> None:
    """As with a full disk: a file stands where the folder should be."""
    maven(WHOLE)
    (box / "my cache").write_text("in the way")
    text = failure(box)
    assert "my cache" in text and "ZADS_CACHE_DIR" in text


def test_a_disk_that_is_too_full_is_said_before_anything_is_fetched(
    box: Path, maven: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    maven(WHOLE)
    monkeypatch.setattr(programs, "_ROOM_MB", 10**9)
    assert "is full" in failure(box)
    assert not (box / "calls").exists()


_CHILD = """
import sys
from pathlib import Path
from zads.stack import programs
print(programs.jars(Path(sys.argv[1])))
"""


def _start(box: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", _CHILD, str(box / "my cache")]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _wait(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def ends(pid: int) -> bool:
    """Wait for a process to end; one that only waits for init to notice has ended."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_start_that_is_ended_leaves_no_maven_and_nothing_that_counts_as_whole(
    box: Path, maven: Callable[[str], Path], number: signal.Signals
) -> None:
    """Ctrl-C, a plain kill and kill -9 in the middle; the next one fetches as if nothing had been."""
    maven(f"mkdir -p \"$out\"; jar kafka.jar half\necho $$ > '{box}/pid'; exec sleep 300")
    process = _start(box)
    try:
        _wait(box / "pid")
        process.send_signal(number)
        process.communicate(timeout=20)
    finally:
        process.kill()
    assert ends(int((box / "pid").read_text()))
    maven(WHOLE)
    folder, _ = fetch(box)
    assert sorted(path.name for path in (box / "my cache").iterdir()) == [folder.name, "jars.lock"]


def test_two_starts_at_once_fetch_once(box: Path, maven: Callable[[str], Path]) -> None:
    """The second says that it waits, and takes what the first fetched."""
    maven(WHOLE + f"echo $$ > '{box}/pid'; sleep 1")
    first = _start(box)
    _wait(box / "pid")
    assert lock.holder(box / "my cache" / "jars.lock") == first.pid
    folder, said = fetch(box)
    assert first.communicate(timeout=20)[0].splitlines()[-1] == str(folder)
    assert said == ["Another start on this machine fetches Kafka's jars; waiting for it ..."]
    assert (box / "calls").read_text().count("copy-dependencies") == 1
