"""Settles what a meter counted hour by hour, in any cut, carrying over as a settlement does."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

from billing.tariffs.pricing import counted_since, price
from billing.tariffs.values import LineKind, MonthBefore, Priced, Usage
from billing.tariffs.version import TariffVersion, VersionSpan


@dataclass(frozen=True, slots=True)
class Count:
    """What a meter counted in one slot of time."""

    since: datetime
    until: datetime
    energy_wh: dict[str, int]
    reactive_varh: int
    demand_w: int


@dataclass(frozen=True, slots=True)
class Supply:
    """Whose counts they are."""

    counts: Sequence[Count]
    zone: tzinfo
    begins: bool = False
    """With its first count; else it was there before, and used nothing."""
    ends: bool = False
    capacity: int = 100_000


def settle(
    supply: Supply,
    cuts: Sequence[datetime],
    versions: Sequence[VersionSpan],
    customer_class: str = "",
) -> list[Priced]:
    """Settle all counts, one settlement between each two cuts; versions cut, too."""
    counts = supply.counts
    begin, end = counts[0].since, counts[-1].until
    bounds = sorted({begin, end, *cuts, *(each.since for each in versions)})
    done: list[Priced] = []
    carried = tax_carried = Decimal(0)
    for since, until in itertools.pairwise(bounds):
        span = next(each for each in versions if each.since <= since < each.until)
        usage = usage_of(supply, since, until, span, done)
        usage = replace(
            usage, carried=carried, tax_carried=tax_carried, customer_class=customer_class
        )
        priced = price(span.version, usage, supply.zone)
        carried, tax_carried = priced.carried, priced.tax_carried
        done.append(priced)
    return done


def usage_of(
    supply: Supply, since: datetime, until: datetime, span: VersionSpan, done: Sequence[Priced]
) -> Usage:
    counts = supply.counts
    mine = [each for each in counts if since <= each.since < until]
    codes = counts[0].energy_wh
    month = _month(since, supply.zone)
    this_month = [each for each in counts if month <= each.since < until]
    earlier = [each for each in this_month if each.since < since]
    begins = counts[0].since if supply.begins else None
    before = {
        key: sum(each.energy_wh["total"] for each in counts if start <= each.since < since)
        for key, start in counted_since(span.version, since, supply.zone, begins).items()
    }
    charges: dict[LineKind, Decimal] = {}
    for priced in done:
        for line in priced.lines if priced.since >= month else ():
            charges[line.kind] = charges.get(line.kind, Decimal(0)) + line.amount
    return Usage(
        since,
        until,
        {code: sum(each.energy_wh[code] for each in mine) for code in codes},
        demand_w=max(each.demand_w for each in this_month),
        reactive_varh=sum(each.reactive_varh for each in mine),
        before_wh=before,
        supply_since=begins,
        supply_ends=supply.ends and until == counts[-1].until,
        version_ends=span.ends and until == span.until,
        capacity=supply.capacity,
        demand_before_w=max((each.demand_w for each in earlier), default=0),
        month_before=MonthBefore(
            sum(each.energy_wh["total"] for each in earlier),
            sum(each.reactive_varh for each in earlier),
            charges,
        ),
    )


def _month(moment: datetime, zone: tzinfo) -> datetime:
    day = moment.astimezone(zone).date().replace(day=1)
    return datetime(day.year, day.month, 1, tzinfo=zone).astimezone(UTC)


def one_version(version: TariffVersion, supply: Supply) -> list[VersionSpan]:
    """The same version throughout."""
    return [VersionSpan(version, supply.counts[0].since, supply.counts[-1].until, ends=False)]
