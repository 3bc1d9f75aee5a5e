"""The simulated night: when exposures come, for which program, with how many alerts, how late.

Figures: an exposure each 38.7 s (Dekany et al. 2020), about 1,000 alerts each with a long tail
towards the galactic plane (Patterson et al. 2019), programs in 30-minute blocks (ztf_sim), packets
within 13 minutes of the exposure at the 95th percentile (Masci et al. 2019).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

EXPOSURE_SECONDS = 38.7
_BLOCK_SECONDS = 1800.0
_BLOCKS = (1, 2, 1, 2, 3)
# Median 10.2 and 95th percentile 13 minutes, never beyond 15: the objective is 20.
_DELAY_MEDIAN, _DELAY_SIGMA, _DELAY_LEAST, _DELAY_MOST = 612.0, 0.1475, 420.0, 900.0


@dataclass(frozen=True)
class Profile:
    """A kind of night: mean alerts per exposure at scale 1, width of the tail, share of clear time."""

    mean: float
    sigma: float
    clear: float = 1.0


PROFILES = {
    "ztf": Profile(1000.0, 0.7),
    "cloudy": Profile(600.0, 0.7, clear=0.4),
    "burst": Profile(8000.0, 1.0),
}


@dataclass(frozen=True)
class Visit:
    """One exposure to be simulated: seconds after the simulation began, program, alerts, delay in seconds."""

    at: float
    program: int
    alerts: int
    delay: float
    field: int
    filter: int


def program_at(seconds: float) -> int:
    """Return the program that observes at that time: 30-minute blocks, a public one first."""
    return _BLOCKS[int(seconds // _BLOCK_SECONDS) % len(_BLOCKS)]


def visits(profile: Profile, scale: float, rng: random.Random) -> Iterator[Visit]:
    """Yield exposures without end; the same seed gives the same night."""
    # The mean of a log-normal is exp(mu + sigma^2 / 2).
    mu = math.log(profile.mean) - profile.sigma**2 / 2
    clouds_until = clear_until = 0.0
    index = 0
    while True:
        at = index * EXPOSURE_SECONDS
        index += 1
        alerts = round(rng.lognormvariate(mu, profile.sigma) * scale)
        delay = min(max(rng.lognormvariate(math.log(_DELAY_MEDIAN), _DELAY_SIGMA), _DELAY_LEAST), _DELAY_MOST)
        field, colour = rng.randrange(200, 880), rng.choice((1, 2))
        if profile.clear < 1.0 and at >= max(clouds_until, clear_until):
            clear_until = at + rng.expovariate(1 / 1200.0)
            clouds_until = clear_until + rng.expovariate(profile.clear / 1200.0 / (1 - profile.clear))
        if profile.clear < 1.0 and clear_until <= at < clouds_until:
            continue
        yield Visit(at, program_at(at), max(alerts, 1), delay, field, colour)
