"""Tariffs, months and cuts for properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from billing.tariffs.document import from_data
from billing.tariffs.tariff import Tariff
from tests.billing.tariffs.settler import Count, Supply
from vending import Currency

CNY = Currency.named("CNY")
ZONE = ZoneInfo("Asia/Shanghai")
REGISTERS = ("t1", "t2", "t3")


def _rate(digits: int, most: int = 10**6) -> st.SearchStrategy[str]:
    return st.integers(0, most).map(lambda number: f"{Decimal(number).scaleb(-digits):f}")


RATE = _rate(6, 3 * 10**6)
MONTHLY = _rate(2, 10_000)
PERCENT = _rate(2, 3_000)


@st.composite
def _steps(draw: st.DrawFn, word: str) -> list[dict[str, str]]:
    limits = sorted(draw(st.sets(st.integers(1, 2_000), max_size=3)))
    steps = [{"up_to": str(limit), word: draw(RATE)} for limit in limits]
    return [*steps, {word: draw(RATE)}]


@st.composite
def tariffs(draw: st.DrawFn, *, on_change: str | None = None, monthly: bool = True) -> Tariff:
    """Any tariff of which all parts add up; ``monthly=False``: nothing counts by the month."""
    plain: dict[str, Any] = {"code": "any", "name": "Any"}
    plain["rounding"] = draw(st.sampled_from(["half_up", "down", "up"]))
    form = draw(st.sampled_from(["flat", "registers", "blocks", "adds"]))
    if form == "flat":
        plain["energy"] = {"rate": draw(RATE)}
    if form in ("registers", "adds"):
        plain["energy"] = {"rates": {code: draw(RATE) for code in REGISTERS}}
    if form in ("blocks", "adds"):
        word = "rate" if form == "blocks" else "adds"
        period = draw(st.sampled_from(["month", "year"])) if monthly else "year"
        plain["blocks"] = {
            "period": period,
            "prorate": draw(st.sampled_from(["days", "none"])),
            "on_change": on_change or draw(st.sampled_from(["accumulate", "split"])),
            "steps": draw(_steps(word)),
        }
        if period == "year" and draw(st.booleans()):
            plain["blocks"]["prorate"] = "months"
    on = ["energy"]
    if monthly and draw(st.booleans()):
        plain["free"] = {"kwh": str(draw(st.integers(1, 300))), "rate": draw(RATE)}
    if draw(st.booleans()):
        plain["capacity"] = {"per_month": draw(MONTHLY)}
        on.append("demand")
    if monthly and draw(st.booleans()):
        plain["demand"] = {"per_month": draw(MONTHLY), "at_least_percent": "40"}
        if draw(st.booleans()):
            plain["demand"] |= {"excess_over_percent": "105", "excess_per_month": draw(MONTHLY)}
        on.append("demand")
    on = list(dict.fromkeys(on))
    if monthly and draw(st.booleans()):
        standard = draw(st.sampled_from(["0.90", "0.85", "0.80"]))
        plain["power_factor"] = {"standard": standard, "on": [*on]}
    if draw(st.booleans()):
        plain["fees"] = [
            {"code": "daily", "name": "daily", "per_day": draw(MONTHLY)},
            {"code": "monthly", "name": "monthly", "per_month": draw(MONTHLY)},
        ]
        on.append("fixed")
    if draw(st.booleans()):
        plain["surcharges"] = [
            {"code": "fund", "name": "fund", "rate": draw(RATE)},
            {"code": "extra", "name": "extra", "percent": draw(PERCENT), "on": [*on]},
        ]
        on.append("surcharge")
    if draw(st.booleans()):
        plain["taxes"] = [
            {"code": "vat", "name": "VAT", "percent": draw(PERCENT), "on": [*on]},
            {"code": "city", "name": "city", "percent": draw(PERCENT), "on": ["energy", "vat"]},
        ]
    return from_data(plain, CNY)


def midnight(year: int, month: int, day: int) -> datetime:
    """In UTC."""
    return datetime(year, month, day, tzinfo=ZONE).astimezone(UTC)


@st.composite
def supplies(draw: st.DrawFn) -> Supply:
    """What a meter counted in a month of 28 to 31 days, in quarters of days.

    A supply that begins, or ends, in the month does so at any of the quarters.
    """
    month = draw(st.sampled_from([2, 3, 4]))
    start = midnight(2026, month, 1)
    quarters = (midnight(2026, month + 1, 1) - start).days * 4
    first = draw(st.sampled_from([0, 0, 1, 14, 50]))
    last = quarters - draw(st.sampled_from([0, 0, 3, 16, 50]))
    used = draw(
        st.lists(
            st.tuples(st.integers(0, 40_000), st.integers(0, 40_000), st.integers(0, 9_000)),
            min_size=3,
            max_size=5,
        )
    )
    counts = []
    for number in range(first, last):
        energy = dict(zip(REGISTERS, used[number * 7 % len(used)], strict=True))
        energy["total"] = sum(energy.values())
        since = start + timedelta(hours=6 * number)
        demand = (number * 7919) % 150_000
        counts.append(
            Count(since, since + timedelta(hours=6), energy, energy["t2"] + number, demand)
        )
    return Supply(counts, ZONE, begins=first > 0, ends=last < quarters)


@st.composite
def cuts_of(draw: st.DrawFn, supply: Supply) -> list[datetime]:
    """Some of the moments between its counts."""
    moments = [each.since for each in supply.counts[1:]]
    way = draw(st.sampled_from(["days", "quarters", "some"]))
    if way == "quarters":
        return moments
    if way == "days":
        return [each for each in moments if each.astimezone(ZONE).hour == 0]
    return sorted(draw(st.sets(st.sampled_from(moments), max_size=6)))
