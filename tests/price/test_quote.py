"""What holds for every tariff, every situation and every amount."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.price.strategies import AMOUNTS, SITUATIONS, ZAR, tariffs
from vending.price.lines import LineKind, Quote
from vending.price.quoting import cost_minor, quote, quote_for_units
from vending.price.situation import Of, Scheme, SchemeKind, Situation
from vending.price.tariff import ChangeRule, Step, Tariff, Tax, Taxed
from vending.shop.faults import AboveMaximumError, BelowMinimumError
from vending.sts import AMOUNT_MAX, encode_amount, floor_amount


def _quote(tariff: Tariff, situation: Situation, amount: int) -> Quote:
    try:
        return quote(tariff, situation, amount, ZAR)
    except (BelowMinimumError, AboveMaximumError):
        assume(False)
        raise


# --- an oracle in exact fractions, written from the rules and not from the code ------------


def _grossed(taxes: tuple[Tax, ...], thing: Taxed) -> Fraction:
    amounts: dict[str, Fraction] = {}
    for tax in taxes:
        base = Fraction(thing in tax.on) + sum(
            (amounts[code] for code in tax.on_taxes), Fraction(0)
        )
        amounts[tax.code] = base * tax.rate_bp / 10_000
    return 1 + sum(amounts.values(), Fraction(0))


def _exact_cost(tariff: Tariff, month_units: int, units: int) -> Fraction:
    """With taxes, one tenth after the other."""
    cost = Fraction(0)
    for number in range(month_units + 1, month_units + units + 1):
        block = next(b for b in tariff.blocks if b.up_to is None or number <= b.up_to)
        cost += Fraction(block.price, 10_000)
    return cost * _grossed(tariff.taxes, Taxed.ENERGY)


def _asked(scheme: Scheme, tendered: Fraction, rest: Fraction, gross: Fraction) -> Fraction:
    share = tendered if scheme.of is Of.TENDERED else rest / gross
    shared = share * (scheme.rate_bp or 0) / 10_000
    fixed = Fraction(scheme.fixed_minor or 0)
    return {
        SchemeKind.PERCENT: shared,
        SchemeKind.FIXED: fixed,
        SchemeKind.LESSER: min(shared, fixed),
        SchemeKind.ALL: rest,
    }[scheme.kind]


def _rest(tariff: Tariff, situation: Situation, amount: int) -> Fraction | None:
    """What is left for energy; None when the charges take more than there is."""
    tendered = rest = Fraction(amount)
    gross = Fraction(1)
    for step in tariff.order:
        if step is Step.FEE:
            for fee in tariff.fees:
                if fee.channel == situation.channel:
                    part = fee.fixed_minor + tendered * fee.rate_bp / 10_000
                    most = part if fee.at_most_minor is None else Fraction(fee.at_most_minor)
                    part = min(part, most)
                    rest -= min(Fraction(part), rest)
        elif step is Step.CHARGES:
            for charge in situation.charges:
                rest -= charge.amount_minor
                rest -= _taxes_on_charge(tariff, charge.amount_minor)
            if rest < 0:
                return None
        elif step is Step.ARREARS:
            for debt in situation.debts:
                asked = _asked(debt.scheme, tendered, rest, gross)
                rest -= min(asked, Fraction(debt.left_minor), rest)
        elif step is Step.TAXES:
            gross = _grossed(tariff.taxes, Taxed.ENERGY)
    return rest


def _taxes_on_charge(tariff: Tariff, amount: int) -> int:
    exact: dict[str, Fraction] = {}
    whole = 0
    for tax in tariff.taxes:
        base = Fraction(amount if Taxed.CHARGES in tax.on else 0)
        base += sum(exact[code] for code in tax.on_taxes)
        exact[tax.code] = base * tax.rate_bp / 10_000
        part = exact[tax.code]
        whole += tax.rounding.divide(part.numerator, part.denominator)
    return whole


def _oracle_units(tariff: Tariff, situation: Situation, amount: int) -> int | None:
    rest = _rest(tariff, situation, amount)
    if rest is None:
        return None
    money = ceil(rest) + situation.carried_minor
    units = 0
    gross = _grossed(tariff.taxes, Taxed.ENERGY)
    number, cost = situation.month_units, Fraction(0)
    while True:
        number += 1
        block = next(b for b in tariff.blocks if b.up_to is None or number <= b.up_to)
        cost += Fraction(block.price, 10_000) * gross
        if cost > money:
            return units
        units += 1


@given(tariffs(), SITUATIONS, st.integers(1, 30_000))
def test_the_units_are_those_that_exact_fractions_give(
    tariff: Tariff, situation: Situation, amount: int
) -> None:
    expected = _oracle_units(tariff, situation, amount)
    try:
        sold = quote(tariff, situation, amount, ZAR).units
    except BelowMinimumError:
        sold = None
    assert sold == (floor_amount(expected) if expected else None)


# --- properties -----------------------------------------------------------------------------


@given(tariffs(), SITUATIONS, AMOUNTS)
def test_the_lines_add_up_to_the_tendered_amount(
    tariff: Tariff, situation: Situation, amount: int
) -> None:
    sold = _quote(tariff, situation, amount)
    assert sum(line.amount_minor for line in sold.lines) == amount
    for line in sold.lines:
        assert line.explanation
        assert line.reason.code
        carried_in = line.kind is LineKind.CARRIED and line.amount_minor < 0
        assert line.amount_minor > 0 or (carried_in and situation.carried_minor)


@given(tariffs(), SITUATIONS, AMOUNTS)
def test_parts_and_lines_tell_the_same(tariff: Tariff, situation: Situation, amount: int) -> None:
    sold = _quote(tariff, situation, amount)
    assert sum(step.units for step in sold.steps) == sold.units
    assert sum(step.amount_minor for step in sold.steps) == sold.amount_of(LineKind.ENERGY)
    assert sum(tax.amount_minor for tax in sold.taxes) == sold.amount_of(LineKind.TAX)
    assert sum(paid.amount_minor for paid in sold.charges) == sold.amount_of(LineKind.CHARGE)
    assert sum(paid.paid_minor for paid in sold.debts) == sold.amount_of(LineKind.DEBT)
    carried = sold.carried_out_minor - sold.carried_in_minor
    assert carried == sold.amount_of(LineKind.CARRIED)
    assert sold.carried_in_minor == situation.carried_minor
    for paid, debt in zip(sold.debts, situation.debts, strict=True):
        assert paid.paid_minor >= 0
        assert paid.left_minor == debt.left_minor - paid.paid_minor >= 0


@given(tariffs(), SITUATIONS, AMOUNTS)
def test_units_never_exceed_what_was_paid_for(
    tariff: Tariff, situation: Situation, amount: int
) -> None:
    sold = _quote(tariff, situation, amount)
    assume(sold.units < 2_000)
    paid = sold.amount_of(LineKind.ENERGY) + sold.energy_tax_minor
    exact = _exact_cost(tariff, situation.month_units, sold.units)
    assert exact <= paid < exact + 1
    assert paid == cost_minor(tariff, situation.month_units, sold.units)


@given(tariffs(), SITUATIONS, AMOUNTS)
def test_what_is_left_does_not_buy_the_next_step_of_a_token(
    tariff: Tariff, situation: Situation, amount: int
) -> None:
    sold = _quote(tariff, situation, amount)
    following = encode_amount(sold.units + 1).amount
    left = (
        sum(sold.amount_of(kind) for kind in (LineKind.CHANGE, LineKind.ROUNDING))
        + sold.carried_out_minor
    )
    paid = sold.amount_of(LineKind.ENERGY) + sold.energy_tax_minor
    assert cost_minor(tariff, situation.month_units, following) > paid + left


@given(tariffs(), SITUATIONS, AMOUNTS, st.integers(0, 2_000))
def test_more_money_never_buys_less(
    tariff: Tariff, situation: Situation, amount: int, more: int
) -> None:
    less = _quote(tariff, situation, amount)
    assert _quote(tariff, situation, amount + more).units >= less.units


@given(tariffs(), SITUATIONS, AMOUNTS)
def test_one_minor_unit_more_never_buys_less(
    tariff: Tariff, situation: Situation, amount: int
) -> None:
    less = _quote(tariff, situation, amount)
    more = _quote(tariff, situation, amount + 1)
    assert more.units >= less.units


def _after(situation: Situation, sold: Quote) -> Situation:
    """The same service point, later in the month."""
    left = {paid.debt_id: paid.left_minor for paid in sold.debts}
    debts = tuple(
        replace(debt, left_minor=paid.left_minor)
        for debt, paid in zip(situation.debts, sold.debts, strict=True)
        if paid.left_minor
    )
    assert left or not debts
    return replace(
        situation,
        month_units=situation.month_units + sold.units,
        charges=(),
        debts=debts,
        carried_minor=sold.carried_out_minor,
    )


@given(tariffs(), SITUATIONS, AMOUNTS, AMOUNTS)
def test_two_purchases_of_a_month_never_buy_more_than_one(
    tariff: Tariff, situation: Situation, first: int, second: int
) -> None:
    """Apart from a token's step, which the large one may miss, and from the rounding of a debt.

    A share of a debt that is cut short because fees, charges or other debts left too little is
    left aside here: paying those first, in a sale of its own, does save that share.
    """
    sums = (SchemeKind.FIXED, SchemeKind.ALL)
    debts = tuple(debt for debt in situation.debts if debt.scheme.kind in sums)
    if not (tariff.fees or situation.charges or debts):
        debts = situation.debts[:1]
    situation = replace(situation, debts=debts)
    one = _quote(tariff, situation, first)
    two = _quote(tariff, _after(situation, one), second)
    grace = 2 * (len(debts) + 1)
    try:
        whole = quote(tariff, situation, first + second + grace, ZAR)
    except AboveMaximumError:
        assume(False)
        raise
    following = encode_amount(whole.units + 1).amount
    assert one.units + two.units < following


@given(tariffs(), SITUATIONS, st.integers(1, 3_000))
def test_the_least_amount_for_so_many_units_is_the_least(
    tariff: Tariff, situation: Situation, units: int
) -> None:
    try:
        sold = quote_for_units(tariff, situation, units, ZAR)
    except AboveMaximumError:
        assume(False)
        raise
    assert sold.units >= units
    try:
        less = quote(tariff, situation, sold.tendered_minor - 1, ZAR)
    except BelowMinimumError:
        return
    assert less.units < units


@given(tariffs(), SITUATIONS, AMOUNTS)
def test_cash_comes_back_in_whole_coins(tariff: Tariff, situation: Situation, amount: int) -> None:
    sold = _quote(tariff, situation, amount)
    coin = tariff.change.cash_unit_minor
    if tariff.change.rule is ChangeRule.CASH:
        assert sold.change_minor % coin == 0
        assert sold.amount_of(LineKind.ROUNDING) < coin
        assert sold.carried_out_minor == 0
    else:
        assert sold.change_minor == sold.amount_of(LineKind.ROUNDING) == 0


@given(tariffs(), SITUATIONS, st.integers(1, 10**6))
def test_a_token_carries_exactly_the_units_sold(
    tariff: Tariff, situation: Situation, amount: int
) -> None:
    units = _quote(tariff, situation, amount).units
    assert 0 < units <= AMOUNT_MAX
    assert encode_amount(units).rounding == 0
