"""The stack's one kind of error: what failed and what to do, for a terminal."""

from __future__ import annotations


class StackError(Exception):
    """Something that the user has to know; printed without a traceback."""

    def __init__(self, what: str, remedy: str = "", log: str = "") -> None:
        self.what, self.remedy, self.log = what, remedy, log
        super().__init__("\n".join(part for part in (what, log, remedy) if part))
