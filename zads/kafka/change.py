"""Change a topic's settings: for the local stack's troubles, never for monitoring."""

from __future__ import annotations

import re

from kafka.admin import ConfigResource as _Resource
from kafka.admin import ConfigResourceType as _Type
from kafka.admin import KafkaAdminClient as _Admin

from zads.config import KafkaCluster
from zads.kafka.security import client_settings


def set_topics(cluster: KafkaCluster, pattern: re.Pattern[str], key: str, value: str | None, *, client_id: str) -> list[str]:
    """Set one setting of every topic whose whole name fits, or with None give it its default back; return the topics.

    Raises KafkaFailure.
    """
    admin = _Admin(client_id=client_id, bootstrap_timeout_ms=15000, **client_settings(cluster))
    try:
        names = sorted(name for name in admin.list_topics() if pattern.fullmatch(name))
        change = ("DELETE", None) if value is None else ("SET", value)
        if names:
            admin.alter_configs([_Resource(_Type.TOPIC, name, configs={key: change}) for name in names])
        return names
    finally:
        admin.close()
