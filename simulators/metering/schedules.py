"""When freezes and load records are due, on the meter's own clock.

A `Rule` names moments of the clock's face; a `Series` is a rule since some second, and the moments
that rules before it had named.  Nothing is stored when a moment passes: what was due is computed
when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from simulators.errors import SimulatorValueError
from simulators.metering.meter_clock import SECONDS_PER_DAY, MeterClock, face, local_of

_MONTHS_BACK_MAX = 64


class Due(NamedTuple):
    """A moment that has passed."""

    local: int
    """What the clock showed, by the rule."""
    second: int
    """True time."""


@dataclass(frozen=True, slots=True)
class Every:
    """Each so many seconds of the clock's face."""

    period_s: int
    phase_s: int = 0
    """Past midnight (or past the full hour)."""

    def __post_init__(self) -> None:
        if self.period_s < 1:
            raise SimulatorValueError("A period is at least one second.")

    def back_from(self, local: int) -> Iterator[int]:
        """The moments up to this one, the latest first, without end."""
        last = local - (local - self.phase_s) % self.period_s
        while True:
            yield last
            last -= self.period_s


@dataclass(frozen=True, slots=True)
class Monthly:
    """Some days of each month."""

    moments: tuple[tuple[int, int], ...]
    """(day 1-31, minute of the day); in months without such a day nothing is due."""
    month: int | None = None
    """Only in this month."""

    def back_from(self, local: int) -> Iterator[int]:
        """The moments up to this one, the latest first; five years back at most."""
        first = face(local).replace(day=1, hour=0, minute=0, second=0)
        for _ in range(_MONTHS_BACK_MAX):
            if self.month in (None, first.month):
                for day, minute in sorted(self.moments, reverse=True):
                    moment = first + timedelta(days=day - 1, minutes=minute)
                    if moment.month == first.month and local_of(moment) <= local:
                        yield local_of(moment)
            first = (first - timedelta(days=1)).replace(day=1)


Rule = Every | Monthly


def passed(rule: Rule, clock: MeterClock, now: int, *, passed_over: bool = True) -> Iterator[Due]:
    """The moments of a rule that the clock came to, the latest first.

    Args:
        rule: which.
        clock: the meter's.
        now: true second.
        passed_over: also those that the clock was set past, as due when it was set.
    """
    for span in clock.spans(now):
        first = span.passed_over if passed_over else span.start
        for local in rule.back_from(span.end - 1):
            if local < first:
                break
            yield Due(local, clock.reached(span, local))


@dataclass(frozen=True, slots=True)
class Series:
    """A rule since a second, and what earlier rules had left.

    ``earlier`` has the latest first.
    """

    rule: Rule | None
    since: int
    earlier: tuple[Due, ...] = ()

    def passed(self, clock: MeterClock, now: int) -> Iterator[Due]:
        """What was due up to a second, the latest first."""
        if self.rule is not None:
            for due in passed(self.rule, clock, now):
                if due.second < self.since:
                    break
                yield due
        yield from self.earlier

    def nth(self, n: int, clock: MeterClock, now: int) -> Due | None:
        """The n-th last, counted from 1."""
        for place, due in enumerate(self.passed(clock, now), 1):
            if place == n:
                return due
        return None

    def with_rule(self, rule: Rule | None, clock: MeterClock, now: int, kept: int) -> Series:
        """Another rule from now on; so many of the moments that have passed are kept."""
        earlier: list[Due] = []
        for due in self.passed(clock, now):
            if len(earlier) == kept:
                break
            earlier.append(due)
        return Series(rule, now, tuple(earlier))


def daily(minute: int) -> Every:
    """Once a day."""
    return Every(SECONDS_PER_DAY, minute * 60)


def hourly(minute: int = 0) -> Every:
    """Once an hour."""
    return Every(3_600, minute * 60)
