"""Scrape at random moments, in a process of its own so that nothing else of the benchmark delays it.

`python -m benchmarks.lag.scraper PORT SECONDS` prints a list of [seconds, when it ended, when the last collection ended,
how long that took].
"""

from __future__ import annotations

import gzip
import http.client
import json
import random
import sys
import time

LAST = 'zads_collector_last_success_timestamp_seconds{collector="kafka-lag"} '
TOOK = 'zads_collector_duration_seconds{collector="kafka-lag"} '


def main() -> None:
    port, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
    found: list[tuple[float, float, bytes]] = []
    while time.monotonic() < end:
        time.sleep(random.random() * 0.2)
        begin = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        body = connection.getresponse().read()
        found.append((time.perf_counter() - begin, time.time(), body))
        connection.close()
    rows, seen = [], dict[bytes, tuple[float, float]]()
    for seconds, at, body in found:
        if body not in seen:
            text = gzip.decompress(body).decode()
            seen[body] = (_value(text, LAST), _value(text, TOOK))
        rows.append((seconds, at, *seen[body]))
    print(json.dumps(rows))


def _value(text: str, series: str) -> float:
    return float(text.split(series, 1)[1].split("\n", 1)[0])


if __name__ == "__main__":
    main()
