"""What was told in a night: alerts that fired, who took them, messages by channel."""

from __future__ import annotations

from collections.abc import Mapping

from zads.report.minutes import Figure, added, grown
from zads.report.model import Told
from zads.report.record import Record, Sight
from zads.slo import Firing

_BY = "alertname, headline, severity, service, host, community, part, channel, program"
_ALERTS = 'ALERTS{alertstate="firing", severity=~"page|ticket", alertname!="Watchdog"}'


def fired(record: Record) -> tuple[Told, ...]:
    """Return the pages and tickets that fired, pages first.

    Raises PrometheusError.
    """
    width = f"[{record.step:.0f}s]"
    rows = record.over(f"max by ({_BY}) (last_over_time({_ALERTS}{width}))")
    took: dict[str, list[tuple[float, float, str]]] = {}
    info = record.over(
        f'max by (headline, acknowledged_by, since) (last_over_time(zads_incident_info{{acknowledged_by!=""}}{width}))'
    )
    for row in info:
        if row.samples:
            one = (float(row.labels.get("since", "0") or 0), row.samples[-1][0], row.labels["acknowledged_by"])
            took.setdefault(row.labels.get("headline", ""), []).append(one)
    found = []
    for row in rows:
        if not row.samples:
            continue
        start, end = row.samples[0][0] - record.step, row.samples[-1][0]
        names = [by for since, until, by in took.get(row.labels.get("headline", ""), []) if since <= end and until >= start]
        words = Firing(row.labels, frozenset()).words
        minutes, still = round(len(row.samples) * record.step / 60), end >= record.times[-1]
        found.append(
            Told(row.labels.get("severity", ""), words, start, end, minutes, still, ", ".join(dict.fromkeys(names)))
        )
    return tuple(sorted(found, key=lambda one: (one.severity != "page", one.start, one.words)))


def messages(record: Record, sight: Sight) -> Mapping[str, Mapping[str, Figure]]:
    """Return how many messages each channel had, by outcome.

    Raises PrometheusError.
    """
    found: dict[str, dict[str, Figure]] = {}
    for row in record.each("zads_notifications_total"):
        figure = grown(row.samples, record.times, sight.notifier, record.step)
        channel, outcome = row.labels.get("channel", ""), row.labels.get("outcome", "")
        both = added([found.get(channel, {}).get(outcome), figure])
        if both is not None:
            found.setdefault(channel, {})[outcome] = both
    return found
