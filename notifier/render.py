"""Turn an incident into words: a title that stands alone on a locked phone, then what, impact, what first.

What comes from labels and annotations is data, never markup: the channels escape it, and line breaks are
taken out of what becomes a header.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from notifier.incident_words import back, beginning, by, effect, name_of, order, said, summary_of, unsaid, what
from notifier.links import links_of
from notifier.message import Message
from notifier.model import PAGE, Delivery, Incident
from notifier.routing import Router
from notifier.words import channel, clock, cut, duration, name, one_line, sentence, since_said

__all__ = ["LATE_AFTER", "Renderer", "back", "name_of", "summary_of"]
_TITLE_MOST, _LEAD_MOST, _HELD_MOST = 200, 90, 300
_PHONE = 80  # letters of a notification on a locked phone
LATE_AFTER = 120.0
_SHOWN = 15


class Renderer:
    """Renders messages of one site.

    `router` knows who is on call and what comes next; `facts` adds what is known in numbers, as a clause;
    `reminder`: seconds between two messages about a page that nobody acknowledges.
    """

    def __init__(
        self,
        external_url: str,
        *,
        router: Router | None = None,
        facts: Callable[[Incident], str] = lambda _incident: "",
        reminder: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url, self._router, self._facts, self._reminder, self._clock = external_url, router, facts, reminder, clock

    def message(self, delivery: Delivery) -> Message:
        """Return the message for a delivery."""
        now, incident = self._clock(), delivery.incident
        late = now - delivery.created_at > LATE_AFTER
        # A resend within the grace says the same as the first try: PagerDuty would show another title as news.
        at = now if late else delivery.created_at
        over = delivery.kind == "resolved" or (incident.state == "resolved" and delivery.kind != "firing")
        message = self._over(delivery, now, late=late) if over else self._firing(delivery, at)
        notes = []
        if delivery.held and late and delivery.kind != "reminder":
            notes.append(f"Held back since {clock(delivery.created_at, now)}: {cut(one_line(delivery.held), _HELD_MOST)}.")
        elif late and (not over or delivery.told):
            notes.append(
                f"Late: written {clock(delivery.created_at, now)}, {channel(delivery.channel)} took it only at {clock(now, now)}."
            )
        if delivery.fallback_for:
            notes.append(f"Sent here because {channel(delivery.fallback_for)} refused it.")
        subject = f"[ZADS] {name_of(incident)}"
        message = replace(message.noting(*notes), subject=cut(subject, _TITLE_MOST), title=cut(message.title, _TITLE_MOST))
        return self._addressed(delivery, message, now)

    def _addressed(self, delivery: Delivery, message: Message, now: float) -> Message:
        """Say to whom it goes beside the channel's own list: a community's contact, who is on call."""
        if self._router is None:
            return message
        incident, contact = delivery.incident, self._router.contact(delivery.incident.labels)
        if contact and delivery.channel == "email" and delivery.target == contact:
            who = name(incident.labels.get("community", ""))
            # The links lead into our own network, and what to do first is for us.
            note = (
                f"You get this in copy as the contact of {who}; the operators of {one_line(self._router.site)} have it too."
            )
            return replace(message, first="", links=(), notes=(note,))
        if contact and incident.severity == "ticket" and delivery.kind == "firing":
            message = message.noting(f"Copied to {name(incident.labels['community'])}'s contact.")
        if message.state != "firing" or incident.severity != PAGE:
            return message
        return replace(message, mention=delivery.target.removeprefix("@") or self._router.mention(now))

    def _firing(self, delivery: Delivery, now: float) -> Message:
        incident, kind = delivery.incident, delivery.kind
        summary, facts = summary_of(incident), self._facts(incident)
        title = self._title(incident, summary, facts, now, again=delivery.again and kind == "firing")
        if kind == "reminder":
            title = f"Still: {title}" if delivery.told else title
        if kind == "acknowledged":
            title = f"{by(incident)} has it: {title}"
        state = "acknowledged" if kind == "acknowledged" else "firing"
        return Message(
            state,
            incident.severity,
            "",
            title,
            (what(incident, summary, now), *unsaid(incident)),
            said(incident, "impact"),
            order(incident),
            self._policy(delivery, now),
            links_of(incident, self._url),
        )

    @staticmethod
    def _title(incident: Incident, summary: str, facts: str, now: float, *, again: bool) -> str:
        """Return object, state, duration, how much, effect."""
        text, at = since_said(summary, incident.began_at)
        lead, _, detail = text.partition(": ")
        host = incident.labels.get("host")
        if incident.labels.get("service") and host:
            lead = lead.replace(f" on {host}", "")
        lead = cut(lead, _LEAD_MOST).rstrip(" .")
        if again:
            lead += " again"
        lasts = now - beginning(incident, at)
        if lasts >= 1 and (at is not None or not re.search(r"\d", lead)):  # else it says how much or how long already
            lead += f" for {duration(lasts)}"
        if facts:
            lead += f", {facts}"
        costs = effect(incident, detail, _PHONE - len(lead) - 2, numbers=not facts)
        return f"{lead}: {costs}" if costs else lead

    def _policy(self, delivery: Delivery, now: float) -> tuple[str, ...]:
        """Say who is on call and what happens next."""
        incident = delivery.incident
        who = self._router.on_call(now) if self._router else None
        words = [f"On call: {one_line(who)}."] if who and incident.severity == PAGE else []
        if delivery.kind == "reminder" and not delivery.told:
            words.append(f"You are told because nobody has acknowledged it for {duration(now - incident.opened_at)}.")
        elif delivery.kind == "reminder" and delivery.held:
            words.append(f"Told again: {cut(one_line(delivery.held), _HELD_MOST)}.")
        following = self._router.following(incident, now) if self._router else ""
        if incident.state == "acknowledged":
            words.append(f"{by(incident)} has acknowledged it: no reminders while that lasts.")
        elif following:
            words.append(f"{following} unless somebody acknowledges.")
        elif self._reminder and incident.severity == PAGE:
            words.append(f"Told again at {clock(now + self._reminder, now, exact=False)} unless somebody acknowledges.")
        return (" ".join(words),) if words else ()

    def _over(self, delivery: Delivery, now: float, *, late: bool) -> Message:
        incident = delivery.incident
        began, ended = incident.began_at, incident.resolved_at or now
        title = f"{back(incident)} after {duration(ended - began)}"
        facts = self._facts(incident)
        if facts:
            title = f"{title}: {facts}"
        words = [f"{name_of(incident)} from {clock(began, now)} to {clock(ended, now)} ({duration(ended - began)})."]
        if late and not delivery.told and delivery.held:
            begin, end = (clock(at, now, exact=False).removesuffix(" UTC") for at in (began, ended))
            title = f"{name_of(incident)} {begin}-{end} UTC, over now"
        elif late and not delivery.told:
            # All that this channel ever says of it: it must not read as the end of something known.
            begin, end = (clock(at, now, exact=False).removesuffix(" UTC") for at in (began, ended))
            who = channel(delivery.channel)
            title = (
                f"{name_of(incident)} {begin}-{end} UTC, over now ({who} delayed this until {clock(now, now, exact=False)})"
            )
            words.append(f"{who[:1].upper()}{who[1:]} did not take the message when it began.")
        words.append(f"It was: {sentence(since_said(summary_of(incident), incident.began_at)[0])}")
        if incident.ending == "unseen":
            words.append(
                f"Nobody reported its end: from {clock(ended, now)} on Alertmanager did not list it any more;"
                " it was looked at for five minutes."
            )
        return Message("resolved", incident.severity, "", title, tuple(words), "", "", (), links_of(incident, self._url))

    def digest(self, deliveries: Sequence[Delivery]) -> Message:
        """Return one message for many: how many, since when, the worst, one link."""
        now, urgency = self._clock(), {"page": 0, "ticket": 1}
        latest = {(d.incident.id, d.incident.fingerprint): d for d in deliveries}  # of each incident its last message
        # What is over by now is told as over, whatever waited.
        firing = [d.incident for d in latest.values() if d.incident.state != "resolved"]
        ended = [d.incident for d in latest.values() if d.incident.state == "resolved"]

        def rank(incident: Incident) -> tuple[int, float]:
            return urgency.get(incident.severity, 2), incident.began_at

        shown = sorted(firing or ended, key=rank)
        worst, since = shown[0], clock(min(i.began_at for i in shown), now, exact=False)
        subjects = len({i.subject for i in shown})
        many = f"{len(shown):,} {'alert' if len(shown) == 1 else 'alerts'}"
        about = f" on {subjects:,} subjects" if subjects > 1 else ""
        if firing:
            over = f", {len(ended):,} others over" if ended else ""
            title = f"{many}{about} since {since}, worst: {name_of(worst)}{over}"
        else:
            title = f"{many}{about} over, the first since {since}, worst: {name_of(worst)}"
        counted = Counter(cut(since_said(summary_of(i), i.began_at)[0], 160) for i in shown)
        lines = [f"{text} ({number} of these)" if number > 1 else text for text, number in list(counted.items())[:_SHOWN]]
        left = len(shown) - sum(list(counted.values())[:_SHOWN])
        if left:
            lines.append(f"... and {left:,} more")
        created = min(d.created_at for d in deliveries)
        held = {one_line(d.held) for d in deliveries if d.held and d.kind != "reminder"}
        notes = [f"Held back: {cut(', '.join(sorted(held)), _HELD_MOST)}."] if held else []
        if not held and now - created > LATE_AFTER:
            notes = [f"Late: the first was written {clock(created, now)}."]
        links = (("The whole list", f"{self._url.rstrip('/')}/"),)
        state = "firing" if firing else "resolved"
        return Message(
            state, worst.severity, "[ZADS] Many alerts", cut(title, _TITLE_MOST), tuple(lines), "", "", tuple(notes), links
        )
