"""When supply may be cut: windows of weekdays in the utility's own time, without holidays.

Pure.  A window is of wall time: where a clock is put forward, what of a window falls into the gap
does not exist, and where it is put back, what falls into the hour that comes twice is open twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

DAY_MIN: Final = 1440
_DAYS_AHEAD: Final = 60
"""How far ahead an opening is looked for."""
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A span of each such weekday."""

    weekday: int
    """1 Monday to 7 Sunday."""
    from_min: int
    """Minute of the day."""
    until_min: int
    """The minute after the last; 1440 is midnight."""

    def __str__(self) -> str:
        day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[self.weekday - 1]
        return f"{day} {_clock(self.from_min)}-{_clock(self.until_min)}"


@dataclass(frozen=True, slots=True)
class Calendar:
    """Windows, holidays and the zone that they are of."""

    windows: tuple[Window, ...]
    holidays: frozenset[date]
    zone: tzinfo

    def is_open(self, moment: datetime) -> bool:
        """Whether supply may be cut at a moment (aware)."""
        wall = moment.astimezone(self.zone)
        minute = wall.hour * 60 + wall.minute
        return wall.date() not in self.holidays and any(
            window.weekday == wall.isoweekday() and window.from_min <= minute < window.until_min
            for window in self.windows
        )

    def next_opening(self, moment: datetime) -> datetime | None:
        """The first moment from this one on at which supply may be cut, UTC.

        None: there is none in the next `_DAYS_AHEAD` days.
        """
        moment = moment.astimezone(UTC)
        if self.is_open(moment):
            return moment
        found = (
            each
            for day in self._days(moment)
            for window in self.windows
            if window.weekday == day.isoweekday()
            for each in self._moments(day, window.from_min)
            if each > moment and self.is_open(each)
        )
        return self._first(found)

    def closing(self, moment: datetime) -> datetime | None:
        """The first moment after an open one at which supply must not be cut, UTC; None: closed."""
        moment = moment.astimezone(UTC)
        if not self.is_open(moment):
            return None
        day = moment.astimezone(self.zone).date()
        ends = (
            each
            for near in (day, day + timedelta(days=1))
            for window in self.windows
            for minute in (window.until_min, 0)
            for each in self._moments(near, minute)
            if each > moment and not self.is_open(each)
        )
        closing = self._first(ends)
        if closing is None:  # windows without a gap, from day to day
            return moment + timedelta(days=1)
        return self._cut_by_the_clock(moment, closing)

    def _cut_by_the_clock(self, moment: datetime, closing: datetime) -> datetime:
        """The clock may be put out of a window: forward beyond its end, or back before it."""
        if moment.astimezone(self.zone).utcoffset() == closing.astimezone(self.zone).utcoffset():
            return closing
        step = moment.replace(second=0, microsecond=0)
        while step < closing:
            step += _MINUTE
            if not self.is_open(step):
                return step
        return closing

    def _days(self, moment: datetime) -> Iterator[date]:
        first = moment.astimezone(self.zone).date()
        for ahead in range(_DAYS_AHEAD):
            yield first + timedelta(days=ahead)

    def _first(self, moments: Iterator[datetime]) -> datetime | None:
        """The earliest; moments come by days, so a day further on cannot be earlier by much."""
        earliest: datetime | None = None
        for each in moments:
            if earliest is not None and each > earliest + timedelta(days=2):
                break
            if earliest is None or each < earliest:
                earliest = each
        return earliest

    def _moments(self, day: date, minute: int) -> Iterator[datetime]:
        """The moments at which a wall clock shows this; in a gap, the minutes behind it too."""
        if minute == DAY_MIN:
            day, minute = day + timedelta(days=1), 0
        wall = datetime.combine(day, time(minute // 60, minute % 60))
        before, after = (
            wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)
        )
        yield before
        if after == before:
            return
        yield after
        step = min(before, after)
        while step < max(before, after):
            step += _MINUTE
            yield step


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
