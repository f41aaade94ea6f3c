"""Days, months and years of the utility's zone, and which part of them is supplied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo

from billing.tariffs.tariff import Period, Prorate

_MIDNIGHT = time()


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a period that counts: ``of`` parts make the whole."""

    part: int
    of: int
    unit: str
    """``days`` or ``months``."""

    def limit(self, whole_wh: int) -> int:
        """A limit for this part: to the nearest Wh, halves up."""
        if self.part == self.of:
            return whole_wh
        return (2 * whole_wh * self.part + self.of) // (2 * self.of)


WHOLE = Share(1, 1, "days")


@dataclass(frozen=True, slots=True)
class Days:
    """A span in days of the zone.

    A day belongs to the settlement that ends it, so that days are counted once however a month is
    cut, by the hour too.
    """

    first: date
    """On which the span begins."""
    end: date
    """On which it ends; at midnight: the day that begins then."""
    at_midnight: bool

    @property
    def count(self) -> int:
        """How many days end in the span."""
        return (self.end - self.first).days


def days_of(since: datetime, until: datetime, zone: tzinfo) -> Days:
    """A span in days."""
    local = until.astimezone(zone)
    end = local.date()
    # a day may begin at one o'clock, where the clock is put forward at midnight
    at_midnight = local.time() == _MIDNIGHT or until == midnight(end, zone)
    return Days(since.astimezone(zone).date(), end, at_midnight)


def first_of(period: Period, day: date) -> date:
    """The first day of the month or year of a day."""
    return day.replace(day=1) if period is Period.MONTH else date(day.year, 1, 1)


def next_of(period: Period, day: date) -> date:
    """The first day after the month or year of a day."""
    if period is Period.YEAR:
        return date(day.year + 1, 1, 1)
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def share_of(period: Period, prorate: Prorate, first: date, end: date) -> Share:
    """Which part of a period lies between two days of it.

    Args:
        period: month or year.
        prorate: how it is cut.
        first: the first day that counts.
        end: the first day that does not any more; the period's end at the latest.
    """
    begin, after = first_of(period, first), next_of(period, first)
    if prorate is Prorate.NONE or (first == begin and end >= after):
        return WHOLE
    if prorate is Prorate.DAYS:
        return Share(max(1, (end - first).days), (after - begin).days, "days")
    if period is Period.MONTH:
        return WHOLE
    last = 12 if end >= after else end.month - (end.day == 1)
    return Share(max(1, last - first.month + 1), 12, "months")


def midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
