"""The verdict of a drill: what had to be told was, in time and once; nothing else paged or made a ticket."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.drills.letters import Event, Letter
from tests.drills.model import OUTSIDE, Drill, Told
from tests.drills.stand import Fired

# What many drills in a row rightly bring about: of the run, not of one drill.
RUN_WIDE = {
    "BudgetBurning": "so many outages in an hour burn the quarter's budget",
    "BudgetSpent": "so many outages spend it",
}


@dataclass(frozen=True)
class Outcome:
    """How one expected message came: seconds from its stage's fault; None where it did not."""

    told: Told
    detected: float | None = None
    arrived: float | None = None
    resolved: float | None = None
    seen: float | None = None  # from the fault until the condition held: collect, scrape, evaluate
    waited: float | None = None  # `for`
    grouped: float | None = None  # from firing until the notifier had it
    delivered: float | None = None  # from there to the last channel
    title: str = ""


@dataclass
class Seen:
    """All that was seen of one drill. `caused` has the time of each stage's fault, `healed` that of healing."""

    drill: Drill
    caused: Sequence[float]
    healed: float
    ended: float
    letters: Sequence[Letter]
    fired: Sequence[Fired]
    events: Sequence[Event]
    troubles: list[str] = field(default_factory=list)  # what went wrong with the drill itself


def outcomes(seen: Seen) -> list[Outcome]:
    """Return how each expected message came."""
    return [
        _outcome(seen, told, cause, told.channels or told.by)
        for stage, cause in zip(seen.drill.stages, seen.caused, strict=False)
        for told in stage.must
    ]


def _outcome(seen: Seen, told: Told, cause: float, channels: Sequence[str]) -> Outcome:
    first = {channel: one for channel in channels if (one := first_letter(seen.letters, told, channel, cause))}
    if len(first) < len(channels):
        return Outcome(told, title=next((one.title for one in first.values()), ""))
    last = max(one.at for one in first.values())
    title = first[channels[-1] if "slack" not in first else "slack"].title
    result = {"arrived": last - cause, "title": title}
    if told.state != "firing":
        return Outcome(told, **result)  # type: ignore[arg-type]
    ends = [
        min(found)
        for channel in channels
        if (found := [o.at for o in seen.letters if _about(o, told) and o.channel == channel and _ends(o, first[channel])])
    ]
    resolved = max(ends) - seen.healed if len(ends) == len(channels) else None
    firing = next((one for one in seen.fired if told.fits(one.alert, one.labels) and one.fired >= cause), None)
    event = next(
        (e for e in seen.events if told.fits(e.alert, e.labels) and e.status == "firing" and e.at >= cause - 1), None
    )
    starts = firing.fired if firing else event.starts if event else None
    active = firing.active if firing else None
    return Outcome(
        told,
        detected=None if starts is None else max(starts, cause) - cause,
        resolved=resolved,
        seen=None if active is None else max(0.0, active - cause),
        waited=None if active is None or starts is None else starts - max(active, cause),
        grouped=None if starts is None or event is None else event.at - starts,
        delivered=None if event is None else last - event.at,
        **result,  # type: ignore[arg-type]
    )


def _about(letter: Letter, told: Told) -> bool:
    # What came around the notifier carries no labels.
    if letter.via == "alertmanager":
        return letter.alert == told.alert
    return told.fits(letter.alert, letter.labels)


def _ends(letter: Letter, first: Letter) -> bool:
    return letter.state == "resolved" and not letter.silent and letter.at > first.at


def first_letter(letters: Sequence[Letter], told: Told, channel: str, since: float) -> Letter | None:
    """Return the first message of that channel that tells it."""
    for one in letters:
        right = one.channel == channel and one.at >= since - 0.5 and one.state == told.state and not one.silent
        if right and _about(one, told) and re.search(told.words, f"{one.title}\n{one.text}"):
            return one
    return None


def verdict(seen: Seen, results: Sequence[Outcome], others: Callable[[str, Mapping[str, str]], bool]) -> list[str]:
    """Return what is wrong, as sentences; none when all is as it should be.

    `others` tells whether an alert belongs to a drill that runs beside this one.
    """
    drill, wrong = seen.drill, list(seen.troubles)
    for one in results:
        told = one.told
        name = f"{told.alert}{'' if told.state == 'firing' else f' ({told.state})'}"
        if one.arrived is None:
            have = {o.channel for o in seen.letters if _about(o, told) and o.state == told.state and not o.silent}
            lacking = [channel for channel in told.by if channel not in have] or list(told.by)
            wrong.append(f"{name} did not arrive by {', '.join(lacking)}{' in the right words' if have else ''}")
        elif one.arrived > told.within:
            wrong.append(f"{name} arrived after {one.arrived:.0f} s, allowed are {told.within:.0f} s")
        if told.state == "firing" and one.arrived is not None and drill.resolve and not drill.lingers:
            if one.resolved is None:
                wrong.append(f"the end of {told.alert} was not told")
            elif one.resolved > drill.resolve:
                wrong.append(f"{told.alert} was resolved after {one.resolved:.0f} s, allowed are {drill.resolve:.0f} s")
    wrong += _surprises(seen, others)
    for stage in drill.stages:
        for note in stage.notes:
            if not any(one.alert == note for one in seen.fired):
                wrong.append(f"{note} was not noted")
    return wrong


def _surprises(seen: Seen, others: Callable[[str, Mapping[str, str]], bool]) -> list[str]:
    drill, wrong = seen.drill, []
    counted: Counter[tuple[str, str, str]] = Counter()
    titles: dict[tuple[str, str, str], Letter] = {}
    for one in seen.letters:
        if one.silent or one.state != "firing" or others(one.alert, one.labels) or one.alert in RUN_WIDE:
            continue
        # One cause is told once: two alerts of one expected kind (each task of a mirror) are twice.
        kind = next((f"{told.alert} {dict(told.match)}" for told in drill.must if _about(one, told)), one.who[0])
        who = (kind, one.channel, one.to)
        counted[who] += 1
        titles.setdefault(who, one)
    unexpected: dict[str, set[str]] = {}
    for who, count in counted.items():
        one = titles[who]
        expected = one.alert in drill.may or any(_about(one, told) for told in drill.must)
        if not expected:
            unexpected.setdefault(f"{one.alert} ({one.severity or '?'}: {one.title})", set()).add(one.channel)
        elif count > 1:
            wrong.append(f"{one.alert} was told {count} times by {one.channel}: {one.title}")
    return wrong + [f"told besides by {', '.join(sorted(channels))}: {words}" for words, channels in unexpected.items()]


def besides(seen: Seen, others: Callable[[str, Mapping[str, str]], bool]) -> list[str]:
    """Return the other alerts that fired, each with what became of it: told, noted (info) or silenced."""
    told = {one.alert for one in seen.letters if one.state == "firing"}
    result = {}
    for one in seen.fired:
        if any(t.fits(one.alert, one.labels) for t in seen.drill.must) or others(one.alert, one.labels):
            continue
        severity = one.labels.get("severity", "?")
        what = "noted" if severity == "info" else "told" if one.alert in told else "silenced"
        result[one.alert] = f"{one.alert} ({what})"
    for letter in seen.letters:
        known = any(_about(letter, t) for t in seen.drill.must) or letter.alert in result
        if letter.state == "firing" and not known and not others(letter.alert, letter.labels):
            result[letter.alert] = f"{letter.alert if letter.alert != OUTSIDE else OUTSIDE} (told)"
    return [words for name, words in sorted(result.items()) if name != "Watchdog"]
