"""The parts of the day in which a plan may read, on the utility's clock.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo


@dataclass(frozen=True, slots=True)
class Window:
    """From one time of the day to another; past midnight when the end is not after the start."""

    start: time
    end: time

    def has(self, face: time) -> bool:
        """Whether a time of the day lies in it."""
        if self.start < self.end:
            return self.start <= face < self.end
        return face >= self.start or face < self.end


def is_open(windows: Sequence[Window], moment: datetime, zone: tzinfo) -> bool:
    """Whether a plan may read now; without windows always."""
    face = moment.astimezone(zone).time()
    return not windows or any(window.has(face) for window in windows)


def next_opening(windows: Sequence[Window], moment: datetime, zone: tzinfo) -> datetime:
    """The first moment from this one on at which a plan may read, UTC."""
    if is_open(windows, moment, zone):
        return moment
    today = moment.astimezone(zone).date()
    starts = (
        at_wall_time(today + timedelta(days=ahead), window.start, zone)
        for ahead in range(3)
        for window in windows
    )
    return min(start for start in starts if start >= moment)


def at_wall_time(day: date, face: time, zone: tzinfo) -> datetime:
    """A time of the day on a day, UTC.

    A time that the spring leaves out is taken as if the clock had not been set forward; one that
    the autumn has twice is the first.
    """
    return datetime.combine(day, face, zone).astimezone(UTC)
