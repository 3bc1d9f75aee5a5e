"""MirrorMaker's own lag from its JMX agent: what stands in where IPAC does not let us read its offsets.

The mirror's source consumers report `records-lag` per partition. That value stays where it was when a consumer
loses its cluster, so it is only believed while fetches go on (`fetch-rate`, of the last 30 s).
"""

from __future__ import annotations

import http.client
import math
import re
import time
from collections import defaultdict

from zads.config import host_port

_MOST_BYTES = 20_000_000
_SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)(?: \d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def fetch(address: str, timeout: float = 2.0) -> str:
    """Return the agent's metrics.

    Raises OSError when it does not answer in time.
    """
    host, port = host_port(address)
    deadline = time.monotonic() + timeout
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", "/metrics")
        answer, body = connection.getresponse(), b""
        while chunk := answer.read1(1 << 16):
            body += chunk
            if time.monotonic() > deadline or len(body) > _MOST_BYTES:
                raise TimeoutError(f"{address} did not finish its answer")
    except http.client.HTTPException as error:
        raise ConnectionError(f"{address}: {type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise ConnectionError(f"{address} answered {answer.status}")
    return body.decode("utf-8", "replace")


def lag(text: str, pattern: re.Pattern[str]) -> dict[str, int] | None:
    """Return the records that wait per topic of the pattern, None when the text does not say so.

    Any family whose name ends with records_lag and has topic and partition is taken; of several consumers of a
    partition the one that is furthest behind.
    """
    parts: dict[tuple[str, str], float] = {}
    rates = []
    for line in text.splitlines():
        match = _SAMPLE.match(line) if "records_lag{" in line or "fetch_rate{" in line else None
        if match is None:
            continue
        value, labels = _number(match[3]), dict(_LABEL.findall(match[2]))
        if math.isnan(value):
            continue
        if match[1].endswith("fetch_rate"):
            rates.append(value)
        elif pattern.fullmatch(labels.get("topic", "")) and "partition" in labels:
            key = (labels["topic"], labels["partition"])
            parts[key] = max(parts.get(key, value), value)
    if not parts or (rates and max(rates) <= 0):
        return None
    topics: dict[str, int] = defaultdict(int)
    for (topic, _), value in parts.items():
        topics[topic] += max(0, int(value))
    return dict(topics)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
