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
    "Tromso": (69.65, 18.96),
    "equator": (0.0, 179.9),
}


@pytest.mark.parametrize("site", SITES)
def test_altitude_agrees_with_astropy_over_a_year(site: str) -> None:
    """Within 0.05 degrees at 60 moments of a year."""
    latitude, longitude = SITES[site]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(days=6.1 * step, hours=5.3 * step) for step in range(60)]
    location = EarthLocation(lat=latitude * u.deg, lon=longitude * u.deg)
    times = Time(moments)
    expected = get_sun(times).transform_to(AltAz(obstime=times, location=location)).alt.deg
    for moment, degrees in zip(moments, expected, strict=True):
        assert night.sun_altitude_degrees(moment, latitude, longitude) == pytest.approx(degrees, abs=0.05)


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


def test_dawn_follows_dusk_and_polar_summer_has_neither() -> None:
    """At Palomar the Sun crosses -12 degrees twice a day; at Tromso in June never."""
    noon = datetime(2026, 6, 21, 20, tzinfo=UTC)
    dusk = night.next_dusk(noon, *SITES["Palomar"])
    assert dusk is not None
    dawn = night.next_dawn(dusk, *SITES["Palomar"])
    assert dawn is not None
    assert 7.3 < (dawn - dusk).total_seconds() / 3600 < 7.7  # 7.5 h in June
    assert night.next_dusk(noon, *SITES["Tromso"]) is None


@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_the_stacks_site_had_dusk_at_that_moment(hour: int) -> None:
    """The Sun crosses the limit there and then, to a minute."""
    dusk = datetime(2026, 11, 24, hour, 7, tzinfo=UTC)
    longitude = night.longitude_for_dusk(dusk, 33.3573)
    assert night.sun_altitude_degrees(dusk, 33.3573, longitude) == pytest.approx(-12.0, abs=0.2)
    assert night.is_dark(dusk + timedelta(hours=1), 33.3573, longitude)
    assert not night.is_dark(dusk - timedelta(minutes=5), 33.3573, longitude)
