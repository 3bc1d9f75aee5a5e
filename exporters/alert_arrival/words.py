"""What there is to see of the stream tonight, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from exporters.alert_arrival.cluster import Cluster
from exporters.alert_arrival.counts import night_sums
from exporters.alert_arrival.families import Mirrored
from zads import night
from zads.config import Config
from zads.plain import count, span

_PLACES = {"upstream": "at IPAC", "public": "here"}


def words(
    config: Config,
    clusters: Sequence[Cluster],
    mirrored: Sequence[Mirrored] | None,
    waiting: Sequence[tuple[str, int, int]] | None,
    now: float,
) -> str:
    """Return for example "both clusters; tonight 20261124: 12,345 alerts at IPAC, 12,340 here, 5 behind the mirror; ...".

    Alerts are those of the programs that the public may see. `waiting` is what MirrorMaker itself says is waiting,
    where IPAC cannot be read.
    """
    tonight = night.night_name(datetime.fromtimestamp(now, UTC), config.site.longitude)
    parts = [_clusters(clusters)]
    if any(cluster.readable for cluster in clusters):
        parts.append(f"tonight {tonight}: {_alerts(config, clusters, tonight)}{_behind(config, mirrored, waiting)}")
        newest = [at for cluster in clusters if cluster.readable for at in cluster.newest.values()]
        parts += [f"last alert {span(now - max(newest))} ago"] if newest else []
    return "; ".join(parts)


def _clusters(clusters: Iterable[Cluster]) -> str:
    good, bad = list[str](), list[str]()
    for cluster in clusters:
        (good if cluster.readable else bad).append(f"the {cluster.name} cluster")
    if not bad:
        return "both clusters" if len(good) > 1 else good[0]
    blind = f"{' and '.join(bad)} cannot be read"
    return f"{' and '.join(good)}, but {blind}" if good else blind


def _alerts(config: Config, clusters: Iterable[Cluster], tonight: str) -> str:
    """Return the alerts of the night on each cluster that can be read; one that does not tell all its ends has no number."""
    parts = []
    for cluster in sorted((c for c in clusters if c.readable), key=lambda c: c.name == "public"):
        public = [t for t in cluster.topics.values() if t.night == tonight and t.program in config.stream.public_programs]
        sums = night_sums(public, cluster.ends)
        if not public:
            parts.append(f"no topic {_PLACES[cluster.name]} yet")
        elif len(sums) == len({topic.program for topic in public}):
            parts.append(f"{count(sum(sums.values()), 'alert', 'alerts')} {_PLACES[cluster.name]}")
        else:
            parts.append(f"an unknown number of alerts {_PLACES[cluster.name]}")
    return ", ".join(parts)


def _behind(config: Config, mirrored: Sequence[Mirrored] | None, waiting: Sequence[tuple[str, int, int]] | None) -> str:
    """Return how many alerts of all nights wait behind the mirror, and how many are gone for good."""
    if mirrored is not None:
        missing = sum(state.missing for _, _, state, _ in mirrored)
        lost = f", {count(missing, 'alert', 'alerts')} missing" if missing else ""
        return f", {sum(state.behind for _, _, state, _ in mirrored):,} behind the mirror{lost}"
    if waiting is not None:
        return f", {sum(alerts for _, _, alerts in waiting):,} behind the mirror by its own word"
    if "upstream" not in config.kafka and config.mirror.jmx is None:
        return ""
    return ", what waits behind the mirror cannot be seen"


def reasons(errors: Mapping[str, int]) -> str:
    """Return why something could not be read."""
    return f" ({', '.join(sorted(errors))})" if errors else ""
