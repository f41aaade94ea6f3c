"""Which spans of time are settled: hours, days and months of the utility's zone.  Pure.

A span begins where the supply's last one ended and ends at the next border of its cycle; it is cut
where the supply ends and where an agreement with another cycle begins (at midnight).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Final

_HOUR: Final = timedelta(hours=1)
_MIDNIGHT: Final = time(0)


class Cycle(StrEnum):
    """How often an account is settled, as its agreement says."""

    HOURLY = "hourly"
    DAILY = "daily"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Terms:
    """What an agreement says about settlement, from a moment on."""

    since: datetime
    mode: str
    """``prepaid`` or ``postpaid``."""
    cycle: Cycle
    bill_day: int
    due_days: int


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment to the one before which it ends."""

    since: datetime
    until: datetime


def midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins, in UTC."""
    return datetime.combine(day, _MIDNIGHT, tzinfo=zone).astimezone(UTC)


def month_start(day: date, zone: tzinfo) -> datetime:
    """When the month of a day begins, in UTC."""
    return midnight(day.replace(day=1), zone)


def month_after(day: date) -> date:
    """The first day of the month after a day's."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def begins_month(moment: datetime, zone: tzinfo) -> bool:
    """Whether a month begins with a moment."""
    local = moment.astimezone(zone)
    return local.day == 1 and local.time() == _MIDNIGHT


def begins_year(moment: datetime, zone: tzinfo) -> bool:
    """Whether a year begins with a moment."""
    return moment.astimezone(zone).month == 1 and begins_month(moment, zone)


def border_after(moment: datetime, cycle: Cycle, zone: tzinfo) -> datetime:
    """The first border of a cycle after a moment, in UTC."""
    local = moment.astimezone(zone)
    if cycle is Cycle.HOURLY:
        gone = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return moment.astimezone(UTC) - gone + _HOUR
    if cycle is Cycle.DAILY:
        return midnight(local.date() + timedelta(days=1), zone)
    return midnight(month_after(local.date()), zone)


def last_border(moment: datetime, cycle: Cycle, zone: tzinfo) -> datetime:
    """The last border of a cycle that is not after a moment, in UTC."""
    local = moment.astimezone(zone)
    if cycle is Cycle.HOURLY:
        return border_after(moment, cycle, zone) - _HOUR
    return midnight(local.date() if cycle is Cycle.DAILY else local.date().replace(day=1), zone)


def terms_at(terms: Sequence[Terms], moment: datetime, zone: tzinfo) -> Terms:
    """The terms of a span that begins with a moment; before the first: the first.

    Args:
        terms: in order of their versions; at least one.
        moment: a span's beginning.
        zone: an agreement of the middle of a day is for spans from the next midnight on.
    """
    found = terms[0]
    for each in terms[1:]:
        if _from_midnight(each.since, zone) <= moment:
            found = each
    return found


def next_span(
    begin: datetime,
    terms: Sequence[Terms],
    zone: tzinfo,
    *,
    ends: datetime | None = None,
    at_latest: datetime | None = None,
) -> Span | None:
    """The span that is settled next.

    Args:
        begin: where the last one ended.
        terms: of the agreements, in order.
        zone: the utility's.
        ends: when the supply ends; None: it does not.
        at_latest: a final settlement: the span ends here, whatever the cycle.

    Returns:
        None when nothing is left of the supply.
    """
    cycle = terms_at(terms, begin, zone).cycle
    until = border_after(begin, cycle, zone)
    changes = [
        at for each in terms if begin < (at := _from_midnight(each.since, zone)) < until
        and terms_at(terms, at, zone).cycle is not cycle
    ]  # fmt: skip
    limits = [until, *changes, *(each for each in (ends, at_latest) if each is not None)]
    return Span(begin, min(limits)) if min(limits) > begin else None


def due_at(terms: Terms, until: datetime, zone: tzinfo) -> datetime | None:
    """Until when a settlement is to be paid; None: at once (prepaid).

    The bill of the next bill day has it; it is due at the end of the day so many days later.
    """
    if terms.mode == "prepaid":
        return None
    day = until.astimezone(zone).date()
    billed = day.replace(day=terms.bill_day)
    if billed < day:
        billed = month_after(day).replace(day=terms.bill_day)
    return midnight(billed + timedelta(days=terms.due_days + 1), zone)


def _from_midnight(moment: datetime, zone: tzinfo) -> datetime:
    """The first midnight that is not before a moment."""
    start = midnight(moment.astimezone(zone).date(), zone)
    return start if start == moment else border_after(moment, Cycle.DAILY, zone)
