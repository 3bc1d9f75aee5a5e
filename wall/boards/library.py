"""The dashboards of a folder, read anew when a file changed."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_LOG = logging.getLogger(__name__)
UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
Board = Mapping[str, Any]


class Library:
    """All dashboards by their uid; a file that cannot be read is left out, and the log says so once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[tuple[str, int, int], ...] | None = None
        self._boards: dict[str, Board] = {}

    def boards(self) -> dict[str, Board]:
        """Return them in the order of their files' names; none where there is no folder."""
        files = sorted(self._folder.glob("*.json"))
        seen = tuple((path.name, (stat := path.stat()).st_mtime_ns, stat.st_size) for path in files)
        if seen != self._seen:
            self._boards = dict(filter(None, map(_read, files)))
            self._seen = seen
        return self._boards

    def tagged(self, tags: Sequence[str]) -> list[tuple[str, str]]:
        """Return title and address of the dashboards that have all these tags."""
        return [
            (str(board.get("title", uid)), f"/d/{uid}")
            for uid, board in self.boards().items()
            if set(tags) <= set(board.get("tags") or ())
        ]


def _read(path: Path) -> tuple[str, Board] | None:
    try:
        board = json.loads(path.read_text(encoding="utf-8"))
        uid = str(board["uid"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        _LOG.warning("%s is no dashboard: %s", path, error)
        return None
    if not UID.fullmatch(uid):
        _LOG.warning("%s has no uid that can stand in an address: %r", path, uid)
        return None
    return uid, board
