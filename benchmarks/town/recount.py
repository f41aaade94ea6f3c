"""What everybody used costs, counted again: from `people` alone, in fractions, month by month.

Nothing of the office's pricing is used here.  Rates are written down anew; the office keeps the
fraction that rounding leaves for the next settlement, so that all settlements of a supply together
are the exact sum, rounded once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from fractions import Fraction

from benchmarks.town.people import NEW_PRICE, NEW_STEPS, Household, day

_STEPS = {
    "before": ((150, "0.50"), (300, "0.60"), (None, "0.85")),
    "after": ((180, "0.52"), (280, "0.617"), (None, "0.883")),
    "year": ((2160, "0.4983"), (4200, "0.5483"), (None, "0.7983")),
}


def owed_minor(household: Household, days: int) -> int:
    """What a household's first days cost, in minor units."""
    exact = sum(_by_month(household, days), Fraction(0)) * 100
    return int(exact + Fraction(1, 2))


def _by_month(household: Household, days: int) -> Iterator[Fraction]:
    months: dict[tuple[int, int], list[int]] = {}
    for number in range(days):
        on = day(number)
        months.setdefault((on.year, on.month), []).append(number)
    year_kwh = Fraction(0)
    for (_, month), numbers in sorted(months.items()):
        used = [household.used_wh[number] for number in numbers]
        kwh = Fraction(sum(each["total"] for each in used), 1000)
        if household.tariff == "flat":
            yield _flat(household, numbers) * Fraction("1.13")
        elif household.tariff == "steps":
            steps = "before" if date(2025, month, 1) < NEW_STEPS else "after"
            yield _stepped(steps, kwh) - _stepped(steps, Fraction(0))
        elif household.tariff == "year":
            yield _stepped("year", year_kwh + kwh) - _stepped("year", year_kwh)
        else:
            peak = Fraction(sum(each["t1"] for each in used), 1000)
            valley = Fraction(sum(each["t2"] for each in used), 1000)
            yield (peak * Fraction("1.013") + valley * Fraction("0.487")) * Fraction("1.09")
        year_kwh += kwh


def _flat(household: Household, numbers: list[int]) -> Fraction:
    return sum(
        (
            Fraction(household.used_wh[number]["total"], 1000)
            * Fraction("0.55" if day(number) < NEW_PRICE else "0.6125")
            for number in numbers
        ),
        Fraction(0),
    )


def _stepped(name: str, kwh: Fraction) -> Fraction:
    """What the first so many kWh of a period cost."""
    cost, below = Fraction(0), Fraction(0)
    for upto, rate in _STEPS[name]:
        top = kwh if upto is None else min(kwh, Fraction(upto))
        if top > below:
            cost += (top - below) * Fraction(rate)
            below = top
    return cost
