"""What is charged for time: capacity, demand, fees by day and by month.

A part of a month costs the difference of two running sums, at its end and at its beginning; each
is kept to 10^-6 of a minor unit, rounded down, so that parts add up to the whole exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, tzinfo
from decimal import Decimal

from billing.tariffs.exact import CONTEXT, FINE, decimal
from billing.tariffs.faults import UsageRefusedError
from billing.tariffs.periods import Days, first_of, next_of
from billing.tariffs.plan import DemandPlan, Rated
from billing.tariffs.sheet import Sheet
from billing.tariffs.tariff import Period
from billing.tariffs.values import Usage


def price_fees(sheet: Sheet, days: Days) -> None:
    """Lines of fees."""
    for fee in sheet.plan.fees:
        rated = fee.rated
        if not fee.by_month:
            if days.count:
                words = f"{rated.name}: {_days(days.count)} at {rated.rate_text}"
                amount = days.count * rated.m
                _add(sheet, rated, words, amount, rated.x, Decimal(days.count), "day")
            continue
        for begin, end, of in _months(days):
            words = f"{rated.name}: {_of_month(end - begin, of)} at {rated.rate_text} a month"
            amount = _running(rated, 1, end, of) - _running(rated, 1, begin, of)
            _add(sheet, rated, words, amount, FINE, Decimal(end - begin), "day")


def price_demand(sheet: Sheet, usage: Usage, days: Days, zone: tzinfo) -> None:
    """Lines of capacity and of demand.

    Raises:
        UsageRefusedError: capacity or demand are missing.
    """
    plan = sheet.plan
    if plan.capacity is not None:
        _price_capacity(sheet, plan.capacity, plan.capacity_unit, usage, days)
    if plan.demand is not None:
        _price_demand(sheet, plan.demand, usage, days, zone)


def _price_capacity(sheet: Sheet, rated: Rated, unit: str, usage: Usage, days: Days) -> None:
    contracted = usage.capacity
    if contracted is None or contracted < 0:
        raise UsageRefusedError(
            f"The tariff charges capacity: the usage needs the contracted {unit} (capacity)."
        )
    for begin, end, of in _months(days):
        words = (
            f"{rated.name}: {_thousandths(contracted)} {unit} for {_of_month(end - begin, of)} "
            f"at {rated.rate_text} a month"
        )
        amount = _running(rated, contracted, end, of) - _running(rated, contracted, begin, of)
        _add(sheet, rated, words, amount, FINE, decimal(contracted, 3), unit)


def _price_demand(sheet: Sheet, plan: DemandPlan, usage: Usage, days: Days, zone: tzinfo) -> None:
    now = usage.demand_w
    if now is None or now < 0:
        raise UsageRefusedError(
            "The tariff charges demand: the usage needs the highest of the month (demand_w)."
        )
    month = first_of(Period.MONTH, days.first)
    of = (next_of(Period.MONTH, month) - month).days
    start = _supplied_since(usage, month, zone)
    begin, end = (days.first - start).days, (days.end - start).days
    before = usage.demand_before_w
    if before is None:
        if begin:
            raise UsageRefusedError(
                "The month is settled in parts and the tariff charges demand: the usage needs the "
                "highest before it (demand_before_w)."
            )
        before = 0
    if before > now:
        raise UsageRefusedError(
            "The highest demand of the month cannot be lower than it was before (demand_w)."
        )
    if not end:
        return
    charged, over = _charged(plan, now, usage)
    charged_before, over_before = _charged(plan, before, usage)
    rated = plan.rated
    amount = _running(rated, charged, end, of) - _running(rated, charged_before, begin, of)
    words = f"{rated.name}: {_thousandths(charged)} kW for {_of_month(end - begin, of)} "
    if begin and charged != charged_before:
        words = (
            f"{rated.name}: {_thousandths(charged)} kW (before: {_thousandths(charged_before)} kW) "
            f"for {_of_month(end, of)}, less what is charged, "
        )
    _add(
        sheet,
        rated,
        f"{words}at {rated.rate_text} a month",
        amount,
        FINE,
        decimal(charged, 3),
        "kW",
    )
    if plan.excess is not None and over:
        excess = plan.excess
        amount = _running(excess, over, end, of) - _running(excess, over_before, begin, of)
        words = (
            f"{excess.name} above {plan.over:f} % of the contract: {_thousandths(over)} kW "
            f"for {_of_month(end, of)}{', less what is charged,' if begin else ''} "
            f"at {excess.rate_text} a month"
        )
        _add(sheet, excess, words, amount, FINE, decimal(over, 3), "kW", code="demand_excess")


def _charged(plan: DemandPlan, demand_w: int, usage: Usage) -> tuple[int, int]:
    """Demand at the usual rate and above it, W, by what is contracted."""
    if not plan.least_percent and plan.over is None:
        return demand_w, 0
    if usage.capacity is None:
        raise UsageRefusedError(
            "The tariff charges demand by the contract: the usage needs what is contracted "
            "(capacity)."
        )
    charged = max(demand_w, _percent_of(usage.capacity, plan.least_percent))
    if plan.over is None:
        return charged, 0
    limit = _percent_of(usage.capacity, plan.over)
    return min(charged, limit), max(0, charged - limit)


def _percent_of(whole: int, percent: Decimal) -> int:
    return int(CONTEXT.divide_int(CONTEXT.multiply(Decimal(whole), percent), Decimal(100)))


def _supplied_since(usage: Usage, month: date, zone: tzinfo) -> date:
    if usage.supply_since is None:
        return month
    return max(month, usage.supply_since.astimezone(zone).date())


def _months(days: Days) -> Iterator[tuple[int, int, int]]:
    """The parts of months in a span: first day, end (both from 0) and how many the month has."""
    day = days.first
    while day < days.end:
        month, after = first_of(Period.MONTH, day), next_of(Period.MONTH, day)
        end = min(after, days.end)
        yield (day - month).days, (end - month).days, (after - month).days
        day = end


def _running(rated: Rated, quantity: int, part: int, of: int) -> int:
    """What a quantity costs for so many days of a month, in 10^-FINE minor units, down."""
    return int(quantity * rated.m * part * 10**FINE // (of * 10**rated.x))


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _of_month(count: int, of: int) -> str:
    return "the month" if count == of else f"{count} of {of} days"


def _thousandths(number: int) -> str:
    whole, part = divmod(number, 1000)
    return f"{whole}.{part:03d}".rstrip("0").rstrip(".")


def _add(
    sheet: Sheet,
    rated: Rated,
    words: str,
    amount: int,
    x: int,
    quantity: Decimal,
    unit: str,
    *,
    code: str = "",
) -> None:
    sheet.amount(
        rated.kind,
        code or rated.code,
        rated.place,
        words,
        amount,
        x,
        rated.up,
        quantity,
        unit,
        rated.rate,
    )
