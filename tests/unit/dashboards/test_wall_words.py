"""What the wall's queries say in each state, by promtool: the words, whose they are, and that one query of a tile answers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from dashboards import saying
from dashboards import wall_queries as ask
from dashboards.saying import NBSP

EXPORTERS = ("kafka-lag", "broker-egress", "alert-arrival", "services")
UP = {f'up{{job="{job}"}}': "1x200" for job in EXPORTERS} | {'zads_service_answering{service="kafka-public"}': "1x200"}
READ = {f'zads_cluster_readable{{cluster="{name}"}}': "1x200" for name in ("upstream", "public")}
SEEN = UP | READ | {"zads_observing_night": "0x200"}
PAGE = 'ALERTS{alertname="ServiceDown", alertstate="firing", headline="KAFKA DOWN", severity="page"}'
TICKET = 'ALERTS{alertname="CommunityLagging", alertstate="firing", headline="LASAIR BEHIND", severity="ticket"}'
FIRING = {
    PAGE: "1x200",
    TICKET: "1x200",
    PAGE.replace("ALERTS", "ALERTS_FOR_STATE").replace('alertstate="firing", ', ""): "300x200",
    TICKET.replace("ALERTS", "ALERTS_FOR_STATE").replace('alertstate="firing", ', ""): "0x200",
}
HEADLINE = {"page": ask.PAGE, "ticket": ask.TICKET, "well": ask.WELL, "blind": ask.BLIND}


def _said(
    tmp_path: Path, series: dict[str, str], wanted: list[tuple[str, list[tuple[str, float]]]], at: str = "600s"
) -> None:
    """Let promtool hold each expression's series against the labels and values that are wanted."""
    tests = [
        {"expr": expr, "eval_time": at, "exp_samples": [{"labels": labels, "value": value} for labels, value in samples]}
        for expr, samples in wanted
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    content = {"tests": [{"interval": "5s", "input_series": inputs, "promql_expr_test": tests}]}
    (tmp_path / "words_test.yml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    command = ["promtool", "test", "rules", "words_test.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_numbers_become_the_words_that_people_use(tmp_path: Path) -> None:
    """Durations in few letters, rates in MB/s as contracts have them, clock times with both digits."""
    seconds = {"4": f"4{NBSP}s", "2460": f"41{NBSP}min", "7500": f"2.1{NBSP}h", "259200": f"3{NBSP}d"}
    rates = {"1120000": f"1.1{NBSP}MB/s", "48000": f"0.05{NBSP}MB/s", "0": f"0{NBSP}MB/s"}
    wanted = [(saying.duration(f"vector({n})"), [(f'{{text="{word}"}}', 1.0)]) for n, word in seconds.items()]
    wanted += [(saying.rate(f"vector({n})"), [(f'{{rate="{word}"}}', 1.0)]) for n, word in rates.items()]
    clock = f'{{text="until{NBSP}05:07{NBSP}UTC", hh="05", mm="07"}}'
    wanted.append((saying.clock(f"vector({5 * 3600 + 7 * 60})", form="until {}"), [(clock, 1.0)]))
    _said(tmp_path, {}, wanted)


@pytest.mark.parametrize(
    ("series", "answers", "labels", "value"),
    [
        (SEEN, "well", '{headline="ALL WELL"}', 0),
        (SEEN | FIRING, "page", '{headline="KAFKA DOWN"}', 300),
        (SEEN | {k: v for k, v in FIRING.items() if "LASAIR" in k}, "ticket", '{headline="LASAIR BEHIND"}', 600),
        (SEEN | {'up{job="services"}': "1x60 0x140"}, "blind", '{headline="CANNOT SEE ALL"}', -1),
        (SEEN | {'zads_service_answering{service="kafka-public"}': "0x200"}, "blind", '{headline="NOT ALL ANSWER"}', -1),
        (UP | READ, "blind", '{headline="CANNOT SEE ALL"}', -1),
        (UP | {"zads_observing_night": "0x200"}, "blind", '{headline="CANNOT SEE ALL"}', -1),
        ({k: v.replace("200", "110") for k, v in SEEN.items()}, "blind", '{headline="BLIND"}', -1),
        ({k: v.replace("200", "110") for k, v in (SEEN | FIRING).items()}, "blind", '{headline="BLIND"}', -1),
        ({}, "blind", '{headline="BLIND"}', -1),
    ],
    ids=[
        "well",
        "a page before a ticket",
        "a ticket",
        "an exporter gone",
        "a service",
        "no night yet",
        "no cluster read yet",
        "old data",
        "old alerts",
        "nothing",
    ],
)
def test_the_headline_is_one_and_true(
    tmp_path: Path, series: dict[str, str], answers: str, labels: str, value: float
) -> None:
    """Exactly one of its four queries answers; what is older than 30 s is BLIND, whatever it was."""
    wanted = [(expr, [(labels, float(value))] if name == answers else []) for name, expr in HEADLINE.items()]
    _said(tmp_path, series, wanted)


def test_what_waits_at_ipac_fills_two_tiles(tmp_path: Path) -> None:
    """Alerts that have waited for over a minute: ALERTS TONIGHT and LAST ALERT change the query that answers."""
    series = {
        'zads:night_alerts:tonight{cluster="public"}': "500x200",
        'zads_mirror_behind_alerts{program="1"}': "80x200",
        'zads_mirror_behind_seconds{program="1"}': "90x200",
        'zads_last_alert_timestamp_seconds{cluster="public", program="1"}': "100x200",
        'zads_last_alert_timestamp_seconds{cluster="upstream", program="1"}': "590x200",
        'zads:public_program{program="1"}': "1x200",
    }
    held = f'{{text="80{NBSP}not{NBSP}passed{NBSP}on"}}'
    _said(
        tmp_path,
        series,
        [
            (ask.TONIGHT_HELD, [(held, 500.0)]),
            (ask.TONIGHT_WELL, []),
            (ask.TONIGHT_GONE, []),
            (ask.LAST_HELD, [("{}", 500.0)]),
            (ask.LAST_WELL, []),
            (ask.LAST_GONE, []),
        ],
    )


def test_of_many_communities_the_worst_stand_alone(tmp_path: Path) -> None:
    """Seven: one away, one late, and the fifth tile for three others that are on time."""
    names = [f"c{i}" for i in range(1, 8)]
    series = {f'zads:community_info{{community="{n}", label="{n.upper()}"}}': "1x200" for n in names}
    series |= {f'zads_community_connections{{community="{n}"}}': "0x200" if n == "c6" else "2x200" for n in names}
    series |= {f'zads:community_connections:max{{community="{n}"}}': "0x200" if n == "c6" else "2x200" for n in names}
    series |= {f'zads:community_commit_batch{{community="{n}"}}': "1x200" for n in names}
    series |= {f'zads:community_lag_alerts:sum{{community="{n}"}}': "0x200" for n in names}
    series |= {f'zads:community_lag_seconds:max{{community="{n}"}}': "0x200" for n in names}
    late = 'ALERTS{alertname="CommunityLagging", alertstate="firing", community="c7"}'
    series |= {late: "1x200"}
    shown = f"sort(({ask.COMMUNITIES}) > 3)"
    others = f'{{others="3 others", line="3{NBSP}on{NBSP}time"}}'
    _said(
        tmp_path,
        series,
        [
            (f"count({ask.COMMUNITIES})", [("{}", 4.0)]),
            (
                f"max by (label) ({shown})",
                [('{label="C6"}', 4.0), ('{label="C7"}', 5.0)],
            ),
            (ask.OTHERS, [(others, 0.0)]),
        ],
    )
