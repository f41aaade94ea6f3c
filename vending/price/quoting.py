"""Money to units: what an amount buys under a tariff, line by line.  Pure, whole numbers.

* Deductions come first, in the tariff's order (`vending.price.deductions`); charges that are
  due are paid wholly or the sale is refused, so that more money never buys less.
* What is left, and what earlier sales carried forward, buys as many tenths of a unit as it pays
  for through the blocks, including the taxes on energy, rounded **down** to what a token can
  represent (`vending.sts.floor_amount`).
* What they cost is rounded **up** to a whole minor unit, so that units never exceed what was
  paid; the difference is less than one minor unit.
* Each tax is the part of that cost that it makes up, rounded as it says; energy is the rest of
  the cost; what is left of the money is change.

So the lines add up to the tendered amount, always (specs/vending.md, "Money to units").
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from vending.price.deductions import Deductions, contained_taxes, deduct, taxes_on_top
from vending.price.faults import DebtBlocksError, NothingDueError
from vending.price.lines import (
    ChargePaid,
    DebtPaid,
    EnergyStep,
    LineKind,
    PriceLine,
    Quote,
    TaxAmount,
)
from vending.price.situation import DueCharge, OpenDebt, SchemeKind, Situation
from vending.price.tariff import (
    MONEY_MAX,
    PRICE_SCALE,
    UNITS_PER_MEASURE,
    ChangeRule,
    Step,
    Tariff,
)
from vending.price.words import rate_text
from vending.receipts.receipt import Reason
from vending.shop.faults import AboveMaximumError, BelowMinimumError, RequestFormatError
from vending.shop.money import Currency, scaled
from vending.shop.values import require_whole
from vending.sts import AMOUNT_MAX, encode_amount, floor_amount

_COST_SCALE: Final = UNITS_PER_MEASURE * PRICE_SCALE
_NOTHING_KNOWN: Final = Situation()


def quote(tariff: Tariff, situation: Situation, tendered_minor: int, currency: Currency) -> Quote:
    """What ``tendered_minor`` buys.

    Raises:
        RequestFormatError: no whole number.
        DebtBlocksError: a debt has to be paid before anything is sold.
        BelowMinimumError: not even a tenth of a unit is left after what comes first.
        AboveMaximumError: more than one token can carry.
    """
    require_whole("An amount in minor units", tendered_minor)
    _require_unblocked(tariff, situation, currency)
    taken = deduct(tariff, situation, tendered_minor)
    money = taken.money_minor + situation.carried_minor
    affordable = affordable_units(tariff, situation.month_units, money)
    if affordable < 1 or taken.short_minor or tendered_minor < 1:
        raise _below_minimum(tariff, situation, tendered_minor, taken, currency)
    if affordable > AMOUNT_MAX:
        raise AboveMaximumError(
            f"{currency.code} {currency.text(tendered_minor)} buys more than a token can carry "
            f"({scaled(AMOUNT_MAX, 1)} {tariff.resource.measure}): sell it in several parts."
        )
    units = floor_amount(affordable)
    steps = _steps(tariff, situation.month_units, units)
    cost = _cost(tariff, steps)
    energy_taxes = contained_taxes(tariff, tariff.on_energy, cost)
    on_energy = 0
    for position, amount in energy_taxes:
        taken.tax_minor[position] += amount
        on_energy += amount
    energy = _priced(steps, cost - on_energy)
    left = _left(affordable, units, tariff.resource.measure)
    lines = [
        *_deducted_lines(tariff, situation, taken, currency),
        *_energy_lines(tariff, energy, currency),
        *_tax_lines(tariff, taken.tax_minor),
        *_rest_lines(tariff, situation, money - cost, left, currency),
    ]
    return Quote(
        tendered_minor,
        units,
        tuple(lines),
        energy,
        _tax_amounts(tariff, taken.tax_minor),
        tuple(ChargePaid(each.code, each.month, each.amount_minor) for each in taken.charges),
        _debts_paid(taken.debts),
        situation.carried_minor,
        on_energy,
    )


def quote_for_units(tariff: Tariff, situation: Situation, units: int, currency: Currency) -> Quote:
    """What the least amount buys that pays for at least so many units (tenths).

    Raises:
        RequestFormatError: no whole number above zero.
        AboveMaximumError: more than one token can carry, or than any amount buys.
        DebtBlocksError: a debt has to be paid before anything is sold.
    """
    return quote(tariff, situation, least_amount(tariff, situation, units, currency), currency)


def least_amount(tariff: Tariff, situation: Situation, units: int, currency: Currency) -> int:
    """The least amount, in minor units, that buys at least so many units (tenths).

    Raises:
        As `quote_for_units`.
    """
    if require_whole("A number of units", units) < 1:
        raise RequestFormatError("A number of units must be above zero.")
    _require_unblocked(tariff, situation, currency)
    if units > AMOUNT_MAX:
        raise AboveMaximumError(
            f"A token carries at most {scaled(AMOUNT_MAX, 1)} {tariff.resource.measure}: "
            "sell it in several parts."
        )
    carried = encode_amount(units).amount
    wanted = cost_minor(tariff, situation.month_units, carried) - situation.carried_minor

    def enough(tendered_minor: int) -> bool:
        taken = deduct(tariff, situation, tendered_minor)
        return not taken.short_minor and taken.money_minor >= wanted

    least, most = 0, max(1, wanted)
    while not enough(most):
        if most > MONEY_MAX:
            raise AboveMaximumError("No amount buys so much: fees and debts take all of it.")
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if enough(middle) else (middle, most)
    return most


def quote_account(
    tariff: Tariff,
    situation: Situation,
    tendered_minor: int,
    currency: Currency,
    *,
    debt_id: int | None = None,
) -> Quote:
    """What ``tendered_minor`` pays of charges and debts, without any units.

    Charges are paid by whole months, with their taxes, the oldest first; debts as far as the
    money goes, the oldest first; which of the two comes first is the tariff's order.  The rest
    is change.

    Args:
        tariff: of the meter.
        situation: what is due.
        tendered_minor: what the customer gives.
        currency: of the shop.
        debt_id: pay this debt and nothing else.

    Raises:
        RequestFormatError: no whole number above zero.
        NothingDueError: nothing is due, or not this debt.
        BelowMinimumError: the money does not pay for the first month that is due.
    """
    if require_whole("An amount in minor units", tendered_minor) < 1:
        raise RequestFormatError("A payment must be above zero.")
    due = situation.charges if debt_id is None else ()
    debts = tuple(each for each in situation.debts if debt_id in (None, each.debt_id))
    if not due and not debts:
        raise NothingDueError("Nothing is due here: there is no such debt and no charge to pay.")
    taken = Deductions(tendered_minor, [0] * len(tariff.taxes))
    for step in tariff.order if Step.ARREARS in tariff.order else (*tariff.order, Step.ARREARS):
        if step is Step.CHARGES:
            _pay_charges(tariff, taken, due)
        elif step is Step.ARREARS:
            _pay_debts(taken, debts)
    if taken.money_minor == tendered_minor:
        raise BelowMinimumError(
            f"{currency.code} {currency.text(tendered_minor)} does not pay for the first month "
            "that is due: a charge is paid by whole months."
        )
    lines = [
        *_deducted_lines(tariff, _NOTHING_KNOWN, taken, currency),
        *_tax_lines(tariff, taken.tax_minor),
        *_rest_lines(
            tariff,
            replace(situation, carried_minor=0),
            taken.money_minor,
            _NOTHING_LEFT_TO_PAY,
            currency,
        ),
    ]
    return Quote(
        tendered_minor,
        0,
        tuple(lines),
        (),
        _tax_amounts(tariff, taken.tax_minor),
        tuple(ChargePaid(each.code, each.month, each.amount_minor) for each in taken.charges),
        _debts_paid(taken.debts),
    )


def affordable_units(tariff: Tariff, month_units: int, money_minor: int) -> int:
    """How many tenths of a unit the money pays for with taxes, behind those of the month."""
    budget = money_minor * _COST_SCALE * tariff.on_energy.net
    whole = tariff.on_energy.whole
    units, begun = 0, month_units
    for block in tariff.blocks:
        if block.up_to is None:
            return units + budget // (block.price * whole)
        room = block.up_to - begun
        if room <= 0:
            continue
        cost = room * block.price * whole
        if cost > budget:
            return units + budget // (block.price * whole)
        budget -= cost
        units += room
        begun = block.up_to
    raise AssertionError("the last block has no bound")


def cost_minor(tariff: Tariff, month_units: int, units: int) -> int:
    """What so many tenths of a unit cost with taxes, rounded up to a whole minor unit."""
    return _cost(tariff, _steps(tariff, month_units, units))


def _steps(tariff: Tariff, month_units: int, units: int) -> list[tuple[int, int]]:
    """Units and price of each block that they lie in."""
    steps = []
    begun = month_units
    for block in tariff.blocks:
        room = units if block.up_to is None else min(units, block.up_to - begun)
        if room > 0:
            steps.append((room, block.price))
            units -= room
            begun += room
            if not units:
                break
    return steps


def _cost(tariff: Tariff, steps: list[tuple[int, int]]) -> int:
    shares = tariff.on_energy
    net = sum(units * price for units, price in steps)
    return -(-net * shares.whole // (_COST_SCALE * shares.net))


def _priced(steps: list[tuple[int, int]], energy_minor: int) -> tuple[EnergyStep, ...]:
    """Each step's part of what energy costs; the last one takes the rounding."""
    if len(steps) == 1:
        ((units, price),) = steps
        return (EnergyStep(units, price, energy_minor),)
    priced = []
    exact = given = 0
    for number, (units, price) in enumerate(steps, 1):
        exact += units * price
        upto = energy_minor if number == len(steps) else min(exact // _COST_SCALE, energy_minor)
        priced.append(EnergyStep(units, price, upto - given))
        given = upto
    return tuple(priced)


def _require_unblocked(tariff: Tariff, situation: Situation, currency: Currency) -> None:
    if not situation.debts or Step.ARREARS not in tariff.order:
        return
    for debt in situation.debts:
        if debt.scheme.kind is SchemeKind.BLOCK:
            raise DebtBlocksError(
                f"The debt '{debt.name}' has to be paid first: {currency.code} "
                f"{currency.text(debt.left_minor)} are left. Take it as an account payment."
            )


def _below_minimum(
    tariff: Tariff,
    situation: Situation,
    tendered_minor: int,
    taken: Deductions,
    currency: Currency,
) -> BelowMinimumError:
    least = least_amount(tariff, situation, 1, currency)
    first = tendered_minor - taken.money_minor
    goes_first = (
        f" ({currency.code} {currency.text(first)} of it goes to fees, charges and debts first)"
        if first > 0
        else ""
    )
    return BelowMinimumError(
        f"{currency.code} {currency.text(tendered_minor)} does not pay for 0.1 "
        f"{tariff.resource.measure}{goes_first}; "
        f"at least {currency.code} {currency.text(least)} does."
    )


def _pay_charges(tariff: Tariff, taken: Deductions, due: tuple[DueCharge, ...]) -> None:
    paid = []
    for charge in due:
        taxes = taxes_on_top(tariff, tariff.on_charges, charge.amount_minor)
        gross = charge.amount_minor + sum(amount for _, amount in taxes)
        if gross > taken.money_minor:
            break
        taken.money_minor -= gross
        for position, amount in taxes:
            taken.tax_minor[position] += amount
        paid.append(charge)
    taken.charges = tuple(paid)


def _pay_debts(taken: Deductions, debts: tuple[OpenDebt, ...]) -> None:
    for debt in debts:
        amount = min(debt.left_minor, taken.money_minor)
        taken.money_minor -= amount
        taken.debts.append((debt, amount))


# --- lines ----------------------------------------------------------------------------------

_Left = tuple[str, Reason]
_NOTHING_LEFT_TO_PAY: Final[_Left] = ("more than is paid", Reason("more_than_is_paid"))


def _deducted_lines(
    tariff: Tariff, situation: Situation, taken: Deductions, currency: Currency
) -> list[PriceLine]:
    lines: list[PriceLine] = []
    for step in tariff.order:
        if step is Step.FEE and taken.fee_minor:
            channel = situation.channel
            lines.append(
                PriceLine(
                    LineKind.FEE,
                    taken.fee_minor,
                    f"payment by {channel}",
                    Reason(f"fee_{channel}"),
                )
            )
        elif step is Step.CHARGES and taken.charges:
            lines += _charge_lines(taken.charges)
        elif step is Step.ARREARS:
            lines += _debt_lines(taken.debts, currency)
    if Step.ARREARS not in tariff.order:  # a payment at the counter
        lines += _debt_lines(taken.debts, currency)
    return lines


def _charge_lines(charges: tuple[DueCharge, ...]) -> list[PriceLine]:
    """One line for each charge, over all of its months."""
    lines = []
    for code in dict.fromkeys(charge.code for charge in charges):
        months = [charge for charge in charges if charge.code == code]
        name, first, last = months[0].name, months[0].month, months[-1].month
        amount = sum(charge.amount_minor for charge in months)
        if len(months) == 1:
            text, reason = f"{name}, {first}", Reason("charge_of_month", (name, first))
        else:
            text = f"{name}, {len(months)} months from {first} to {last}"
            reason = Reason("charge_of_months", (name, str(len(months)), first, last))
        lines.append(PriceLine(LineKind.CHARGE, amount, text, reason, code))
    return lines


def _debt_lines(debts: list[tuple[OpenDebt, int]], currency: Currency) -> list[PriceLine]:
    lines = []
    for debt, amount in debts:
        if amount:
            left = currency.text(debt.left_minor - amount)
            reason = Reason("debt_paid", (debt.name, left))
            lines.append(PriceLine(LineKind.DEBT, amount, f"{debt.name}, {left} left", reason))
    return lines


def _energy_lines(
    tariff: Tariff, steps: tuple[EnergyStep, ...], currency: Currency
) -> list[PriceLine]:
    measure = tariff.resource.measure
    lines = []
    for step in steps:
        if step.amount_minor or not step.price:
            units, price = scaled(step.units, 1), rate_text(step.price, currency)
            lines.append(
                PriceLine(
                    LineKind.ENERGY,
                    step.amount_minor,
                    f"{units} {measure} @ {price}",
                    Reason("units_at_price", (units, measure, price)),
                )
            )
    return lines


def _tax_lines(tariff: Tariff, amounts: list[int]) -> list[PriceLine]:
    return [
        PriceLine(LineKind.TAX, amount, words.text, words.reason, tax.code)
        for tax, words, amount in zip(tariff.taxes, tariff.tax_words, amounts, strict=True)
        if amount
    ]


def _rest_lines(
    tariff: Tariff, situation: Situation, change: int, left: _Left, currency: Currency
) -> list[PriceLine]:
    """What earlier sales carried forward, and what becomes of the money that buys nothing.

    Where no drawer took the money in, none pays change out: it is kept, whatever the tariff says.
    """
    carried_in = situation.carried_minor
    lines = []
    if carried_in:
        reason = Reason("carried_in")
        lines.append(PriceLine(LineKind.CARRIED, -carried_in, "from earlier sales", reason))
    if not change:
        return lines
    if tariff.change.rule is ChangeRule.CARRY or situation.keeps_change:
        reason = Reason("carried_out")
        lines.append(PriceLine(LineKind.CARRIED, change, "kept for the next sale", reason))
        return lines
    kept = change % tariff.change.cash_unit_minor
    if change > kept:
        lines.append(PriceLine(LineKind.CHANGE, change - kept, *left))
    if kept:
        coin = currency.text(tariff.change.cash_unit_minor)
        reason = Reason("below_smallest_coin", (coin,))
        lines.append(PriceLine(LineKind.ROUNDING, kept, f"less than a coin of {coin}", reason))
    return lines


def _left(affordable: int, units: int, measure: str) -> _Left:
    """Why money is left over."""
    if affordable == units:
        return f"less than 0.1 {measure}", Reason("less_than_a_unit", (measure,))
    more = scaled(affordable - units, 1)
    return (
        f"{more} {measure} more cannot be put on one token",
        Reason("beyond_token_step", (more, measure)),
    )


def _tax_amounts(tariff: Tariff, amounts: list[int]) -> tuple[TaxAmount, ...]:
    return tuple(
        TaxAmount(tax.code, tax.name, tax.rate_bp, amount)
        for tax, amount in zip(tariff.taxes, amounts, strict=True)
    )


def _debts_paid(debts: list[tuple[OpenDebt, int]]) -> tuple[DebtPaid, ...]:
    return tuple(
        DebtPaid(debt.debt_id, debt.name, amount, debt.left_minor - amount)
        for debt, amount in debts
    )
