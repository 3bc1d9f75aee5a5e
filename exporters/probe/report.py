"""What a probe found, as values for programs and as a table for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from exporters.probe.clock import Clock
from exporters.probe.faults import ProbeError
from exporters.probe.figures import QUANTILES, STAGES
from exporters.probe.reading import Reading

_MEGA = 1e6
_STEPS = {
    "dns": "name",
    "tcp": "TCP",
    "tls": "TLS",
    "broker": "first answer",
    "mechanism": "log-in's kind",
    "login": "log-in (a connection of its own)",
    "metadata": "metadata",
}
_STAGE_WORDS = {
    "exposure": "exposure's end to record",
    "record": "record to here",
    "total": "exposure's end to here",
}


@dataclass(frozen=True)
class Contract:
    """What a community was promised and promised to take."""

    bytes_per_second: float = 1e6
    burst_factor: float = 5.0
    max_delay: float | None = None  # seconds that 95 % of the alerts may take from the exposure's end to here


@dataclass
class Report:
    """The result: `state` in one word, `words` in sentences, `values` for programs. `good` decides the exit code."""

    state: str
    good: bool
    words: list[str]
    values: dict[str, Any] = field(default_factory=dict)


def failed(error: ProbeError, values: dict[str, Any] | None = None) -> Report:
    """Return the report of a probe that could not read."""
    return Report(error.step, False, [str(error)], dict(values or {}))


def of(reading: Reading, address: str, seconds: dict[str, float], contract: Contract, clock: Clock | None) -> Report:
    """Return the report of a reading."""
    figures, problems = reading.figures, reading.problems()
    values = _values(reading, address, seconds, contract, clock)
    words = [str(problem) for problem in problems]
    state, good = "good", not problems
    if problems:
        state = problems[0].step if not figures.alerts else "partly_unreadable"
    elif figures.alerts and not figures.decoded:
        state, good = "undecodable", False
        words.append("Alerts come, and none can be decoded: these are no packets of this stream, or of a new kind.")
    elif not figures.alerts:
        state = "silent"
        words.append(_silent(reading))
    words += _remarks(reading, contract, clock)
    total = figures.delays("total")
    if contract.max_delay is not None and total and total["p95"] > contract.max_delay:
        # An objective that the reader misses is missed too: `words` say whose delay it is.
        state, good = ("late" if good else state), False
        words.insert(
            0, f"95 % of the alerts were here within {span(total['p95'])}, which is over {span(contract.max_delay)}."
        )
    return Report(state, good, words, values)


def _values(
    reading: Reading, address: str, seconds: dict[str, float], contract: Contract, clock: Clock | None
) -> dict[str, Any]:
    figures, backlog = reading.figures, reading.figures.backlog
    elapsed = max(reading.seconds, 1e-9)
    leaders = sorted({leader for leader in reading.leaders.values() if leader >= 0})
    return {
        "address": address,
        "began": datetime.fromtimestamp(figures.began, UTC).isoformat(timespec="seconds"),
        "seconds": round(reading.seconds, 3),
        "connect_seconds": {step: round(took, 4) for step, took in seconds.items()},
        "topics": list(reading.topics),
        "partitions": len(figures.partitions),
        "leaders": leaders,
        "alerts": figures.alerts,
        "alerts_live": figures.live,
        "alerts_per_second": round(figures.alerts / elapsed, 3),
        "bytes": figures.wire,
        "bytes_per_second": round(figures.wire / elapsed, 1),
        "peak_bytes_per_second": figures.peak.wire,
        "backlog": {
            "alerts": backlog.alerts,
            "bytes": backlog.wire,
            "seconds": round(backlog.seconds, 3),
            "bytes_per_second": round(backlog.wire / backlog.seconds, 1) if backlog.seconds else None,
        },
        "contract": {"bytes_per_second": contract.bytes_per_second, "burst_factor": contract.burst_factor},
        "delay_seconds": {
            stage: {name: round(value, 3) for name, value in figures.delays(stage).items()}
            | {"alerts": figures.measured(stage)}
            for stage in STAGES
        },
        "lag_alerts": figures.lag,
        "decoded": figures.decoded,
        "undecodable": dict(figures.undecodable),
        "programs": {str(program): count for program, count in sorted(figures.programs.items())},
        "schema_versions": sorted(figures.schemas),
        "duplicates": figures.duplicates,
        # Larger than 2^53: a number of JSON would be rounded by its reader.
        "duplicate_candids": [str(candid) for candid in figures.duplicate_candids],
        "newest_candid": None if figures.newest_candid is None else str(figures.newest_candid),
        "newest_timestamp": figures.newest_timestamp,
        "offset_gaps": figures.gaps,
        "missing_offsets": figures.missing_offsets,
        "deleted_offsets": figures.deleted,
        "failures": dict(figures.failures),
        "clock": None if clock is None else {"synchronised": clock.synchronised, "error_seconds": clock.error_seconds},
        "clock_ahead_seconds": round(figures.earliest_future, 3),
    }


def _silent(reading: Reading) -> str:
    names = " and ".join(reading.topics)
    held = sum(place.end for place in reading.figures.partitions.values())
    have = "They may" if len(reading.topics) > 1 else "It may"
    if held:
        return (
            f"Nothing came of {names} in {span(reading.seconds)}. {have} be read, and hold{'' if have[0] == 'T' else 's'} alerts: "
            "it is the stream that is silent (other programs observe, clouds, the day), not the way to here. "
            "--from earliest reads what is there."
        )
    return f"Nothing came of {names} in {span(reading.seconds)}. {have} be read, and no alert was ever put there."


def _remarks(reading: Reading, contract: Contract, clock: Clock | None) -> list[str]:
    """Return what has to be known before the figures are believed."""
    figures, words = reading.figures, []
    rate = figures.alerts / max(reading.seconds, 1e-9)
    if figures.lag > max(10.0, 2 * rate):
        words.append(
            f"At the end {figures.lag:,} alerts still waited for this probe: delays to here are also its own, or those of its way."
        )
    backlog = figures.backlog
    if backlog.seconds >= 1.0 and backlog.wire >= contract.bytes_per_second:
        carried = backlog.wire / backlog.seconds
        burst = contract.bytes_per_second * contract.burst_factor
        enough = "more than a burst" if carried >= burst else (
            "more than the contract, less than a burst" if carried >= contract.bytes_per_second else "less than the contract"
        )  # fmt: skip
        words.append(
            f"What lay there came with {carried / _MEGA:.2f} MB/s: {enough} "
            f"({contract.bytes_per_second / _MEGA:g} MB/s, {contract.burst_factor:g} times that for a while)."
        )
    if reading.group is not None and figures.alerts:
        words.append("Read by a group: bytes are those of the packets, unpacked, and not what came over the wire.")
    if figures.alerts and not figures.live:
        words.append("All of it lay there before: it says nothing of the delay to here. --from latest measures that.")
    if figures.missing_offsets:
        words.append(
            f"{figures.missing_offsets:,} offsets were left out in {figures.gaps:,} places: the log has gaps there."
        )
    if figures.deleted:
        words.append(f"{figures.deleted:,} alerts were deleted before they were read: read faster, or later ones.")
    if figures.duplicates:
        words.append(f"{figures.duplicates:,} alerts came again with a candid that was seen before.")
    if figures.earliest_future > 0.1:
        words.append(
            f"An alert came {figures.earliest_future:.1f} s before it was put on record: this clock is behind the stream's, and delays "
            "look shorter than they are."
        )
    if clock is not None and not clock.synchronised:
        words.append("Nothing keeps this machine's clock right (NTP): delays to here are as wrong as the clock is.")
    return words


def span(seconds: float) -> str:
    """Return a time as people read it: 0.42 s, 12.3 s, 13 min 20 s, 2 h 5 min."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def table(report: Report) -> str:
    """Return the report for people: figures first, then what they mean."""
    lines = _lines(report.values) if report.values.get("partitions") else []
    steps = report.values.get("connect_seconds")
    if steps:
        lines = [
            _row("connection", ", ".join(f"{_STEPS[step]} {took * 1000:.0f} ms" for step, took in steps.items())),
            *lines,
        ]
    if lines and report.words:
        lines.append("")
    return "\n".join([*lines, *report.words])


