"""Measure the notifier: latency, rate, a storm, growth, a long history. Prints markdown; about five minutes."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from benchmarks.notifier.history import fill
from benchmarks.notifier.recorder import Recorder
from benchmarks.notifier.world import TOKEN, Notifier, alert, alertmanager, paced, wait

RATE = 50.0


def quantiles(seconds: Iterable[float]) -> tuple[float, float, float]:
    """Return the median, the 99th percentile and the largest."""
    values = sorted(seconds)
    return statistics.median(values), values[min(len(values) - 1, int(0.99 * len(values)))], values[-1]


def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="zads-bench-"))


def ours(recorder: Recorder, channel: str, count: int) -> tuple[float, float, float]:
    """Webhook accepted to provider accepted, as the record has it: digests count for each that they tell."""
    notifier = Notifier(folder(), recorder, [channel])
    notifier.start()
    try:
        paced(RATE, count, lambda session, number: notifier.post(session, [alert(number)]))
        done = "SELECT COUNT(*) FROM deliveries WHERE state='sent'"
        wait(f"{channel}: all sent", 120, lambda: notifier.rows(done)[0][0] >= count)
        return quantiles(row[0] for row in notifier.rows("SELECT sent_at-created_at FROM deliveries WHERE state='sent'"))
    finally:
        notifier.stop()


def through(
    recorder: Recorder, path: str, port: int, count: int, notifier: Notifier | None = None
) -> tuple[float, float, float]:
    """Alert accepted by Alertmanager to the provider's having it."""
    recorder.forget()

    def send(session: requests.Session, number: int) -> None:
        one = {key: value for key, value in alert(number).items() if key in {"labels", "annotations", "startsAt"}}
        session.post(f"http://127.0.0.1:{port}/api/v2/alerts", json=[one], timeout=30).raise_for_status()

    accepted = paced(RATE, count, send)
    if notifier is None:
        wait(f"{path}: all there", 120, lambda: len(recorder.got[path]) >= count)
        got = recorder.got[path]
    else:
        # A digest names only some of what it tells: the record knows when each was told.
        wait(
            f"{path}: all told",
            120,
            lambda: notifier.rows("SELECT COUNT(*) FROM deliveries WHERE state='sent'")[0][0] >= count,
        )
        query = "SELECT i.labels, d.sent_at FROM deliveries d JOIN incidents i ON i.id=d.incident"
        got = {int(json.loads(str(labels))["service"][1:]): at for labels, at in notifier.rows(query)}
    return quantiles(max(0.0, got[number] - at) for number, at in accepted.items())


def rate(recorder: Recorder, count: int) -> float:
    notifier = Notifier(folder(), recorder, ["webhook"])
    notifier.start()
    try:
        begin = time.monotonic()
        with ThreadPoolExecutor(8) as pool:

            def some(worker: int) -> None:
                with requests.Session() as session:
                    for number in range(worker, count, 8):
                        notifier.post(session, [alert(number)])

            list(pool.map(some, range(8)))
        return count / (time.monotonic() - begin)
    finally:
        notifier.stop()


