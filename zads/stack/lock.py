"""Who holds the stack's folder: POSIX record locks, so that asking never gets in a holder's way.

fcntl(2), F_GETLK: the kernel answers with the holder's process id; a lock ends with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import struct
from io import TextIOWrapper
from pathlib import Path

_FLOCK = "@hhlli0l"  # struct flock: type, whence, start, len, pid


def holder(path: Path) -> int | None:
    """Return the process id that holds the lock, or None when it is free."""
    try:
        with path.open("rb") as file:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return None
    return pid if kind != fcntl.F_UNLCK and pid > 0 else None


def take(path: Path) -> TextIOWrapper | None:
    """Take the lock; it is held until the returned file is closed. None when somebody else holds it.

    Raises OSError when the file cannot be written.
    """
    file = path.open("a")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
