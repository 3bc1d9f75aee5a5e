"""Where downloaded programs are kept between checkouts, and where to look for a program."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def folder() -> Path:
    """Return the cache: ZADS_CACHE_DIR, else ~/.cache/zads."""
    return Path(os.environ.get("ZADS_CACHE_DIR") or Path.home() / ".cache" / "zads")


def which(program: str) -> str | None:
    """Return the program's path: from PATH, else from what `make up` unpacked into the cache."""
    return shutil.which(program) or shutil.which(program, path=str(folder() / "bin"))
