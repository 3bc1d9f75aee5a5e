"""Who is on call: a rotation with a hand-over in local time, and who stands in for whom."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from zads.config import Config, OnCall

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FIRST_MONDAY = datetime(2024, 1, 1)
_LOOK_AHEAD = 60  # weeks


class Rota:
    """The rotation of one site; times are aware, any zone.

    Weeks are local calendar days, so that a hand-over at 09:00 stays at 09:00 when daylight saving changes.
    """

    def __init__(self, config: Config) -> None:
        settings = config.notifier
        self.zone = ZoneInfo(settings.timezone or config.site.timezone)
        self.people = settings.oncall
        hour, minute = (int(part) for part in settings.rotation.hand_over.split(":"))
        offset = timedelta(days=_DAYS.index(settings.rotation.day), hours=hour, minutes=minute)
        self._first, self._length = _FIRST_MONDAY + offset, timedelta(weeks=settings.rotation.weeks)
        self._named = {person.name: person for person in settings.oncall}
        self._overrides = [(self.aware(o.begins), self.aware(o.ends), o.name) for o in settings.overrides]

    def aware(self, moment: datetime) -> datetime:
        """Return a time of zads.toml with its zone: local where it names none."""
        return moment if moment.tzinfo else moment.replace(tzinfo=self.zone)

    def at(self, now: datetime) -> OnCall | None:
        """Return who is on call; None where nobody is named. Of overrides that overlap the last one counts."""
        if not self.people:
            return None
        for begins, ends, name in reversed(self._overrides):
            if begins <= now < ends and name in self._named:
                return self._named[name]
        return self.people[self._shift(now) % len(self.people)]

    def _shift(self, now: datetime) -> int:
        return (now.astimezone(self.zone).replace(tzinfo=None) - self._first) // self._length

    def changes(self, now: datetime) -> Iterator[tuple[datetime, OnCall]]:
        """Yield each later moment at which somebody else takes over, and who, for about a year."""
        if not self.people:
            return
        shift = self._shift(now)
        # Looked at one by one: who asks for the next change only, as each alert may, waits for no year of them.
        handed = ((self._first + (shift + n) * self._length).replace(tzinfo=self.zone) for n in range(1, _LOOK_AHEAD))
        edges = sorted(edge.astimezone(UTC) for begins, ends, _ in self._overrides for edge in (begins, ends))
        before = self.at(now)
        for moment in heapq.merge((one.astimezone(UTC) for one in handed), edges):
            if moment <= now:
                continue
            person = self.at(moment)
            if person is not None and person != before:
                yield moment.astimezone(self.zone), person
                before = person

    def next(self, now: datetime) -> tuple[datetime, OnCall] | None:
        """Return when somebody else takes over, and who; None where nobody will within about a year."""
        return next(self.changes(now), None)
