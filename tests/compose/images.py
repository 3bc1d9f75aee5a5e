"""Images that stand in for the official ones, made from the distribution's packages and Kafka's jars from Maven.

One base by mmdebstrap; on it the tools (Java, Maven, Python's venv), and thin images with one program each, at the paths
and with the users of the official ones.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.compose.engine import Engine, say
from zads.stack import paths, programs

NAME = "localhost/zads-local"
_BASE = ("python3", "python3-distutils", "ca-certificates", "tzdata", "busybox", "openssl")
_TOOLS = ("default-jre-headless", "maven", "python3-venv", "binutils")
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/var/cache/*")
# Where this machine's pip and Maven find their registries and trust them: for the builds only, in no image that runs.
_SETTINGS = (
    "/etc/pip.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/java/cacerts",
    "~/.config/pip/pip.conf",
    "~/.m2/settings.xml",
)
_USERS = {"prometheus": "65534:65534", "alertmanager": "65534:65534", "node-exporter": "65534:65534"}


def make(engine: Engine) -> None:
    """Make every image that is missing, or made from other packages or jars than today's."""
    base = _base(engine)
    tools = _build(engine, "tools", _tools_text(), [base, *_settings_digest()], _copy_settings)
    _build(engine, "python", f"FROM {NAME}/base\n", [base])
    _build(engine, "kafka", _KAFKA, [tools], _copy_jars)
    for name, program, folder in (
        ("prometheus", "prometheus", "/prometheus"),
        ("alertmanager", "alertmanager", "/alertmanager"),
        ("node-exporter", "node_exporter", ""),
    ):
        path = _binary(program)
        made = f"RUN mkdir {folder} && chown {_USERS[name]} {folder}\nVOLUME {folder}\nWORKDIR {folder}\n" if folder else ""
        text = (
            f"FROM {NAME}/base\nRUN ln -s /bin/busybox /usr/local/bin/wget\nCOPY program /usr/lib/{program}\nCOPY share /usr/share/\n"
            f"COPY start /bin/{program}\n{made}"
            f'USER {_USERS[name]}\nENTRYPOINT ["/bin/{program}"]\n'
        )
        _build(
            engine,
            name,
            text,
            [base, str(path), str(path.stat().st_size)],
            lambda to, path=path, name=program: _program(path, name, to),
        )


_KAFKA = f"""FROM {NAME}/tools
RUN mkdir -p /opt/kafka/libs /var/lib/kafka/data && chown 1000:1000 /var/lib/kafka/data
COPY jars /opt/kafka/libs
USER 1000:1000
VOLUME /var/lib/kafka/data
"""


def _base(engine: Engine) -> str:
    """Make the base where it is missing; return a word that changes with it."""
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    suite = next(line.partition("=")[2].strip('"') for line in release.splitlines() if line.startswith("VERSION_CODENAME="))
    key = hashlib.sha256(repr((suite, _BASE, _LEFT_OUT)).encode()).hexdigest()[:12]
    if engine.has_image(f"{NAME}/base:{key}"):
        return key
    say(f"Making the base image from {suite}'s packages (about a minute) ...")
    with tempfile.TemporaryDirectory(dir=engine.folder, prefix="base-") as folder:
        tar = f"{folder}/base.tar"
        left_out = [f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT]
        engine.run("mmdebstrap", "--variant=minbase", f"--include={','.join(_BASE)}", *left_out, suite, tar, timeout=900)
        engine.podman("import", "-q", tar, f"{NAME}/base:{key}")
    engine.podman("tag", f"{NAME}/base:{key}", f"{NAME}/base")
    return key


def _tools_text() -> str:
    install = f"DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {' '.join(_TOOLS)} >/dev/null"
    steps = ["mkdir -p /usr/share/man/man1", "apt-get update -qq", install, "apt-get clean", "rm -rf /var/lib/apt/lists/*"]
    return f"FROM {NAME}/base\nRUN {' && '.join(steps)}\nCOPY settings /\n"


def _settings() -> list[tuple[Path, str]]:
    """Return this machine's settings that exist, and where they go in the image."""
    found = []
    for name in _SETTINGS:
        path = Path(name).expanduser()
        if path.is_file():
            found.append((path, name.replace("~", "/root").lstrip("/")))
    return found


def _settings_digest() -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path, _ in _settings()]


def _copy_settings(to: Path) -> None:
    (to / "settings").mkdir()
    for path, name in _settings():
        (to / "settings" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to / "settings" / name)


def _copy_jars(to: Path) -> None:
    """Copy Kafka's jars but the agent: the official image has none, so /config has to bring it."""
    folder, agent = programs.jars(paths.cache(), say), programs.agent(programs.jars(paths.cache()))
    (to / "jars").mkdir()
    for jar in folder.glob("*.jar"):
        if jar != agent:
            shutil.copyfile(jar, to / "jars" / jar.name)


def _binary(program: str) -> Path:
    """Return the program itself where PATH has it, or a script of the cache that starts it."""
    path = Path(programs.find(program)).resolve()
    if path.read_bytes()[:2] != b"#!":
        return path
    return next((paths.cache() / "packages").glob(f"*/usr/bin/{path.name}"))


def _program(path: Path, name: str, to: Path) -> None:
    """Copy a program, a script that starts it, and what Debian's Alertmanager looks for: `make up` moved it to fd 9."""
    shutil.copy(path, to / "program")
    own = "/usr/share/prometheus/alertmanager"
    moved = name == "alertmanager" and "packages" in path.parts
    words = f"exec 9<{own}\nexec /usr/lib/{name} --web.ui-path={own}/no-ui/" if moved else f"exec /usr/lib/{name}"
    (to / "start").write_text(f'#!/bin/sh\n{words} "$@"\n', encoding="utf-8")
    (to / "start").chmod(0o755)
    (to / "share").mkdir()
    pages = path.parents[1] / "share" / "prometheus"
    if pages.is_dir():
        shutil.copytree(pages, to / "share" / "prometheus")


def _build(engine: Engine, name: str, text: str, needs: list[str], fill: object = None) -> str:
    """Build an image under a tag that says what it is made from; nothing happens where that tag is there."""
    key = hashlib.sha256(repr((text, needs)).encode()).hexdigest()[:12]
    if not engine.has_image(f"{NAME}/{name}:{key}"):
        say(f"Building the image {name} ...")
        with tempfile.TemporaryDirectory(dir=engine.folder, prefix="build-") as folder:
            if callable(fill):
                fill(Path(folder))
            (Path(folder) / "Dockerfile").write_text(text, encoding="utf-8")
            engine.podman("build", "-q", "-t", f"{NAME}/{name}:{key}", folder, timeout=900)
    engine.podman("tag", f"{NAME}/{name}:{key}", f"{NAME}/{name}")
    return key


def size(engine: Engine, name: str) -> float:
    """Return an image's unpacked size in MB."""
    return int(engine.podman("image", "inspect", "--format", "{{.Size}}", name)) / 1e6


def available() -> str | None:
    """Say why images cannot be made here, None where they can."""
    missing = [tool for tool in ("podman", "buildah", "mmdebstrap", "runc") if shutil.which(tool) is None]
    return f"{', '.join(missing)} missing" if missing else None


def registries_reached(image: str) -> bool:
    """Tell whether the official images can be had: for a run against them instead."""
    return subprocess.run(["docker", "manifest", "inspect", image], capture_output=True, check=False).returncode == 0
