"""The search's address: what is asked for, what cannot be understood, the same address for the same search."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.page_history import parse_query
from zads.night import night_name

PALOMAR = -116.86


def _at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_days_are_whole_ones() -> None:
    """From the first's beginning to the last's end, both ways of writing them."""
    wanted = parse_query({"from": "2026-04-01", "to": "20260402"}, PALOMAR).wanted
    assert (wanted.begin, wanted.end) == (_at("2026-04-01"), _at("2026-04-03"))


@pytest.mark.parametrize("longitude", [PALOMAR, 0.0, 149.1, -179.9, 179.9])
def test_a_night_is_the_one_whose_packets_bear_its_date(longitude: float) -> None:
    """From noon to noon by the Sun, at any site: the middle of it has that name, and so has each hour but the edges."""
    wanted = parse_query({"night": "20260401", "from": "2020-01-01"}, longitude).wanted
    assert wanted.begin is not None and wanted.end is not None
    assert wanted.end - wanted.begin == 86400
    for share in (0.01, 0.25, 0.5, 0.75, 0.99):
        moment = datetime.fromtimestamp(wanted.begin + share * 86400, UTC)
        assert night_name(moment, longitude) == "20260401"


@pytest.mark.parametrize(
    "fields",
    [
        {"night": "20261301"},
        {"from": "yesterday"},
        {"to": "2026-02-30"},
        {"from": "00000101"},
        {"from": "99991231"},
        {"severity": "sev1"},
        {"state": "nope"},
        {"from": "2026-04-02", "to": "2026-04-01"},
        {"night": "２０２６０４０１"},
    ],
)
def test_what_cannot_be_understood_is_said(fields: dict[str, str]) -> None:
    """No search then: it would find something else than was asked for."""
    assert parse_query(fields, PALOMAR).problem


def test_the_address_says_the_whole_search_and_no_more() -> None:
    """In one order, without what is empty or unknown."""
    query = parse_query({"x": "1", "state": "open", "q": " Kafka down ", "about": "", "before": "7", "paged": "1"}, PALOMAR)
    assert query.address() == "/history?q=Kafka+down&state=open&paged=1"
    assert query.wanted.before == 7
    assert parse_query({}, PALOMAR).address() == "/history"


@given(
    st.dictionaries(
        st.sampled_from(["q", "severity", "about", "state", "night", "from", "to", "paged", "before"]), st.text()
    )
)
def test_any_text_is_a_search_or_a_problem(fields: dict[str, str]) -> None:
    """No exception."""
    parse_query(fields, PALOMAR).address()
