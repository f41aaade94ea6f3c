"""How long a balance lasts at an account's own rate of use (specs/utility.md 17).  Pure values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

HORIZON_DAYS: Final = 366
"""How far ahead one looks."""
_TRIMMED: Final = 5
"""One day of so many is left out at either end: a feast, a day away."""
DAYS_MIN: Final = 3
"""With fewer days nothing is said."""


@dataclass(frozen=True, slots=True)
class Use:
    """What an account's days cost, in minor units."""

    workday_minor: int
    restday_minor: int
    """Weekends and holidays."""
    days: int
    """That it rests on."""

    @property
    def day_minor(self) -> int:
        """An average day of a week, rounded up."""
        return -(-(5 * self.workday_minor + 2 * self.restday_minor) // 7)

    @property
    def tells(self) -> bool:
        """Whether anything follows from it."""
        return self.days >= DAYS_MIN and (self.workday_minor > 0 or self.restday_minor > 0)

    def __add__(self, other: Use) -> Use:
        """Of two supplies together."""
        return Use(
            self.workday_minor + other.workday_minor,
            self.restday_minor + other.restday_minor,
            max(self.days, other.days),
        )


NO_USE: Final = Use(0, 0, 0)


def use_of(workdays: Sequence[int], restdays: Sequence[int]) -> Use:
    """A robust mean of either sort of days; where one sort is missing, the other stands in.

    Args:
        workdays: what each cost, minor units, in any order.
        restdays: the same of weekends and holidays.
    """
    if not workdays and not restdays:
        return NO_USE
    work = trimmed_mean(workdays or restdays)
    rest = trimmed_mean(restdays or workdays)
    return Use(max(work, 0), max(rest, 0), len(workdays) + len(restdays))


def trimmed_mean(values: Sequence[int]) -> int:
    """The mean without the least and the greatest fifth, rounded to the nearest."""
    beside = len(values) // _TRIMMED
    kept = sorted(values)[beside : len(values) - beside]
    return (2 * sum(kept) + len(kept)) // (2 * len(kept))


def runs_out_on(
    left_minor: int, use: Use, first: date, is_rest: Callable[[date], bool]
) -> date | None:
    """The day in whose course nothing is left; None: not within `HORIZON_DAYS`.

    Args:
        left_minor: above the floor, at the beginning of the first day.
        use: what days cost.
        first: the first day whose use was not deducted yet.
        is_rest: whether a day is a day of rest.
    """
    day = first
    for _ in range(HORIZON_DAYS):
        left_minor -= use.restday_minor if is_rest(day) else use.workday_minor
        if left_minor < 0:
            return day
        day += timedelta(days=1)
    return None
