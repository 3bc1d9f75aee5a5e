"""What there is to see of each service, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from exporters.services.processes import Vitals
from zads.plain import span

_SOON = 30 * 86_400.0  # seconds


@dataclass(frozen=True)
class Process:
    """What is known of a service's process; `here` says whether it has to be on this machine."""

    vitals: Vitals | None
    here: bool


def answer(seconds: float | None, why: str) -> str:
    """Return whether a service answers, and why not."""
    return f"does not answer ({why})" if seconds is None else f"answers in {span(seconds)}"


def service(name: str, said: str, process: Process, expiry: float | None, now: float) -> str:
    """Return for example "kafka-public: answers in 3 ms, up since Tue 14:03 UTC"."""
    parts = [said]
    if process.vitals is not None:
        parts.append(f"up since {_moment(process.vitals.started, now)}")
    elif process.here:
        parts.append("its process is gone")
    if expiry is not None and expiry <= now:
        parts.append(f"its certificate expired {span(now - expiry)} ago")
    elif expiry is not None and expiry - now < _SOON:
        parts.append(f"its certificate expires in {span(expiry - now)}")
    return f"{name}: {', '.join(parts)}"


def all_of(rows: Sequence[str]) -> str:
    """Return all that there is to say."""
    return "; ".join(rows) or "the Sun alone: zads.toml has no [[service]]"


def _moment(at: float, now: float) -> str:
    when = datetime.fromtimestamp(at, UTC)
    return f"{when:%a %H:%M} UTC" if now - at < 6 * 86_400.0 else f"{when:%Y-%m-%d %H:%M} UTC"
