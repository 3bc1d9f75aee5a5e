"""`zads sim` inside a container of docker-compose.yml: what the control file alone causes, no supervisor being there."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

# The Dockerfile sets it: our image runs in containers alone.
_MARK = "ZADS_CONTAINERS"
_BY_FILE = frozenset({"slow", "late", "clouds", "garbage", "never-commit", "refuse", "heal"})
_BY_ENGINE = {"kill": "kill", "stop": "stop", "pause": "pause", "restart": "restart"}


def inside() -> bool:
    """Tell whether this process runs in one of the containers."""
    return bool(os.environ.get(_MARK))


def obeyed(verb: str, call: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Return what `zads sim VERB` does here: in a container, what nobody would obey is refused with what does it."""
    if not inside() or verb in _BY_FILE:
        return call

    def refuse(_args: argparse.Namespace) -> int:
        if verb in _BY_ENGINE:
            print(f"In containers the engine does this: docker compose {_BY_ENGINE[verb]} NAME", file=sys.stderr)
        else:
            print(f"`zads sim {verb}` works in the stack of `make up` only.", file=sys.stderr)
        return 2

    return refuse
