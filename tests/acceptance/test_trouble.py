"""One test per trouble: the right message in the right channels, naming the right thing, and its resolution."""

from __future__ import annotations

import json
import time
import urllib.request

import pytest

from tests.acceptance.conftest import Stack
from tests.support.screenshot import page_text

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
ALL = {"email", "slack", "pagerduty"}
TICKET = {"email", "slack"}


def _wall() -> dict:
    with urllib.request.urlopen("http://127.0.0.1:28080/api/health.json", timeout=10) as answer:
        return json.load(answer)


def test_all_is_green_and_every_alert_is_counted(stack: Stack, calm: int) -> None:
    """The services run, the wall is calm, and the counts equal what the simulator says it sent."""
    names = set(stack.status())
    wanted = "kafka-upstream kafka-public mirrormaker prometheus alertmanager node-exporter kafka-lag broker-egress "
    wanted += "alert-arrival services notifier wall inbox simulator community-lasair community-fink"
    assert set(wanted.split()) <= names
    assert all(row["state"] == "running" for row in stack.status().values())
    stack.wait(60, "the wall says ALL WELL", lambda: _wall()["headline"]["word"] == "ALL WELL")
    # Two looks at the same stretch: what the simulator sent is what arrived on both clusters.
    counted = 'sum(zads_alerts_arrived_total{cluster="CLUSTER"})'

    def both() -> tuple[int, float, float]:
        sent = sum(stack.book("simulator")["sent"].values())
        return sent, stack.value(counted.replace("CLUSTER", "upstream")), stack.value(counted.replace("CLUSTER", "public"))

    sent, upstream, public = both()
    time.sleep(45)
    sent2, upstream2, public2 = both()
    assert sent2 > sent
    # Between them lie at most a scrape and a collection: 15 s of alerts.
    assert abs((upstream2 - upstream) - (sent2 - sent)) <= 60
    assert abs((public2 - public) - (sent2 - sent)) <= 60


def test_kafka_dead_for_good_pages_within_a_minute(stack: Stack, calm: int) -> None:
    """E-mail, Slack and PagerDuty say what is down, since when and what to do first; healing resolves all three."""
    stack.zads("sim", "kill", "kafka")
    begin = time.monotonic()
    found = stack.wait(60, "Kafka down by all three", lambda: stack.messages(calm, "kafka down", "firing", ALL))
    print(f"paged after {time.monotonic() - begin:.0f} s")
    for message in found.values():
        assert "since" in message["text"].lower(), message
        assert "first" in message["text"].lower(), message
        assert "zads stack logs kafka-public" in message["text"], message
    stack.wait(30, "the wall says KAFKA DOWN", lambda: _wall()["headline"]["word"].startswith("KAFKA DOWN"))
    text = page_text("http://127.0.0.1:28080/")
    assert "KAFKA DOWN" in text
    assert "ALL WELL" not in text
    stack.zads("sim", "heal")
    stack.wait(90, "resolved by all three", lambda: stack.messages(calm, "kafka", "resolved", ALL))
    # One cause, one page: nothing else woke anybody.
    pages = {m["title"] for m in stack.inbox()[calm:] if m["channel"] == "pagerduty" and m["state"] == "firing"}
    assert len(pages) == 1, pages


def test_mirror_that_hangs_pages(stack: Stack, calm: int) -> None:
    """A frozen MirrorMaker is called hanging, once; its backlog is passed on after healing."""
    stack.wait(
        70,
        "the mirror is older than its recovery time",
        lambda: stack.query('(time() - zads_service_start_time_seconds{service="mirrormaker"}) > 62'),
    )
    stack.zads("sim", "pause", "mirror")
    found = stack.wait(
        75, "MirrorMaker hangs by all three", lambda: stack.messages(calm, "mirrormaker hangs", "firing", ALL)
    )
    assert "not passed on" in found["email"]["text"]
    stack.zads("sim", "heal")
    stack.wait(90, "resolved by all three", lambda: stack.messages(calm, "mirrormaker", "resolved", ALL))


def test_slow_lasair_is_a_ticket_that_names_it(stack: Stack, calm: int) -> None:
    """Within four minutes e-mail and Slack name Lasair and how far it is behind; nobody is paged."""
    stack.zads("sim", "slow", "lasair", "0.2")
    begin = time.monotonic()
    found = stack.wait(240, "Lasair behind by e-mail and Slack", lambda: stack.messages(calm, "lasair is", "firing", TICKET))
    print(f"ticket after {time.monotonic() - begin:.0f} s")
    assert "behind" in found["slack"]["title"]
    assert "alerts" in found["email"]["text"]
    stack.wait(
        30,
        "the wall says LASAIR is BEHIND",
        lambda: any(tile["name"] == "LASAIR" and tile["word"] == "BEHIND" for tile in _wall()["communities"]),
    )
    assert "BEHIND" in page_text("http://127.0.0.1:28080/")
    # What the consumers themselves know, once nothing moves any more.
    stack.zads("sim", "clouds")

    def still() -> bool:
        before = stack.book("simulator")["sent"]
        time.sleep(12)
        return stack.book("simulator")["sent"] == before

    stack.wait(90, "the last exposure has been sent", still)
    time.sleep(15)  # a commit every 10 s, a collection every 5 s, a scrape every 10 s
    for name in ("lasair", "ampel", "alerce"):
        own = stack.book(f"community-{name}")["behind"]["alerts"]
        measured = stack.value(f'sum(zads_community_lag_alerts{{community="{name}"}})')
        assert measured == pytest.approx(own, rel=0.1, abs=2), (name, own, measured)
    assert stack.book("community-lasair")["behind"]["alerts"] > 100
    assert not [m for m in stack.inbox()[calm:] if m["channel"] == "pagerduty"]
    stack.zads("sim", "heal")
    stack.wait(150, "resolved by both", lambda: stack.messages(calm, "lasair", "resolved", TICKET))


def test_late_alerts_name_the_stage(stack: Stack, calm: int) -> None:
    """Alerts that come late from IPAC are a ticket that says so, not a page."""
    stack.zads("sim", "late", "900")  # an exposure takes ten minutes at least, and the goal is twenty
    found = stack.wait(300, "late from IPAC", lambda: stack.messages(calm, "late from ipac", "firing", TICKET))
    assert "20 min" in found["email"]["text"]
    assert not [m for m in stack.inbox()[calm:] if m["channel"] == "pagerduty"]
    stack.zads("sim", "heal")
    stack.wait(260, "resolved by both", lambda: stack.messages(calm, "late from ipac", "resolved", TICKET))


def test_a_dead_exporter_hides_no_dead_kafka(stack: Stack, calm: int) -> None:
    """The services exporter dies: a ticket. Then Kafka dies: it still pages."""
    stack.zads("sim", "kill", "services")
    stack.wait(190, "exporter down", lambda: stack.messages(calm, "exporter services", "firing", TICKET))
    assert not [m for m in stack.inbox()[calm:] if m["channel"] == "pagerduty"]
    stack.zads("sim", "kill", "kafka")
    stack.wait(75, "Kafka down by all three", lambda: stack.messages(calm, "kafka down", "firing", ALL))
    stack.zads("sim", "heal")
    stack.wait(120, "both resolved", lambda: stack.messages(calm, "kafka", "resolved", ALL))
    stack.wait(60, "exporter back", lambda: stack.messages(calm, "exporter down", "resolved", TICKET))
