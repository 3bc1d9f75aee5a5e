"""How often, how fast, what is noisy: the last 7, 30 or 90 days."""

from __future__ import annotations

import html
from collections.abc import Mapping
from urllib.parse import urlencode

from notifier.model import Incident
from notifier.page_frame import Visitor, counted, frame, note
from notifier.render import name_of
from notifier.store.statistics import Noisy, Numbers, Times
from notifier.words import channel, duration

PERIODS = (7, 30, 90)
_KINDS = ("page", "ticket", "info")
_WORDS = {"page": "page", "ticket": "ticket", "info": "note"}
_NAMES = {"page": "pages", "ticket": "tickets", "info": "notes"}
_WIDE, _HIGH = 720, 140


def statistics(numbers: Numbers | None, days: int, visitor: Visitor, problem: str = "") -> str:
    """Return the page; `problem`: why there are no numbers."""
    links = " ".join(
        f'<a href="/statistics?days={number}"{" aria-current=page" if number == days else ""}>{number} days</a>'
        for number in PERIODS
    )
    body = f'{note(problem, bad=True)}<h1>The last {days} days</h1><nav class="pages" aria-label="Period">{links}</nav>'
    return frame("Statistics", body + (_all(numbers, visitor) if numbers else ""), visitor=visitor)


def _all(numbers: Numbers, visitor: Visitor) -> str:
    return (
        f'<section aria-label="Times" class="tiles">{_times("Pages: to acknowledge", numbers.acknowledged.get("page", Times()))}'
        f"{_times('Pages: to their end', numbers.resolved.get('page', Times()))}"
        f"{_times('Tickets: to their end', numbers.resolved.get('ticket', Times()))}"
        f'<div class="sheet"><h2>Pages nobody took</h2><div class="big">{numbers.unacknowledged:,}</div>'
        '<div class="dim small">over without an acknowledgement</div></div></section>'
        f"{_per_day(numbers)}{_noisiest(numbers, visitor)}"
    )


def _times(title: str, times: Times) -> str:
    if times.median is None or times.p95 is None:
        return (
            f'<div class="sheet"><h2>{title}</h2><div class="big">–</div><div class="dim small">there was none</div></div>'
        )
    return (
        f'<div class="sheet"><h2>{title}</h2><div class="big">{duration(times.median)}</div>'
        f'<div class="dim small">median of {times.count:,}; 95% within {duration(times.p95)}</div></div>'
    )


def _by_kind(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts by page, ticket and note; what carries another word is a ticket."""
    found = dict.fromkeys(_KINDS, 0)
    for severity, count in counts.items():
        found[severity if severity in found else "ticket"] += count
    return found


def _per_day(numbers: Numbers) -> str:
    days = {date: _by_kind(counts) for date, counts in numbers.per_day.items()}
    used = sorted({name for counts in numbers.messages.values() for name in counts})
    head = "".join(
        f'<th scope="col" class="n">{html.escape(word[:1].upper() + word[1:])}</th>'
        for word in (*_NAMES.values(), *map(channel, used))
    )
    rows = "".join(
        f'<tr><th scope="row" class="num">{date}</th>{"".join(_cell(days[date][kind]) for kind in _KINDS)}'
        f"{''.join(_cell(numbers.messages.get(date, {}).get(name, 0)) for name in used)}</tr>"
        for date in reversed(list(days))
    )
    total = {kind: sum(day[kind] for day in days.values()) for kind in _KINDS}
    sent = sum(sum(counts.values()) for counts in numbers.messages.values())
    keys = " ".join(
        f'<span class="num"><span class="key {kind}"></span>{counted(total[kind], _WORDS[kind])}</span>' for kind in _KINDS
    )
    return (
        f'<section><h2>Incidents per day</h2><div class="sheet">{_chart(days)}<p class="pages small">{keys} '
        f'<span class="dim">{counted(sent, "message")} sent</span></p>'
        f'<details><summary>As a table, with the messages sent</summary><div class="scroll"><table><caption>Days are UTC: the date that '
        f'a night bears.</caption><thead><tr><th scope="col">Day</th>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>'
        "</div></section>"
    )


def _cell(number: int) -> str:
    return f'<td class="n">{number:,}</td>' if number else '<td class="n dim">0</td>'


def _chart(days: Mapping[str, Mapping[str, int]]) -> str:
    """Return a column a day; its numbers stand in the table too."""
    most = max((sum(day.values()) for day in days.values()), default=0)
    step = _WIDE / max(1, len(days))
    bars: list[str] = []
    for index, (date, day) in enumerate(days.items()):
        top = float(_HIGH)
        for kind in reversed(_KINDS):
            height = _HIGH * day[kind] / max(1, most)
            top -= height
            if day[kind]:
                place = f'x="{index * step + step * 0.12:.1f}" y="{top:.1f}" width="{step * 0.76:.1f}" height="{max(1.0, height):.1f}"'
                bars.append(f'<rect class="{kind}" {place}><title>{date}: {day[kind]:,} {_NAMES[kind]}</title></rect>')
    dates = list(days)
    return (
        f'<p class="dim small">{counted(most, "incident")} at most on a day</p>'
        f'<svg class="chart" viewBox="0 0 {_WIDE} {_HIGH + 1}" '
        'preserveAspectRatio="none" role="img" aria-label="Incidents per day; the table below has the numbers">'
        f'<line x1="0" x2="{_WIDE}" y1="{_HIGH}" y2="{_HIGH}"/>{"".join(bars)}</svg>'
        f'<p class="dim small ends"><span>{dates[0]}</span><span>{dates[-1]}</span></p>'
    )


def _noisiest(numbers: Numbers, visitor: Visitor) -> str:
    if not numbers.noisiest:
        return '<section><h2>Noisiest alerts</h2><p class="sheet dim">There was no alert at all.</p></section>'
    rows = "".join(_noisy(one, visitor) for one in numbers.noisiest)
    return (
        '<section><h2>Noisiest alerts</h2><div class="sheet scroll"><table><thead><tr><th scope="col">Alert</th>'
        f'<th scope="col" class="n">Times</th><th scope="col" class="n">Fired for</th></tr></thead><tbody>{rows}</tbody></table>'
        "</div></section>"
    )


def _noisy(one: Noisy, visitor: Visitor) -> str:
    incident = Incident(one.newest, "", "firing", one.severity, one.labels, {}, 0.0, 0.0)
    about = incident.subject if incident.subject != one.labels.get("alertname") else ""
    search = html.escape(f"/history?{urlencode({'q': incident.headline, **({'about': about} if about else {})})}")
    place = (
        f' <span class="dim">{visitor.text(about)}</span>'
        if about and about.lower() not in name_of(incident).lower()
        else ""
    )
    return (
        f'<tr><td><a href="{search}">{visitor.text(name_of(incident))}</a>{place}</td><td class="n">{one.count:,}</td>'
        f'<td class="n">{duration(one.fired)}</td></tr>'
    )
