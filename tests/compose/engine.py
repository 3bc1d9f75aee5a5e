"""Podman for these tests: its settings, its own storage in the cache, and how commands are run."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Failed(Exception):
    """What was to be shown is not so; the text says what was seen."""


@dataclass(frozen=True)
class Engine:
    """Podman with a storage of its own: nothing of this machine's other containers is touched or shown."""

    folder: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment that podman, buildah and podman-compose are run in."""
        return {
            **os.environ,
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf"),
            "BUILDAH_ISOLATION": "chroot",
            "PATH": f"{self.folder / 'venv' / 'bin'}:{os.environ['PATH']}",
            **self.extra,
        }

    def prepare(self) -> None:
        """Write the settings: no daemon, no systemd, limits that this machine allows."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        processes = 16384 if processes == resource.RLIM_INFINITY else min(16384, processes)
        (self.folder / "containers.conf").write_text(
            f"""[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{self.folder / "networks"}"
""",
            encoding="utf-8",
        )
        (self.folder / "networks").mkdir(exist_ok=True)
        # No short name is looked up anywhere.
        (self.folder / "registries.conf").write_text("unqualified-search-registries = []\n", encoding="utf-8")
        driver = os.environ.get("ZADS_COMPOSE_STORAGE") or self._driver()
        (self.folder / "storage.conf").write_text(
            f'[storage]\ndriver = "{driver}"\ngraphroot = "{self.folder / f"storage-{driver}"}"\n'
            f'runroot = "{self.folder / "run"}"\n',
            encoding="utf-8",
        )

    def _driver(self) -> str:
        """Return overlay where the kernel has it on this disk, else vfs, which copies whole images."""
        trial = self.folder / "trial"
        for name in ("lower", "upper", "work", "merged"):
            (trial / name).mkdir(parents=True, exist_ok=True)
        options = f"lowerdir={trial}/lower,upperdir={trial}/upper,workdir={trial}/work"
        mounted = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, trial / "merged"], capture_output=True, check=False
        )
        if mounted.returncode == 0:
            subprocess.run(["umount", trial / "merged"], check=False)
        shutil.rmtree(trial, ignore_errors=True)
        return "overlay" if mounted.returncode == 0 else "vfs"

    def run(self, *words: str, check: bool = True, timeout: float = 600, aloud: bool = False) -> str:
        """Run a command and return what it said; its errors are in the exception.

        Raises Failed when it fails and `check` is on.
        """
        try:
            done = subprocess.run(
                words, env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=None if aloud else subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failed(f"`{' '.join(words)[:300]}` did not end within {timeout:.0f} s") from None
        if check and done.returncode:
            last = "\n".join((done.stdout or "").splitlines()[-25:])
            raise Failed(f"`{' '.join(words)[:300]}` ended with {done.returncode}:\n{last}")
        return done.stdout or ""

    def podman(self, *words: str, check: bool = True, timeout: float = 600) -> str:
        """Run podman."""
        return self.run("podman", *words, check=check, timeout=timeout)

    def has_image(self, name: str) -> bool:
        """Tell whether the storage holds the image."""
        return subprocess.run(["podman", "image", "exists", name], env=self.env, check=False).returncode == 0


def say(line: str) -> None:
    """Tell what is being done."""
    print(line, flush=True, file=sys.stdout)
