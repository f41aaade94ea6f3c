"""How a span is cut into settlements makes no difference to what is paid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.tariffs.pricing import price
from billing.tariffs.tariff import Tariff
from billing.tariffs.values import LineKind, Priced, Usage
from billing.tariffs.version import TariffVersion, VersionSpan
from tests.billing.tariffs.settler import Count, Supply, one_version, settle
from tests.billing.tariffs.strategies import ZONE, cuts_of, midnight, supplies, tariffs


def _kinds(done: Sequence[Priced]) -> dict[LineKind, Decimal]:
    sums: dict[LineKind, Decimal] = {}
    for priced in done:
        for line in priced.lines:
            sums[line.kind] = sums.get(line.kind, Decimal(0)) + line.amount
    return {kind: amount for kind, amount in sums.items() if amount}


def _totals(done: Sequence[Priced]) -> tuple[int, int, Decimal, Decimal]:
    return (
        sum(each.amount_minor for each in done),
        sum(each.tax_minor for each in done),
        done[-1].carried,
        done[-1].tax_carried,
    )


@settings(max_examples=80, deadline=None)
@given(st.data(), tariffs(), supplies())
def test_req12_a_month_in_any_cut_costs_what_it_costs_at_once(
    data: st.DataObject, tariff: Tariff, supply: Supply
) -> None:
    version = TariffVersion(1, midnight(2026, 1, 1), tariff)
    versions = one_version(version, supply)
    at_once = settle(supply, [], versions)
    in_parts = settle(supply, data.draw(cuts_of(supply)), versions)
    assert len(at_once) == 1
    assert _totals(in_parts) == _totals(at_once)
    assert _kinds(in_parts) == _kinds(at_once)


@settings(max_examples=40, deadline=None)
@given(st.data(), tariffs(), supplies())
def test_req12_with_a_change_of_price_in_the_month_days_add_up_to_the_two_parts(
    data: st.DataObject, tariff: Tariff, supply: Supply
) -> None:
    versions = _changed(tariff, data.draw(tariffs()), supply, data)
    in_parts = settle(supply, data.draw(cuts_of(supply)), versions)
    assert _totals(in_parts) == _totals(settle(supply, [], versions))


@settings(max_examples=40, deadline=None)
@given(st.data(), tariffs(on_change="accumulate"), supplies())
def test_req12_a_version_that_changes_nothing_costs_nothing(
    data: st.DataObject, tariff: Tariff, supply: Supply
) -> None:
    """What was used counts on over a change, and the limits are those of the whole month."""
    versions = _changed(tariff, tariff, supply, data)
    version = TariffVersion(1, midnight(2026, 1, 1), tariff)
    unchanged = settle(supply, [], one_version(version, supply))
    assert _totals(settle(supply, [], versions)) == _totals(unchanged)


@settings(max_examples=40, deadline=None)
@given(st.data(), tariffs(monthly=False))
def test_req12_a_year_by_months_or_days_costs_what_it_costs_at_once(
    data: st.DataObject, tariff: Tariff
) -> None:
    supply = _year(data.draw(st.integers(0, 30_000)))
    versions = one_version(TariffVersion(1, midnight(2026, 1, 1), tariff), supply)
    months = [midnight(2026, month, 1) for month in range(2, 13)]
    at_once = settle(supply, [], versions)
    assert _totals(settle(supply, months, versions)) == _totals(at_once)
    days = sorted(data.draw(st.sets(st.sampled_from([each.since for each in supply.counts[1:]]))))
    assert _totals(settle(supply, days, versions)) == _totals(at_once)


@settings(max_examples=40, deadline=None)
@given(tariffs(), supplies(), st.sampled_from(["0", "0.25", "-0.4375", "0.9999"]))
def test_req12_lines_and_what_is_carried_add_up_to_what_is_posted(
    tariff: Tariff, supply: Supply, carried: str
) -> None:
    version = TariffVersion(1, midnight(2026, 1, 1), tariff)
    energy = {
        code: sum(each.energy_wh[code] for each in supply.counts)
        for code in supply.counts[0].energy_wh
    }
    usage = Usage(
        supply.counts[0].since,
        supply.counts[-1].until,
        energy,
        demand_w=5_000,
        reactive_varh=energy["t1"],
        before_wh={"month": 0, "year": 0},
        carried=Decimal(carried),
        supply_since=supply.counts[0].since,
        capacity=30_000,
    )
    priced = price(version, usage, ZONE)
    total = sum((line.amount for line in priced.lines), Decimal(carried))
    assert total == priced.amount_minor + priced.carried
    taxes = sum(line.amount for line in priced.lines if line.kind is LineKind.TAX)
    assert taxes == priced.tax_minor + priced.tax_carried
    assert -1 < priced.carried < 1
    assert -1 < priced.tax_carried < 1


def _changed(
    before: Tariff, after: Tariff, supply: Supply, data: st.DataObject
) -> list[VersionSpan]:
    """Two versions; the second begins with one of the days."""
    midnights = [each.since for each in supply.counts[1:] if each.since.astimezone(ZONE).hour == 0]
    change = data.draw(st.sampled_from(midnights))
    since, until = supply.counts[0].since, supply.counts[-1].until
    first = TariffVersion(1, midnight(2026, 1, 1), before)
    return [
        VersionSpan(first, since, change, ends=True),
        VersionSpan(TariffVersion(2, change, after), change, until, ends=False),
    ]


def _year(wh: int) -> Supply:
    """Every fifth day of a year stands for five, so that the test is quick."""
    counts = []
    begin = midnight(2026, 1, 1)
    end = midnight(2027, 1, 1)
    since = begin
    while since < end:
        until = min(end, since + timedelta(days=5))
        energy = {"t1": wh, "t2": (wh * since.day) % 7_001, "t3": 11}
        energy["total"] = sum(energy.values())
        counts.append(Count(since, until, energy, 0, 0))
        since = until
    return Supply(counts, ZONE)
