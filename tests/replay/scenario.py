"""What is played: a stretch of time, its sky, its readers, its faults; and what may be told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True)
class Fault:
    """One trouble, from `begin` to `end` in seconds after the scenario's begin.

    `kind` is one that flow.py or exposition.py knows; `what` names its object (a service, a community, a job),
    `by` says how much.
    """

    kind: str
    begin: float
    end: float
    what: str = ""
    by: float = 0.0


@dataclass(frozen=True)
class Reader:
    """How a community reads: alerts per second at most, alerts per commit; `tail` keeps the rest of a batch open."""

    rate: float = 500.0
    batch: int = 1


@dataclass(frozen=True)
class Scenario:
    """A stretch of time and what may be told of it.

    Times are seconds after `begin` (UT). `pages` and `tickets` give each alert that has to be told the seconds after
    `trouble` within which it is; `allowed` names those that may or may not be. Everything else is a surprise, and so is
    the same alert more than `times` times.
    """

    name: str
    begin: str
    hours: float
    step: int = 10
    evaluate: int = 5
    closed: tuple[tuple[float, float], ...] = ()
    blocks: tuple[int, ...] = (1,)
    burst: tuple[float, float, float] | None = None
    straggle: float = 0.0
    readers: Mapping[str, Reader] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    trouble: float = 0.0
    pages: Mapping[str, float] = field(default_factory=dict)
    tickets: Mapping[str, float] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()
    times: int = 1
    lead: float = HOUR
    seed: int = 7

    @property
    def begins(self) -> datetime:
        """The moment of second 0."""
        return datetime.fromisoformat(self.begin).replace(tzinfo=UTC)

    def of(self, kind: str, what: str | None = None) -> list[Fault]:
        """Return the troubles of a kind, of all objects or of one."""
        return [fault for fault in self.faults if fault.kind == kind and what in {None, fault.what}]
