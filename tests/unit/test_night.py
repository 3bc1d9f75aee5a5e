"""The night against astropy, over a year and at sites that are awkward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import astropy.units as u
import pytest
from astropy.coordinates import AltAz, EarthLocation, get_sun
from astropy.time import Time
from astropy.utils import iers

from zads import night

iers.conf.auto_download = False
iers.conf.auto_max_age = None  # tables need no download for 0.05 degrees
SITES = {
    "Palomar": (33.3573, -116.8599),
    "Cerro Pachon": (-30.2446, -70.7494),
    "Svalbard": (78.2298, 15.6312),
    "South Pole": (-90.0, 0.0),
    "equator, east of the date line": (0.0, -179.9),
    "equator, west of the date line": (0.0, 179.9),
    "New Zealand": (-43.9865, 170.465),
}


@pytest.mark.parametrize("year", [2024, 2026])
@pytest.mark.parametrize("site", SITES)
def test_altitude_agrees_with_astropy_over_a_year(site: str, year: int) -> None:
    """Within 0.05 degrees at 240 moments at all hours of a common and of a leap year, the 29th of February too."""
    latitude, longitude = SITES[site]
    start = datetime(year, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(hours=36.7 * step) for step in range(240)]
    moments += [datetime(year, 2, 28, 12, tzinfo=UTC) + timedelta(hours=3.1 * step) for step in range(12)]
    location = EarthLocation(lat=latitude * u.deg, lon=longitude * u.deg)
    times = Time(moments)
    expected = get_sun(times).transform_to(AltAz(obstime=times, location=location)).alt.deg
    for moment, degrees in zip(moments, expected, strict=True):
        assert night.sun_altitude_degrees(moment, latitude, longitude) == pytest.approx(degrees, abs=0.05)


@pytest.mark.parametrize("site", ["Palomar", "Cerro Pachon", "equator, east of the date line", "New Zealand"])
def test_dusk_and_dawn_agree_with_astropy(site: str) -> None:
    """In astropy too the Sun is at the limit then, and on the right side of it half a minute before and after."""
    latitude, longitude = SITES[site]
    location = EarthLocation(lat=latitude * u.deg, lon=longitude * u.deg)
    for day in (datetime(2026, 6, 21, tzinfo=UTC), datetime(2026, 12, 21, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)):
        for crossing, dark in (
            (night.next_dusk(day, latitude, longitude), 1),
            (night.next_dawn(day, latitude, longitude), 0),
        ):
            assert crossing is not None
            times = Time([crossing - timedelta(seconds=30), crossing, crossing + timedelta(seconds=30)])
            before, at, after = get_sun(times).transform_to(AltAz(obstime=times, location=location)).alt.deg
            assert at == pytest.approx(-12, abs=0.05)
            assert (before > -12 > after) if dark else (before < -12 < after)


def test_a_night_at_palomar_has_ztfs_name_and_does_not_flip() -> None:
    """From dusk to dawn the name is the UTC date of its middle."""
    longitude = SITES["Palomar"][1]
    for hour in range(1, 15):
        assert night.night_name(datetime(2026, 3, 10, hour, tzinfo=UTC), longitude) == "20260310"
    assert night.night_name(datetime(2026, 3, 10, 21, tzinfo=UTC), longitude) == "20260311"


def test_a_night_at_cerro_pachon_keeps_its_name_over_midnight_utc() -> None:
    """Solar midnight is at 04:43 UTC there; the evening before belongs to it."""
    longitude = SITES["Cerro Pachon"][1]
    evening, morning = datetime(2026, 6, 9, 23, tzinfo=UTC), datetime(2026, 6, 10, 9, tzinfo=UTC)
    assert night.night_name(evening, longitude) == night.night_name(morning, longitude) == "20260610"


@pytest.mark.parametrize("longitude", [-179.99, -135, -116.8599, -70.7, -45, -2, -0.01, 0, 0.01, 3, 60, 120, 179.99])
@pytest.mark.parametrize("latitude", [-55, 0, 33.4, 62])
def test_no_night_changes_its_name_at_any_site(latitude: float, longitude: float) -> None:
    """From dusk to dawn, where the Sun is most ahead and most behind, at the solstices and around a leap day."""
    for day in ((2026, 2, 11), (2026, 6, 21), (2026, 11, 3), (2026, 12, 21), (2028, 2, 28), (2027, 12, 31)):
        dusk = night.next_dusk(datetime(*day, 12, tzinfo=UTC), latitude, longitude)
        if dusk is None:
            assert abs(latitude) > 54  # their summer has no night
            continue
        dawn = night.next_dawn(dusk, latitude, longitude)
        assert dawn is not None
        dark = [dusk + (dawn - dusk) * share for share in (0, 0.25, 0.5, 0.75, 1)]
        assert len({night.night_name(moment, longitude) for moment in dark}) == 1
        tomorrow = night.next_dusk(dawn, latitude, longitude)
        if tomorrow is not None:
            later = (dusk + (dawn - dusk) / 2 + timedelta(days=1)).date() - (dusk + (dawn - dusk) / 2).date()
            assert later == timedelta(days=1)
            assert night.night_name(tomorrow, longitude) > night.night_name(dusk, longitude)


@pytest.mark.parametrize("longitude", [-179.99, -116.8599, -0.01, 0, 0.01, 15, 179.99])
def test_a_night_has_its_name_from_noon_to_noon(longitude: float) -> None:
    """`night_bounds` is the inverse: the name begins there and ends there, over the leap day and the year's end."""
    for name in ("20260310", "20280229", "20271231", "20280101"):
        start, end = night.night_bounds(name, longitude)
        assert end - start == timedelta(days=1)
        assert night.night_name(start, longitude) == night.night_name(end - timedelta(seconds=1), longitude) == name
        assert night.night_name(start - timedelta(seconds=1), longitude) < name < night.night_name(end, longitude)


