"""The exporter's wide families as text: what did not change is rendered once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter

from exporters.kafka_lag.books import AlertTopic
from exporters.kafka_lag.lag import Edges
from exporters.kafka_lag.table import Row, TopicRows
from zads.kafka import Group, Membership, Topic
from zads.snapshot import Part, WideFamily, escape

STATES = ("Stable", "Empty", "Dead", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling")
# Of a row on which no partition's end was ever read nothing is said but what it committed.
_KNOWN = frozenset({"kafka_consumergroup_lag_sum", "zads_consumergroup_retention_used_ratio"})
_UNCOMMITTED = "zads_consumergroup_uncommitted_partitions"
_SUMS: dict[str, Callable[[Row], float]] = {
    "kafka_consumergroup_lag_sum": attrgetter("lag"),
    "kafka_consumergroup_current_offset_sum": attrgetter("committed"),
    _UNCOMMITTED: attrgetter("missing"),
    "zads_consumergroup_unknown_partitions": attrgetter("unknown"),
    "zads_consumergroup_lost_messages": attrgetter("lost"),
    "zads_consumergroup_offset_beyond_end": attrgetter("beyond"),
    "zads_consumergroup_retention_used_ratio": lambda row: round(row.used, 6),
    "zads_consumergroup_rewinds_total": attrgetter("rewinds"),
}
_TOPIC = (
    "kafka_topic_partition_current_offset",
    "kafka_topic_partition_oldest_offset",
    "kafka_topic_partition_leader",
    "kafka_topic_partition_replicas",
    "kafka_topic_partition_in_sync_replica",
    "kafka_topic_partition_leader_is_preferred",
    "kafka_topic_partition_under_replicated_partition",
    "zads_log_offset",
)


class _TopicText:
    """What was rendered of one topic, and from what."""

    __slots__ = ("edges", "parts", "topic")

    def __init__(self, topic: Topic, edges: Edges, parts: list[Part]) -> None:
        self.topic, self.edges, self.parts = topic, edges, parts


class LagText:
    """Keep the parts of the page that can be used again."""

    def __init__(self) -> None:
        names = (
            *_SUMS,
            *_TOPIC,
            "kafka_consumergroup_lag",
            "kafka_consumergroup_current_offset",
            "zads_consumergroup_lag_seconds",
            "zads_consumergroup_idle_seconds",
            "zads_consumergroup_partition_lag_seconds",
            "zads_consumergroup_assigned_partitions",
            "zads_consumergroup_state",
            "zads_consumergroup_info",
            "kafka_consumergroup_members",
            "zads_consumergroup_idle_members",
            "zads_consumergroup_sum_lag",
            "zads_consumergroup_max_lag",
            "zads_consumergroup_max_lag_seconds",
        )
        self._families = {name: WideFamily(name) for name in names}
        self._topics: dict[str, _TopicText] = {}

    def rows(
        self,
        tables: Mapping[str, TopicRows],
        changed: Iterable[TopicRows],
        never: Mapping[tuple[str, str], int],
        now: float,
    ) -> list[Part]:
        """Return what stands per group and topic, and per partition of them.

        `never` counts the partitions by group and topic where a group is to read and has committed nothing.
        """
        again = {id(table) for table in changed}
        for name, table in tables.items():
            if id(table) in again:
                ends = [(f'{{{_pair(group, name)}}} ', row) for group, row in table.rows.items()]
                known = ends if all(row.measured for _, row in ends) else [(end, row) for end, row in ends if row.measured]
                table.sums = [
                    Part("".join([f"{family}{end}{value(row)}\n" for end, row in (known if family in _KNOWN else ends)]).encode())
                    for family, value in _SUMS.items()
                ]
        parts: list[Part] = []
        for index, family in enumerate(_SUMS):
            more = [Part(self._families[family].lines(never.items()))] if family == _UNCOMMITTED else []
            self._add(parts, family, [*(table.sums[index] for table in tables.values()), *more])
        seconds, idle, each = list[str](), list[str](), list[str]()
        for name, table in tables.items():
            for group, row in table.rows.items():
                pair, age = _pair(group, name), row.seconds(now)
                idle.append(f"zads_consumergroup_idle_seconds{{{pair}}} {now - row.moved_at:.3f}\n")
                if age is not None and row.measured:
                    # Caught up is exactly 0, which no age of something unread is.
                    text = f"{max(age, 0.001):.3f}" if row.lag else "0"
                    seconds.append(f"zads_consumergroup_lag_seconds{{{pair}}} {text}\n")
                if row.behind:
                    each += [
                        f'zads_consumergroup_partition_lag_seconds{{{pair},partition="{partition}"}} {now - since:.3f}\n'
                        for partition, since in row.behind
                    ]
        self._add(parts, "zads_consumergroup_lag_seconds", [Part("".join(seconds).encode())])
        self._add(parts, "zads_consumergroup_idle_seconds", [Part("".join(idle).encode())])
        self._add(parts, "zads_consumergroup_partition_lag_seconds", [Part("".join(each).encode())])
        self._add(parts, "kafka_consumergroup_lag", [table.lag for table in tables.values() if table.lag])
        self._add(parts, "kafka_consumergroup_current_offset", [t.offset for t in tables.values() if t.offset])
        return parts

    def groups(
        self,
        groups: Mapping[str, Group],
        members: Mapping[str, Membership],
        assigned: Mapping[str, Mapping[str, int]],
        tables: Mapping[str, TopicRows],
        now: float,
    ) -> list[Part]:
        """Return what stands per group."""
        total: dict[str, int] = {}
        biggest: dict[str, int] = {}
        oldest: dict[str, float | None] = {}
        for table in tables.values():
            for name, row in table.rows.items():
                if not row.measured:
                    continue
                total[name] = total.get(name, 0) + row.lag
                biggest[name] = max(biggest.get(name, 0), row.biggest)
                age, before = row.seconds(now), oldest.get(name, 0.0)
                oldest[name] = None if age is None or before is None else max(before, age)
        lines = self._families
        states = (
            ((group.name, state), int(group.state == state))
            for group in groups.values()
            for state in dict.fromkeys((*STATES, group.state))
        )
        described = {name: members[name] for name in groups if name in members}
        parts: list[Part] = []
        for family, samples in (
            ("zads_consumergroup_state", states),
            ("zads_consumergroup_info", (((group.name, group.type), 1) for group in groups.values())),
            ("kafka_consumergroup_members", (((name,), who.members) for name, who in described.items())),
            (
                "zads_consumergroup_idle_members",
                (((name,), who.idle) for name, who in described.items() if who.assigned is not None),
            ),
            (
                "zads_consumergroup_assigned_partitions",
                (((name, topic), n) for name in described for topic, n in assigned.get(name, {}).items()),
            ),
            ("zads_consumergroup_sum_lag", (((name,), lag) for name, lag in total.items())),
            ("zads_consumergroup_max_lag", (((name,), lag) for name, lag in biggest.items())),
            (
                "zads_consumergroup_max_lag_seconds",
                (((name,), round(age, 3)) for name, age in oldest.items() if age is not None),
            ),
        ):
            self._add(parts, family, [Part(lines[family].lines(samples))])
        return parts

    def topics(
        self, topics: Mapping[str, Topic], edges: Mapping[str, Edges], alerts: Mapping[str, AlertTopic]
    ) -> list[Part]:
        """Return what stands per partition of a topic."""
        before, self._topics = self._topics, {}
        for name, topic in topics.items():
            here, known = edges.get(name, Edges()), before.get(name)
            if known is None or known.topic != topic or known.edges is not here:
                known = _TopicText(topic, here, self._topic(topic, here, alerts.get(name)))
            self._topics[name] = known
        parts: list[Part] = []
        for index, family in enumerate(_TOPIC):
            self._add(parts, family, [text.parts[index] for text in self._topics.values()])
        return parts

    def _topic(self, topic: Topic, edges: Edges, alert: AlertTopic | None) -> list[Part]:
        columns: list[Mapping[int, int]] = [
            {n: end for n, end in edges.end.items() if n not in edges.stale},
            {n: start for n, start in edges.start.items() if n in edges.end and n not in edges.stale},
            topic.leaders,
            {n: len(replicas) for n, replicas in topic.replicas.items()},
            topic.in_sync,
            {n: int(replicas[:1] == (topic.leaders.get(n),)) for n, replicas in topic.replicas.items()},
            {n: int(topic.in_sync.get(n, 0) < len(replicas)) for n, replicas in topic.replicas.items()},
        ]
        parts = []
        for family, column in zip(_TOPIC, columns, strict=False):
            before = self._families[family].prefix(topic.name)
            parts.append(Part("".join(f'{before}{n}"}} {value}\n' for n, value in column.items()).encode()))
        log: list[tuple[tuple[object, ...], float]] = []
        if alert is not None:
            for n in alert.partitions:
                for edge, offsets in (("start", edges.start), ("end", edges.end)):
                    if n in offsets and n not in edges.stale:
                        log.append((("public", edge, topic.name, n, alert.night, alert.program), offsets[n]))
        return [*parts, Part(self._families["zads_log_offset"].lines(log))]

    def _add(self, page: list[Part], family: str, parts: Iterable[Part]) -> None:
        filled = [part for part in parts if part.size]
        if filled:
            page += [Part(self._families[family].head), *filled]


def _pair(group: str, topic: str) -> str:
    return f'consumergroup="{escape(group)}",topic="{escape(topic)}"'
