"""Find the programs that the stack and the checks run; fetch Kafka's jars from Maven into the cache.

A program comes from PATH or, where PATH lacks it, from the cache's `bin`, into which `scripts/packages`
unpacks the distribution's packages. `python -m zads.stack.programs up|test` tells that script what is
missing; it has to run with nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache as once
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

from zads.stack import lock, paths
from zads.stack.errors import StackError

JAVA_LEAST = 17  # Kafka 4's brokers and MirrorMaker 2 need it: Kafka's documentation, "Java version"
MANIFEST = "MANIFEST"
_FETCH_MB = 75  # what Maven fetches on a machine that never ran it: the jars (57 MB) and its own plugins
_ROOM_MB = 250  # the jars twice, in ~/.m2 and in the cache, and Maven's plugins
_LIMIT = 20 * 60.0
_TELL_EVERY_MB = 10
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded before any fork


@dataclass(frozen=True)
class Program:
    """One program: the names it goes by, the package that has it, and whether that has to be installed by root."""

    package: str
    names: tuple[str, ...]
    install: bool = False


_PROGRAMS = {
    "java": Program("default-jre-headless", ("java",), install=True),
    "mvn": Program("maven", ("mvn",), install=True),
    "prometheus": Program("prometheus", ("prometheus",)),
    "promtool": Program("prometheus", ("promtool",)),
    "alertmanager": Program("prometheus-alertmanager", ("prometheus-alertmanager", "alertmanager")),
    "amtool": Program("prometheus-alertmanager", ("amtool",)),
    "node_exporter": Program("prometheus-node-exporter", ("prometheus-node-exporter", "node_exporter")),
    # Ubuntu's chromium-browser starts a snap, which sees no files outside the home: the last choice.
    "chromium": Program("chromium", ("chromium", "google-chrome-stable", "google-chrome", "chromium-browser"), install=True),
}


def look(program: str) -> str | None:
    """Return the program's path: of PATH, else of the cache; None when it is nowhere."""
    for place in (None, str(paths.cache() / "bin")):
        for name in _PROGRAMS[program].names:
            if path := shutil.which(name, path=place):
                return path
    return None


def find(program: str) -> str:
    """Return the program's path; of Java, the first that is new enough for Kafka.

    Raises StackError with the package that has it.
    """
    if program == "java":
        return _java()
    if path := look(program):
        return path
    wanted = _PROGRAMS[program]
    how = "which asks" if wanted.install else "which unpacks it into the cache, without root"
    raise StackError(
        f"{program} is not on this machine.", f"Run `make up`, {how}; or: sudo apt-get install {wanted.package}"
    )


def missing(test: bool = False) -> Iterator[tuple[str, str, str]]:
    """Yield what `make up` (or, with `test`, `make test`) still needs: how it comes, the package, and why."""
    try:
        find("java")
    except StackError as error:
        yield "install", _PROGRAMS["java"].package, error.what
    if _wrong(_folder(paths.cache())):
        yield "jars", "", f"{_FETCH_MB}"
        if not look("mvn"):
            yield "install", _PROGRAMS["mvn"].package, "Maven, which fetches Kafka's jars"
    lacking = [_PROGRAMS[name] for name in _PROGRAMS if name not in {"java", "mvn", "chromium"} and not look(name)]
    for package in dict.fromkeys(program.package for program in lacking):
        yield "unpack", package, ", ".join(program.names[0] for program in lacking if program.package == package)
    if test and not look("chromium"):
        yield "install", _PROGRAMS["chromium"].package, "the browser in which the pages are tested"
    if test and not _loads("libatomic.so.1"):
        yield "install", "libatomic1", "a library of Playwright, which drives the browser"


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _java() -> str:
    found = []
    places = [*os.environ.get("PATH", "").split(os.pathsep), str(Path(os.environ.get("JAVA_HOME") or "/nowhere", "bin"))]
    for path in dict.fromkeys(filter(None, (shutil.which("java", path=place) for place in places if place))):
        version = java_version(path)
        if version >= JAVA_LEAST:
            return path
        found.append(f"{path} is version {version}" if version else f"{path} does not run")
    what = f"Kafka needs Java {JAVA_LEAST} or newer; {'; '.join(found) if found else 'there is none on this machine'}."
    raise StackError(what, "Run `make up`, which asks; or: sudo apt-get install default-jre-headless")


@once
def java_version(path: str) -> int:
    """Return the major version, 8 for 1.8.0; 0 when it does not run."""
    try:
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(version[1]) if version and done.returncode == 0 else 0


