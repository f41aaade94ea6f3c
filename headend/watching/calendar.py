"""Days of the utility's calendar as whole numbers, and their first moments in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

_EPOCH: Final = date(1970, 1, 1)


def number_of(day: date) -> int:
    """The number of a day: days since 1970-01-01."""
    return (day - _EPOCH).days


def date_of(day: int) -> date:
    """The day of a number."""
    return _EPOCH + timedelta(days=day)


def midnight(zone: tzinfo, day: int) -> datetime:
    """The first moment of a day of a zone, in UTC."""
    return datetime.combine(date_of(day), time(0), tzinfo=zone).astimezone(UTC)


def day_of(zone: tzinfo, moment: datetime) -> int:
    """The number of the day of a zone in which a moment lies."""
    return number_of(moment.astimezone(zone).date())
