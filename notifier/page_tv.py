"""For a screen on the wall: what is open in big letters, who is on call; no log-in, no secret, nothing to press."""

from __future__ import annotations

from notifier.page_frame import Visitor, bare, counted, severity_tag
from notifier.page_state import Now
from notifier.render import name_of, summary_of
from notifier.words import channel, clock, duration

_SHOWN = 5  # what a screen holds that nobody scrolls
_READER = Visitor()


def wall(now: Now) -> str:
    """Return the page."""
    shown = now.open[:_SHOWN]
    left = len(now.open) - len(shown)
    rows = "".join(
        f'<li><b>{severity_tag(i.severity)} {_READER.text(name_of(i))}</b><span class="age">{duration(now.at - i.began_at)}</span>'
        f'<span class="line1">{_taken(i.acknowledged_by)} · {_READER.text(summary_of(i))}</span></li>'
        for i in shown
    )
    more = f"<span><b>and {left:,} more</b></span>" if left else ""
    pages, tickets = now.pages, len(now.open) - now.pages
    parts = [counted(number, word) for number, word in ((pages, "page"), (tickets, "ticket")) if number]
    kind = "bad" if pages else "" if tickets else "ok"
    title = " and ".join(parts) or "Nothing is open"
    broken = [channel(one.name) for one in now.channels if not one.healthy]
    trouble = f"<span><b>Does not arrive:</b> {', '.join(broken)}</span>" if broken else ""
    body = (
        f'<h1{f" class={kind}" if kind else ""}>{title}</h1><ul class="rows">{rows}</ul><footer>{more}'
        f"<span>On call: <b>{_READER.text(now.duty.now or 'nobody is named')}</b></span>{trouble}{_blind(now)}"
        f"<span>{clock(now.at, now.at)}</span></footer>"
    )
    return bare("ZADS: open incidents", body, "/wall")


def _taken(by: str) -> str:
    return f"acknowledged by {_READER.text(by)}" if by else "nobody has acknowledged it"


def _blind(now: Now) -> str:
    if now.heard is None or now.at - now.heard <= 120.0:
        return ""
    return f"<span><b>Monitoring is blind</b> for {duration(now.at - now.heard)}</span>"
