"""A disk that fills: a small file system of its own where the user may mount one, else at the metric.

The real one is an ext4 file system in a file, mounted by loop device (root alone may), that a writer fills. Elsewhere
node_exporter's textfile collector shows a disk that nobody has, under node_exporter's own metric names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from zads.stack.paths import Paths

_SIZE = 64_000_000
_FREE_AT_FIRST = 0.27
_FULL_AFTER = 9000.0  # seconds: within the 4 h that wake somebody
_EVERY = 5.0
# node_exporter's own words: families of one name have to have one text.
_FAMILIES = {
    "avail": ("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes."),
    "size": ("node_filesystem_size_bytes", "Filesystem size in bytes."),
}


def folder(paths: Paths) -> Path:
    """Return where the small file system is mounted."""
    return paths.dir / "disk"


def textfile(paths: Paths) -> Path:
    """Return what node_exporter's textfile collector reads, its folder alone for this."""
    return paths.data / "node" / "disk.prom"


def mount(paths: Paths, seen_by: int | None) -> bool:
    """Mount a small file system that the process `seen_by` sees too; False where that is not allowed."""
    if os.geteuid() != 0 or not all(shutil.which(tool) for tool in ("mkfs.ext4", "mount", "umount")):
        return False
    image, place = paths.data / "disk.img", folder(paths)
    place.mkdir(exist_ok=True)
    with image.open("wb") as file:
        file.truncate(_SIZE)
    steps = (["mkfs.ext4", "-q", "-m", "0", "-F", str(image)], ["mount", "-o", "loop", str(image), str(place)])
    done = all(subprocess.run(step, capture_output=True, check=False).returncode == 0 for step in steps)
    mounts = Path(f"/proc/{seen_by or 'self'}/mounts")
    if done and mounts.exists() and str(place).replace(" ", "\\040") in mounts.read_text(encoding="utf-8"):
        return True
    unmount(paths)
    return False


def unmount(paths: Paths) -> None:
    """Take the small file system away, where there is one."""
    place = folder(paths)
    if place.is_mount():
        subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)
    if place.is_dir() and not place.is_mount():
        shutil.rmtree(place, ignore_errors=True)
    (paths.data / "disk.img").unlink(missing_ok=True)
    textfile(paths).unlink(missing_ok=True)


class Filler:
    """Fills the disk, real or not, a little each few seconds; takes back nothing."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._began = self._at = 0.0
        self._written = 0

    def step(self, *, wanted: bool, now: float | None = None) -> None:
        """Do what is due; a disk that is full is full."""
        now = time.time() if now is None else now
        if not wanted:
            self._began = 0.0
            return
        if not self._began:
            self._began, self._written = now, 0
        if now - self._at < _EVERY:
            return
        self._at = now
        place = folder(self._paths)
        try:
            if place.is_mount():
                self._fill(place, now)
            else:
                self._tell(now)
        except OSError:
            return

    def _left(self, now: float) -> float:
        """Return the share that is free."""
        return max(0.0, _FREE_AT_FIRST * (1 - (now - self._began) / _FULL_AFTER))

    def _fill(self, place: Path, now: float) -> None:
        usage = os.statvfs(place)
        size, free = usage.f_blocks * usage.f_frsize, usage.f_bavail * usage.f_frsize
        more = int(free - size * self._left(now))
        if more > 0:
            with (place / "filling").open("ab") as file:
                file.write(os.urandom(more))
                file.flush()
                os.fsync(file.fileno())

    def _tell(self, now: float) -> None:
        values = {"avail": 100e9 * self._left(now), "size": 100e9}
        labels = '{device="/dev/simulated",fstype="ext4",mountpoint="/simulated"}'
        lines = [
            f"# HELP {name} {text}\n# TYPE {name} gauge\n{name}{labels} {values[key]:.0f}\n"
            for key, (name, text) in _FAMILIES.items()
        ]
        file = textfile(self._paths)
        partial = file.with_suffix(".new")
        partial.write_text("".join(lines), encoding="utf-8")
        partial.replace(file)
