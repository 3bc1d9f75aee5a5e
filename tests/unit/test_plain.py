"""Numbers in words, as the page at / says them."""

from __future__ import annotations

import pytest

from zads import plain


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3.0, "0 s"),
        (0.0, "0 s"),
        (0.0002, "1 ms"),
        (0.0034, "3 ms"),
        (0.25, "250 ms"),
        (1.0, "1 s"),
        (119.0, "119 s"),
        (121.0, "2 min"),
        (7_100.0, "118 min"),
        (7_300.0, "2 h"),
        (170_000.0, "47 h"),
        (2_500_000.0, "29 days"),
    ],
)
def test_times_stand_in_their_largest_unit(seconds: float, words: str) -> None:
    """As a person would say it: never a plural of one, never nothing."""
    assert plain.span(seconds) == words


def test_rates_counts_and_lists() -> None:
    """kB below one MB; a noun that fits its number; the first names of many."""
    assert [plain.rate(v) for v in (0.0, 340_000.0, 1_200_000.0)] == ["0 kB/s", "340 kB/s", "1.2 MB/s"]
    assert [plain.count(n, "alert", "alerts") for n in (0, 1, 12_345)] == ["0 alerts", "1 alert", "12,345 alerts"]
    assert plain.some(["a", "b"]) == "a, b"
    assert plain.some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
