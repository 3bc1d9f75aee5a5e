"""The wheel as it would be installed: our packages and nothing beside them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path


def test_the_wheel_holds_our_packages_alone(root: Path, tmp_path: Path) -> None:
    """`exporters` and `notifier` are taken on the package index by others: the wheel is private and both are ours."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
    tops = {name.split("/", 1)[0] for name in names if ".dist-info/" not in name}
    assert tops == {"zads", "exporters", "notifier", "wall", "dashboards"}
    assert "Private :: Do Not Upload" in metadata
    files = set(names)
    for module in ("exporters", "notifier"):
        # Every file of the two is one of this repository: nothing of a namesake got in.
        ours = {name for name in files if name.startswith(f"{module}/")}
        assert f"{module}/cli.py" in ours
        assert all((root / name).exists() for name in ours)
    for wanted in ("wall/static/wall.js", "wall/static/fonts/LICENSE", "zads/stack/pom.xml", "zads/runbook.md"):
        assert any(name.startswith(wanted) for name in files), wanted