def jars(cache: Path, say: Callable[[str], None] | None = None) -> Path:
    """Return the folder with Kafka's jars, fetching them once per pinned pom.

    The folder is whole when its files are those of its manifest, which is written last; the folder itself
    appears by one rename. So neither a download that was cut off nor a jar cut short is taken for whole.
    """
    say = say or _say
    ready = _folder(cache)
    if not (wrong := _wrong(ready)):
        return ready
    java, mvn = find("java"), find("mvn")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache, say):
            if not (wrong := _wrong(ready)):
                return ready
            if ready.exists():
                say(f"Kafka's jars in {ready} are not whole: {wrong}. They are fetched anew.")
            for stale in (*cache.glob("jars-download-*"), *cache.glob("jars-former-*")):
                shutil.rmtree(stale, ignore_errors=True)
            if shutil.disk_usage(cache).free < _ROOM_MB * 1_000_000:
                raise StackError(f"The disk under {cache} is full: Kafka's jars need {_ROOM_MB} MB.", _ROOM)
            with tempfile.TemporaryDirectory(dir=cache, prefix="jars-download-") as folder:
                _fetch(Path(folder), java, mvn, say)
                # Whoever runs from the former folder keeps its open files.
                if ready.exists():
                    ready.replace(Path(folder).with_name(f"jars-former-{os.getpid()}"))
                (Path(folder) / "jars").replace(ready)
                shutil.rmtree(cache / f"jars-former-{os.getpid()}", ignore_errors=True)
    except OSError as error:
        raise StackError(f"Kafka's jars cannot be kept in {cache}: {error.strerror or error}.", _ROOM) from None
    return ready


_ROOM = "Make room there, or set ZADS_CACHE_DIR to a folder elsewhere; then run it again."


def agent(folder: Path) -> Path:
    """Return the JMX agent's jar."""
    return next(folder.glob("jmx_prometheus_javaagent-*.jar"))


def classpath(folder: Path) -> str:
    """Return the class path of everything but the agent."""
    return str(folder / "*")


def _say(line: str) -> None:
    print(line, flush=True)


def _folder(cache: Path) -> Path:
    return cache / f"jars-{hashlib.sha256(_pom()).hexdigest()[:12]}"


def _pom() -> bytes:
    return files("zads.stack").joinpath("pom.xml").read_bytes()


def _sizes(folder: Path) -> dict[str, str]:
    return {path.name: str(path.stat().st_size) for path in folder.iterdir() if path.name != MANIFEST}


def _wrong(folder: Path) -> str:
    """Say what is wrong with the folder by names and sizes; "" when it is whole."""
    try:
        lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
        wanted, there = {name: size for size, name in (line.split(" ", 1) for line in lines)}, _sizes(folder)
    except (OSError, ValueError):
        return "there is no list of what belongs there"
    for name in sorted(wanted.keys() | there.keys()):
        if name not in there:
            return f"{name} is missing"
        if name not in wanted:
            return f"{name} does not belong there"
        if there[name] != wanted[name]:
            return f"{name} has {there[name]} bytes instead of {wanted[name]}"
    return "" if wanted else "the list of what belongs there is empty"


@contextmanager
def _alone(cache: Path, say: Callable[[str], None]) -> Iterator[None]:
    told = False
    while (mine := lock.take(cache / "jars.lock")) is None:
        if not told:
            say("Another start on this machine fetches Kafka's jars; waiting for it ...")
        told = True
        time.sleep(0.5)
    with mine:
        yield


def _fetch(work: Path, java: str, mvn: str, say: Callable[[str], None]) -> None:
    """Let Maven copy the jars into `work`/jars, check them, write the manifest."""
    pom = _pom()
    (work / "pom.xml").write_bytes(pom)
    command = [mvn, "-B", "-C", "-Dstyle.color=never", "-f", str(work / "pom.xml"), f"{_plugin(pom)}:copy-dependencies"]
    command += [f"-DoutputDirectory={work / 'jars'}", "-DincludeScope=runtime"]
    # Maven's own limit for a server that goes silent is half an hour. The second name is that of Maven 3.8 and older.
    command += ["-Daether.connector.connectTimeout=20000", "-Daether.connector.requestTimeout=60000"]
    command += ["-Dmaven.wagon.rto=60000"]
    home = Path(java).resolve().parent.parent
    env = {**os.environ, "JAVA_HOME": str(home)} if (home / "bin" / "java").exists() else None
    say(f"Fetching Kafka's jars by Maven (about {_FETCH_MB} MB, unless it has them already) ...")
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call into the kernel, loaded before
    )
    try:
        code, errors = _watch(process, say)
    finally:
        _end(process)
    if code:
        raise _failure(errors)
    for jar in sorted((work / "jars").glob("*.jar")):
        if not _sound(jar):
            raise StackError(
                f"Maven's own copy of {jar.name} is broken.", "Delete it under ~/.m2/repository, then run it again."
            )
    lines = [f"{size} {name}\n" for name, size in sorted(_sizes(work / "jars").items())]
    (work / "jars" / MANIFEST).write_text("".join(lines), encoding="utf-8")
    say(f"Kafka's jars are there: {len(lines)} files.")


