"""The drills, in phases: the lanes of a phase run beside each other, the drills of a lane one after the other.

Beside each other run only faults that do not touch each other; what disturbs everything (Kafka, Prometheus) runs alone.
"""

from __future__ import annotations

from tests.drills.model import AROUND, OUTSIDE, PAGE, Drill, Stage, Told

MINUTE = 60.0
AT_ONCE = 60.0  # a page for something that is gone or hangs, with a scrape every 10 s
_OLD = '(time() - zads_service_start_time_seconds{{service="{0}"}}) > 65'
_SLOW_END = "lasts until what waited is read"


def _down(service: str, severity: str = "page", alert: str = "ServiceDown") -> Told:
    return Told(alert, severity, AT_ONCE, match={"service": service})


def _exporter(job: str, *, lane_name: str = "") -> Drill:
    return Drill(
        lane_name or f"exporter {job} dead",
        (Stage((f"kill {job}",), (Told("ExporterDown", "ticket", 3 * MINUTE, match={"job": job}),)),),
        (job,),
    )


DISK = Drill(
    "disk filling",
    (Stage(("fill",), (Told("DiskWillFill", "page", 45 * MINUTE, match={"severity": "page"}, builds=True),)),),
    ("fill",),
    resolve=0,
    lingers="the prediction looks back an hour",
    about="a small ext4 file system on a loop device where root runs it, else simulated at node_exporter's metric; "
    "the rule wants half an hour of data first",
)
UNKNOWN = Drill(
    "unknown consumer",
    (Stage(("stranger",), (Told("UnknownConsumer", "ticket", 2.5 * MINUTE),)),),
    ("stranger",),
    about="a real consumer from 127.0.9.9",
)
GARBAGE = Drill(
    "garbage packets",
    (Stage(("garbage",), (Told("PacketsUndecodable", "ticket", 2 * MINUTE, builds=True),)),),
    ("garbage",),
    resolve=6.5 * MINUTE,
    about="one packet in five is noise, half a packet, nothing, or text; the rule counts over 5 min",
)
LATE = Drill(
    "alerts late",
    (
        Stage(
            ("late 1200",),
            (Told("AlertsArrivingSlowly", "ticket", 8 * MINUTE, match={"stage": "exposure"}, builds=True),),
        ),
    ),
    ("late",),
    resolve=6 * MINUTE,
    about="packets come 20 min later after their exposure",
)
DISCONNECTED = Drill(
    "community disconnected",
    (Stage(("stop fink",), (Told("CommunityDisconnected", "ticket", 6.5 * MINUTE, match={"community": "fink"}),)),),
    ("fink",),
    resolve=5 * MINUTE,
    match={"community": "fink"},
    about="Fink, which commits nothing: its connections are the only evidence",
)
STOPPED = Drill(
    "community stopped",
    (
        Stage(
            ("stop ampel",),
            (Told("CommunityLagging", "ticket", 5 * MINUTE, match={"community": "ampel"}, builds=True),),
        ),
    ),
    ("ampel",),
    resolve=3 * MINUTE,
    match={"community": "ampel"},
    silenced=True,
    checks=("CommunityLagging", "CommunityDisconnected"),
    about="AMPEL ends; healed before the 5 min after which it is called away",
)
THROTTLED = Drill(
    "community throttled",
    (
        Stage(
            ("slow lasair 0.2",),
            (Told("CommunityLagging", "ticket", 5 * MINUTE, match={"community": "lasair"}, builds=True),),
        ),
    ),
    ("lasair",),
    resolve=4 * MINUTE,
    match={"community": "lasair"},
    silenced=True,
    about="Lasair takes a fifth of what arrives",
)
NEVER = Drill(
    "community never committing",
    (
        Stage(
            ("never-commit alerce",),
            (Told("CommunityLagging", "ticket", 5 * MINUTE, match={"community": "alerce"}, builds=True),),
        ),
    ),
    ("alerce",),
    resolve=2 * MINUTE,
    match={"community": "alerce"},
    silenced=True,
    checks=("CommunityLagging", "CommunityStalled"),
    about="ALeRCE reads all and commits nothing; where the limits are those of a real site CommunityStalled comes first",
)
TWO_SLOW = Drill(
    "two communities slow at once",
    (Stage(("slow lasair 0.1", "slow ampel 0.1"), (Told("CommunitiesBehind", "page", 6 * MINUTE, builds=True),)),),
    ("lasair", "ampel"),
    resolve=4 * MINUTE,
    may={"CommunityLagging": "the first of the two is late before the second"},
    silenced=True,
)
KAFKA_RESTARTED = Drill(
    "Kafka killed and restarted",
    (Stage(("restart kafka",), watch=75.0, notes=("ServiceRestarted",)),),
    (),
    checks=("ServiceRestarted",),
    about="the supervisor starts it again after a second: a note, no message",
)
KAFKA_DEAD = Drill("Kafka dead for good", (Stage(("kill kafka",), (_down("kafka-public"),), watch=15.0),), ("kafka",))
KAFKA_HANGS = Drill(
    "Kafka hanging",
    (Stage(("pause kafka",), (_down("kafka-public", alert="ServiceNotAnswering"),), watch=15.0),),
    ("kafka",),
    needs=_OLD.format("kafka-public"),
    sees="Kafka is older than its recovery may take",
    about="SIGSTOP",
)
MIRROR_DEAD = Drill("MirrorMaker dead", (Stage(("kill mirror",), (_down("mirrormaker"),), watch=15.0),), ("mirror",))
TASK_FAILED = Drill(
    "MirrorMaker's task failed",
    (
        Stage(
            ("fail-task",),
            (Told("MirrorTaskFailed", "ticket", 2 * MINUTE), Told("AlertsNotArriving", "page", 4 * MINUTE, builds=True)),
        ),
    ),
    ("fail-task",),
    resolve=5 * MINUTE,
    silenced=True,
    about="the public topic takes no message of an alert's size (max.message.bytes), so that every task ends as FAILED and "
    "its process lives: the ticket says why, the page that nothing arrives",
)
UPSTREAM = Drill(
    "upstream unreachable",
    (Stage(("kill upstream",), (_down("kafka-upstream", "ticket"),), watch=15.0),),
    ("upstream",),
)
NODE_THEN_KAFKA = Drill(
    "node_exporter dead, then Kafka",
    (
        Stage(("kill node-exporter",), (Told("ExporterDown", "ticket", 3 * MINUTE, match={"job": "node"}),)),
        Stage(("kill kafka",), (_down("kafka-public"),)),
    ),
    ("kafka", "node-exporter"),
    checks=("ExporterDown",),
)
EXPORTERS_DEAD = Drill(
    "every exporter dead, the host lives",
    (
        Stage(
            ("kill kafka-lag broker-egress alert-arrival services",),
            (Told("MonitoringBlind", "page", 2 * MINUTE),),
        ),
    ),
    ("kafka-lag", "broker-egress", "alert-arrival", "services"),
)
HOST_GONE = Drill(
    "the whole host gone",
    (Stage(("host-gone",), (Told("HostDown", "page", AT_ONCE),), watch=30.0),),
    ("host-gone",),
    resolve=2 * MINUTE,
    about="all that runs on Kafka's host is killed; for it the monitor is labelled as a machine of its own, as at a real site",
)
PROMETHEUS_DEAD = Drill(
    "Prometheus dead",
    (Stage(("kill prometheus",), (Told("MonitoringBlind", "page", 4 * MINUTE, match={"source": "notifier"}),)),),
    ("prometheus",),
    may={OUTSIDE: "the notifier feeds it only while the Watchdog is heard"},
    checks=("MonitoringBlind",),
    about="the notifier misses the Watchdog and pages by itself",
)
ALERTMANAGER_DEAD = Drill(
    "Alertmanager dead",
    (Stage(("kill alertmanager",), (Told("MonitoringBlind", "page", 4 * MINUTE, match={"source": "notifier"}),)),),
    ("alertmanager",),
    may={OUTSIDE: "the notifier feeds it only while the Watchdog is heard"},
    checks=("MonitoringBlind",),
)
NOTIFIER_DEAD = Drill(
    "notifier dead",
    (Stage(("kill notifier",), (Told("NotifierDown", "page", 75.0, channels=AROUND),), watch=10.0),),
    ("notifier",),
    may={OUTSIDE: "it is the notifier that feeds it"},
    about="Alertmanager goes around it: e-mail and PagerDuty",
)
SLACK_DOWN = Drill(
    "Slack down",
    (
        Stage(
            ("refuse slack", "kill kafka"),
            (
                Told("ServiceDown", "page", AT_ONCE, ("pagerduty", "email"), {"service": "kafka-public"}),
                Told("ChannelUnhealthy", "ticket", 4 * MINUTE, ("email",)),
            ),
        ),
        Stage(
            ("heal kafka",),
            (
                Told(
                    "ServiceDown",
                    "page",
                    90.0,
                    ("pagerduty", "email"),
                    {"service": "kafka-public"},
                    state="resolved",
                ),
            ),
            watch=130.0,  # what came meanwhile is late in earnest
        ),
        Stage(
            ("heal slack",),
            (
                Told(
                    "ServiceDown",
                    "page",
                    3 * MINUTE,
                    ("slack",),
                    {"service": "kafka-public"},
                    state="resolved",
                    words=r"(?i)delayed|from \d\d:\d\d",
                ),
            ),
        ),
    ),
    ("slack", "kafka"),
    resolve=0,
    lingers="its ends are stages of their own",
    may={"NotifierQueueStuck": "it is the same to Slack, after 5 min"},
    checks=("ChannelUnhealthy",),
    about="told by the others; Slack has it late, as one message that says so",
)
RESTRICTED = Drill(
    "a restricted packet in the public topic",
    (Stage(("leak",), (Told("RestrictedDataExposed", "page", AT_ONCE, channels=PAGE),)),),
    ("leak",),
    resolve=0,
    lingers="it is told for an hour",
    about="one packet of a private program inside the public topic",
)
ALL_DEAD = Drill(
    "all of the monitoring killed at once",
    (
        Stage(
            ("kill prometheus alertmanager notifier wall node-exporter kafka-lag broker-egress alert-arrival services",),
            (Told(OUTSIDE, "page", 5 * MINUTE, ("pagerduty",)),),
        ),
    ),
    (
        "prometheus",
        "alertmanager",
        "notifier",
        "wall",
        "node-exporter",
        "kafka-lag",
        "broker-egress",
        "alert-arrival",
        "services",
    ),
    resolve=3 * MINUTE,
    checks=("MonitoringBlind",),
)

