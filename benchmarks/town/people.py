"""Who lives in the town: what they use, how they pay, what goes wrong.  Seeded, pure.

Nothing here comes from the office: the recount rests on it alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

FIRST: Final = date(2025, 1, 1)
DAYS: Final = 365
NEW_PRICE: Final = date(2025, 3, 16)
"""In the middle of a month: the flat tariff's second version."""
NEW_STEPS: Final = date(2025, 4, 1)
"""The second version of the monthly steps."""

_FLAT: Final = """
code = "flat"
name = "Flat"
[energy]
rate = "{}"
[[taxes]]
code = "vat"
name = "VAT"
percent = "13"
on = ["energy"]
"""
_STEPS: Final = """
code = "{0}"
name = "Steps by the {1}"
[blocks]
period = "{1}"
[[blocks.steps]]
up_to = "{2}"
rate = "{3}"
[[blocks.steps]]
up_to = "{4}"
rate = "{5}"
[[blocks.steps]]
rate = "{6}"
"""
_TIME: Final = """
code = "time"
name = "Time of use"
[energy.rates]
t1 = "1.013"
t2 = "0.487"
[energy.names]
t1 = "peak"
t2 = "valley"
[[taxes]]
code = "vat"
name = "VAT"
percent = "9"
on = ["energy"]
"""
TARIFFS: Final[Mapping[str, tuple[tuple[date, str], ...]]] = {
    "flat": ((FIRST, _FLAT.format("0.55")), (NEW_PRICE, _FLAT.format("0.6125"))),
    "steps": (
        (FIRST, _STEPS.format("steps", "month", "150", "0.50", "300", "0.60", "0.85")),
        (NEW_STEPS, _STEPS.format("steps", "month", "180", "0.52", "280", "0.617", "0.883")),
    ),
    "year": ((FIRST, _STEPS.format("year", "year", "2160", "0.4983", "4200", "0.5483", "0.7983")),),
    "time": ((FIRST, _TIME),),
}
"""Documents as an operator writes them."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A meter that is replaced at the end of a day."""

    after: int
    """Day of the year, from 0."""
    first_wh: int
    """Where the new one's register begins."""


@dataclass(frozen=True, slots=True)
class WrongReading:
    """A midnight whose register was read wrong, and corrected later."""

    day: int
    """The register of its end."""
    by_wh: int
    corrected: int
    """On which day."""


@dataclass(slots=True)
class Household:
    """One customer, one account, one supply."""

    number: int
    tariff: str
    mode: str
    """``prepaid``: settled daily; ``postpaid``: monthly."""
    used_wh: list[dict[str, int]]
    """By day and register: ``total``, and ``t1`` and ``t2`` by time of use."""
    payer: str
    exchange: Exchange | None = None
    wrong: WrongReading | None = None
    paid: list[tuple[str, int]] = field(default_factory=list)
    """What came in and stands: reference and minor units."""

    @property
    def registers(self) -> tuple[str, ...]:
        """What is read."""
        return tuple(self.used_wh[0])


PAYERS: Final = (
    "punctual", "punctual", "punctual", "early", "late", "partly", "twice", "bounces", "misnamed",
    "never",
)  # fmt: skip


def people(seed: int, count: int) -> list[Household]:
    """Everybody, the same for the same seed."""
    rnd = random.Random(seed)
    return [_household(rnd, number) for number in range(1, count + 1)]


def settled_days(household: Household, days: int) -> int:
    """How many of the first days are settled when they are over: whole months, or all."""
    if household.mode == "prepaid":
        return days
    return (day(days).replace(day=1) - FIRST).days


def day(number: int) -> date:
    """The date of a day of the year."""
    return FIRST + timedelta(days=number)


def _household(rnd: random.Random, number: int) -> Household:
    mode = "prepaid" if number % 10 == 0 else "postpaid"
    tariff = rnd.choice(("flat", "steps", "year", "time"))
    usual = rnd.randint(2_000, 25_000)
    used = [_day(rnd, usual, tariff) for _ in range(DAYS)]
    household = Household(number, tariff, mode, used, rnd.choice(PAYERS))
    if rnd.random() < 0.04:
        household.exchange = Exchange(
            rnd.choice((25, rnd.randrange(20, DAYS - 20))), rnd.randrange(0, 9_000)
        )
    elif rnd.random() < 0.06:
        household.wrong = _wrong(rnd, household)
    return household


def _day(rnd: random.Random, usual: int, tariff: str) -> dict[str, int]:
    total = rnd.randint(usual * 85 // 100, usual * 115 // 100)
    if tariff != "time":
        return {"total": total}
    peak = total * rnd.randint(40, 70) // 100
    return {"total": total, "t1": peak, "t2": total - peak}


def _wrong(rnd: random.Random, household: Household) -> WrongReading | None:
    """Only what no check can see: less than a day's use.  By time of use nothing, for simplicity.

    Monthly accounts are read wrong at the end of a month, or nothing would come of it.
    """
    if household.tariff == "time":
        return None
    number = rnd.choice((45, rnd.randrange(40, DAYS - 70)))
    if household.mode == "postpaid":
        end = day(number).replace(day=28) + timedelta(days=4)
        number = (end.replace(day=1) - FIRST).days - 1
    least = min(household.used_wh[number]["total"], household.used_wh[number + 1]["total"])
    by_wh = rnd.randint(1, max(1, least // 3)) * rnd.choice((1, -1))
    return WrongReading(number, by_wh, number + rnd.randint(2, 30))
