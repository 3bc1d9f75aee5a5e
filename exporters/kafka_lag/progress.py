"""One community on one partition: what it took and what it lost, each alert counted once."""

from __future__ import annotations


class Progress:
    """Where a community stands on a partition.

    What was committed before, and what the log had lost before its `start`, is not counted.
    """

    __slots__ = ("_commit", "_counted", "_handled")

    def __init__(self, commit: int | None, start: int) -> None:
        self._commit = commit
        self._counted = start if commit is None else max(commit, start)  # what is committed beyond is delivered
        self._handled = self._counted  # up to here everything is delivered or lost

    @classmethod
    def restored(cls, commit: int | None, counted: int, handled: int) -> Progress:
        """Return the progress of which these are the state()."""
        progress = cls(commit, counted)
        progress._counted, progress._handled = counted, handled
        return progress

    def state(self) -> tuple[int | None, int, int]:
        """Return what has to survive a restart: the last commit, up to where deliveries and losses are counted."""
        return self._commit, self._counted, self._handled

    def advance(self, commit: int | None, start: int | None) -> tuple[int, int, bool]:
        """Return what was delivered and lost since the last call, and whether the commit moved.

        `commit` is None where there is none, `start` where it is not known. What the log no longer holds was
        lost unless it had been committed before: a reader that jumps over a hole has not taken it. A reader that
        goes back takes the same alerts again, and they count again as delivered.
        """
        delivered, lost, floor = 0, 0, self._counted if start is None else start
        if start is not None and start > self._handled:
            read = self._handled if commit is None or commit >= start else max(self._handled, commit)
            lost = start - read
            self._handled = start
        moved = commit is not None and commit != self._commit
        if commit is not None:
            # A commit inside what is deleted now was made before that was deleted.
            delivered = max(0, commit - (self._counted if commit < floor else max(self._counted, floor)))
            self._handled = max(self._handled, commit)
            self._counted = commit if start is None else max(commit, start)
            self._commit = commit
        return delivered, lost, moved
