"""When a plan is due, and which days of the month are whose, on the utility's calendar.  Pure."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from headend.collection.plan import When
from headend.collection.window import at_wall_time

ROLLING_DAYS: Final = 28
"""Every month has so many."""
_LOOKED_AHEAD_DAYS: Final = 64
_MINUTE: Final = timedelta(minutes=1)


def next_due(when: When, after: datetime, zone: tzinfo) -> datetime:
    """The first due moment after a moment, UTC."""
    day = after.astimezone(zone).date() - timedelta(days=1)
    for ahead in range(_LOOKED_AHEAD_DAYS):
        for moment in due_moments(when, day + timedelta(days=ahead), zone):
            if moment > after:
                return moment
    raise AssertionError("every plan is due within two months")


def due_moments(when: When, day: date, zone: tzinfo) -> Iterator[datetime]:
    """The due moments of one day of the utility's calendar, in order, UTC.

    Every so many minutes: counted in real minutes from the day's beginning, so that a day of 23
    or 25 hours has so many fewer or more.
    """
    if when.every_min is not None:
        begin, end = day_span(day, zone)
        moment = begin + (when.at.hour * 60 + when.at.minute) * _MINUTE
        while moment < end:
            yield moment
            moment += when.every_min * _MINUTE
    elif isinstance(when.days, str) or is_day(when.days or (), day):
        yield at_wall_time(day, when.at, zone)


def day_span(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """A day's first moment and the one after its last, UTC."""
    begin, end = (
        datetime(each.year, each.month, each.day, tzinfo=zone).astimezone(UTC)
        for each in (day, day + timedelta(days=1))
    )
    return begin, end


def is_day(days: Sequence[int], day: date) -> bool:
    """Whether a date is one of some days of the month; one that a month lacks is its last day."""
    last = monthrange(day.year, day.month)[1]
    return any(min(each, last) == day.day for each in days)


def days_meant(day: date) -> tuple[int, ...]:
    """The reading days that fall on a date: its own, and on a month's last day those after it."""
    last = monthrange(day.year, day.month)[1]
    return tuple(range(day.day, 32)) if day.day == last else (day.day,)


def month_number(day: date) -> int:
    """Months as numbers that follow each other."""
    return day.year * 12 + day.month - 1


def first_of(month: int) -> date:
    """The first day of a month given by its number."""
    return date(month // 12, month % 12 + 1, 1)
