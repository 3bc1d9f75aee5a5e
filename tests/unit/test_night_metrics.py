"""The night's metrics right around dusk, dawn and noon, in polar summer, and the quarter's dark time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from exporters.services.sky import Sky
from zads import night
from zads.config import Site
from zads.slo_quarter import Quarter, parse_quarter, quarter_dark_seconds, quarter_of

PALOMAR = Site()
PACHON = Site(latitude=-30.2446, longitude=-70.7494)
POLE = Site(latitude=-90, longitude=0)


def _values(sky: Sky, when: datetime) -> dict[str, tuple[dict[str, str], float]]:
    families = sky.families(when.timestamp())
    return {s.name.removeprefix("zads_"): (dict(s.labels), float(s.value)) for family in families for s in family.samples}


def _place(site: Site) -> tuple[float, float, float]:
    return site.latitude, site.longitude, site.sun_limit


@pytest.mark.parametrize("site", [PALOMAR, PACHON, Site(longitude=179.9), Site(longitude=-179.9)])
def test_darkness_altitude_and_name_agree_around_the_crossings(site: Site) -> None:
    """Two seconds before dusk it is not dark and two after it is; at dawn the other way round; the name is one."""
    dusk = night.next_dusk(datetime(2026, 3, 1, tzinfo=UTC), *_place(site))
    assert dusk is not None
    dawn = night.next_dawn(dusk + timedelta(minutes=1), *_place(site))
    assert dawn is not None
    sky, names = Sky(site), set()
    for crossing, sign in ((dusk, 1), (dawn, -1)):
        for seconds in (-2, 2):
            values = _values(sky, crossing + timedelta(seconds=seconds))
            assert values["sun_altitude_degrees"][1] == pytest.approx(site.sun_limit, abs=0.02)
            assert values["observing_night"][1] == float(seconds * sign > 0)
            assert (values["sun_altitude_degrees"][1] < site.sun_limit) == (values["observing_night"][1] == 1)
            names.add(values["night_info"][0]["night"])
    assert names == {f"{dusk + (dawn - dusk) / 2:%Y%m%d}"}


def test_the_nights_end_is_never_over() -> None:
    """Asked each 5 s around dawn, it is this dawn until then and tomorrow's from then on."""
    dawn = night.next_dawn(datetime(2026, 3, 10, 8, tzinfo=UTC), *_place(PALOMAR))
    assert dawn is not None
    sky = Sky(PALOMAR)
    for seconds in range(-60, 60, 5):
        end = _values(sky, dawn + timedelta(seconds=seconds))["night_end_timestamp_seconds"][1]
        assert end == pytest.approx(dawn.timestamp() + (86400 if seconds >= 0 else 0), abs=120)
        assert end > (dawn + timedelta(seconds=seconds)).timestamp()


def test_the_name_changes_at_noon_by_day() -> None:
    """To the second, where it is as light as it gets."""
    noon = night.night_bounds("20260310", PALOMAR.longitude)[1]
    before, after = _values(Sky(PALOMAR), noon - timedelta(seconds=1)), _values(Sky(PALOMAR), noon + timedelta(seconds=1))
    assert (before["night_info"][0]["night"], after["night_info"][0]["night"]) == ("20260310", "20260311")
    assert before["sun_altitude_degrees"][1] > 45


@pytest.mark.parametrize(("month", "dark"), [(12, 0.0), (6, 1.0)])
def test_polar_summer_and_winter_have_no_end_of_night(month: int, dark: float) -> None:
    """It is dark or not, all day; no series says when that ends."""
    values = _values(Sky(POLE), datetime(2026, month, 21, 12, 1, tzinfo=UTC))
    assert values["observing_night"][1] == dark
    assert "night_end_timestamp_seconds" not in values
    assert values["quarter_dark_seconds"][1] >= 0


def test_quarters_hold_each_night_once() -> None:
    """366 nights in a leap year; the 29th of February is one of the first quarter's 91."""
    for year, count in ((2027, 365), (2028, 366)):
        nights = [name for number in range(1, 5) for name in Quarter(year, number).nights()]
        assert len(nights) == len(set(nights)) == count
        assert nights == sorted(nights)
    assert "20280229" in Quarter(2028, 1).nights()
    assert Quarter(2026, 4).nights()[-1] == "20261231"


@pytest.mark.parametrize("longitude", [-116.8599, -70.7494, 170.465, -179.9])
def test_a_night_belongs_to_the_quarter_of_its_name(longitude: float) -> None:
    """Also the evening that is still the former quarter's by the calendar."""
    start, end = Quarter(2026, 4).bounds(longitude)
    assert str(quarter_of(start, longitude)) == str(quarter_of(end - timedelta(seconds=1), longitude)) == "2026Q4"
    assert str(quarter_of(start - timedelta(seconds=1), longitude)) == "2026Q3"
    assert str(quarter_of(end, longitude)) == "2027Q1"


def test_the_quarters_budget_is_about_one_full_night() -> None:
    """1 % of the quarter's dark hours at Palomar: 7.3 h in summer, 10.6 h in winter; the metric says the same."""
    hours = [quarter_dark_seconds(Quarter(2026, number), PALOMAR) / 3600 for number in range(1, 5)]
    assert [round(value / 100, 1) for value in hours] == pytest.approx([9.8, 7.4, 8.2, 10.6], abs=0.5)
    each = sum(
        night.dark_seconds(*night.night_bounds(name, PALOMAR.longitude), *_place(PALOMAR))
        for name in Quarter(2026, 1).nights()
    )
    assert each / 3600 == pytest.approx(hours[0], abs=0.1)
    labels, value = _values(Sky(PALOMAR), datetime(2026, 3, 10, tzinfo=UTC))["quarter_dark_seconds"]
    assert labels == {"quarter": "2026Q1"}
    assert value == pytest.approx(hours[0] * 3600)


@pytest.mark.parametrize("text", ["2026Q5", "2026", "Q4", "20264", "0001Q1", ""])
def test_what_is_no_quarter_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 2026Q4"):
        parse_quarter(text)


def test_quarters_are_read_as_people_write_them() -> None:
    assert parse_quarter("2026q4") == parse_quarter(" 2026-Q4 ") == Quarter(2026, 4)


@pytest.mark.parametrize(("month", "hours"), [(1, -8), (7, -7)])
def test_local_time_follows_the_sites_clock(month: int, hours: int) -> None:
    """Palomar is eight hours behind UTC in winter, seven in summer."""
    values = _values(Sky(PALOMAR), datetime(2026, month, 10, 8, tzinfo=UTC))
    assert values["site_utc_offset_seconds"][1] == hours * 3600