def _plugin(pom: bytes) -> str:
    """Return the plugin's full coordinates: a bare name would be looked up at the registry first."""
    plugin = ElementTree.fromstring(pom).find("{*}build/{*}plugins/{*}plugin")
    assert plugin is not None
    return ":".join(plugin.findtext(f"{{*}}{part}", "") for part in ("groupId", "artifactId", "version"))


def _die_with_parent() -> None:  # pragma: no cover - runs between fork and exec
    # Maven's script becomes Java by exec, which keeps this: even a killed start leaves no Maven behind.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(process: subprocess.Popen[str], say: Callable[[str], None]) -> tuple[int, list[str]]:
    """Tell of the progress until Maven ends; return its exit code and its errors.

    Raises StackError when it takes too long.
    """
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    errors, fetched, told, deadline = list[str](), 0.0, 0.0, time.monotonic() + _LIMIT
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise StackError(
                f"Kafka's jars were not there after {_LIMIT / 60:.0f} minutes; {fetched:.0f} MB had come.",
                "Run it again: Maven keeps what it has and goes on from there.",
            ) from None
        if line is None:
            return process.wait(), errors
        line = re.sub(r"\x1b\[[\d;]*m", "", line)
        fetched += _megabytes(line)
        if fetched - told >= _TELL_EVERY_MB:
            told = fetched
            say(f"  {min(fetched, _FETCH_MB):.0f} of at most {_FETCH_MB} MB")
        if not re.match(r"\[(INFO|WARNING|DEBUG)\]|(Downloading|Downloaded|Progress)\b|\s*$", line):
            errors.append(line.strip())


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    assert process.stdout
    with process.stdout as output:
        for line in output:
            lines.put(line)
    lines.put(None)


def _megabytes(line: str) -> float:
    """Return the size in a line like "Downloaded from central: https://…/a.jar (1.2 MB at 3 MB/s)"."""
    size = re.search(r"Downloaded from .*\.jar \(([\d.]+) (B|[kMG]B) at ", line)
    return float(size[1]) * {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}[size[2]] if size else 0.0


def _end(process: subprocess.Popen[str]) -> None:
    """End Maven with all that it started; nothing happens when it has ended by itself."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


_FAILURES = (
    (r"JAVA_HOME", "Maven does not find Java.", "Unset JAVA_HOME, or let it name a Java 17 or newer."),
    (
        r"No space left|Disk quota",
        "The disk is full: Kafka's jars could not be fetched.",
        "Make room in the cache and in ~/.m2.",
    ),
    (
        r"[Cc]hecksum validation failed",
        "What came from Maven's registry is not what its checksums say.",
        "Something on the way changes or cuts what is fetched (a proxy, a mirror): see ~/.m2/settings.xml.",
    ),
    (
        r"PKIX|certificat",
        "Kafka's jars could not be fetched: Java does not trust the certificate of Maven's registry.",
        "Behind a proxy that opens TLS: add its certificate to the system's (update-ca-certificates).",
    ),
    (
        r"could not be resolved|Could not (transfer|resolve|find)|Unknown host|offline",
        "Kafka's jars could not be fetched: Maven does not get them from its registry.",
        "Check the network; behind a proxy or with a mirror, also ~/.m2/settings.xml.",
    ),
)
# Maven's hints on how to ask for more; the reason stands in the lines before.
_HINT = re.compile(r"\[ERROR\]( *| \[Help 1\].*|.*(-e|-X) switch.*|.*about the errors.*)$")


def _failure(errors: list[str]) -> StackError:
    told = [line for line in errors if "ERROR" in line and not _HINT.match(line)] or errors
    log = "\n".join(line.replace(" -> [Help 1]", "")[:700] for line in told[:2])
    for pattern, what, remedy in _FAILURES:
        if re.search(pattern, "\n".join(errors)):
            return StackError(what, f"{remedy} Then run it again.", log)
    return StackError("Maven failed to fetch Kafka's jars.", "Mend what it says, then run it again.", log)


def _sound(jar: Path) -> bool:
    try:
        with zipfile.ZipFile(jar) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile):
        return False


def _main(words: list[str]) -> int:
    """Print one missing thing a line, its fields between tabs, for scripts/packages."""
    for row in missing(test=words == ["test"]):
        print("\t".join(row))
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
