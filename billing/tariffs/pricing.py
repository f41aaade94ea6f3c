"""What a usage costs under a version of a tariff: pure, exact, line by line.

How a span is cut into settlements makes no difference: the settlements of any cut of a month (or,
for steps by the year, of a year) add up to the price of the whole, to the minor unit, because

* energy, fees by day and surcharges per kWh are proportional;
* steps, free units, capacity, demand and fees by month are differences of one running sum, at the
  end of the usage and at its beginning;
* the power factor is settled once, by the settlement that ends the month, for all of it;
* percentages are exact; what rounding leaves is carried.

It does not hold for steps that have a price of their own for each register (which kWh of a register
lies in which block depends on the cut) and for what contained taxes are told to be (to 10^-6 of a
minor unit); docs/rates.md.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from billing.tariffs.exact import CONTEXT, decimal
from billing.tariffs.faults import UsageRefusedError
from billing.tariffs.parts.energy import price_energy
from billing.tariffs.parts.monthly import price_demand, price_fees
from billing.tariffs.parts.percent import price_percents, price_power_factor
from billing.tariffs.periods import Days, days_of, first_of, midnight, next_of
from billing.tariffs.sheet import Sheet
from billing.tariffs.tariff import Period, Rounding
from billing.tariffs.values import Priced, Usage
from billing.tariffs.version import TariffVersion

_HALF: Final = Decimal("0.5")


def price(version: TariffVersion, usage: Usage, zone: tzinfo) -> Priced:
    """Price a usage.

    Args:
        version: valid throughout the usage.
        usage: what was used; see `Usage` for what a tariff needs.
        zone: the utility's; days, months and years are of it.

    Raises:
        UsageRefusedError: the usage does not fit the tariff; says what to give.
    """
    plan = version.plan
    _require_usage(version, usage)
    days = days_of(usage.since, usage.until, zone)
    if plan.period is not None:
        _require_within(plan.period, days)
    sheet = Sheet(plan)
    price_energy(sheet, version, usage, days, zone)
    if plan.capacity is not None or plan.demand is not None:
        price_demand(sheet, usage, days, zone)
    if plan.fees:
        price_fees(sheet, days)
    if plan.power_factor is not None:
        price_power_factor(sheet, usage, days)
    if plan.percents:
        price_percents(sheet)
    return _rounded(sheet, version, usage)


def cuts(version: TariffVersion, since: datetime, until: datetime, zone: tzinfo) -> list[datetime]:
    """Where a span has to be settled in parts: at months or years that begin within it.

    Args:
        version: valid throughout.
        since: begin of the span.
        until: its end.
        zone: the utility's.
    """
    period = version.plan.period
    if period is None:
        return []
    found = []
    day = next_of(period, since.astimezone(zone).date())
    while (moment := midnight(day, zone)) < until:
        found.append(moment)
        day = next_of(period, day)
    return found


def counted_since(
    version: TariffVersion,
    moment: datetime,
    zone: tzinfo,
    supply_since: datetime | None = None,
) -> dict[str, datetime]:
    """Since when energy counts for the steps of a usage that begins at a moment.

    What lies between and the moment is what `Usage.before_wh` asks for; a tariff that counts
    nothing has no keys.

    Args:
        version: valid at the moment.
        moment: begin of the usage.
        zone: the utility's.
        supply_since: when the supply began.
    """
    tariff = version.tariff
    periods = {}
    if tariff.blocks is not None:
        periods[tariff.blocks.period] = tariff.blocks.on_change
    if tariff.free is not None:
        periods.setdefault(Period.MONTH, tariff.free_on_change)
    found = {}
    for period, on_change in periods.items():
        starts = [midnight(first_of(period, moment.astimezone(zone).date()), zone)]
        if supply_since is not None:
            starts.append(supply_since)
        if on_change is on_change.SPLIT:
            starts.append(version.since)
        found[period.value] = max(starts)
    return found


def _require_usage(version: TariffVersion, usage: Usage) -> None:
    energy = usage.energy_wh
    total = energy.get("total")
    if total is None or min(energy.values()) < 0:
        raise UsageRefusedError(
            "A usage needs its total energy ('total'), and no register below zero."
        )
    if usage.until <= usage.since or usage.since < version.since:
        raise UsageRefusedError(
            f"A usage ends after it begins, and lies within its version ({version.code} "
            f"{version.version}, valid from {version.since:%Y-%m-%d %H:%M} UTC)."
        )
    if not -1 < usage.carried < 1 or not -1 < usage.tax_carried < 1:
        raise UsageRefusedError("What is carried is less than one minor unit.")


def _require_within(period: Period, days: Days) -> None:
    after = next_of(period, days.first)
    if days.end > after or (days.end == after and not days.at_midnight):
        raise UsageRefusedError(
            f"The tariff counts by the {period.value}, and the usage goes beyond the end of one, "
            f"{after}: settle it in two parts."
        )


def _rounded(sheet: Sheet, version: TariffVersion, usage: Usage) -> Priced:
    plan = sheet.plan
    contained = sum(sheet.sums[each.place] for each in plan.percents if each.contained)
    tax = sum(sheet.sums[place] for place in plan.tax_places)
    amount, carried = _whole(sum(sheet.sums) - contained, plan.scale, usage.carried, plan.rounding)
    tax_minor, tax_carried = _whole(tax, plan.scale, usage.tax_carried, plan.rounding)
    return Priced(
        tariff=version.tariff.code,
        version=version.version,
        since=usage.since,
        until=usage.until,
        lines=tuple(sheet.lines),
        amount_minor=amount,
        tax_minor=tax_minor,
        carried=carried,
        tax_carried=tax_carried,
    )


def _whole(number: int, scale: int, carried: Decimal, rounding: Rounding) -> tuple[int, Decimal]:
    """A sum with what was carried, as whole minor units and what is left."""
    exact = decimal(number, scale)
    if carried:
        exact = CONTEXT.add(exact, carried)
    if rounding is Rounding.HALF_UP:
        whole = CONTEXT.add(exact, _HALF).to_integral_value(ROUND_FLOOR)
    else:
        whole = exact.to_integral_value(ROUND_FLOOR if rounding is Rounding.DOWN else ROUND_CEILING)
    return int(whole), CONTEXT.normalize(CONTEXT.subtract(exact, whole))
