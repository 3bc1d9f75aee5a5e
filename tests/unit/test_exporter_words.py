"""What the page at / says of arrival and egress."""

from __future__ import annotations

import pytest

from exporters.alert_arrival import words as arrival
from exporters.alert_arrival.cluster import Cluster
from exporters.alert_arrival.counts import AlertTopic
from exporters.alert_arrival.families import Mirrored
from exporters.alert_arrival.mirror_books import MirrorState
from exporters.broker_egress import words as egress
from exporters.broker_egress.ledger import Connection, Ledger, Owners
from zads.config import Config, parse
from zads.kafka import ClusterReader

NOW = 1795500000.0  # 2026-11-24 06:00 UTC: night 20261124 at Palomar
KAFKA = '[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n'
BOTH = parse(KAFKA + '[kafka.upstream]\nbootstrap = ["127.0.0.1:9192"]\n')


def cluster(name: str, ends: dict[str, int], *, readable: bool = True, last: float | None = NOW - 12) -> Cluster:
    """Return a cluster as a collection leaves it: a partition per topic, by "night/program"."""
    made = Cluster(name, ClusterReader(BOTH.kafka["public"], client_id="test"), ("127.0.0.1:9092",))
    made.readable = readable
    for key, end in ends.items():
        night, program = key.split("/")
        topic = AlertTopic(f"ztf_{night}_programid{program}", key, night, int(program), (0,))
        made.topics[topic.name] = topic
        if end >= 0:
            made.ends[topic.name, 0] = end
    made.newest = {1: last} if last is not None else {}
    return made


def said(
    *clusters: Cluster,
    mirrored: list[Mirrored] | None = None,
    waiting: list[tuple[str, int, int]] | None = None,
    config: Config = BOTH,
) -> str:
    return arrival.words(config, clusters, mirrored, waiting, NOW)


def test_a_night_in_words() -> None:
    """Both clusters, tonight's public alerts on each, what waits, and how old the newest is."""
    upstream = cluster("upstream", {"20261124/1": 12_345, "20261124/2": 99, "20261123/1": 7})
    public = cluster("public", {"20261124/1": 12_340, "20261123/1": 7})
    rows: list[Mirrored] = [("20261124", 1, MirrorState(5, 0, 0, ()), 3.0), ("20261123", 1, MirrorState(0, 0, 2, ()), 0.0)]
    assert said(upstream, public, mirrored=rows) == (
        "both clusters; tonight 20261124: 12,345 alerts at IPAC, 12,340 alerts here, 5 behind the mirror, "
        "2 alerts missing; last alert 12 s ago"
    )


def test_what_cannot_be_seen_is_said_and_has_no_number() -> None:
    """IPAC away: MirrorMaker's own word or none; a partition without an end; no topic yet; nothing at all."""
    away, public = cluster("upstream", {}, readable=False), cluster("public", {"20261124/1": 1})
    assert said(away, public, waiting=[("20261124", 1, 1_700)]) == (
        "the public cluster, but the upstream cluster cannot be read; "
        "tonight 20261124: 1 alert here, 1,700 behind the mirror by its own word; last alert 12 s ago"
    )
    assert "1 alert here, what waits behind the mirror cannot be seen" in said(away, public)
    assert "an unknown number of alerts here" in said(away, cluster("public", {"20261124/1": -1}))
    alone = said(cluster("public", {}, last=None), config=parse(KAFKA))
    assert alone == "the public cluster; tonight 20261124: no topic here yet"
    both = said(away, cluster("public", {}, readable=False))
    assert both == "the upstream cluster and the public cluster cannot be read"


def test_reasons_stand_in_brackets() -> None:
    """In order, each once."""
    assert arrival.reasons({}) == ""
    assert arrival.reasons({"TimeoutError": 3, "ClusterDoesNotAnswer": 1}) == " (ClusterDoesNotAnswer, TimeoutError)"


COMMUNITIES = parse(
    KAFKA
    + '[internal]\nnetworks = ["127.0.0.1/32"]\n'
    + "".join(
        f'[[community]]\nname = "{name}"\ngroups = ["{name}"]\nnetworks = ["192.0.2.{n}/32"]\n'
        for n, name in enumerate(("lasair", "alerce", "fink"))
    )
)


def ledger(*rows: tuple[str, int]) -> Ledger:
    made = Ledger(Owners(COMMUNITIES))
    made.look([])
    made.look([Connection(f"{n}/{peer}", peer, acked, 0, 0.1, 0) for n, (peer, acked) in enumerate(rows)])
    return made


def test_egress_in_words() -> None:
    """Connections, whose, the last minute's rate, and strangers by their addresses; our own are not counted."""
    sent = egress.Rate()
    first = ledger(("192.0.2.0", 1000), ("192.0.2.0", 0), ("192.0.2.1", 0), ("127.0.0.1", 9))
    assert egress.wire(COMMUNITIES, first, sent, 100.0) == "3 connections of 2 communities (none of fink)"
    later = ledger(("192.0.2.2", 12_001_000), ("198.51.100.7", 5), ("198.51.100.7", 5), ("2001:db8::1", 0))
    assert egress.wire(COMMUNITIES, later, sent, 110.0) == (
        "1 connection of 1 community (none of lasair, alerce), 1.2 MB/s in the last 10 s, "
        "2 addresses of nobody (198.51.100.7, 2001:db8::1)"
    )
    assert egress.wire(COMMUNITIES, ledger(), sent, 120.0).startswith("0 connections of 0 communities, ")


def test_the_rate_is_of_the_last_minute() -> None:
    """An hour's quiet does not thin out what goes on now, nor a burst of then what is quiet now."""
    sent = egress.Rate()
    assert sent.words(0, 0.0) == ""
    for second in range(5, 3601, 5):
        text = sent.words(0, float(second))
    assert text == ", 0 kB/s in the last 60 s"
    for step in range(1, 13):
        text = sent.words(step * 5_000_000, 3600.0 + 5 * step)
    assert text == ", 1.0 MB/s in the last 60 s"
    assert sent.words(0, 3665.0).startswith(", 0 kB/s"), "totals never go down; a file begun anew is no negative rate"


@pytest.mark.parametrize(
    ("readable", "offsets", "words"),
    [
        (True, True, "W; committed offsets too"),
        (True, False, "W; committed offsets cannot be read"),
        (False, True, "committed offsets alone: the connections cannot be read here, the log says why"),
        (False, False, "neither the connections nor committed offsets can be read"),
    ],
)
def test_which_of_the_two_measurements_there_is(readable: bool, offsets: bool, words: str) -> None:
    """One that is missing is said, since the other stands in for it."""
    assert egress.seen("W", readable=readable, offsets=offsets) == words
