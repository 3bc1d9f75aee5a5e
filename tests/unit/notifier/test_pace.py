"""The providers' limits are kept before they have to refuse."""

from __future__ import annotations

import pytest

from notifier.pace import LIMITS, Pace
from tests.unit.notifier.record import Clock


@pytest.mark.parametrize(("name", "most", "seconds"), [("pagerduty", 120, 60), ("slack", 65, 60)])
def test_no_window_holds_more_than_the_provider_allows(name: str, most: int, seconds: int) -> None:
    clock = Clock()
    pace, sent = Pace(LIMITS[name], clock), list[float]()
    clock.now += 3600
    while clock.now < 1_775_030_400 + 3600 + 600:
        if (wait := pace.wait()) > 0:
            clock.now += wait
        else:
            pace.spent()
            sent.append(clock.now)
    assert max(sum(t <= at < t + seconds - 1e-3 for at in sent) for t in sent) <= most
    assert len(sent) >= 600 * LIMITS[name].rate - 1, "and no slower than it may be"


def test_the_first_messages_after_a_pause_do_not_wait() -> None:
    clock = Clock()
    pace = Pace(LIMITS["slack"], clock)
    for _ in range(LIMITS["slack"].burst):
        assert pace.wait() == 0
        pace.spent()
    assert pace.wait() == pytest.approx(1.0)
    clock.now -= 5  # a clock that goes back neither pays nor takes
    assert pace.wait() == pytest.approx(1.0)


def test_no_limit_never_waits() -> None:
    pace = Pace(None, Clock())
    pace.spent()
    assert pace.wait() == 0