# Lasts for most of the run, beside all others.
BESIDE: tuple[Drill, ...] = (DISK,)
PHASES: tuple[tuple[tuple[Drill, ...], ...], ...] = (
    ((STOPPED,), (DISCONNECTED,), (UNKNOWN,), (LATE,)),
    ((THROTTLED,), (GARBAGE,), (_exporter("services"),)),
    ((NEVER,), (_exporter("broker-egress"),)),
    ((TWO_SLOW,),),
    ((TASK_FAILED,), (_exporter("kafka-lag"),)),
    ((KAFKA_RESTARTED, KAFKA_DEAD, UPSTREAM, KAFKA_HANGS, MIRROR_DEAD, HOST_GONE, EXPORTERS_DEAD),),
    ((NODE_THEN_KAFKA, PROMETHEUS_DEAD, ALERTMANAGER_DEAD, NOTIFIER_DEAD, SLACK_DOWN, ALL_DEAD),),
    ((_exporter("alert-arrival"),),),
    ((RESTRICTED,),),
)
DRILLS: tuple[Drill, ...] = (*BESIDE, *(drill for phase in PHASES for lane in phase for drill in lane))

# Alerts that page and have no drill, with the reason.
NOT_DRILLED = {
    "ServiceFlapping": "the stack allows 20 restarts an hour, since trouble is caused on it on purpose; played by promtool",
    "CommunityWillLoseAlerts": "it takes half a day of retention; played by `make replay`",
    "AlertsArrivingSlowly": "its page (at the mirror) takes a network to IPAC that is slow and not gone; played by promtool",
}
