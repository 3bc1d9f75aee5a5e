"""What is decided about an alert before anybody is told: whom, in which steps, and until when it waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

MAINTENANCE = "planned work"
QUIET = "quiet hours"


@dataclass(frozen=True)
class Audience:
    """Who is told by one delivery.

    `target`: one recipient ("@U02AB3CDE" for being mentioned in Slack); "" is the channel's own list. `listed`: the
    channel's own list reaches this recipient anyway, so that a later message to the list is enough.
    """

    channel: str
    target: str = ""
    listed: bool = False


@dataclass(frozen=True)
class Step:
    """One step of a policy: `after` seconds since the first, while nobody acknowledges."""

    after: float
    audience: tuple[Audience, ...]


@dataclass(frozen=True)
class Plan:
    """The whole decision.

    `copies`: who gets the first message and the end for information. `held_until`: 0 where nothing waits;
    `held`: why it waits, in words that begin with MAINTENANCE or QUIET.
    """

    policy: str
    steps: tuple[Step, ...]
    copies: tuple[Audience, ...] = ()
    held_until: float = 0.0
    held: str = ""

    @property
    def first(self) -> tuple[Audience, ...]:
        """Who is told at once."""
        return (*(self.steps[0].audience if self.steps else ()), *self.copies)

    def audience(self, steps: int) -> tuple[Audience, ...]:
        """Who was told by so many steps, each once."""
        return tuple(dict.fromkeys(one for step in self.steps[:steps] for one in step.audience))


# The plan for an alert's labels and severity at a time.
Planner = Callable[[Mapping[str, str], str, float], Plan]
