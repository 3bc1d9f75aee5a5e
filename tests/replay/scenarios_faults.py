"""Replays that must page or make a ticket, within a time, once for one cause: the drills' faults."""

from __future__ import annotations

from tests.replay.scenario import DAY, HOUR, MINUTE, Fault, Reader, Scenario

NIGHT = "2026-03-20T05:00"  # dark at Palomar since two hours
AT = 6 * MINUTE + 1  # a second after a scrape: seen 9 s later
# A page within 60 s, less what is not played: 5 s of collecting, 1 s of Alertmanager's wait for the group.
AT_ONCE = 54.0
EXPORTER = 150.0  # one that is restarted within two minutes is no ticket
FOREVER = 10 * HOUR


def _fault(
    name: str,
    *faults: Fault,
    pages: dict[str, float] | None = None,
    tickets: dict[str, float] | None = None,
    allowed: tuple[str, ...] = (),
    hours: float = 0.4,
    **more: object,
) -> Scenario:
    return Scenario(
        name,
        NIGHT,
        hours,
        faults=faults,
        trouble=AT,
        pages=pages or {},
        tickets=tickets or {},
        allowed=frozenset(allowed),
        **more,  # type: ignore[arg-type]
    )


FAULTS = [
    _fault("Kafka restarted by its supervisor", Fault("dead", AT, AT + 15, "public")),
    _fault("Kafka dead for good", Fault("dead", AT, FOREVER, "public"), pages={"ServiceDown": AT_ONCE}),
    _fault("Kafka dead for 10 min", Fault("dead", AT, AT + 10 * MINUTE, "public"), pages={"ServiceDown": AT_ONCE}),
    _fault("Kafka hanging", Fault("hangs", AT, AT + 10 * MINUTE, "public"), pages={"ServiceNotAnswering": AT_ONCE}),
    _fault("MirrorMaker dead", Fault("dead", AT, AT + 10 * MINUTE, "mirror"), pages={"ServiceDown": AT_ONCE}),
    _fault("MirrorMaker hanging", Fault("hangs", AT, FOREVER, "mirror"), pages={"ServiceNotAnswering": AT_ONCE}),
    _fault("MirrorMaker passes nothing on", Fault("stalled", AT, FOREVER), pages={"AlertsNotArriving": 6 * MINUTE}),
    _fault(
        "MirrorMaker's task failed",
        Fault("task failed", AT, AT + 10 * MINUTE),
        tickets={"MirrorTaskFailed": 60},
    ),
    _fault("upstream unreachable", Fault("dead", AT, AT + 10 * MINUTE, "upstream"), tickets={"ServiceDown": AT_ONCE}),
    _fault(
        "alerts 30 min late from IPAC",
        Fault("late", AT, FOREVER, by=30 * MINUTE),
        # A late exposure's alerts come half an hour later; late for a quarter of an hour is told.
        tickets={"AlertsArrivingSlowly": 55 * MINUTE},
        hours=2.0,
    ),
    _fault("garbage packets", Fault("garbage", AT, AT + 5 * MINUTE), tickets={"PacketsUndecodable": 60}),
    _fault(
        "community throttled",
        Fault("slow", AT, FOREVER, "lasair", by=2.0),
        tickets={"CommunityBelowContract": 30 * MINUTE},
        hours=1.0,
    ),
    _fault(
        "community stopped",
        Fault("away", AT, AT + 60 * MINUTE, "alerce"),
        tickets={"CommunityDisconnected": 6 * MINUTE},
        allowed=("CommunityLagging", "CommunityStalled"),
        hours=2.0,
    ),
    _fault(
        "community that commits nothing disconnected",
        Fault("away", AT, AT + 10 * MINUTE, "fink"),
        tickets={"CommunityDisconnected": 6 * MINUTE},
    ),
    _fault(
        "community never committing",
        Fault("never commits", AT, FOREVER, "ampel"),
        tickets={"CommunityStalled": 25 * MINUTE},
        hours=1.0,
    ),
    _fault(
        "two communities slow at once",
        Fault("slow", AT, FOREVER, "lasair", by=2.0),
        Fault("slow", AT, FOREVER, "ampel", by=2.0),
        pages={"CommunitiesBehind": 50 * MINUTE},
        allowed=("CommunityBelowContract",),
        hours=1.5,
    ),
    Scenario(
        "Kafka dead for 50 min by night, readers that take long to catch up",
        NIGHT,
        3.0,
        step=30,
        evaluate=60,
        readers={name: Reader(rate=120) for name in ("lasair", "alerce", "ampel")},
        faults=(Fault("dead", AT, AT + 50 * MINUTE, "public"),),
        trouble=AT,
        pages={"ServiceDown": 3 * MINUTE},
        tickets={"BudgetBurning": 20 * MINUTE},
    ),
    _fault("unknown consumer", Fault("unknown consumer", AT, AT + 10 * MINUTE), tickets={"UnknownConsumer": 2 * MINUTE}),
    _fault(
        "node_exporter dead, then Kafka",
        Fault("target down", AT - 4 * MINUTE, FOREVER, "node"),
        Fault("dead", AT, FOREVER, "public"),
        pages={"ServiceDown": AT_ONCE},
        allowed=("ExporterDown",),
    ),
    _fault("node_exporter dead", Fault("target down", AT, AT + 10 * MINUTE, "node"), tickets={"ExporterDown": EXPORTER}),
    _fault(
        "services exporter dead, then Kafka",
        Fault("target down", AT - 4 * MINUTE, FOREVER, "services"),
        Fault("dead", AT, FOREVER, "public"),
        pages={"ServiceDown": AT_ONCE},
        allowed=("ExporterDown",),
    ),
    *(
        _fault(f"exporter {job} dead", Fault("target down", AT, AT + 10 * MINUTE, job), tickets={"ExporterDown": EXPORTER})
        for job in ("kafka-lag", "broker-egress", "alert-arrival", "services")
    ),
    _fault(
        "every exporter dead, the host lives", Fault("blind", AT, AT + 10 * MINUTE), pages={"MonitoringBlind": 2 * MINUTE}
    ),
    _fault("the whole host gone", Fault("host gone", AT, FOREVER), pages={"HostDown": AT_ONCE}),
    _fault("a restricted packet", Fault("restricted", AT, FOREVER, "3"), pages={"RestrictedDataExposed": 60}, hours=1.5),
    _fault("alerts missing at ZADS", Fault("missing", AT, AT + 10 * MINUTE), tickets={"AlertsMissing": 3 * MINUTE}),
    _fault(
        "disk filling within 3 h",
        Fault("disk fills", AT, AT + 3 * HOUR),
        pages={"DiskWillFill": 60 * MINUTE},
        hours=1.75,
    ),
    _fault(
        "notifier dead",
        Fault("target down", AT, AT + 10 * MINUTE, "notifier"),
        pages={"NotifierDown": 60},
    ),
    _fault(
        "Slack down",
        Fault("channel down", AT, AT + 10 * MINUTE, "slack"),
        tickets={"ChannelUnhealthy": 2 * MINUTE},
        allowed=("NotifierQueueStuck",),
    ),
    Scenario(
        "a community a week behind loses alerts",
        NIGHT,
        1.0,
        step=60,
        evaluate=60,
        faults=(Fault("away", -7.2 * DAY, FOREVER, "lasair"),),
        pages={"CommunityWillLoseAlerts": 10 * MINUTE},
        allowed=frozenset({"CommunityLagging", "CommunityDisconnected", "CommunityLostAlerts", "CommunityStalled"}),
        lead=7.3 * DAY,
    ),
]
