"""Every panel of every dashboard on the running stack: none fails, none is empty; and what a dead exporter's tiles say."""

from __future__ import annotations

import time

import pytest

from tests.acceptance.conftest import PATIENCE, Stack
from tests.support.board_queries import Prometheus, boards, chosen, queries, tile

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
PROMETHEUS = Prometheus("http://127.0.0.1:29090")
BOARDS = boards()
WALL = {panel["description"].split(":")[0]: panel for panel in BOARDS["zads-health"]["panels"] if panel["type"] == "stat"}
# What each exporter's tiles say once it is gone: the names that stand in them stay.
GONE = {
    "broker-egress": {"COMMUNITIES": {"ANTARES": "UNKNOWN", "Fink": "UNKNOWN"}},
    "kafka-lag": {"COMMUNITIES": dict.fromkeys(("Lasair", "ALeRCE", "AMPEL", "ANTARES", "Fink"), "UNKNOWN")},
    "alert-arrival": {
        "SKY": {"SKY": "CANNOT SEE IPAC"},
        "TONIGHT": {"ALERTS TONIGHT": "UNKNOWN"},
        "LAST ALERT": {"LAST ALERT": "UNKNOWN"},
        "DELAY": {"DELAY": "UNKNOWN"},
    },
    "services": {
        "SKY": {"SKY": "UNKNOWN"},
        "CHAIN": dict.fromkeys(("IPAC", "MIRROR", "KAFKA"), "UNKNOWN"),
        "BUDGET": {"budget left": "UNKNOWN"},
    },
    "notifier": {"ON CALL": {"on call not known": "\N{NO-BREAK SPACE}"}},
}


def _wrong(name: str, wanted: dict[str, str]) -> str:
    """Return in words what the tile says instead, nothing when it says what it should."""
    seen = tile(WALL[name], PROMETHEUS)
    lacking = [who for who, word in wanted.items() if not any(s.name.startswith(who) and s.word == word for s in seen)]
    return f"{name} does not say {', '.join(lacking)} {wanted[lacking[0]]}: {seen}" if lacking else ""


@pytest.mark.parametrize("uid", [uid for uid in BOARDS if uid != "zads-health"])
def test_no_panel_fails_or_is_empty(stack: Stack, uid: str) -> None:
    """Every query of every panel, its variables at their defaults, gives at least one series."""
    values = chosen(BOARDS[uid], PROMETHEUS)

    def without() -> list[str]:
        return [str(q) for q in queries(BOARDS[uid], values) if not PROMETHEUS.shown(q)]

    begin = time.monotonic()
    # The first minutes after a start: rates need two scrapes, what is recorded once a minute its minute.
    while (empty := without()) and time.monotonic() - begin < 120 * PATIENCE:
        time.sleep(3)
    assert not empty, "\n".join(empty)


def test_the_wall_is_well_and_knows_all(stack: Stack, calm: int) -> None:
    """ALL WELL, and every tile has an answer with its name and no UNKNOWN."""
    stack.wait(60, "ALL WELL", lambda: [s.name for s in tile(WALL["HEADLINE"], PROMETHEUS)] == ["ALL WELL"])
    for name, panel in WALL.items():
        seen = tile(panel, PROMETHEUS)
        assert seen, f"{name} has no answer"
        assert all(s.name for s in seen), f"{name}: a value without a name: {seen}"
        assert not [s for s in seen if s.word == "UNKNOWN"], f"{name}: {seen}"


def test_the_tiles_of_dead_exporters_say_unknown_within_half_a_minute(stack: Stack, calm: int) -> None:
    """One after the other dies: its tiles say UNKNOWN under their names within 30 s, and the headline is not ALL WELL."""
    stack.wait(60, "ALL WELL", lambda: [s.name for s in tile(WALL["HEADLINE"], PROMETHEUS)] == ["ALL WELL"])
    for exporter, tiles in GONE.items():
        stack.zads("sim", "kill", exporter)
        begin = time.monotonic()
        while wrong := [w for name, wanted in tiles.items() if (w := _wrong(name, wanted))]:
            assert time.monotonic() - begin < 30 * PATIENCE, f"30 s after {exporter} died: {wrong}"
            time.sleep(0.5)
        print(f"{exporter}: UNKNOWN {time.monotonic() - begin:.0f} s after it died")
        assert [s.name for s in tile(WALL["HEADLINE"], PROMETHEUS)] != ["ALL WELL"]
