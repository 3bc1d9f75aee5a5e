"""The part of the cap that goes to what is not lag of ordinary groups: at most a quarter, given away whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sized

from prometheus_client.metrics_core import Metric

from exporters.kafka_lag.inventory import PER_TOPIC
from exporters.kafka_lag.shares import ShareLag
from exporters.kafka_lag.status import STATUSES

_SHARE = 4  # the part of the cap
_PER_SHARE = 2


class Rest:
    """What fits: lags of share groups (those with the most topics go first), statuses of groups, facts of topics.

    `left` is what remains of the cap, `dropped` the number of series that do not fit.
    """

    def __init__(self, shares: list[ShareLag], topics: Sized, groups: int, most: int) -> None:
        room = most // _SHARE
        widths: dict[str, int] = {}
        for row in shares:
            widths[row.group] = widths.get(row.group, 0) + _PER_SHARE
        size, self.dropped, gone = sum(widths.values()), 0, set[str]()
        for group in sorted(widths, key=lambda name: (-widths[name], name)):
            if size <= room:
                break
            gone.add(group)
            size -= widths[group]
            self.dropped += widths[group]
        self.shares = [row for row in shares if row.group not in gone]
        self.statuses, size = self._fits(groups * len(STATUSES), size, room)
        self.facts, size = self._fits(len(topics) * PER_TOPIC, size, room)
        self.left = most - size

    def _fits(self, wanted: int, size: int, room: int) -> tuple[bool, int]:
        if size + wanted <= room:
            return True, size + wanted
        self.dropped += wanted
        return False, size


def fitting(families: Iterable[Metric], most: int) -> tuple[list[Metric], int]:
    """Return the families that fit into `most` series, those that come first before the others, and how many series do not."""
    kept, dropped = list[Metric](), 0
    for family in families:
        size = len(family.samples)
        if size <= most:
            kept.append(family)
            most -= size
        else:
            dropped += size
    return kept, dropped
