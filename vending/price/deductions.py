"""What is taken of the money before energy, in the tariff's order.  Pure, exact.

The rest of the money is kept as an exact fraction; a line is the difference of two sums, each
rounded down to whole minor units.  So lines are whole, add up without a remainder, and more
money never leaves less for energy, however many percentages follow each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from vending.price.situation import DueCharge, Of, OpenDebt, Scheme, SchemeKind, Situation
from vending.price.tariff import RATE_SCALE, Shares, Step, Tariff

_SHARING: Final = (SchemeKind.PERCENT, SchemeKind.LESSER)


@dataclass(slots=True)
class Deductions:
    """What was taken, and what is left."""

    money_minor: int
    """What is left for energy and its taxes."""
    tax_minor: list[int]
    """Of each tax of the tariff, on fees and charges."""
    fee_minor: int = 0
    """Without the taxes in it."""
    charges: tuple[DueCharge, ...] = ()
    debts: list[tuple[OpenDebt, int]] = field(default_factory=list)
    short_minor: int = 0
    """How much more the charges take than there is."""


def deduct(tariff: Tariff, situation: Situation, tendered_minor: int) -> Deductions:
    """Take everything that comes before energy."""
    taken = Deductions(tendered_minor, [0] * len(tariff.taxes))
    if not (tariff.fees or situation.charges or situation.debts):
        return taken
    purse = _Purse(tendered_minor)
    for step in tariff.order:
        if step is Step.FEE:
            _take_fee(purse, taken, tariff, situation)
        elif step is Step.CHARGES and situation.charges:
            _take_charges(purse, taken, tariff, situation)
        elif step is Step.ARREARS and situation.debts:
            _take_debts(purse, taken, tariff, situation)
    taken.money_minor = tendered_minor - purse.taken_minor
    return taken


class _Purse:
    """A sum of money of which exact parts are taken."""

    __slots__ = ("rest", "scale", "taken_minor", "tendered_minor")

    def __init__(self, tendered_minor: int) -> None:
        self.tendered_minor = tendered_minor
        self.taken_minor = 0
        self.rest = tendered_minor
        """In 1/scale of a minor unit."""
        self.scale = 1

    def widen(self, by: int) -> None:
        """Count in a finer part of a minor unit."""
        self.scale *= by
        self.rest *= by

    def take(self, part: int) -> int:
        """Take so many 1/scale, at most the rest; gives the whole minor units of it."""
        self.rest -= min(part, self.rest)
        taken = self.tendered_minor - -(-self.rest // self.scale)
        line, self.taken_minor = taken - self.taken_minor, taken
        return line


def _take_fee(purse: _Purse, taken: Deductions, tariff: Tariff, situation: Situation) -> None:
    fee = tariff.fee_of(situation.channel)
    if fee is None:
        return
    purse.widen(RATE_SCALE)
    part = fee.fixed_minor * purse.scale + purse.tendered_minor * fee.rate_bp * (
        purse.scale // RATE_SCALE
    )
    if fee.at_most_minor is not None:
        part = min(part, fee.at_most_minor * purse.scale)
    gross = purse.take(part)
    contained = contained_taxes(tariff, tariff.on_fee, gross)
    for position, amount in contained:
        taken.tax_minor[position] += amount
    taken.fee_minor = gross - sum(amount for _, amount in contained)


def contained_taxes(tariff: Tariff, shares: Shares, gross: int) -> list[tuple[int, int]]:
    """The taxes in an amount: (position of the tax, amount); together at most the amount."""
    left = gross
    found = []
    for position, part in shares.taxes:
        rounding = tariff.taxes[position].rounding
        amount = min(rounding.divide(gross * part, shares.whole), left)
        left -= amount
        found.append((position, amount))
    return found


def taxes_on_top(tariff: Tariff, shares: Shares, net: int) -> list[tuple[int, int]]:
    """The taxes on an amount that does not contain them."""
    return [
        (position, tariff.taxes[position].rounding.divide(net * part, shares.net))
        for position, part in shares.taxes
    ]


def _take_charges(purse: _Purse, taken: Deductions, tariff: Tariff, situation: Situation) -> None:
    due = 0
    for charge in situation.charges:
        due += charge.amount_minor
        for position, amount in taxes_on_top(tariff, tariff.on_charges, charge.amount_minor):
            taken.tax_minor[position] += amount
            due += amount
    taken.short_minor = max(0, due - purse.rest // purse.scale)
    taken.charges = situation.charges
    purse.take(due * purse.scale)


def _take_debts(purse: _Purse, taken: Deductions, tariff: Tariff, situation: Situation) -> None:
    order = tariff.order
    taxed = Step.TAXES in order and order.index(Step.TAXES) < order.index(Step.ARREARS)
    for debt in situation.debts:
        part = _part_of(debt.scheme, purse, tariff, taxed=taxed)
        line = purse.take(min(part, debt.left_minor * purse.scale))
        taken.debts.append((debt, line))


def _part_of(scheme: Scheme, purse: _Purse, tariff: Tariff, *, taxed: bool) -> int:
    """What a scheme asks for, in the purse's scale."""
    part = purse.rest
    if scheme.kind in _SHARING:
        assert scheme.rate_bp is not None
        shares = tariff.on_energy
        net, whole = (shares.net, shares.whole) if taxed and scheme.of is Of.REST else (1, 1)
        base = purse.rest if scheme.of is Of.REST else purse.tendered_minor * purse.scale
        purse.widen(RATE_SCALE * whole)
        part = base * scheme.rate_bp * net
    if scheme.fixed_minor is not None:
        part = min(part, scheme.fixed_minor * purse.scale)
    return part