def _row(name: str, text: str) -> str:
    return f"{name:<26} {text}"


def _lines(values: dict[str, Any]) -> list[str]:
    contract = values["contract"]["bytes_per_second"]
    rate = values["bytes_per_second"]
    lines = [
        _row("read from", f"{values['address']}, {values['began']}, for {span(values['seconds'])}"),
        _row("topics", ", ".join(values["topics"]) or "none"),
        _row("partitions", f"{values['partitions']}, led by broker {', '.join(map(str, values['leaders'])) or '(none)'}"),
        _row(
            "alerts",
            f"{values['alerts']:,}, {values['alerts_per_second']:.1f} a second; {values['alerts_live']:,} came meanwhile",
        ),
        _row(
            "rate",
            f"{rate / _MEGA:.2f} MB/s (contract {contract / _MEGA:g}, burst {contract * values['contract']['burst_factor'] / _MEGA:g}), "
            f"best second {values['peak_bytes_per_second'] / _MEGA:.2f} MB/s, {values['bytes'] / _MEGA:.1f} MB in all",
        ),
    ]
    for stage, words in _STAGE_WORDS.items():
        found = values["delay_seconds"][stage]
        if found["alerts"]:
            text = ", ".join(f"{name} {span(found[name])}" for name, _ in QUANTILES)
            lines.append(_row(words, f"{text} ({found['alerts']:,} alerts)"))
        else:
            lines.append(_row(words, "not measured"))
    bad = values["undecodable"]
    lines += [
        _row("waiting at the end", f"{values['lag_alerts']:,} alerts"),
        _row(
            "decoded",
            f"{values['decoded']:,}" + "".join(f", {count:,} not: {reason}" for reason, count in sorted(bad.items())),
        ),
        _row("programs", ", ".join(f"{program}: {count:,}" for program, count in values["programs"].items()) or "none"),
        _row(
            "came twice, left out",
            f"{values['duplicates']:,} alerts, {values['missing_offsets']:,} offsets in {values['offset_gaps']:,} places",
        ),
    ]
    clock = values["clock"]
    if clock is not None:
        kept = f"kept right, to {clock['error_seconds']:.3f} s" if clock["synchronised"] else "not kept right by anything"
        lines.append(_row("this machine's clock", kept))
    return lines
