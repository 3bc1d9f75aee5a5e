"""Searching the history: a plain form, an address for each search that can be kept and sent to others."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from notifier.model import Incident
from notifier.page_frame import Visitor, frame, note, severity_tag, tag, when
from notifier.render import name_of, summary_of
from notifier.store.search import LASTED_MOST, Found, Wanted
from notifier.words import duration

_SEVERITIES = (("", "any"), ("page", "pages"), ("ticket", "tickets"), ("info", "notes"))
_STATES = (
    ("", "any"),
    ("open", "open"),
    ("firing", "open, not acknowledged"),
    ("acknowledged", "open, acknowledged"),
    ("resolved", "over"),
)
_FIELDS = ("q", "severity", "about", "state", "night", "from", "to", "paged")
_LONGEST = 200
_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Query:
    """What stands in the form, what it asks for, and what is wrong with it ("" where nothing is)."""

    fields: Mapping[str, str]
    wanted: Wanted
    problem: str = ""

    def address(self, **more: str) -> str:
        """Return the address of this search: the same for the same search."""
        pairs = [(name, self.fields[name]) for name in _FIELDS if self.fields[name]] + list(more.items())
        return f"/history?{urlencode(pairs)}" if pairs else "/history"


def parse_query(given: Mapping[str, str], longitude: float) -> Query:
    """Return the search that a form or an address asks for; what cannot be understood is said and left out."""
    fields = {name: given.get(name, "").strip()[:_LONGEST] for name in _FIELDS}
    problems: list[str] = []
    for name, known in (("severity", _SEVERITIES), ("state", _STATES)):
        if fields[name] not in dict(known):
            problems.append(f"{name} {fields[name]!r} is not known")
            fields[name] = ""
    begin, end = _day(fields, "from", problems), _day(fields, "to", problems)
    if end is not None:
        end += timedelta(days=1)
    if fields["night"]:
        night = _day(fields, "night", problems)
        if night is not None:
            # From the local noon before to the one after, by the Sun.
            begin = night + timedelta(hours=(-longitude / 15) % 24 - 12)
            end = begin + timedelta(days=1)
            fields["from"] = fields["to"] = ""
    if begin and end and begin >= end:
        problems.append('"from" is after "to"')
    before = given.get("before", "")
    wanted = Wanted(
        text=fields["q"],
        severity=fields["severity"],
        about=fields["about"],
        state=fields["state"],
        begin=begin.timestamp() if begin else None,
        end=end.timestamp() if end else None,
        paged=fields["paged"] == "1",
        before=int(before) if _NUMBER.fullmatch(before) else None,
    )
    return Query(fields, wanted, "; ".join(problems))


def _day(fields: dict[str, str], name: str, problems: list[str]) -> datetime | None:
    if not fields[name]:
        return None
    match = _DATE.fullmatch(fields[name])
    try:
        found = datetime(*(int(part) for part in match.groups()), tzinfo=UTC) if match else None  # type: ignore[misc,arg-type]
        if found and 1971 <= found.year <= 9000:
            return found
    except ValueError:
        pass
    problems.append(f'"{name}" is no date: write 20260401 or 2026-04-01')
    fields[name] = ""
    return None


def history(
    query: Query, found: Found | None, subjects: Iterable[str], visitor: Visitor, now: float, problem: str = ""
) -> str:
    """Return the form and one page of results; `problem`: why there are none."""
    words = problem or query.problem
    results = _results(query, found, visitor, now) if found is not None else ""
    return frame("History", f"<h1>History</h1>{note(words, bad=True)}{_form(query, subjects)}{results}", visitor=visitor)


def _form(query: Query, subjects: Iterable[str]) -> str:
    fields, about = query.fields, '<input name="about" list="subjects"'
    names = "".join(f'<option value="{html.escape(name, quote=True)}">' for name in subjects)
    ticked = " checked" if query.wanted.paged else ""
    first = (
        f'<label class="grow">Words of summary or labels {_input(fields, "q", "search")}</label><label>Community, service or host '
        f'{about} value="{html.escape(fields["about"], quote=True)}" maxlength="{_LONGEST}">'
        f'<datalist id="subjects">{names}</datalist></label>'
        f"<label>Severity {_choice('severity', _SEVERITIES, fields)}</label><label>State {_choice('state', _STATES, fields)}</label>"
    )
    second = (
        f'<label>Night <input name="night" value="{html.escape(fields["night"], quote=True)}" inputmode="numeric" placeholder="20260401"'
        f' maxlength="10" size="10"></label><label>or from {_input(fields, "from", "date")}</label><label>to {_input(fields, "to", "date")}'
        f'</label><label class="tick"><input type="checkbox" name="paged" value="1"{ticked}>somebody was paged</label>'
        '<button class="main">Search</button>'
    )
    return (
        '<form method="get" action="/history" class="sheet" role="search" aria-label="Search the history">'
        f'<div class="fields">{first}</div><div class="fields">{second}</div>'
        '<p class="dim small">Days are UTC; a night is the one whose packets bear its date. '
        f"A period finds what was open in it and began at most {LASTED_MOST / 86400:.0f} days before.</p></form>"
    )


def _input(fields: Mapping[str, str], name: str, kind: str) -> str:
    value = html.escape(_iso(fields[name]) if kind == "date" else fields[name], quote=True)
    return f'<input type="{kind}" name="{name}" value="{value}" maxlength="{_LONGEST}">'


def _choice(name: str, known: Sequence[tuple[str, str]], fields: Mapping[str, str]) -> str:
    return f'<select name="{name}">{_options(known, fields[name])}</select>'


def _options(known: Sequence[tuple[str, str]], chosen: str) -> str:
    return "".join(
        f'<option value="{value}"{" selected" if value == chosen else ""}>{words}</option>' for value, words in known
    )


def _iso(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text


def _results(query: Query, found: Found, visitor: Visitor, now: float) -> str:
    if not found.incidents:
        return '<section><h2>Nothing was found</h2><p class="dim">Fewer words find more; each has to begin a word.</p></section>'
    rows = "".join(_row(incident, visitor, now) for incident in found.incidents)
    older = (
        f'<a href="{html.escape(query.address(before=str(found.incidents[-1].id)))}" rel="next">Older ones</a>'
        if found.more
        else ""
    )
    newest = f'<a href="{html.escape(query.address())}">The newest</a>' if query.wanted.before is not None else ""
    link = f'<a href="{html.escape(query.address())}">Link to this search</a>'
    return (
        f'<section aria-label="Results"><h2>{len(found.incidents)}{" and more" if found.more else ""} found, newest first</h2>'
        f'<ul class="rows sheet">{rows}</ul><p class="pages">{newest}{older}{link}</p></section>'
    )


def _row(incident: Incident, visitor: Visitor, now: float) -> str:
    if incident.resolved_at:
        state = f"for {duration(incident.resolved_at - incident.began_at)}"
    else:
        state = tag("acknowledged" if incident.acknowledged_at else "open", "wait" if incident.acknowledged_at else "bad")
    who = f" · acknowledged by {visitor.text(incident.acknowledged_by)}" if incident.acknowledged_at else ""
    summary = summary_of(incident)
    more = f'<div class="small">{visitor.text(summary)}</div>' if summary != name_of(incident) else ""
    return (
        f'<li>{severity_tag(incident.severity)} <a class="title" href="/incident/{incident.id}">{visitor.text(name_of(incident))}</a>'
        f'{more}<div class="dim small">{when(incident.began_at, now)} · {state}{who}</div></li>'
    )
