"""Percentages: the power factor, surcharges, taxes."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from billing.tariffs.exact import CONTEXT, decimal
from billing.tariffs.faults import UsageRefusedError
from billing.tariffs.periods import Days, next_of
from billing.tariffs.power_factor import adjustment_bp, power_factor
from billing.tariffs.sheet import Sheet
from billing.tariffs.tariff import Period
from billing.tariffs.values import LineKind, MonthBefore, Usage

_NOTHING = MonthBefore(0, 0, {})


def price_percents(sheet: Sheet) -> None:
    """Lines of percentages, in the order of the tariff."""
    sums = sheet.sums
    for each in sheet.plan.percents:
        base = 0
        for place in each.on:
            base += sums[place]
        if not base:
            continue
        # Exact but for contained taxes, which take what is whole at their own digits.
        amount = base * each.m // (each.divisor * each.down)
        if each.contained:
            sums[each.place] = amount * each.down
            sheet.told(each, amount)
            continue
        sheet.amount(
            each.kind,
            each.code,
            each.place,
            f"{each.name}: {each.percent_text} %",
            amount,
            each.x,
            each.down,
            each.percent,
            "%",
            each.percent,
        )


def price_power_factor(sheet: Sheet, usage: Usage, days: Days) -> None:
    """The line of the power factor, in the settlement that ends the month or the supply.

    Raises:
        UsageRefusedError: the reactive energy is missing, or what was charged before.
    """
    plan = sheet.plan.power_factor
    assert plan is not None
    ends_month = days.end == next_of(Period.MONTH, days.first) and days.at_midnight
    if not ends_month and not usage.supply_ends:
        return
    if usage.reactive_varh is None or usage.reactive_varh < 0:
        raise UsageRefusedError(
            "The tariff has a power factor: the usage needs the reactive energy (reactive_varh)."
        )
    before = usage.month_before
    if before is None:
        starts_month = days.first.day == 1
        starts_supply = usage.supply_since is not None and usage.supply_since >= usage.since
        if not starts_month and not starts_supply:
            raise UsageRefusedError(
                "The month is settled in parts and the tariff has a power factor: the usage needs "
                "what was charged before (month_before)."
            )
        before = _NOTHING
    active = before.active_wh + usage.energy_wh["total"]
    reactive = before.reactive_varh + usage.reactive_varh
    hundredths = power_factor(active, reactive)
    if hundredths is None:
        return
    percent_bp = adjustment_bp(plan.factor.standard, hundredths)
    base = decimal(sum(sheet.sums[place] for place in plan.on), sheet.plan.scale)
    for kind, charged in before.charges.items():
        if kind in plan.kinds:
            base = CONTEXT.add(base, charged)
    exact = CONTEXT.scaleb(CONTEXT.multiply(base, Decimal(percent_bp)), plan.x - 4)
    amount = int(exact.to_integral_value(ROUND_FLOOR))
    percent = decimal(percent_bp, 2)
    words = (
        f"{plan.name}: 0.{hundredths:02d} against 0.{plan.factor.standard}: "
        if hundredths < 100
        else f"{plan.name}: 1.00 against 0.{plan.factor.standard}: "
    )
    sheet.amount(
        LineKind.POWER_FACTOR,
        "power_factor",
        plan.place,
        f"{words}{percent:+f} %",
        amount,
        plan.x,
        plan.down,
        percent,
        "%",
        percent,
    )
