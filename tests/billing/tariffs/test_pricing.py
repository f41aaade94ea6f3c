"""What a usage has to say, where a span is cut, what is explained."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from billing.tariffs.document import from_data
from billing.tariffs.faults import UsageRefusedError
from billing.tariffs.pricing import counted_since, cuts, price
from billing.tariffs.values import LineKind, Usage
from billing.tariffs.version import TariffVersion
from tests.billing.tariffs.strategies import CNY, ZONE, midnight

STEPS = [{"up_to": "50", "rate": "0.5"}, {"rate": "0.6"}]


def _version(**parts: Any) -> TariffVersion:
    plain: dict[str, Any] = {"code": "a", "name": "A", "energy": {"rate": "0.5"}, **parts}
    if "blocks" in parts:
        del plain["energy"]
    return TariffVersion(1, midnight(2026, 1, 1), from_data(plain, CNY))


def _usage(first: datetime, end: datetime, wh: int = 10_000, **more: Any) -> Usage:
    return Usage(first, end, {"total": wh}, **more)


JUNE = _usage(midnight(2026, 6, 1), midnight(2026, 7, 1))
TENTH = _usage(midnight(2026, 6, 10), midnight(2026, 6, 11))


@pytest.mark.parametrize(
    ("version", "usage", "word"),
    [
        (_version(), replace(JUNE, energy_wh={"t1": 1}), "total"),
        (_version(), replace(JUNE, energy_wh={"total": -1}), "below zero"),
        (_version(), replace(JUNE, until=JUNE.since), "ends after"),
        (_version(), replace(JUNE, since=midnight(2025, 12, 31)), "within its version"),
        (_version(), replace(JUNE, carried=Decimal(1)), "carried"),
        (_version(), replace(JUNE, tax_carried=Decimal("-1.5")), "carried"),
        (_version(energy={"rates": {"t1": "1"}}), JUNE, "t1"),
        (_version(blocks={"steps": STEPS}), TENTH, "before_wh['month']"),
        (_version(blocks={"steps": STEPS, "period": "year"}), TENTH, "before_wh['year']"),
        (_version(blocks={"steps": STEPS}), replace(JUNE, until=midnight(2026, 7, 2)), "two parts"),
        (_version(capacity={"per_month": "1"}), JUNE, "capacity"),
        (_version(demand={"per_month": "1"}), JUNE, "demand_w"),
        (_version(demand={"per_month": "1"}), replace(TENTH, demand_w=5), "demand_before_w"),
        (
            _version(demand={"per_month": "1"}),
            replace(TENTH, demand_w=5, demand_before_w=6),
            "lower",
        ),
        (
            _version(demand={"per_month": "1", "at_least_percent": "40"}),
            replace(JUNE, demand_w=5),
            "contracted",
        ),
        (_version(power_factor={"standard": "0.9"}), JUNE, "reactive"),
        (
            _version(power_factor={"standard": "0.9"}),
            _usage(midnight(2026, 6, 30), midnight(2026, 7, 1), reactive_varh=5),
            "month_before",
        ),
    ],
)
def test_a_usage_that_does_not_fit_is_refused_with_what_to_give(
    version: TariffVersion, usage: Usage, word: str
) -> None:
    with pytest.raises(UsageRefusedError) as refused:
        price(version, usage, ZONE)
    assert refused.value.code == "rate_usage"
    assert word in str(refused.value)


def test_req12_spans_are_cut_where_months_or_years_begin_and_it_matters() -> None:
    since, until = midnight(2026, 11, 20), midnight(2027, 2, 1)
    months = [midnight(2026, 12, 1), midnight(2027, 1, 1)]
    assert cuts(_version(), since, until, ZONE) == []
    assert cuts(_version(blocks={"steps": STEPS}), since, until, ZONE) == months
    assert cuts(_version(demand={"per_month": "1"}), since, until, ZONE) == months
    by_year = _version(blocks={"steps": STEPS, "period": "year"})
    assert cuts(by_year, since, until, ZONE) == months[1:]


def test_req12_steps_count_since_the_begin_of_month_year_supply_or_version() -> None:
    moment = midnight(2026, 6, 10)
    assert counted_since(_version(), moment, ZONE) == {}
    by_month = _version(blocks={"steps": STEPS})
    assert counted_since(by_month, moment, ZONE) == {"month": midnight(2026, 6, 1)}
    began = midnight(2026, 6, 3) + timedelta(hours=5)
    assert counted_since(by_month, moment, ZONE, began) == {"month": began}
    both = _version(blocks={"steps": STEPS, "period": "year"}, free={"kwh": "5", "rate": "0.5"})
    since = {"year": midnight(2026, 1, 1), "month": midnight(2026, 6, 1)}
    assert counted_since(both, moment, ZONE) == since
    split = replace(
        _version(blocks={"steps": STEPS, "on_change": "split"}), since=midnight(2026, 6, 5)
    )
    assert counted_since(split, moment, ZONE) == {"month": midnight(2026, 6, 5)}


def test_req12_every_line_says_what_it_is_how_much_and_at_which_rate() -> None:
    version = _version(
        fees=[{"code": "line", "name": "line", "per_day": "0.1"}],
        taxes=[{"code": "vat", "name": "VAT", "percent": "13", "on": ["energy"]}],
    )
    lines = price(version, TENTH, ZONE).lines
    assert [(line.kind, line.code, line.words) for line in lines] == [
        (LineKind.ENERGY, "energy", "energy: 10.000 kWh at 0.5"),
        (LineKind.FIXED, "line", "line: 1 day at 0.1"),
        (LineKind.TAX, "vat", "VAT: 13 %"),
    ]
    assert [(line.quantity, line.unit, line.rate) for line in lines] == [
        (Decimal(10), "kWh", Decimal("0.5")),
        (Decimal(1), "day", Decimal("0.1")),
        (Decimal(13), "%", Decimal(13)),
    ]


def test_req12_days_are_of_the_zone_even_where_the_clock_is_put_forward() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    version = _version(fees=[{"code": "line", "name": "line", "per_month": "31"}])
    march = [datetime(2026, 3, day, tzinfo=berlin).astimezone(UTC) for day in (1, 29, 30)]
    whole = [*march, datetime(2026, 4, 1, tzinfo=berlin).astimezone(UTC)]
    amounts = []
    for since, until in itertools.pairwise(whole):
        fee = price(version, _usage(since, until, 0), berlin).lines[-1]
        amounts.append(fee.amount)
    assert amounts == [2_800, 100, 200]  # 29 March has 23 hours, and is a day


def test_req12_a_month_that_begins_at_one_o_clock_ends_the_one_before_it() -> None:
    asuncion = ZoneInfo("America/Asuncion")  # on 1 October 2017 there was no midnight
    since = datetime(2026, 1, 1, tzinfo=asuncion).astimezone(UTC).replace(year=2017)
    version = replace(_version(blocks={"steps": STEPS}), since=since)
    september = datetime(2017, 9, 1, tzinfo=asuncion).astimezone(UTC)
    october = datetime(2017, 10, 1, tzinfo=asuncion).astimezone(UTC)
    assert october.astimezone(asuncion).hour == 1
    assert price(version, _usage(september, october), asuncion).amount_minor == 500
    with pytest.raises(UsageRefusedError):
        price(version, _usage(september, october + timedelta(hours=1)), asuncion)


def test_req12_a_supply_that_begins_and_ends_on_one_day_has_limits_for_a_day() -> None:
    since = midnight(2026, 6, 10) + timedelta(hours=8)
    usage = _usage(
        since,
        since + timedelta(hours=6),
        3_000,
        before_wh={"month": 0},
        supply_since=since,
        supply_ends=True,
    )
    priced = price(_version(blocks={"steps": STEPS}), usage, ZONE)
    # 50 x 1/30 = 1.667 kWh at 0.5, the rest of 3 at 0.6
    assert [line.quantity for line in priced.lines] == [Decimal("1.667"), Decimal("1.333")]
