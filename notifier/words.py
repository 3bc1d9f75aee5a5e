"""Words for people: times, durations, names in their own spelling, sentences of data made safe to print."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

# As the brokers and programs write themselves; everything else keeps the letters it came with.
_NAMES = {
    name.lower(): name
    for name in (
        *("AMPEL", "ALeRCE", "ANTARES", "Fink", "Lasair", "Pitt-Google", "Babamul"),
        *("IPAC", "ZADS", "ZTF", "Kafka", "MirrorMaker", "Alertmanager", "Prometheus", "PagerDuty", "Slack"),
    )
}
_CHANNELS = {"email": "e-mail", "slack": "Slack", "pagerduty": "PagerDuty", "webhook": "the webhook"}
# C0, DEL, C1, line and paragraph separators, marks that turn the direction of writing.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
# What nobody sees: spaces without width, marks of direction, tags; halves of a surrogate pair, which UTF-8 has not.
_UNSEEN = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u2060-\u2064\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]")
# Prometheus' humanizeDuration: "4m 47s", "1h 2m 3s", "2d 3h 4m 5s", "47.21s".
_GO = re.compile(r"(?<![\w.-])(?:(?:(?:(\d+)d )?(\d+)h )?(\d+)m (\d+)s|(\d+(?:\.\d+)?)s)(?![\w-])")
_RATE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)([kMGT]?B(?:/s)?)(?!\w)")
_COUNT = re.compile(r"(?<![\w.,/-])(\d{4,})(?= (?:alerts?|packets?|connections?|exposures?|messages?|waits?|at IPAC|in an hour)\b)")
_SINGLE = re.compile(r"(?<![\w.,/-])1 (alert|packet|connection|exposure|message|partition|community|communitie|time)s\b")
# A rule's own "since 08:01 UTC".
_SINCE = re.compile(r" since ([01]\d|2[0-3]):([0-5]\d) UTC\b")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CUT = " ..."


def clock(seconds: float, now: float | None = None, *, exact: bool = True) -> str:
    """Return a time of day, with the date when it is not today's; `exact`: to the second."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
        today = datetime.fromtimestamp(time.time() if now is None else now, UTC).date()
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
    if moment.date() != today:
        return f"{moment:%a %d %b %H:%M} UTC"
    return f"{moment:%H:%M:%S} UTC" if exact else f"{moment:%H:%M} UTC"


def duration(seconds: float) -> str:
    """Return a duration as people say it: 40 s, 9 min, 2 h 5 min, 3 d."""
    seconds = max(0.0, seconds)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 86400 * 2:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{seconds / 86400:.0f} d"


def one_line(text: str) -> str:
    """Return the text without line breaks, control characters, what nobody sees and what turns the direction of writing."""
    return _UNSEEN.sub("", _CONTROL.sub(" ", text)).strip()


def name(word: str) -> str:
    """Return a community's or program's name in its own spelling."""
    return _NAMES.get(word.lower(), word[:1].upper() + word[1:])


def channel(word: str) -> str:
    """Return what people call a channel."""
    return _CHANNELS.get(word, word)


def spoken(text: str) -> str:
    """Return a sentence with durations and rates as people say them, names as they write themselves, readable counts.

    Only for sentences: a command may contain the same letters.
    """
    text = _GO.sub(_said, one_line(text))
    text = _RATE.sub(lambda match: f"{float(match[1]):.3g} {match[2]}", text)
    text = _COUNT.sub(lambda match: f"{int(match[1]):,}", text)
    text = _SINGLE.sub(lambda match: f"1 {match[1].replace('communitie', 'community')}", text)
    # Prometheus' `title` makes "Ampel" of a label; what is written otherwise was written on purpose.
    return re.sub(r"\b[A-Z][a-z]+\b", lambda match: _NAMES.get(match[0].lower(), match[0]), text)


def _said(match: re.Match[str]) -> str:
    days, hours, minutes, seconds, alone = (float(part or 0) for part in match.groups())
    return duration(days * 86400 + hours * 3600 + minutes * 60 + seconds + alone)


def cut(text: str, most: int) -> str:
    """Return the text, or its beginning and a mark that there is more."""
    return text if len(text) <= most else f"{text[: most - len(_CUT)].rstrip()}{_CUT}"


def apart(word: str) -> str:
    """Return a name in camel case as words: "NodeFilesystemFull" as "node filesystem full"."""
    return " ".join(part if part.isupper() else part.lower() for part in _CAMEL.split(word))


def since_said(text: str, began: float) -> tuple[str, float | None]:
    """Return a sentence without its "since 08:01 UTC", and when that was: in the day before it `began` to be told.

    A rule can only say a time of day, which says nothing any more when a message is written the day after.
    """
    match = _SINCE.search(text)
    if match is None or not 0 <= began < 1e11:
        return text, None
    minute = int(match[1]) * 60 + int(match[2])
    today = began - began % 86400 + minute * 60
    at = today if today <= began + 60 else today - 86400
    return f"{text[: match.start()]}{text[match.end() :]}", at


def sentence(text: str) -> str:
    """Return the text with a full stop at its end."""
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def clause(text: str) -> str:
    """Return the first clause of a text."""
    return re.split(r"[.;:](?:\s|$)", text, maxsplit=1)[0].strip()


def lower(text: str) -> str:
    """Return the text with a small first letter, unless its first word is a name."""
    first = text.split(" ", 1)[0].rstrip(",'s")
    if first.lower() in _NAMES or any(letter.isupper() or letter.isdigit() for letter in first[1:]):
        return text
    return text[:1].lower() + text[1:]


def headline(text: str, *own: str) -> str:
    """Return a headline in a sentence's letters: "KAFKA DOWN" as "Kafka down"; `own` are names of the site."""
    words = one_line(text).lower()
    for word in (*filter(None, own), *_NAMES.values()):
        words = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", lambda _, new=word: new, words, flags=re.IGNORECASE)  # type: ignore[misc]
    return words[:1].upper() + words[1:]
