"""Find the programs that the stack runs; fetch Kafka's jars from Maven into the cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

from zads.stack.errors import StackError

_PACKAGES = {
    "java": ("default-jre-headless", ("java",)),
    "mvn": ("maven", ("mvn",)),
    "prometheus": ("prometheus", ("prometheus",)),
    "alertmanager": ("prometheus-alertmanager", ("prometheus-alertmanager", "alertmanager")),
    "node_exporter": ("prometheus-node-exporter", ("prometheus-node-exporter", "node_exporter")),
}


def find(program: str) -> str:
    """Return the program's path.

    Raises StackError with the package that has it.
    """
    package, names = _PACKAGES[program]
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise StackError(
        f"{names[0]} is not installed.", f"Install it: sudo apt-get install {package} (or run `make up`, which asks)."
    )


def jars(cache: Path) -> Path:
    """Return the folder with Kafka's jars, fetching them once per pinned pom.

    The folder appears by one rename, so a download that was cut off is never taken for a whole one.
    """
    pom = files("zads.stack").joinpath("pom.xml").read_bytes()
    ready = cache / f"jars-{hashlib.sha256(pom).hexdigest()[:12]}"
    if ready.is_dir():
        return ready
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="jars-download-") as folder:
        work = Path(folder)
        (work / "pom.xml").write_bytes(pom)
        command = [find("mvn"), "-q", "-B", "-f", str(work / "pom.xml"), "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={work / 'jars'}", "-DincludeScope=runtime"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line][:4]
            raise StackError(
                "Kafka's jars could not be fetched from Maven.",
                "Check the network and ~/.m2/settings.xml (mirror, proxy), then run `make up` again.",
                "\n".join(lines),
            )
        # Another `make up` may have been faster: its folder is as good.
        if not ready.is_dir():
            (work / "jars").replace(ready)
    return ready


def agent(folder: Path) -> Path:
    """Return the JMX agent's jar."""
    return next(folder.glob("jmx_prometheus_javaagent-*.jar"))


def classpath(folder: Path) -> str:
    """Return the class path of everything but the agent."""
    return str(folder / "*")
