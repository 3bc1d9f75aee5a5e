"""What the notifier knows: alerts as they come in, incidents as they are remembered, deliveries as they go out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Literal

Severity = Literal["page", "ticket", "info"]
Kind = Literal["firing", "reminder", "acknowledged", "resolved", "digest"]
PAGE: Severity = "page"
LONGEST_PAUSE = 3600.0  # seconds: a provider that asks for a longer one is asked again after this


@dataclass(frozen=True)
class Alert:
    """One alert of a webhook's body; times are seconds since 1970.

    `source`: the sender's own address, as its body names it ("" where it names none).
    """

    fingerprint: str
    status: Literal["firing", "resolved"]
    starts_at: float
    ends_at: float | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    source: str = ""

    @property
    def severity(self) -> str:
        """page, ticket or info; what carries no severity is a ticket, so that nothing is lost for a missing label."""
        return self.labels.get("severity", "ticket")

    @property
    def episode(self) -> tuple[str, float]:
        """What tells this firing from an earlier one of the same alert."""
        return self.fingerprint, self.starts_at


@dataclass(frozen=True)
class Incident:
    """One trouble from its first firing to its end.

    `id` is 0 for one that only memory knows. `source`: who reported it; None for what was written before
    this was kept. `ending`: how it ended where nobody said so ("unseen": its source no longer knew it). `step`:
    how many steps of its policy were gone through; `step_at`: when the next is due, None where none is left.
    """

    id: int
    fingerprint: str
    state: Literal["firing", "acknowledged", "resolved"]
    severity: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float
    opened_at: float
    resolved_at: float | None = None
    acknowledged_at: float | None = None
    acknowledged_by: str = ""
    source: str | None = ""
    ending: str = ""
    step: int = 1
    step_at: float | None = None

    @property
    def headline(self) -> str:
        """Two or three words."""
        return self.labels.get("headline") or self.labels.get("alertname", "ALERT")

    @property
    def began_at(self) -> float:
        """When the trouble began: Prometheus says when the alert fired, which is after its waiting time."""
        pending = self.annotations.get("pending", "")
        return self.starts_at - (float(pending) if pending.isascii() and pending.isdigit() else 0.0)

    @property
    def key(self) -> str:
        """The key that mail threads know the incident by."""
        return f"zads-{self.id}-{self.fingerprint}"

    @property
    def episode_key(self) -> str:
        """The key of this episode, also where the record could not be written and gave no number."""
        return f"zads-{self.fingerprint}-{int(self.starts_at)}"

    @property
    def subject(self) -> str:
        """What it is about: the community, service or host."""
        for name in ("community", "service", "host", "channel", "job"):
            if self.labels.get(name):
                return self.labels[name]
        return self.labels.get("alertname", "")


@dataclass(frozen=True)
class Delivery:
    """One message to one channel about one incident.

    `name`: what the receiving side knows it by, the same for each try. `target`: the one recipient it is for;
    "" is all of the channel's. `told`: whether it was last told that the incident fires. `again`: whether it
    was told its end before. `held`: why it waited by decision ("quiet hours"), or why a
    reminder comes before its time ("no longer acknowledged at PagerDuty"); "" otherwise.
    """

    id: int
    incident: Incident
    channel: str
    kind: Kind
    attempts: int
    created_at: float
    doubtful: bool = False
    fallback_for: str = ""
    references: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    target: str = ""
    told: bool = True
    again: bool = False
    held: str = ""

    @property
    def key(self) -> str:
        """The delivery's name; it holds the time too, since a record that was begun anew counts from 1 again."""
        return self.name or f"{self.id}-{int(self.created_at)}"


class DeliveryError(Exception):
    """A provider did not take a message.

    `permanent`: trying again changes nothing (revoked key, unknown recipient). `retry_after`: seconds that
    the provider asked for. `doubtful`: it may have taken the message although no answer came. `narrow`: it
    concerns one recipient; the provider works, and others are not kept waiting.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        doubtful: bool = False,
        narrow: bool = False,
    ) -> None:
        self.permanent, self.doubtful, self.narrow = permanent, doubtful, narrow
        self.retry_after = None if retry_after is None else min(retry_after, LONGEST_PAUSE)
        super().__init__(message)


@dataclass(frozen=True)
class Receipt:
    """What a channel says of a message that at least one recipient took.

    `references`: what has to be remembered of the incident there. `missed`: the recipients that did not take
    it, and why; the others have it and must not get it again.
    """

    references: Mapping[str, str] = field(default_factory=dict)
    missed: Mapping[str, DeliveryError] = field(default_factory=dict)


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110: seconds or a date); None where there is none."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
