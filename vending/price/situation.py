"""What is known of a service point when money comes in.  Pure values.

A month is text, ``2026-11``, in the utility's zone.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vending.price.faults import TariffFormatError
from vending.price.tariff import MONEY_MAX, RATE_SCALE, Charge, Tariff
from vending.shop.values import require_whole


class SchemeKind(StrEnum):
    """How much of a debt a sale collects; never more than is left of it, or of the money."""

    PERCENT = "percent"
    """A share of the money."""
    FIXED = "fixed"
    """A sum from each sale."""
    LESSER = "lesser"
    """A share of the money, but not more than a sum from each sale."""
    ALL = "all"
    """Everything, before any unit is sold."""
    BLOCK = "block"
    """Nothing is sold until it is paid at the counter."""


class Of(StrEnum):
    """Which money a share is of."""

    TENDERED = "tendered"
    """What the customer gives."""
    REST = "rest"
    """What the steps before have left of it."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a debt is collected from sales.

    Raises:
        TariffFormatError: a kind without the numbers that it needs, or with others.
    """

    kind: SchemeKind
    rate_bp: int | None = None
    """For `PERCENT` and `LESSER`."""
    fixed_minor: int | None = None
    """For `FIXED` and `LESSER`."""
    of: Of = Of.TENDERED

    def __post_init__(self) -> None:
        shares = self.kind in (SchemeKind.PERCENT, SchemeKind.LESSER)
        fixed = self.kind in (SchemeKind.FIXED, SchemeKind.LESSER)
        if shares != (self.rate_bp is not None) or fixed != (self.fixed_minor is not None):
            raise TariffFormatError(
                "A debt is collected by a percentage (percent), a sum (fixed), the lesser of "
                "both (lesser), wholly (all), or it blocks sales (block); give the percentage "
                "and the sum where they are named, and nowhere else."
            )
        for what, number, most in (
            ("A debt's percentage in basis points", self.rate_bp, RATE_SCALE),
            ("A debt's sum for each sale", self.fixed_minor, MONEY_MAX),
        ):
            if number is None:
                continue
            if not 0 < require_whole(what, number, fault=TariffFormatError) <= most:
                raise TariffFormatError(f"{what} must lie between 1 and {most}.")


@dataclass(frozen=True, slots=True)
class OpenDebt:
    """A debt that is not paid off."""

    debt_id: int
    name: str
    left_minor: int
    scheme: Scheme


_WITHOUT_DRAWER: Final = frozenset({"bank", "wallet", "voucher"})


@dataclass(frozen=True, slots=True)
class DueCharge:
    """A fixed charge of a month that is not paid; before tax."""

    code: str
    name: str
    month: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known when money comes in."""

    channel: str = ""
    """How it is paid: decides the fee."""
    month_units: int = 0
    """Units (tenths) that the service point was given in this month before."""
    charges: tuple[DueCharge, ...] = ()
    """Oldest month first."""
    debts: tuple[OpenDebt, ...] = ()
    """Oldest first."""
    carried_minor: int = 0
    """Change that earlier sales have carried forward."""

    @property
    def keeps_change(self) -> bool:
        """Whether no drawer takes the money in, so that none can pay change out."""
        return self.channel in _WITHOUT_DRAWER


def month_of(year: int, month: int) -> str:
    """A month as text."""
    return f"{year:04d}-{month:02d}"


def months_until(last: str, first: str, most: int) -> Iterator[str]:
    """The months from ``first`` to ``last``, oldest first; the latest ``most`` of them."""
    year, month = int(last[:4]), int(last[5:])
    end = 12 * year + month - 1
    begin = max(12 * int(first[:4]) + int(first[5:]) - 1, end - most + 1)
    for number in range(begin, end + 1):
        yield month_of(number // 12, number % 12 + 1)


def charges_due(
    tariff: Tariff,
    month: str,
    since: str,
    paid: Collection[tuple[str, str]],
) -> tuple[DueCharge, ...]:
    """The charges that are due in a month and not paid, oldest month first.

    Args:
        tariff: whose charges.
        month: this one.
        since: the meter's first day under it, ``2026-11-21``.
        paid: (code, month) of what was paid.
    """
    due = [
        DueCharge(charge.code, charge.name, each, _amount(charge, each, since))
        for charge in tariff.charges
        for each in months_until(month, max(charge.from_month, since[:7]), charge.months_max)
        if (charge.code, each) not in paid
    ]
    return tuple(sorted(due, key=lambda charge: charge.month))


def _amount(charge: Charge, month: str, since: str) -> int:
    if not charge.per_day:
        return charge.amount_minor
    days = monthrange(int(month[:4]), int(month[5:]))[1]
    if month == since[:7]:
        days -= int(since[8:]) - 1
    return charge.amount_minor * days
