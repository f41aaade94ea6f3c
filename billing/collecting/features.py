"""What a forecast looks at: five plain findings about how somebody has paid so far.

Each finding falls into one of a few classes (``late in 2 of the last 3 months``), so that all that
a model learns from is a table of counts, and each weight can be read.  Nothing is looked at that
was not known some days before the due date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from billing.collecting.record import Due, History, MonthRecord, months_of

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "last 3 months": ("none late", "1 late", "2 late", "3 late"),
    "last 12 months": ("no record", "none late", "up to 1/4 late", "up to 1/2 late", "more late"),
    "last month": ("in time", "up to a week late", "up to a month late", "later", "no record"),
    "overdue now": ("nothing", "up to a usual month", "more"),
    "this amount": ("less than usual", "as usual", "much more than usual", "not known"),
}
"""Findings and their classes, in the order of `Features`."""

Features = tuple[int, int, int, int, int]
"""The class of each finding."""


@dataclass(frozen=True, slots=True)
class Example:
    """A due date of the past: what was known before it, and what came."""

    due_at: datetime
    features: Features
    late: bool


def bills_of(history: History) -> list[Due]:
    """What was due together, as one: paid when all of it was."""
    bills: dict[datetime, Due] = {}
    for due in history.dues:
        there = bills.get(due.due_at)
        if there is None:
            bills[due.due_at] = due
            continue
        both = (
            None
            if due.paid_at is None or there.paid_at is None
            else max(due.paid_at, there.paid_at)
        )
        known = min(due.known_at, there.known_at)
        bills[due.due_at] = Due(due.due_at, due.amount_minor + there.amount_minor, known, both)
    return [bills[due_at] for due_at in sorted(bills)]


def examples_of(
    bills: Sequence[Due],
    zone: tzinfo,
    since: datetime,
    until: datetime,
    *,
    lead_days: int,
    grace_days: int,
) -> Iterator[Example]:
    """What can be learnt from an account: one example for each due date of a span.

    Args:
        bills: of the account (`bills_of`).
        zone: the utility's.
        since: the first due date.
        until: due dates before it; they and their grace have passed.
        lead_days: what was known so long before the due date.
        grace_days: so long after the due date is not late.
    """
    for bill in bills:
        if not since <= bill.due_at < until:
            continue
        at = bill.due_at - timedelta(days=lead_days)
        if not any(each.due_at <= at for each in bills):
            continue  # nothing is known of somebody's first bill
        limit = bill.due_at + timedelta(days=grace_days)
        late = bill.paid_at is None or bill.paid_at > limit
        yield Example(bill.due_at, features_of(bills, zone, at, bill.amount_minor), late)


def features_of(bills: Sequence[Due], zone: tzinfo, at: datetime, amount_minor: int) -> Features:
    """What is known of an account at a moment, before an amount becomes due.

    Args:
        bills: of the account.
        zone: the utility's.
        at: the moment; payments after it are not known.
        amount_minor: what becomes due.
    """
    known = _known(bills, at)
    months = list(months_of(History(tuple(known), 0), zone, at).values())
    usual = sum(each.due_minor for each in months) // len(months) if months else 0
    overdue = sum(
        each.amount_minor
        for each in known
        if each.due_at <= at and (each.paid_at is None or each.paid_at > at)
    )
    return (
        sum(each.days_late > 0 for each in months[-3:]),
        _of_year(months[-12:]),
        _of_last(months[-1:]),
        0 if not overdue else 1 if overdue <= usual else 2,
        _of_amount(amount_minor, usual),
    )


def words_of(features: Features) -> list[str]:
    """The findings in words."""
    return [
        f"{name}: {classes[place]}"
        for (name, classes), place in zip(GROUPS.items(), features, strict=True)
    ]


def _known(bills: Iterable[Due], at: datetime) -> list[Due]:
    return [each for each in bills if each.due_at <= at]


def _of_year(months: Sequence[MonthRecord]) -> int:
    if not months:
        return 0
    late = sum(each.days_late > 0 for each in months)
    if not late:
        return 1
    if late * 4 <= len(months):
        return 2
    return 3 if late * 2 <= len(months) else 4


def _of_last(months: Sequence[MonthRecord]) -> int:
    if not months:
        return 4
    days = months[0].days_late
    limits = (0, 7, 30)
    return next((place for place, limit in enumerate(limits) if days <= limit), len(limits))


def _of_amount(amount_minor: int, usual_minor: int) -> int:
    if usual_minor <= 0:
        return 3
    if amount_minor * 10 < usual_minor * 8:
        return 0
    return 1 if amount_minor * 10 <= usual_minor * 14 else 2
