"""Run `zads` with a wall clock that a test sets: `python -m tests.support.shifted_clock FILE WORD...`.

FILE holds the seconds by which time.time() is ahead; it is read again at each look. The program, its threads and
what it starts by itself are the real ones; the monotonic clock is that of the kernel, as it is when somebody sets the
wall clock.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

_real, _file = time.time, Path(sys.argv[1])


def _shifted() -> float:
    try:
        return _real() + float(_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return _real()


if __name__ == "__main__":
    time.time = _shifted  # before anything of ours binds it
    sys.argv = ["zads", *sys.argv[2:]]
    from zads.cli import main

    sys.exit(main())