@pytest.mark.parametrize("text", ["2026031", "20260230", "nonsense", ""])
def test_what_is_no_night_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        night.night_bounds(text, 0)


def test_dawn_follows_dusk_and_polar_summer_has_neither() -> None:
    """At Palomar the Sun crosses -12 degrees twice a day; on Svalbard in June never, at the Pole also in December."""
    noon = datetime(2026, 6, 21, 20, tzinfo=UTC)
    dusk = night.next_dusk(noon, *SITES["Palomar"])
    assert dusk is not None
    dawn = night.next_dawn(dusk, *SITES["Palomar"])
    assert dawn is not None
    assert 7.3 < (dawn - dusk).total_seconds() / 3600 < 7.7  # 7.5 h in June
    for site, month in (("Svalbard", 6), ("South Pole", 6), ("South Pole", 12)):
        assert night.next_dusk(datetime(2026, month, 21, tzinfo=UTC), *SITES[site]) is None
        assert night.next_dawn(datetime(2026, month, 21, tzinfo=UTC), *SITES[site]) is None


def test_polar_day_and_night_are_whole_days() -> None:
    """Not one dark second in polar summer; at the South Pole's winter all of them, and each day has its own name."""
    summer, winter = datetime(2026, 12, 21, tzinfo=UTC), datetime(2026, 6, 21, tzinfo=UTC)
    pole = SITES["South Pole"]
    assert night.dark_seconds(summer, summer + timedelta(days=1), *pole) == 0
    assert night.dark_seconds(winter, winter + timedelta(days=1), *pole) == 86400
    names = [night.night_name(winter + timedelta(hours=hour), 0) for hour in range(0, 72, 24)]
    assert names == ["20260621", "20260622", "20260623"]


def test_a_night_of_minutes_is_found() -> None:
    """The first and the last night beside a summer without darkness are shorter than the steps of the search."""
    latitude, longitude = 55.0, 10.0
    found = []
    for day in range(60):
        noon = datetime(2026, 4, 25, 11, tzinfo=UTC) + timedelta(days=day)
        dusk, dawn = night.next_dusk(noon, latitude, longitude), night.next_dawn(noon, latitude, longitude)
        assert (dusk is None) == (dawn is None)
        if dusk and dawn:
            minutes = (dawn - dusk).total_seconds() / 60
            assert night.dark_seconds(noon, noon + timedelta(days=1), latitude, longitude) / 60 == pytest.approx(
                minutes, abs=0.1
            )
            found.append(minutes)
    assert found == sorted(found, reverse=True)
    # By itself, each 5 s: how long the Sun is under the limit in the last of them.
    last = datetime(2026, 4, 25, 11, tzinfo=UTC) + timedelta(days=len(found) - 1)
    dark = sum(night.is_dark(last + timedelta(hours=10, seconds=5 * step), latitude, longitude) for step in range(5 * 720))
    assert dark / 12 == pytest.approx(found[-1], abs=0.2)
    gone = last + timedelta(days=1)
    lowest = min(
        night.sun_altitude_degrees(gone + timedelta(hours=11, seconds=10 * s), latitude, longitude) for s in range(1000)
    )
    assert lowest >= -12


@pytest.mark.parametrize("minute", [0, 7, 13])
def test_a_night_shorter_than_the_search_steps_is_found(minute: int) -> None:
    """At the latitude where midsummer's Sun sinks 0.01 degrees below the limit: minutes of night, wherever a look falls."""
    noon, longitude = datetime(2026, 6, 21, 11, minute, tzinfo=UTC), 10.0
    midnight = noon + timedelta(hours=12)

    def lowest(latitude: float) -> float:
        near = (midnight + timedelta(seconds=30 * step) for step in range(-120, 120))
        return min(night.sun_altitude_degrees(when, latitude, longitude) for when in near)

    latitude = 54.5
    for _ in range(4):
        latitude -= lowest(latitude) + 12.01
    dusk, dawn = night.next_dusk(noon, latitude, longitude), night.next_dawn(noon, latitude, longitude)
    assert dusk is not None and dawn is not None
    minutes = (dawn - dusk).total_seconds() / 60
    assert 3 < minutes < 19
    assert night.night_name(dusk, longitude) == night.night_name(dawn, longitude)
    assert night.dark_seconds(noon, noon + timedelta(days=1), latitude, longitude) == pytest.approx(60 * minutes, abs=3)


def test_a_stretch_of_darkness_is_cut_where_it_is_asked_for() -> None:
    """Half a night's darkness is the half that lies inside."""
    middle = datetime(2026, 3, 10, 7, 53, tzinfo=UTC)
    dawn = night.next_dawn(middle, *SITES["Palomar"])
    assert dawn is not None
    inside = night.dark_seconds(middle, middle + timedelta(hours=12), *SITES["Palomar"])
    assert inside == pytest.approx((dawn - middle).total_seconds(), abs=2)
    assert night.dark_seconds(middle, middle + timedelta(minutes=1), *SITES["Palomar"]) == 60


@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_the_stacks_site_had_dusk_at_that_moment(hour: int) -> None:
    """The Sun crosses the limit there and then, to a minute."""
    dusk = datetime(2026, 11, 24, hour, 7, tzinfo=UTC)
    longitude = night.longitude_for_dusk(dusk, 33.3573)
    assert night.sun_altitude_degrees(dusk, 33.3573, longitude) == pytest.approx(-12.0, abs=0.2)
    assert night.is_dark(dusk + timedelta(hours=1), 33.3573, longitude)
    assert not night.is_dark(dusk - timedelta(minutes=5), 33.3573, longitude)
