"""A night's report in sentences, tables and plots."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from zads.report import words as say
from zads.report.document import Document, Fact, Line, Plot, Section, Table
from zads.report.minutes import Span
from zads.report.model import Community, NightReport, Program

BLUE, INK, AMBER, VERMILION = "#1b7fb8", "#14181f", "#b87a00", "#d1480a"
_PALETTE = (BLUE, VERMILION, "#2f8f83", AMBER, "#7b4b9e", "#6b7380")
_STYLES = ("solid", "dashes", "dots", "long", "dashdots", "fine")
_STAGES = {
    "exposure": "to IPAC",
    "mirror": "IPAC to ZADS",
    "delivery": "to community",
    "total": "in all",
}
_ROWS = 25
_SHORT = 180.0  # seconds: a plot of less has seconds
_CLEAR = 0.85


def kind(report: NightReport) -> str:
    """Return what kind of night it was, going by the alerts."""
    dark = report.dark_seconds
    hours = f"{say.hours(dark)} dark hours{'' if report.over else ' so far'}"
    if not report.dark:
        return "It never got dark."
    if not dark:
        return f"Not yet dark: dusk is at {say.clock(report.dark[0].start)} UTC."
    if report.observed is None:
        return f"What kind of night it was is unknown: nobody saw whether alerts came in its {hours}."
    unseen = max(0.0, dark - report.seen)
    but = f" ({say.lasting(unseen)} of it nobody saw)" if unseen > 360 else ""
    share = report.observed / dark
    partly = unseen > 0.1 * dark
    if not report.observed:
        return f"A closed night: no alert came to IPAC in {hours}{but}."
    if share >= _CLEAR or (partly and report.observed >= _CLEAR * report.seen):
        begin = "As far as was seen a clear night" if partly else "A clear night"
    else:
        begin = "Mostly cloudy or closed" if share < 0.35 else "A night with clouds or pauses"
    return f"{begin}: alerts came during {say.hours(report.observed)} of {hours}{but}."


def _held(one: Program | None) -> str:
    if one is None or one.zads is None:
        return "How many public alerts reached ZADS is unknown."
    if not one.zads.value and not (one.upstream and one.upstream.value):
        return "No public alert."
    count = f"{one.zads.value:,.0f}{'' if one.zads.final else ' or more'} public alerts reached ZADS"
    lacking = max(one.missing or 0.0, 0.0)
    if one.complete is None:
        return f"{count}; whether any is missing is unknown."
    if one.complete >= 1 and not lacking:
        return f"{count}, and none is missing."
    if lacking:
        return f"{count}; {lacking:,.0f} that MirrorMaker read are MISSING."
    assert one.upstream is not None
    left = one.upstream.value - one.zads.value + (one.surplus or 0)
    return f"{count}; {left:,.0f} of IPAC's are not passed on."


def _bad(report: NightReport) -> str:
    night = report.minutes
    if night is None or not night.dark:
        return "" if night else "Bad minutes are unknown."
    unknown = f" Nobody saw {say.minutes(night.unknown)} of {night.dark:,}." if night.unknown else ""
    if night.without_data:
        return f"No alert, so no minute counts.{unknown}"
    if not night.bad:
        return (f"No dark minute was bad.{unknown}") if night.good else f"No dark minute was seen.{unknown}"
    causes = dict.fromkeys(one.cause for one in report.incidents)
    return f"{say.minutes(night.bad)} of darkness {'was' if night.bad == 1 else 'were'} bad: {'; '.join(causes)}.{unknown}"


def mood(report: NightReport) -> str:
    """Return well, warn, bad or unknown."""
    night, public = report.minutes, report.public
    late = any(one.late_minutes or one.lost for one in report.communities)
    if (night and night.bad) or (public and public.missing):
        return "bad"
    if report.observed is None or night is None or (night.dark and not night.good and not night.without_data):
        return "unknown"
    return "warn" if late or night.unknown or any(one.severity == "page" for one in report.told) else "well"


def _notes(report: NightReport) -> Iterable[str]:
    for gap in report.gaps:
        verb = {"IPAC's Kafka": "could not be read", "ZADS's Kafka": "could not be read"}.get(gap.who, "gave nothing")
        yield f"{gap.who} {verb} {say.stretches(gap.stretches)} UTC ({say.minutes(gap.minutes)}). Unknown then: {gap.what}."
    yield from report.remarks
    if report.sampled is not None and report.sampled < 0.99:
        yield f"At times only {100 * report.sampled:.0f} % of the packets were decoded: exposures and delays are of these."


def _count(count: object, final: bool, value: float | None) -> str:
    if count is None:
        return say.UNKNOWN
    return say.number(value) if final else f"≥ {say.number(value)}"


def _programs(report: NightReport) -> Section:
    rows, bad = [], set()
    for index, one in enumerate(report.programs):
        up, here = one.upstream, one.zads
        name = f"{one.number} {'public' if one.public else 'not public'}"
        first = _count(up, up.final if up else False, up.value if up else None)
        if not one.public:
            rows.append((name, first, "-" if not here else say.number(here.value), "-", "-", "-", "-"))
            if here and here.value:
                bad.add(index)
            continue
        second = _count(here, here.final if here else False, here.value if here else None)
        rest = (say.number(one.missing), say.number(one.surplus), say.number(one.waiting), say.share(one.complete))
        rows.append((name, first, second, *rest))
        if one.missing or (one.complete is not None and one.complete < 1 and report.over):
            bad.add(index)
    after = []
    if report.exposures:
        parts = [f"{say.figure(figure)} of program {program}" for program, figure in sorted(report.exposures.items())]
        after.append(f"Exposures seen: {', '.join(parts)}.")
    if report.per_exposure:
        low, middle, high = (say.number(value) for value in report.per_exposure)
        after.append(f"Alerts per exposure: {middle} (median; 80 % between {low} and {high}).")
    heads = ("program", "at IPAC", "at ZADS", "missing", "surplus", "waiting", "complete")
    rates = Plot(
        title="Public alerts per second",
        says=_rates_words(report),
        lines=(
            Line("arrived at IPAC", report.rates.get("upstream", ()), BLUE),
            Line("arrived at ZADS", report.rates.get("public", ()), INK, "dots"),
        ),
        shown=report.shown,
        apart=900.0,
        bad=_bad_spans(report),
        unseen=tuple(stretch for gap in report.gaps if gap.who in _BLINDS for stretch in gap.stretches),
    )
    table = Table(heads, tuple(rows), bad=frozenset(bad))
    return Section("Alerts", (), table if rows else None, tuple(after), (rates,))


_BLINDS = {"Prometheus", "alert-arrival", "IPAC's Kafka", "ZADS's Kafka"}


def _bad_spans(report: NightReport) -> tuple[Span, ...]:
    return tuple(Span(one.start.timestamp(), one.end.timestamp()) for one in report.incidents)


def _rates_words(report: NightReport) -> str:
    parts = []
    for name, where in (("upstream", "at IPAC"), ("public", "at ZADS")):
        samples = [
            (when, value) for when, value in report.rates.get(name, ()) if report.shown.start <= when <= report.shown.end
        ]
        if samples:
            when, most = max(samples, key=lambda sample: sample[1])
            parts.append(f"{where} at most {most:.3g} alerts per second, around {say.clock(when)} UTC")
    return say.upper("; ".join(parts)) + "." if parts else "Nothing was measured."


def _delays(report: NightReport) -> Section:
    rows, bad = [], set()
    for index, one in enumerate(report.delays):
        values = tuple(say.lasting(one.percentiles.get(percent)) for percent in (50, 95, 99))
        goal = "-" if one.goal is None else say.lasting(one.goal)
        rows.append((_STAGES.get(one.stage, one.stage), *values, goal, "-" if one.within is None else say.share(one.within)))
        if one.goal is not None and one.percentiles.get(95, 0) > one.goal:
            bad.add(index)
    if not rows:
        return Section("Delay", ("No delay was measured.",))
    samples = report.percentiles.get(95, ())
    worst = max(samples, key=lambda sample: sample[1], default=None)
    goal = say.lasting(report.delay_goal)
    says = (
        f"The 95th percentile over ten minutes was at most {say.lasting(worst[1])}, around {say.clock(worst[0])} UTC; the goal is {goal}."
        if worst
        else "Nothing was measured."
    )
    plot = Plot(
        title="Minutes from exposure to community",
        says=says,
        lines=(
            Line("median", report.percentiles.get(50, ()), BLUE),
            Line("95th percentile", samples, INK, "dots"),
        ),
        shown=report.shown,
        apart=900.0,
        scale=60.0,
        limit=(f"goal {goal}", report.delay_goal),
        bad=_bad_spans(report),
        unseen=tuple(stretch for gap in report.gaps if gap.who in _BLINDS for stretch in gap.stretches),
    )
    heads = ("stage", "half within", "95 % within", "99 % within", "goal", "in goal")
    after = ("From the exposure's end. The last stage and the whole are of the communities that commit what they read.",)
    return Section("Delay", (), Table(heads, tuple(rows), bad=frozenset(bad)), after, (plot,))


def _connections(one: Community) -> str:
    if one.connections is None:
        return say.UNKNOWN
    low, high = one.connections
    away = f", away {say.lasting(one.away_minutes * 60)}" if one.away_minutes else ""
    return (f"{low}" if low == high else f"{low}-{high}") + away


def _communities(report: NightReport) -> tuple[Section, Section]:
    taken, wire, bad = [], [], set()
    for index, one in enumerate(report.communities):
        if one.commits:
            lag = say.lasting(one.worst_lag) + (
                f" at {say.clock(one.worst_at)}" if one.worst_at and (one.worst_lag or 0) > 0 else ""
            )
            late = (
                say.UNKNOWN if one.late_minutes is None else say.lasting(one.late_minutes * 60) if one.late_minutes else "0"
            )
            taken.append((one.name, say.figure(one.delivered), say.shares(one.share), lag, late))
        else:
            taken.append((one.name, "commits nothing", "-", say.UNKNOWN, say.UNKNOWN))
        of_stream = say.UNKNOWN if one.of_stream is None else f"{100 * one.of_stream:.0f} %"
        wire.append(
            (one.name, say.size(one.wire), "-" if not one.commits else say.size(one.offsets), of_stream, _connections(one))
        )
        if one.late_minutes or one.lost:
            bad.add(index)
    after = []
    if any(not one.commits for one in report.communities):
        after.append(
            "Who commits nothing (Spark, manual assignment) has no lag that Kafka knows: bytes on the wire are the evidence."
        )
    batches = [f"{name} {batch}" for name, batch in report.batches.items() if batch > 1]
    if batches:
        after.append(f"Lag counts while more waits than is committed at once ({', '.join(batches)}).")
    after += [f"{one.name} lost {one.lost:,.0f} alerts to retention." for one in report.communities if one.lost]
    after += [
        f"{one.name} took {one.repeated:,.0f} alerts a second time."
        for one in report.communities
        if (one.repeated or 0) > 0.5
    ]
    table = Table(
        ("community", "alerts taken", "of the public", "worst lag", "too late for"), tuple(taken), bad=frozenset(bad)
    )
    return Section("Communities", (), table, tuple(after), _lags(report)), Section(
        "Egress",
        (),
        Table(("community", "on the wire", "by offsets", "of the stream", "connections"), tuple(wire)),
        ("Two measurements: bytes that the community's TCP acknowledged, and alerts committed times their mean size.",),
    )


def _lags(report: NightReport) -> tuple[Plot, ...]:
    known = {one.name: one for one in report.communities if one.commits and report.lags.get(one.name)}
    worst = sorted(known, key=lambda name: -(known[name].worst_lag or 0.0))
    drawn = [name for name in (one.name for one in report.communities) if name in worst[: len(_PALETTE)]]
    if not drawn:
        return ()
    lines = tuple(
        Line(name, report.lags[name], colour, style) for name, colour, style in zip(drawn, _PALETTE, _STYLES, strict=False)
    )
    says = "; ".join(f"{name} at most {say.lasting(known[name].worst_lag)}" for name in drawn)
    rest = f" {len(known) - len(drawn)} others stayed below." if len(known) > len(drawn) else ""
    blind = {"Prometheus", "kafka-lag"}
    unseen = tuple(stretch for gap in report.gaps if gap.who in blind for stretch in gap.stretches)
    short = max(known[name].worst_lag or 0.0 for name in drawn) < _SHORT
    title = f"{'Seconds' if short else 'Minutes'} that the oldest unread alert waited"
    scale = 1.0 if short else 60.0
    bad = _bad_spans(report)
    return (Plot(title, f"{says}.{rest}", lines, report.shown, 150.0, scale=scale, bad=bad, unseen=unseen),)


def _downtime(report: NightReport) -> Section:
    night = report.minutes
    if night is None:
        return Section("Bad minutes", ("Unknown: see the notes.",))
    parts = [
        f"Of {night.dark:,} dark minutes {night.good:,} were good, {night.bad:,} bad, {night.unknown:,} unknown (nobody saw)"
    ]
    if night.without_data:
        parts[0] += f", {night.without_data:,} without data (a night without any public alert)"
    rows = tuple(
        (f"{one.start:%H:%M} to {one.end:%H:%M}", f"{one.minutes}", "; ".join(one.alerts[:3]) or one.cause)
        for one in report.incidents
    )
    table = (
        Table(("UTC", "min", "what fired, the cause first"), rows, frozenset({2}), frozenset(range(len(rows))))
        if rows
        else None
    )
    return Section("Bad minutes", (parts[0] + ".",), table)


def _told(report: NightReport) -> Section:
    rows = tuple(
        (
            one.severity,
            f"{say.clock(one.start)} to {'now' if one.still and not report.over else say.clock(one.end) if not one.still else 'the end'}",
            f"{one.minutes}",
            one.words + (f", taken by {one.by}" if one.by else ""),
        )
        for one in report.told[:_ROWS]
    )
    sentences = [] if rows else ["No page and no ticket fired."]
    after = [f"And {len(report.told) - _ROWS} more; --json has all."] if len(report.told) > _ROWS else []
    after.append(_messages(report))
    table = Table(("kind", "UTC", "min", "what"), rows, frozenset({0, 1, 3})) if rows else None
    return Section("What was told", tuple(sentences), table, tuple(after))


def _messages(report: NightReport) -> str:
    if not report.messages:
        return "How many messages were sent is unknown: the notifier was not seen."
    figures = [figure for outcomes in report.messages.values() for figure in outcomes.values()]
    if not any(figure.low for figure in figures):
        seen = all(figure.exact for figure in figures)
        return (
            "No message was sent."
            if seen
            else "No message was sent while the notifier was seen, which was not all the time."
        )
    sent = []
    for channel, outcomes in sorted(report.messages.items()):
        parts = [f"{say.figure(figure)} {outcome}" for outcome, figure in outcomes.items() if figure.low]
        sent.append(f"{channel} {', '.join(parts) if parts else 'none'}")
    return f"Messages: {'; '.join(sent)}."


def _promise(report: NightReport) -> Section:
    promise, night = report.promise, report.minutes
    if promise is None or night is None:
        return Section("The promise", ("Unknown: see the notes.",))
    left = promise.left / 60
    allowed = f"{promise.budget / 60:.1f} h"
    first = (
        f"{promise.quarter}: {left:.1f} h of the {allowed} that may be bad were left after this night"
        if left >= 0
        else f"{promise.quarter}: SPENT, {-left:.1f} h more than the {allowed} that may be bad"
    )
    took = f"it took {say.minutes(night.bad)}" if night.bad else "it took nothing"
    share = f" ({100 * night.bad / promise.budget:.1f} % of the quarter's)" if night.bad and promise.budget else ""
    sentences = [f"{first}; {took}{share}."]
    if night.unknown:
        sentences.append(f"Had all that nobody saw been bad, it would have taken {say.minutes(night.unknown)} more.")
    return Section("The promise", tuple(sentences))


def _facts(report: NightReport) -> tuple[Fact, ...]:
    public, night, promise = report.public, report.minutes, report.promise
    total = next((one for one in report.delays if one.stage == "total"), None)
    alerts = public.zads if public else None
    dark = say.hours(report.dark_seconds)
    return (
        Fact(
            "public alerts", _count(alerts, alerts.final if alerts else False, alerts.value if alerts else None), "at ZADS"
        ),
        Fact("complete", say.share(public.complete if public else None), "of IPAC's public alerts"),
        Fact(
            "95 % within",
            say.lasting(total.percentiles.get(95)) if total else say.UNKNOWN,
            f"exposure to community; goal {say.lasting(report.delay_goal)}",
        ),
        Fact(
            "bad minutes",
            say.number(night.bad) if night and (night.good or night.bad or night.without_data) else say.UNKNOWN,
            f"of {dark} dark hours",
        ),
        Fact(
            "budget left",
            f"{max(0.0, promise.left) / 60:.1f} h" if promise else say.UNKNOWN,
            f"of {promise.budget / 60:.1f} h in {promise.quarter}" if promise else "",
        ),
    )


def document(report: NightReport) -> Document:
    """Return the report as it is read."""
    public = report.public
    spans = ", ".join(f"{say.clock(one.start)} to {say.clock(one.end)}" for one in report.dark)
    lede = [part for part in (_held(public), _bad(report)) if part]
    until = report.until.astimezone(UTC)
    foot = f"Dark {spans} UTC. " if spans else ""
    foot += (
        f"From the record up to {until:%Y-%m-%d %H:%M} UTC{'' if report.over else '; the night goes on'}. All times are UTC."
    )
    goes_on = "" if report.over else ", so far"
    return Document(
        title=f"{report.site}, night {report.night} ({say.day(report.night)}){goes_on}",
        headline=kind(report),
        mood=mood(report),
        lede=tuple(lede),
        notes=tuple(_notes(report)),
        sections=(
            _programs(report),
            _delays(report),
            *_communities(report),
            _downtime(report),
            _told(report),
            _promise(report),
        ),
        facts=_facts(report),
        foot=foot,
    )