def storm(recorder: Recorder, count: int) -> dict[str, float]:
    recorder.forget()
    notifier = Notifier(folder(), recorder, ["email", "slack", "webhook"])
    notifier.start()
    before = notifier.megabytes
    try:
        begin = time.time()
        most = before
        with ThreadPoolExecutor(4) as pool, requests.Session() as session:
            bodies = [[alert(n) for n in range(start, start + 100)] for start in range(0, count, 100)]
            list(pool.map(lambda body: notifier.post(session, body), bodies))
            accepted = time.time() - begin

        def settled() -> bool:
            nonlocal most
            most = max(most, notifier.megabytes)
            query = "SELECT COUNT(*) FROM deliveries WHERE state IN ('pending', 'claimed')"
            return notifier.rows(query)[0][0] == 0

        recorded = accepted + wait("the storm", 900, settled)
        digest = min(
            at for path in ("mail", "/slack/api/chat.postMessage") for at, body in recorder.messages[path] if b"more" in body
        )
        messages = {path: float(len(got)) for path, got in recorder.messages.items()}
        incidents = notifier.rows("SELECT COUNT(*) FROM incidents")[0][0]
        assert incidents == count, incidents
        sent = notifier.rows("SELECT COUNT(*) FROM deliveries WHERE state='sent'")[0][0]
        notifier.stop()
        size = notifier.store.stat().st_size
        return {
            "accepted after, s": accepted,
            "first digest after, s": digest - begin,
            "each recorded as told after, s": recorded,
            "memory before, MB": before,
            "memory at most, MB": most,
            "mails": messages.get("mail", 0),
            "Slack messages": messages.get("/slack/api/chat.postMessage", 0),
            "webhook posts": messages.get("/hook", 0),
            "store per 100,000 notifications, MB": size / sent * 100_000 / 1e6,
        }
    finally:
        notifier.stop()


def start(recorder: Recorder, rows: int) -> tuple[float, float, float]:
    notifier = Notifier(folder(), recorder, ["email"])
    notifier.start()
    notifier.stop()
    fill(notifier.store, rows)
    seconds = notifier.start()
    try:
        begin = time.monotonic()
        requests.get(f"http://127.0.0.1:{notifier.port}/", timeout=60).raise_for_status()
        return seconds, time.monotonic() - begin, notifier.megabytes
    finally:
        notifier.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth of everything, to see that it works")
    share = 0.1 if parser.parse_args().small else 1.0
    count, many, rows = int(3000 * share), int(10_000 * share), int(1_000_000 * share)
    recorder = Recorder()
    print("| at 50 alerts a second | p50, s | p99, s | largest, s |\n|---|---:|---:|---:|")

    def line(name: str, measure: Callable[[], tuple[float, float, float]]) -> None:
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in measure())} |", flush=True)

    for channel in ("webhook", "email", "slack"):
        line(f"notifier: webhook accepted to {channel} accepted", lambda channel=channel: ours(recorder, channel, count))  # type: ignore[misc]
    base = f"http://127.0.0.1:{recorder.port}"
    with alertmanager(folder(), f"webhook_configs: [{{url: '{base}/direct'}}]") as port:
        line("Alertmanager: alert accepted to its own webhook receiver", lambda: through(recorder, "/direct", port, count))
    slack = (
        f"slack_configs: [{{api_url: '{base}/direct-slack', channel: '#c', text: '{{{{ .CommonAnnotations.summary }}}}'}}]"
    )
    with alertmanager(folder(), slack) as port:
        line(
            "Alertmanager: alert accepted to its own Slack receiver", lambda: through(recorder, "/direct-slack", port, count)
        )
    notifier = Notifier(folder(), recorder, ["webhook"])
    notifier.start()
    http = json.dumps({"authorization": {"credentials": TOKEN}})
    hook = f"webhook_configs: [{{url: 'http://127.0.0.1:{notifier.port}/v1/alertmanager', http_config: {http}}}]"
    with alertmanager(folder(), hook) as port:
        line(
            "Alertmanager and the notifier together, to its webhook",
            lambda: through(recorder, "/hook", port, count, notifier),
        )
    notifier.stop()
    print(f"\nwebhooks accepted a second, 8 senders: {rate(recorder, many // 2):,.0f}\n", flush=True)
    print(f"| a storm of {many:,} alerts | |\n|---|---:|")
    for name, value in storm(recorder, many).items():
        print(f"| {name} | {value:,.1f} |", flush=True)
    seconds, page, megabytes = start(recorder, rows)
    print(f"\nstart with {rows:,} rows of history: {seconds:.2f} s, its page then {page:.2f} s, {megabytes:.0f} MB")
    recorder.close()


if __name__ == "__main__":
    main()
