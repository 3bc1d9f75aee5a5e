"""A quarter's report in sentences, tables and plots."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby

from zads.report import words as say
from zads.report.document import Document, Fact, Line, Plot, Section, Table
from zads.report.minutes import Figure, Span
from zads.report.model import NightRow, QuarterReport

_BLUE, _INK = "#1b7fb8", "#14181f"
_DAY = 86400.0
_ROWS = 40
_WORDS = {"well": "KEPT", "warn": "MORE THAN HALF IS SPENT", "bad": "BROKEN", "unknown": "UNKNOWN"}
_MUCH = 0.1  # share of the dark minutes that, unseen, has to be said at once


def _when(night: str) -> float:
    return datetime.strptime(night, "%Y%m%d").replace(tzinfo=UTC).timestamp()


def _sum(values: list[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) if there else None


def _complete(report: QuarterReport) -> float | None:
    known = [one for one in report.nights if one.complete is not None and one.upstream]
    came = sum(one.upstream or 0.0 for one in known)
    return sum((one.complete or 0.0) * (one.upstream or 0.0) for one in known) / came if came else None


def _headline(report: QuarterReport) -> str:
    promise = report.promise
    allowed = f"{promise.budget / 60:.1f} h"
    if promise.left < 0:
        return f"The promise is BROKEN: {-promise.left / 60:.1f} h more than the {allowed} that may be bad."
    kept = "The promise was kept" if report.over else "The promise is kept so far"
    if promise.total("unknown") > _MUCH * promise.total("dark"):
        kept += ", as far as anybody saw"
    return f"{kept}: {promise.left / 60:.1f} of the {allowed} that may be bad are left."


def _lede(report: QuarterReport) -> tuple[str, ...]:
    observed = [one for one in report.nights if one.observed or one.zads]
    unknown = [one for one in report.nights if one.observed is None and one.zads is None]
    alerts = _sum([one.zads for one in report.nights])
    complete = _complete(report)
    first = f"{len(observed)} of {len(report.nights)} nights had alerts"
    first += f"; of {len(unknown)} nobody knows" if unknown else ""
    second = (
        "How many public alerts reached ZADS is unknown." if alerts is None else f"{alerts:,.0f} public alerts reached ZADS"
    )
    if alerts is not None:
        second += f", {say.share(complete)} of IPAC's." if complete is not None else "; how complete that is is unknown."
    bad, unseen = report.promise.total("bad"), report.promise.total("unknown")
    third = f"{say.minutes(bad)} of darkness {'was' if bad == 1 else 'were'} bad."
    return (f"{first}. {second}", third + (f" Nobody saw {say.minutes(unseen)}." if unseen else ""))


def _notes(report: QuarterReport) -> tuple[str, ...]:
    unseen = [one for one in report.nights if one.minutes.unknown]
    notes = []
    if unseen:
        worst = sorted(unseen, key=lambda one: -one.minutes.unknown)[:6]
        names = ", ".join(f"{one.night} {say.lasting(one.minutes.unknown * 60)}" for one in worst)
        more = f" and {len(unseen) - len(worst)} more nights" if len(unseen) > len(worst) else ""
        notes.append(f"Dark minutes that nobody saw: {names}{more}. They neither burn nor earn.")
    blank = [one.night for one in report.nights if _blank(one)]
    if blank:
        names = ", ".join(blank[:6]) + (f" and {len(blank) - 6} more" if len(blank) > 6 else "")
        notes.append(f"Nothing at all is on record of {len(blank)} night{'s' if len(blank) > 1 else ''}: {names}.")
    if report.promise.total("unknown"):
        left = (report.promise.left - report.promise.total("unknown")) / 60
        rest = f"{left:.1f} h would be left" if left >= 0 else f"the promise would be broken by {-left:.1f} h"
        notes.append(f"Had all that nobody saw been bad, {rest}.")
    return tuple(notes)


def _row(one: NightRow) -> tuple[str, ...]:
    observed = say.UNKNOWN if one.observed is None else say.hours(one.observed) if one.observed else "closed"
    if one.zads is None and one.observed == 0:
        alerts, complete = "0", "-"
    else:
        alerts, complete = say.number(one.zads), say.share(one.complete) if one.zads else "-"
    p95 = say.lasting(one.p95) if one.p95 is not None else "-" if not one.zads else say.UNKNOWN
    minutes = one.minutes
    bad = str(minutes.bad) if minutes.unknown < minutes.dark else say.UNKNOWN
    return (one.night, say.hours(one.dark), observed, alerts, complete, p95, bad, str(minutes.unknown))


def _blank(one: NightRow) -> bool:
    """Tell whether nothing at all is on record of a night."""
    return one.zads is None and one.observed is None and one.minutes.unknown >= one.minutes.dark > 0


def _nights(report: QuarterReport) -> Section:
    rows, bad = [], set()
    for blank, group in groupby(report.nights, _blank):
        several = list(group)
        if blank and len(several) > 2:
            dark, unseen = sum(one.dark for one in several), sum(one.minutes.unknown for one in several)
            name = f"{several[0].night} to {several[-1].night[4:]}"
            rows.append((name, say.hours(dark), *[say.UNKNOWN] * 5, f"{unseen:,}"))
            continue
        for one in several:
            if one.minutes.bad or (one.complete is not None and one.complete < 1) or (one.p95 or 0) > report.delay_goal:
                bad.add(len(rows))
            rows.append(_row(one))
    heads = ("night", "dark h", "alerts h", "public alerts", "complete", "95 % in", "bad min", "unseen min")
    return Section("Night by night", (), Table(heads, tuple(rows), bad=frozenset(bad)))


def _shown(report: QuarterReport) -> Span:
    names = [one.night for one in report.nights]
    return Span(_when(names[0]) - _DAY / 2, max(_when(names[-1]) + _DAY / 2, _when(names[0]) + 6 * _DAY))


def _plots(report: QuarterReport) -> Section:
    shown = _shown(report)
    alerts = [(_when(one.night), one.zads) for one in report.nights if one.zads]
    delays = [(_when(one.night), one.p95) for one in report.nights if one.p95 is not None]
    unseen = tuple(
        Span(_when(one.night) - _DAY / 2, _when(one.night) + _DAY / 2)
        for one in report.nights
        if one.zads is None and one.observed is None
    )
    most = max(alerts, key=lambda one: one[1], default=None)
    slow = max(delays, key=lambda one: one[1], default=None)
    goal = say.lasting(report.delay_goal)
    plots = (
        Plot(
            "Public alerts by night, in thousands",
            f"{len(alerts)} nights with alerts"
            + (f"; most in {datetime.fromtimestamp(most[0], UTC):%Y%m%d}, {most[1]:,.0f}." if most else "."),
            (Line("alerts at ZADS", alerts, _BLUE, "bars"),),
            shown,
            _DAY,
            scale=1000.0,
            unseen=unseen,
            dates=True,
        ),
        Plot(
            "Minutes from exposure to community, 95th percentile by night",
            f"At most {say.lasting(slow[1])}, in {datetime.fromtimestamp(slow[0], UTC):%Y%m%d}; the goal is {goal}."
            if slow
            else "Nothing was measured.",
            (Line("95th percentile", delays, _INK, "bars"),),
            shown,
            _DAY,
            scale=60.0,
            limit=(f"goal {goal}", report.delay_goal),
            unseen=unseen,
            dates=True,
        ),
    )
    return Section("Nights", plots=plots)


def _communities(report: QuarterReport) -> Section:
    rows, bad = [], set()
    for index, one in enumerate(report.communities):
        wire = say.size(None if one.wire is None else Figure.of(one.wire))
        if not one.commits:
            rows.append((one.name, "commits nothing", "-", say.UNKNOWN, say.UNKNOWN, wire, "-"))
            continue
        worst = say.lasting(one.worst_lag) + (f" ({one.worst_night})" if one.worst_night else "")
        late = (
            say.UNKNOWN if one.late_minutes is None else say.lasting(one.late_minutes * 60) if one.late_minutes >= 1 else "0"
        )
        offsets = say.size(None if one.offsets is None else Figure.of(one.offsets))
        rows.append((one.name, say.number(one.delivered), say.share(one.share), worst, late, wire, offsets))
        if one.late_minutes and one.late_minutes >= 1:
            bad.add(index)
    heads = ("community", "alerts", "share", "worst lag", "too late", "wire", "offsets")
    after = (
        "Shares are of the nights in which both counts were seen; bytes where an exporter was away are not in the sums.",
    )
    return Section("Communities", (), Table(heads, tuple(rows), bad=frozenset(bad)), after)


def _incidents(report: QuarterReport) -> tuple[Section, ...]:
    promise = report.promise
    if not promise.incidents:
        return (Section("Incidents", ("No dark minute was bad.",)),)
    longest = sorted(promise.incidents, key=lambda one: -one.minutes)[:_ROWS]
    rows = tuple(
        (one.night, f"{one.start:%H:%M} to {one.end:%H:%M}", str(one.minutes), "; ".join(one.alerts[:2]) or one.cause)
        for one in sorted(longest, key=lambda one: one.start)
    )
    rest = len(promise.incidents) - len(longest)
    after = (f"And {rest} shorter ones; --json has all.",) if rest else ()
    causes = tuple((cause, str(minutes)) for cause, minutes in promise.by_cause().items())
    table = Table(("night", "UTC", "min", "what fired, the cause first"), rows, frozenset({1, 3}))
    return Section("Incidents", (), table, after), Section("By cause", (), Table(("cause", "bad min"), causes))


def _promise(report: QuarterReport) -> Section:
    promise, left, steps = report.promise, report.promise.budget, []
    for one in promise.nights:
        left -= one.bad
        steps.append((_when(one.name), left))
    counts = ", ".join(f"{promise.total(kind):,} {word}" for kind, word in (
        ("good", "good"), ("bad", "bad"), ("unknown", "unknown"), ("without_data", "in nights without data")
    ))  # fmt: skip
    sentence = (
        f"{100 * promise.objective:.6g} % of the quarter's {promise.dark:,} dark minutes have to be good: "
        f"{promise.budget / 60:.1f} h may be bad. {'In all' if report.over else 'Until now'}: {counts}."
    )
    plot = Plot(
        "Hours of the budget that are left",
        f"{max(0.0, promise.left) / 60:.1f} of {promise.budget / 60:.1f} h are left.",
        (Line("left", [(when, max(0.0, value)) for when, value in steps], _INK),),
        _shown(report),
        1.5 * _DAY,
        scale=60.0,
        dates=True,
    )
    return Section("The promise", (sentence,), plots=(plot,))


def _messages(report: QuarterReport) -> Section:
    if not report.messages:
        return Section("Messages", ("How many were sent is unknown: the notifier was not seen.",))
    sent = []
    for channel, outcomes in sorted(report.messages.items()):
        parts = [f"{count:,.0f} {outcome}" for outcome, count in outcomes.items() if count]
        sent.append(f"{channel} {', '.join(parts) if parts else 'none'}")
    return Section("Messages", (f"About, while the notifier was seen: {'; '.join(sent)}.",))


def document(report: QuarterReport) -> Document:
    """Return the report as it is read."""
    promise = report.promise
    observed = sum(bool(one.observed or one.zads) for one in report.nights)
    alerts = _sum([one.zads for one in report.nights])
    mood = "bad" if promise.left < 0 else "warn" if promise.left < promise.budget / 2 else "well"
    if promise.total("unknown") > promise.total("dark") / 2:
        mood = "unknown"
    until = report.until.astimezone(UTC)
    return Document(
        title=f"{report.site}, {report.quarter}{'' if report.over else ', so far'}",
        headline=_headline(report),
        mood=mood,
        lede=_lede(report),
        notes=_notes(report),
        sections=(
            _promise(report),
            _plots(report),
            _communities(report),
            *_incidents(report),
            _messages(report),
            _nights(report),
        ),
        facts=(
            Fact("nights with alerts", f"{observed}", f"of {len(report.nights)}"),
            Fact("public alerts", say.number(alerts), "at ZADS"),
            Fact("complete", say.share(_complete(report)), "of IPAC's public alerts"),
            Fact("bad minutes", f"{promise.total('bad'):,}", f"of {promise.total('dark'):,} dark"),
            Fact("budget left", f"{max(0.0, promise.left) / 60:.1f} h", f"of {promise.budget / 60:.1f} h"),
        ),
        word=_WORDS[mood],
        foot=f"From the record up to {until:%Y-%m-%d %H:%M} UTC. All times are UTC.",
    )
