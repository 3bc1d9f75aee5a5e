"""The configuration of the two Kafka clusters, of MirrorMaker 2 and of their JMX agents."""

from __future__ import annotations

from pathlib import Path

from zads.config import Config, host_port

# A partition keeps 14 to 25 MB for a day at most; a segment holds the largest packet (10 MB). A night has 3 upstream
# topics and 1 public one of 16 partitions each: 1.6 GB; a stack that runs through a change of nights holds two nights,
# 3.2 GB, and stays under 4 GB.
_RETENTION_BYTES, _SEGMENT_BYTES, _RETENTION_MS = 14_000_000, 11_000_000, 86_400_000


def kafka(bootstrap: str, data: Path, node: int) -> str:
    """Return server.properties of a one-node KRaft cluster (broker and controller in one)."""
    host, port = host_port(bootstrap)
    return f"""process.roles=broker,controller
node.id={node}
controller.quorum.voters={node}@{host}:{port + 1}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{port + 1}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=16
log.retention.ms={_RETENTION_MS}
log.retention.check.interval.ms=60000
log.retention.bytes={_RETENTION_BYTES}
log.segment.bytes={_SEGMENT_BYTES}
message.max.bytes=10900000
replica.fetch.max.bytes=10900000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=2
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
background.threads=2
"""


def mirrormaker(config: Config) -> str:
    """Return MirrorMaker 2's properties: public topics only, under the same names, as ZADS does it."""
    source, target = config.mirror.source_alias, config.mirror.target_alias
    programs = "".join(str(number) for number in config.stream.public_programs)
    flow = f"{source}->{target}"
    return f"""clusters={source}, {target}
{source}.bootstrap.servers={",".join(config.kafka["upstream"].bootstrap)}
{target}.bootstrap.servers={",".join(config.kafka["public"].bootstrap)}
{flow}.enabled=true
{target}->{source}.enabled=false
{flow}.topics=ztf_[0-9]+_programid[{programs}]
{flow}.emit.heartbeats.enabled=false
{flow}.emit.checkpoints.enabled=false
{flow}.sync.topic.acls.enabled=false
{flow}.offset-syncs.topic.location=target
{flow}.offset-syncs.topic.replication.factor=1
replication.policy.class=org.apache.kafka.connect.mirror.IdentityReplicationPolicy
replication.factor=1
heartbeats.topic.replication.factor=1
checkpoints.topic.replication.factor=1
offset.storage.replication.factor=1
offset.storage.partitions=2
status.storage.replication.factor=1
status.storage.partitions=2
config.storage.replication.factor=1
refresh.topics.interval.seconds=10
tasks.max=2
{target}.offset.flush.interval.ms=5000
# A worker that was away for some seconds gets its tasks back at once, not after Connect's five minutes.
{target}.scheduled.rebalance.max.delay.ms=0
{source}.scheduled.rebalance.max.delay.ms=0
{target}.producer.compression.type=lz4
{target}.producer.max.request.size=10900000
{target}.producer.linger.ms=20
{source}.consumer.max.partition.fetch.bytes=12000000
{source}.consumer.auto.offset.reset=earliest
"""


_PROGRAMS = {0: "Commissioning", 1: "MSIP", 2: "ZTF", 3: "CalTech"}


def kafka_agent() -> str:
    """Return the JMX agent's rules for Kafka: today's ZADS names, which Lasair's status page reads."""
    rules = [
        "lowercaseOutputName: true",
        "includeObjectNames:",
        '  - "kafka.log:type=Log,*"',
        '  - "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec"',
        '  - "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec"',
        '  - "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec"',
        '  - "kafka.server:type=ReplicaManager,name=*"',
        '  - "kafka.server:type=KafkaRequestHandlerPool,name=RequestHandlerAvgIdlePercent"',
        '  - "kafka.controller:type=KafkaController,name=*"',
        "rules:",
    ]
    for number, name in _PROGRAMS.items():
        rules += [
            f"  - pattern: 'kafka.log<type=Log, name=(LogEndOffset|LogStartOffset|Size), "
            f"topic=(ztf_([0-9]+)_programid{number}), partition=([0-9]+)><>Value'",
            "    name: kafka_log_log_value",
            f"    labels: {{name: $1, topic: $2, night: $3, partition: $4, program: {name}}}",
            "    type: GAUGE",
        ]
    rules += [
        "  - pattern: 'kafka.server<type=BrokerTopicMetrics, name=(.+)PerSec><>Count'",
        "    name: kafka_server_brokertopicmetrics_$1_total",
        "    type: COUNTER",
        "  - pattern: 'kafka.server<type=KafkaRequestHandlerPool, name=(.+)><>OneMinuteRate'",
        "    name: kafka_server_requesthandlerpool_$1",
        "    type: GAUGE",
        "  - pattern: 'kafka.(server|controller)<type=(ReplicaManager|KafkaController), name=(.+)><>Value'",
        "    name: kafka_$1_$2_$3",
        "    type: GAUGE",
    ]
    return "\n".join(rules) + "\n"


def mirror_agent() -> str:
    """Return the JMX agent's rules for MirrorMaker: task states and how old records are when passed on."""
    return """lowercaseOutputName: true
includeObjectNames:
  - "kafka.connect.mirror:type=MirrorSourceConnector,*"
  - "kafka.connect:type=connector-task-metrics,*"
  - "kafka.consumer:type=consumer-fetch-manager-metrics,*"
rules:
  - pattern: 'kafka.consumer<type=consumer-fetch-manager-metrics, client-id=(.+), topic=(.+), partition=([0-9]+)><>records-lag'
    name: kafka_consumer_fetch_manager_metrics_records_lag
    labels: {client_id: $1, topic: $2, partition: $3}
    type: GAUGE
  - pattern: 'kafka.consumer<type=consumer-fetch-manager-metrics, client-id=([^,]+)><>fetch-rate'
    name: kafka_consumer_fetch_manager_metrics_fetch_rate
    labels: {client_id: $1}
    type: GAUGE
  - pattern: 'kafka.connect.mirror<type=.+, source=(.+), target=(.+), topic=(.+), partition=([0-9]+)><>([^:]+)'
    name: kafka_connect_mirror_$5
    labels: {source: $1, target: $2, topic: $3, partition: $4}
    type: GAUGE
  - pattern: 'kafka.connect<type=connector-task-metrics, connector=(.+), task=(.+)><>status: (.+)'
    name: kafka_connect_task_status
    labels: {connector: $1, task: $2, status: $3}
    value: 1
    type: GAUGE
"""
