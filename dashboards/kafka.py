"""A Kafka node: the machine, Kafka or MirrorMaker on it, and its Java; the names that the JMX agent and node_exporter give."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards import style
from dashboards.frame import Line, Variable, board
from dashboards.panels import Column, Q, dial, lines, number, rows, states
from dashboards.style import BAD, BLUE, LINES, OK, WARN, WHITE, Steps

_NODE = '{host=~"$host"}'
_JMX = '{job=~"$job", host=~"$host", instance=~"$instance", service!=""}'
_FULL: Steps = ((None, OK), (0.8, WARN), (0.95, BAD))
_DISKS = 'host=~"$host", fstype!~"tmpfs|ramfs|overlay|squashfs|fuse.*|nsfs"'
_DRIVES = 'device!~"zram.*|loop.*|ram.*|sr.*"'
_NETS = 'host=~"$host", device!~"lo|veth.*|docker.*|br-.*|ifb.*"'


def _jmx(more: str) -> str:
    return _JMX.replace("}", f", {more}}}")


_HEAP, _RUNNING = _jmx('area="heap"'), _jmx('status="running"')


def _node(metric: str, more: str = "") -> str:
    return metric + (_NODE.replace("}", f", {more}}}") if more else _NODE)


def _net(way: str) -> str:
    """Return the bytes per second of each interface; of none, where a machine has loopback alone."""
    rate = f"sum by (device) (rate(node_network_{way}_bytes_total{{{_NETS}}}[$__rate_interval]))"
    nothing = f"max({_node('node_boot_time_seconds')}) * 0"
    return f'{rate} or on () label_replace({nothing}, "device", "loopback alone", "", "")'


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return board(
        "zads-kafka",
        "Kafka node",
        "The machines that Kafka and MirrorMaker run on, and what they do there: is there room for another night.",
        [_gauges(), _about(), _machine(), _flow(), _topics(), _brokers(), _mirror(), _java(), _process()],
        variables=[
            Variable("job", "Job", "label_values(jvm_threads_current, job)", "The scrape job of the JMX agents."),
            Variable("host", "Host", 'label_values(jvm_threads_current{job=~"$job"}, host)', "The machine."),
            Variable(
                "instance",
                "Instance",
                'label_values(jvm_threads_current{job=~"$job", host=~"$host"}, instance)',
                "Host and port of a JMX agent: one Kafka or MirrorMaker.",
            ),
        ],
    )


def _gauges() -> Line:
    busy = '1 - avg by (host) (rate(node_cpu_seconds_total{host=~"$host", mode=~"idle|iowait"}[$__rate_interval]))'
    memory = f"1 - sum by (host) ({_node('node_memory_MemAvailable_bytes')}) / sum by (host) ({_node('node_memory_MemTotal_bytes')})"
    disk = f"1 - node_filesystem_avail_bytes{{{_DISKS}}} / node_filesystem_size_bytes{{{_DISKS}}}"
    heap = f"sum by (service) (jvm_memory_used_bytes{_HEAP}) / sum by (service) (jvm_memory_max_bytes{_HEAP})"
    return Line(
        6,
        (
            (
                dial(
                    "CPU in use",
                    "Share of the processors in use; waiting for a disk is not use.",
                    "percentunit",
                    Q(busy, "{{host}}"),
                    steps=_FULL,
                ),
                5,
            ),
            (
                dial(
                    "Memory in use",
                    "Share of the memory that is not available to programs.",
                    "percentunit",
                    Q(memory, "{{host}}"),
                    steps=_FULL,
                ),
                5,
            ),
            (
                dial(
                    "Disk in use",
                    "Share of each file system that is full.",
                    "percentunit",
                    Q(disk, "{{mountpoint}}"),
                    steps=_FULL,
                ),
                6,
            ),
            (
                dial(
                    "Java heap in use",
                    "Share of the heap's limit in use.",
                    "percentunit",
                    Q(heap, "{{service}}"),
                    steps=_FULL,
                ),
                8,
            ),
        ),
        heading="Room left",
    )


def _about() -> Line:
    free = f"min(node_filesystem_avail_bytes{{{_DISKS}}})"
    fill = f"sum(rate(kafka_server_brokertopicmetrics_bytesin_total{_JMX}[$__rate_interval]))"
    return Line(
        5,
        (
            (
                number(
                    "Machine up",
                    "Since the machine started.",
                    "s",
                    Q(f"time() - max by (host) ({_node('node_boot_time_seconds')})", "{{host}}"),
                    decimals=1,
                ),
                3,
            ),
            (
                number(
                    "Cores",
                    "Processors of the machine.",
                    "none",
                    Q('count(node_cpu_seconds_total{host=~"$host", mode="idle"})'),
                ),
                3,
            ),
            (number("Memory", "Memory of the machine.", "bytes", Q(f"sum({_node('node_memory_MemTotal_bytes')})")), 3),
            (
                number(
                    "Disk free",
                    "Bytes left on the fullest file system.",
                    "bytes",
                    Q(free),
                    steps=((None, BAD), (1e9, WARN), (1e10, OK)),
                ),
                3,
            ),
            (number("Written", "Bytes per second that come in, as stored.", "Bps", Q(fill)), 3),
            (
                rows(
                    "Kafka and MirrorMaker",
                    "Java and the agent's address of each.",
                    [
                        Column("service", "Service"),
                        Column("instance", "Agent"),
                        Column("version", "Java"),
                        Column("Value #B", "Up", "s", decimals=1),
                    ],
                    Q(f"max by (service, instance, version) (jvm_runtime_info{_JMX})"),
                    Q(f"time() - max by (service, instance) (process_start_time_seconds{_JMX})"),
                ),
                9,
            ),
        ),
    )


def _machine() -> Line:
    return Line(
        8,
        (
            (
                lines(
                    "CPU",
                    "Processors in use by what they do.",
                    "percentunit",
                    Q(
                        'sum by (mode) (rate(node_cpu_seconds_total{host=~"$host", mode!="idle"}[$__rate_interval]))'
                        ' / on () group_left () count(node_cpu_seconds_total{host=~"$host", mode="idle"})',
                        "{{mode}}",
                    ),
                    stacked=True,
                    high=1,
                ),
                8,
            ),
            (
                lines(
                    "Network",
                    "Bytes per second of the machine's interfaces, loopback left out.",
                    "Bps",
                    Q(
                        _net("receive"),
                        "in {{device}}",
                        BLUE,
                    ),
                    Q(
                        _net("transmit"),
                        "out {{device}}",
                        WHITE,
                        dashed=True,
                    ),
                ),
                8,
            ),
            (
                lines(
                    "Disks",
                    "Bytes per second read and written.",
                    "Bps",
                    Q(
                        f"sum by (device) (rate({_node('node_disk_read_bytes_total', _DRIVES)}[$__rate_interval]))",
                        "read {{device}}",
                        BLUE,
                    ),
                    Q(
                        f"sum by (device) (rate({_node('node_disk_written_bytes_total', _DRIVES)}[$__rate_interval]))",
                        "written {{device}}",
                        WHITE,
                        dashed=True,
                    ),
                ),
                8,
            ),
        ),
        heading="The machine",
    )


def _flow() -> Line:
    return Line(
        8,
        (
            (
                lines(
                    "Bytes in and out",
                    "Bytes per second that producers sent and consumers fetched, by Kafka's own count.",
                    "Bps",
                    Q(
                        f"sum by (service) (rate(kafka_server_brokertopicmetrics_bytesin_total{_JMX}[$__rate_interval]))",
                        "in {{service}}",
                    ),
                    Q(
                        f"sum by (service) (rate(kafka_server_brokertopicmetrics_bytesout_total{_JMX}[$__rate_interval]))",
                        "out {{service}}",
                        dashed=True,
                    ),
                    calcs=("lastNotNull", "max"),
                ),
                12,
            ),
            (
                lines(
                    "Alerts in",
                    "Messages per second, by Kafka's own count; its own topics count too.",
                    "mps",
                    Q(
                        f"sum by (service) (rate(kafka_server_brokertopicmetrics_messagesin_total{_JMX}[$__rate_interval]))",
                        "{{service}}",
                    ),
                    calcs=("lastNotNull", "max"),
                ),
                12,
            ),
        ),
        heading="Kafka",
    )


def _topics() -> Line:
    return Line(
        7,
        (
            (
                lines(
                    "Threads that are free",
                    "Share of the time that Kafka's request threads had nothing to do: near 0 it is saturated.",
                    "percentunit",
                    Q(
                        f"min by (service) (kafka_server_requesthandlerpool_requesthandleravgidlepercent{_JMX})",
                        "{{service}}",
                    ),
                    steps=((None, BAD), (0.2, WARN), (0.4, OK)),
                    high=1,
                ),
                8,
            ),
            (
                lines(
                    "Room on Kafka's volumes",
                    "Bytes left where the brokers of the public cluster keep their logs.",
                    "bytes",
                    Q("min by (id, dir) (zads_kafka_volume_usable_bytes)", "left, broker {{id}} {{dir}}", BLUE),
                    Q("max by (id) (zads_kafka_broker_log_bytes)", "logs, broker {{id}}", WHITE, dashed=True),
                ),
                8,
            ),
            (
                rows(
                    "Topics by size",
                    "Bytes that each topic's logs take, over all partitions and replicas.",
                    [Column("topic", "Topic"), Column("Value", "Size", "bytes", width=120)],
                    Q("topk(20, max by (topic) (zads_topic_log_bytes))"),
                    sort="Size",
                    descending=True,
                ),
                8,
            ),
        ),
    )


def _brokers() -> Line:
    def worst(metric: str) -> Q:
        return Q(f"max by (service) ({metric}{_JMX})", "{{service}}")

    none: Steps = ((None, OK), (1, BAD))
    return Line(
        5,
        (
            (
                number(
                    "Partitions offline",
                    "Partitions without a leader: nobody can read them.",
                    "none",
                    worst("kafka_controller_kafkacontroller_offlinepartitionscount"),
                    steps=none,
                    names=True,
                ),
                5,
            ),
            (
                number(
                    "Under-replicated",
                    "Partitions with a replica behind.",
                    "none",
                    worst("kafka_server_replicamanager_underreplicatedpartitions"),
                    steps=none,
                    names=True,
                ),
                5,
            ),
            (
                number(
                    "Below least replicas",
                    "Partitions that refuse acks=all.",
                    "none",
                    worst("kafka_server_replicamanager_underminisrpartitioncount"),
                    steps=none,
                    names=True,
                ),
                5,
            ),
            (
                number(
                    "Active controllers",
                    "Exactly one of a cluster.",
                    "none",
                    Q(f"sum by (service) (kafka_controller_kafkacontroller_activecontrollercount{_JMX})", "{{service}}"),
                    steps=((None, BAD), (1, OK), (2, BAD)),
                    names=True,
                ),
                5,
            ),
            (
                number(
                    "Partitions",
                    "Partitions that the broker holds.",
                    "none",
                    worst("kafka_server_replicamanager_partitioncount"),
                    names=True,
                ),
                4,
            ),
        ),
    )


def _mirror() -> Line:
    running = {1: style.Word("RUNNING", OK), 0: style.Word("NOT RUNNING", BAD)}
    return Line(
        7,
        (
            (
                states(
                    "MirrorMaker's tasks",
                    "What each task says of itself.",
                    Q(f"max by (connector, task) (kafka_connect_task_status{_RUNNING})", "{{connector}} {{task}}"),
                    words=running,
                ),
                12,
            ),
            (
                lines(
                    "MirrorMaker's lag",
                    "Messages that it has yet to fetch from IPAC, by its own word.",
                    "locale",
                    Q(
                        f"sum by (service) (kafka_consumer_fetch_manager_metrics_records_lag{_JMX} >= 0)"
                        f" or sum by (service) (kafka_connect_task_status{_JMX}) * 0",
                        "{{service}}",
                        BLUE,
                    ),
                ),
                12,
            ),
        ),
        heading="MirrorMaker",
    )


def _java() -> Line:
    return Line(
        8,
        (
            (
                lines(
                    "Heap",
                    "Bytes of the heap in use, and its limit.",
                    "bytes",
                    Q(f"sum by (service) (jvm_memory_used_bytes{_HEAP})", "used {{service}}"),
                    Q(f"sum by (service) (jvm_memory_max_bytes{_HEAP})", "limit {{service}}", dashed=True),
                ),
                8,
            ),
            (
                lines(
                    "Garbage collection",
                    "Share of the time that Java stood still to collect garbage.",
                    "percentunit",
                    Q(
                        f"sum by (service, gc) (rate(jvm_gc_collection_seconds_sum{_JMX}[$__rate_interval]))",
                        "{{service}} {{gc}}",
                    ),
                    steps=((None, OK), (0.1, WARN)),
                ),
                8,
            ),
            (
                lines(
                    "Threads",
                    "Java's threads.",
                    "none",
                    Q(f"sum by (service) (jvm_threads_current{_JMX})", "{{service}}"),
                    Q(f"sum by (service) (jvm_threads_deadlocked{_JMX})", "deadlocked {{service}}", LINES[6], dashed=True),
                ),
                8,
            ),
        ),
        heading="Java",
    )


def _process() -> Line:
    return Line(
        7,
        (
            (
                lines(
                    "CPU of each process",
                    "Processors that the process uses: 1 is one of them, all of the time.",
                    "none",
                    Q(f"sum by (service) (rate(process_cpu_seconds_total{_JMX}[$__rate_interval]))", "{{service}}"),
                ),
                8,
            ),
            (
                lines(
                    "Open files",
                    "Open files as a share of the process's limit.",
                    "percentunit",
                    Q(f"max by (service) (process_open_fds{_JMX} / process_max_fds{_JMX})", "{{service}}"),
                    steps=((None, OK), (0.8, WARN)),
                ),
                8,
            ),
            (
                lines(
                    "Resident memory",
                    "Memory that each process holds.",
                    "bytes",
                    Q(f"sum by (service) (process_resident_memory_bytes{_JMX})", "{{service}}"),
                ),
                8,
            ),
        ),
    )
