"""Which step a case takes next, and when.  Pure: no clock, no database.

A step is taken when the debt is old and large enough, some days after the step before it, and not
before the time that a disconnect notice has named.  What holds every step (emergency, a plan) and
what holds disconnects (keep-power orders) is asked for first: a keep-power order beats everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from billing.collecting.rules import CollectionRules, Does, Step

LOOKED_AT_EVERY: Final = timedelta(days=7)
"""A case whose steps are all taken."""
ANNOUNCED_FOR: Final = timedelta(days=21)
"""Who was told of a disconnect so long ago, and was not disconnected, is told again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A case and its account, as they are at the moment of deciding."""

    customer_class: str
    mode: str
    is_supplied: bool
    """Has a supply that could be cut."""
    overdue_minor: int
    oldest_due: date | None
    """In the utility's zone; None: nothing is overdue."""
    steps_done: int
    last_step: str | None
    last_step_on: date | None
    announced_at: datetime | None
    band: str
    first_time: bool
    suspended: str | None
    """Why no step is taken: the emergency's words."""
    protected: str | None
    """The keep-power order's words."""
    cut_ended: bool = False
    """Whether the disconnect that was asked came to nothing, or the light has come back."""


@dataclass(frozen=True, slots=True)
class Take:
    """Take a step now."""

    step: Step


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing yet: look again on a day, or at a moment of it."""

    until: date
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A step would be due, and something forbids it: look again on a day."""

    because: str
    until: date


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing is overdue."""


@dataclass(frozen=True, slots=True)
class Rest:
    """All steps are taken: only a payment moves it, or the end of the disconnect."""

    until: date


Decision = Take | Wait | Hold | Close | Rest


def decide(rules: CollectionRules, standing: Standing, now: datetime, today: date) -> Decision:
    """What to do with a case.

    Args:
        rules: in force.
        standing: of the case.
        now: the time.
        today: its day in the utility's zone.
    """
    if standing.oldest_due is None or standing.overdue_minor <= 0:
        return Close()
    tomorrow = today + timedelta(days=1)
    if standing.suspended is not None:
        return Hold(standing.suspended, tomorrow)
    if standing.mode not in rules.modes:
        return Hold(f"Accounts that are {standing.mode} are not collected by steps.", tomorrow)
    step = next_step(rules.steps[standing.customer_class], standing, now)
    if step is None:
        return Rest(today + LOOKED_AT_EVERY)
    day = day_of(step, rules, standing)
    if day > today:
        return Wait(day)
    held = _held(step, rules, standing, today)
    if held is not None:
        return Hold(held, tomorrow)
    announced = standing.announced_at
    if step.does is Does.DISCONNECT and announced is not None and now < announced:
        return Wait(today, announced)
    return Take(step)


def next_step(steps: Sequence[Step], standing: Standing, now: datetime) -> Step | None:
    """The step after the last one that was taken; None: there is none."""
    codes = [each.code for each in steps]
    if standing.last_step in codes:
        place = codes.index(standing.last_step) + 1
    else:  # the rules have changed: as many as were taken are behind us
        place = standing.steps_done
    if place >= len(steps):
        cut = bool(steps) and standing.cut_ended and steps[-1].does is Does.DISCONNECT
        return steps[-2] if cut else None  # announced anew, then asked anew
    if steps[place].does is Does.DISCONNECT and not _is_announced(standing, now):
        place -= 1  # its notice again: the rules see to it that there is one
    return steps[place]


def _is_announced(standing: Standing, now: datetime) -> bool:
    announced = standing.announced_at
    return announced is not None and now < announced + ANNOUNCED_FOR


def is_lenient(rules: CollectionRules, standing: Standing) -> bool:
    """Whether more time is given: a good payer, or the first time."""
    return standing.first_time or standing.band in rules.good_bands


def day_of(step: Step, rules: CollectionRules, standing: Standing) -> date:
    """The first day of a step, as far as days decide it."""
    assert standing.oldest_due is not None
    days = step.days_after_due
    if is_lenient(rules, standing):
        days += step.lenient_days
    day = standing.oldest_due + timedelta(days=days)
    if standing.last_step_on is not None:
        # one step a day, however old the debt is
        gap = timedelta(days=max(step.days_after_last, 1))
        day = max(day, standing.last_step_on + gap)
    return day


def _held(step: Step, rules: CollectionRules, standing: Standing, today: date) -> str | None:
    """Why a step that is due is not taken; None: nothing holds it."""
    assert standing.oldest_due is not None
    cuts = step.does in (Does.DISCONNECT, Does.DISCONNECT_NOTICE)
    if cuts and standing.protected is not None:
        return standing.protected
    if cuts and not standing.is_supplied:
        return "There is no supply to disconnect."
    if standing.overdue_minor < step.min_minor:
        return f"Less is overdue than the step {step.code} is for."
    if standing.band in step.never_for:
        return f"The step {step.code} is not for payers of band {standing.band}."
    days = (today - standing.oldest_due).days
    debt_class = rules.debt_class(standing.overdue_minor, days)
    if debt_class not in step.only_for:
        return f"The step {step.code} is not for a {debt_class} debt."
    return None
