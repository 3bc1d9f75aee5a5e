"""What to show: filters by name, per-partition series or not, a cap on the number of series.

Filters choose what is shown; the groups and topics of communities are always read, so that a filter cannot
make a community look caught up.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from zads.config import Config


class NameFilter:
    """Names that match one of the included patterns and none of the excluded, as a whole."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        # A group's name may hold a newline, and ".*" has to match it.
        self._include = [re.compile(pattern, re.DOTALL) for pattern in include]
        self._exclude = [re.compile(pattern, re.DOTALL) for pattern in exclude]
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            included = any(pattern.fullmatch(name) for pattern in self._include)
            known = included and not any(pattern.fullmatch(name) for pattern in self._exclude)
            self._known[name] = known
        return known

    def keep(self, names: Collection[str]) -> None:
        """Forget names that are gone: those of short-lived groups must not fill the memory."""
        if len(self._known) > 2 * len(names) + 1000:
            self._known = {name: self._known[name] for name in names if name in self._known}


@dataclass(frozen=True)
class Options:
    """The options of kafka-lag, from [exporters.kafka_lag]."""

    topics: NameFilter
    groups: NameFilter
    per_partition: bool
    seconds_per_partition: bool
    read_committed: bool
    max_series: int


def options(config: Config) -> Options:
    """Return the options."""
    table = config.exporters.kafka_lag
    return Options(
        topics=NameFilter(table.topics, table.topics_exclude),
        groups=NameFilter(table.groups, table.groups_exclude),
        per_partition=table.per_partition,
        seconds_per_partition=table.seconds_per_partition,
        read_committed=table.read_committed,
        max_series=config.exporters.max_series,
    )
