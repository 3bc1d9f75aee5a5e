"""What is said of one incident, as plain sentences: its name, what is good again, what it costs, since when.

What a rule does not say, or Prometheus could not fill in, is made up for by the labels; nothing is longer than a message can bear.
"""

from __future__ import annotations

import re

from notifier.model import Incident
from notifier.words import (
    apart,
    clause,
    clock,
    cut,
    headline,
    lower,
    name,
    one_line,
    sentence,
    since_said,
    spoken,
)

_NAME_MOST, _SENTENCE_MOST, _WORD_MOST = 120, 1500, 80
_WAITING = re.compile(r"\d.*\bwaits?\b|\bwaits?\b.*\d")
_FAILED = "<error expanding template"  # what Prometheus writes where a rule's text could not be filled in
# What a headline's end becomes when the trouble is over.
_BACK = (
    (" not arriving", "{} arriving again"),
    (" slow at mirror", "{} passed on in time again"),
    (" late from IPAC", "{} in time from IPAC again"),
    (" down", "{} back"),
    (" hangs", "{} answers again"),
    (" flapping", "{} steady again"),
    (" behind", "{} on time again"),
    (" away", "{} connected again"),
    (" task failed", "{} task runs again"),
    (" offline", "{} online again"),
    (" blind", "{} sees again"),
    (" cannot see", "{} sees again"),
    (" cannot send", "{} sends again"),
    (" broken", "{} works again"),
    (" stuck", "{} go out again"),
    (" low", "{} no longer low"),
    (" fills", "{} no longer fills"),
    (" exposed", "{} no longer exposed"),
    (" near limit", "{} below the limit again"),
)


def name_of(incident: Incident) -> str:
    """Return the headline in a sentence's letters: "Kafka down", "Lasair behind"."""
    labels, community = incident.labels, incident.labels.get("community", "")
    if not labels.get("headline"):
        return cut(headline(apart(one_line(incident.headline)[:_NAME_MOST]), labels.get("label", "")), _NAME_MOST)
    own = labels.get("label", ""), name(community) if community else ""
    return cut(headline(incident.headline[: 2 * _NAME_MOST], *own), _NAME_MOST)


def back(incident: Incident) -> str:
    """Return what is good again: "Kafka back", "Lasair on time again"."""
    text = name_of(incident)
    for end, words in _BACK:
        if text.endswith(end):
            return words.format(text.removesuffix(end))
    return f"{text}: over"


def summary_of(incident: Incident) -> str:
    """Return the rule's summary in one readable line; rules of others call it message or description."""
    found = (said(incident, key) for key in ("summary", "message", "description"))
    return next((text for text in found if text), "") or name_of(incident)


def order(incident: Incident) -> str:
    """Return what to do first; a command keeps its letters."""
    text = incident.annotations.get("first", "")[: 2 * _SENTENCE_MOST]
    return "" if _FAILED in text else cut(one_line(text), _SENTENCE_MOST)


def said(incident: Incident, key: str) -> str:
    """Return an annotation as a sentence, "" for one that is missing or that Prometheus could not fill in."""
    text = incident.annotations.get(key, "")[: 4 * _SENTENCE_MOST]
    return "" if _FAILED in text else cut(spoken(text), _SENTENCE_MOST)


def effect(incident: Incident, detail: str, room: int, *, numbers: bool) -> str:
    """Return what it costs, in the words that a locked phone has room for; else the fewest.

    The rule's own effect first, then its impact, then the rest of its summary; that before the impact where it tells
    how many wait and nobody else does (`numbers`).
    """
    impact = said(incident, "impact")
    if impact.lower().startswith(("none", "perhaps none", "nothing")):
        impact = ""
    rest = clause(aside(detail)[0])
    offered = [clause(said(incident, "effect")), clause(impact), rest, re.split(r", (?!or )", rest, maxsplit=1)[0]]
    if numbers and _WAITING.search(rest):
        offered.insert(1, rest)
    offered = [text for text in offered if text]
    return lower(next((text for text in offered if len(text) <= room), min(offered, key=len, default="")))


def aside(text: str) -> tuple[str, str]:
    """Return a text and the brackets at its end apart."""
    match = re.fullmatch(r"(.*?)\s*(\([^()]*\))", text)
    return (match[1], match[2]) if match else (text, "")


def beginning(incident: Incident, told: float | None) -> float:
    """Return when it began: as the rule says where that is earlier by more than its own minute."""
    return incident.began_at if told is None or told > incident.began_at - 60 else told


def by(incident: Incident) -> str:
    """Return who acknowledged it."""
    return cut(one_line(incident.acknowledged_by), _WORD_MOST) or "somebody"


def unsaid(incident: Incident) -> tuple[str, ...]:
    """Return what stands in for texts that the rule does not have or could not fill in: its labels."""
    failed = sorted(key for key, text in incident.annotations.items() if _FAILED in text)
    words = []
    if failed:
        names = cut(", ".join(one_line(key) for key in failed), _WORD_MOST)
        words.append(f"Prometheus could not fill in the rule's own words ({names}).")
    if failed or not any(said(incident, key) for key in ("summary", "message", "description")):
        labels = (
            f"{one_line(key)[:_WORD_MOST]}={one_line(text)[:_WORD_MOST]}" for key, text in sorted(incident.labels.items())
        )
        words.append(cut(f"Its labels: {', '.join(labels)}.", 600))
    return tuple(words)


def what(incident: Incident, summary: str, now: float) -> str:
    """Return what is wrong, where, and since when to the second; what the impact says next is not said twice."""
    text, at = since_said(summary, incident.began_at)
    began = beginning(incident, at)
    since = f"since {clock(began, now, exact=began == incident.began_at)}"
    where = one_line(incident.labels.get("host", ""))[:_WORD_MOST]
    place = f" on {where}" if where and where not in text else ""
    if at is None:
        return f"{sentence(text)} {since[:1].upper()}{since[1:]}{place}."
    lead, _, detail = text.partition(": ")
    body, paren = aside(detail)
    if said(incident, "impact").lower().startswith(body.lower()):
        body = ""
    return sentence(f"{lead} {since}{place}{f': {body}' if body else ''}{f' {paren}' if paren else ''}")
