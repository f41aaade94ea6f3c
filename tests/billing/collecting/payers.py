"""A simulated town of payers: how people pay who forget, who are short of money, who do not care.

Everything comes from a seed.  Habits are hidden from the forecast, which sees due dates and
payments alone; they also change, so that no forecast can be perfect.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from billing.collecting.record import Due, History

BEGIN = datetime(2024, 1, 31, 16, 0, tzinfo=UTC)
"""The end of January in Shanghai: the first due date."""
LEAD_DAYS, GRACE_DAYS = 5, 3


@dataclass(frozen=True, slots=True)
class Habit:
    """How somebody pays."""

    name: str
    share: int
    """Of a hundred customers."""
    late: Callable[[random.Random, int, float], int | None]
    """Days after the due date (below zero: before it), None: not at all; from the month of the
    year and how large the bill is against the usual one."""


def _prompt(chance: random.Random, _month: int, _size: float) -> int | None:
    return chance.randint(-12, -1) if chance.random() > 0.02 else chance.randint(4, 12)


def _forgetful(chance: random.Random, _month: int, _size: float) -> int | None:
    return chance.randint(-6, 0) if chance.random() > 0.3 else chance.randint(4, 25)


def _short(chance: random.Random, _month: int, size: float) -> int | None:
    """Pays small bills in time; large ones when the wages come, or months later."""
    if chance.random() > 0.15 + 0.5 * max(0.0, size - 1):
        return chance.randint(-5, 0)
    return chance.choice([12, 25, 40, 65])


def _seasonal(chance: random.Random, month: int, _size: float) -> int | None:
    """Away in January and February."""
    return chance.randint(15, 45) if month <= 2 else chance.randint(-8, 0)


def _careless(chance: random.Random, _month: int, _size: float) -> int | None:
    return chance.randint(5, 70) if chance.random() > 0.25 else chance.randint(-3, 0)


def _gone(_chance: random.Random, _month: int, _size: float) -> int | None:
    return None


HABITS = (
    Habit("prompt", 62, _prompt),
    Habit("forgetful", 15, _forgetful),
    Habit("short of money", 11, _short),
    Habit("seasonal", 5, _seasonal),
    Habit("careless", 6, _careless),
    Habit("gone", 1, _gone),
)


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill, and when it is paid."""

    due_at: datetime
    known_at: datetime
    amount_minor: int
    paid_at: datetime | None


def bills_of_town(seed: int, customers: int, months: int) -> Iterator[list[Bill]]:
    """Bills of each customer, month by month."""
    chance = random.Random(seed)
    for _ in range(customers):
        [habit] = chance.choices(HABITS, [each.share for each in HABITS])
        usual = chance.randint(60_00, 400_00)
        bills: list[Bill] = []
        for month in range(months):
            if chance.random() < 0.01:  # a new job, a new child: another habit
                [habit] = chance.choices(HABITS, [each.share for each in HABITS])
            due_at = _month_after(BEGIN, month)
            size = chance.uniform(0.7, 1.3) * (1.6 if due_at.month in (1, 7, 8) else 1)
            days = habit.late(chance, due_at.month, size)
            paid_at = None if days is None else due_at + timedelta(days=days, hours=-3)
            known_at = due_at - timedelta(days=14)
            bills.append(Bill(due_at, known_at, int(usual * size), paid_at))
        yield bills


def histories_of_town(seed: int, customers: int, months: int) -> Iterator[History]:
    """How each customer has paid."""
    for bills in bills_of_town(seed, customers, months):
        dues = [Due(each.due_at, each.amount_minor, each.known_at, each.paid_at) for each in bills]
        yield History(tuple(dues), 0)


def _month_after(begin: datetime, months: int) -> datetime:
    year, month = divmod(begin.month + months, 12)
    first = datetime(begin.year + year, month + 1, 1, 16, tzinfo=UTC)
    return first - timedelta(days=1)
