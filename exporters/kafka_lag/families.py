"""The exporter's narrow families: the cluster and the communities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.metrics_core import Metric

from exporters.kafka_lag.communities import Behind, Communities
from exporters.kafka_lag.memory import GroupsSeen
from zads.config import Config
from zads.kafka import Group, Membership, Metadata, Topic
from zads.metrics import counter, gauge


def lag_known(config: Config) -> Metric:
    """Return which communities commit offsets."""
    family = gauge("zads_community_lag_known")
    for community in config.communities:
        family.add_metric([community.name], float(community.commits))
    return family


def broker_families(metadata: Metadata) -> list[Metric]:
    """Return the brokers."""
    brokers, info = gauge("kafka_brokers"), gauge("kafka_broker_info")
    brokers.add_metric([], len(metadata.brokers))
    for broker, (host, port) in metadata.brokers.items():
        info.add_metric([str(broker), f"{host}:{port}"], 1)
    return [brokers, info]


def topic_partitions(topics: Iterable[Topic]) -> Metric:
    """Return the number of partitions of each topic."""
    partitions = gauge("kafka_topic_partitions")
    for topic in topics:
        partitions.add_metric([topic.name], len(topic.leaders))
    return partitions


def community_families(
    config: Config,
    communities: Communities,
    found: list[Behind],
    seen: GroupsSeen,
    groups: Mapping[str, Group],
    members: Mapping[str, Membership],
    now: float,
) -> list[Metric]:
    """Return how far each community is behind, what it took and lost, who of it reads."""
    alerts, seconds = gauge("zads_community_lag_alerts"), gauge("zads_community_lag_seconds")
    for behind in found:
        labels = [behind.community, str(behind.program), behind.night]
        alerts.add_metric(labels, behind.alerts)
        if behind.seconds is not None:
            seconds.add_metric(labels, behind.seconds)
    delivered = counter("zads_community_delivered_alerts_total")
    commits = {community.name for community in config.communities if community.commits}
    for (name, program, night), number in communities.delivered.items():
        if name not in commits:
            continue  # of a community that was watched once
        delivered.add_metric([name, str(program), night], number)
    total, lost = counter("zads_community_committed_alerts_total"), counter("zads_community_lost_alerts_total")
    idle, count = gauge("zads_community_idle_seconds"), gauge("zads_community_members")
    idle_seconds = communities.idle_seconds(now)
    for community in config.communities:
        if not community.commits:
            continue
        for program in config.stream.public_programs:
            labels = [community.name, str(program)]
            total.add_metric(labels, communities.committed[community.name, program])
            lost.add_metric(labels, communities.lost[community.name, program])
        if community.name in idle_seconds:
            idle.add_metric([community.name], idle_seconds[community.name])
        mine = [g for g in communities.groups_of(community.name, groups) if groups[g].type in {"classic", "consumer"}]
        if seen.complete and all(group in members for group in mine):
            count.add_metric([community.name], sum(members[group].members for group in mine))
    return [alerts, seconds, delivered, total, lost, idle, count]
