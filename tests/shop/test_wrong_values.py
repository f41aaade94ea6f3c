"""Whatever a program hands to the shop: a coded fault, never an exception of something below."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from tests.shop.conftest import Clock
from tests.shop.databases import PRICE, START, UTILITY, Databases
from vending import Currency, Meter, NewMeter, Shop, Utility, VendRequest
from vending.errors import VendingError
from vending.shop.faults import InvalidSettingError, RequestFormatError, UnknownReceiptError

HUGE = pytest.param(10**5_000, id="huge")  # too long to be printed even
NO_TEXTS: list[Any] = ["x\x00", "x\ud800", "two\nlines", "x" * 5_000, 7, None, b"x"]
NO_WHOLE_NUMBERS: list[Any] = ["10", 10.5, 10.0, True, None, Decimal(10), 10**30, HUGE]
FARTHEST = [
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
]


@pytest.mark.parametrize("wrong", NO_WHOLE_NUMBERS)
def test_amounts_and_numbers_of_receipts_are_whole(shop: Shop, meter: Meter, wrong: Any) -> None:
    amount = "needs an amount" if wrong is None else "whole number"
    with pytest.raises(RequestFormatError, match=amount):
        shop.trial_vend(meter.number, wrong)
    with pytest.raises(RequestFormatError, match="whole number"):
        shop.reprint(wrong)
    with pytest.raises(RequestFormatError, match="whole number"):
        shop.meters(limit=wrong)
    with pytest.raises(RequestFormatError, match=amount):
        VendRequest("kiosk", "m1", meter.number, wrong)


@pytest.mark.parametrize("number", [0, -1, (1 << 63) - 1])
def test_a_receipt_that_is_not_there_is_unknown(shop: Shop, number: int) -> None:
    with pytest.raises(UnknownReceiptError):
        shop.reprint(number)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_list_has_room_for_a_meter(shop: Shop, limit: int) -> None:
    with pytest.raises(RequestFormatError):
        shop.meters(limit=limit)


@pytest.mark.parametrize("wrong", NO_TEXTS)
def test_texts_are_texts_of_one_line(shop: Shop, meter: Meter, wrong: Any) -> None:
    asked: list[Callable[[], object]] = [
        lambda: shop.meter(wrong),
        lambda: shop.trial_vend(wrong, 10_000),
        lambda: shop.last_receipt(wrong),
        lambda: shop.verify_token(wrong, "1" * 20),
        lambda: shop.verify_token(meter.number, wrong),
        lambda: shop.last_response(wrong, "m1"),
        lambda: shop.last_response("kiosk", wrong),
        lambda: shop.meters(after=wrong),
        lambda: shop.block_meter(meter.number, wrong),
        lambda: shop.block_meter(meter.number, "debt", operator=wrong),
        lambda: shop.unblock_meter(meter.number, operator=wrong),
        lambda: shop.set_price(PRICE, operator=wrong),
        lambda: shop.reprint(1, operator=wrong),
        lambda: shop.add_meter(NewMeter("01234567897"), operator=wrong),
        lambda: shop.add_meter(NewMeter("01234567897", customer=wrong)),
        lambda: shop.add_meter(NewMeter("01234567897", sgc=wrong)),
        lambda: shop.add_meter(NewMeter("01234567897", tariff_index=wrong)),
        lambda: shop.add_meter(NewMeter(wrong)),
    ]
    for number, ask in enumerate(asked):
        with pytest.raises(VendingError):
            pytest.fail(f"{number}: {ask()!r}")
    assert shop.meter(meter.number).blocked is None


@pytest.mark.parametrize("moment", FARTHEST)
def test_a_statement_of_a_moment_beyond_the_calendar_is_refused(
    shop: Shop, moment: datetime
) -> None:
    with pytest.raises(RequestFormatError, match="calendar"):
        shop.statement(since=moment)
    with pytest.raises(RequestFormatError, match="calendar"):
        shop.statement(until=moment)


def test_a_statement_of_a_time_without_a_zone_is_refused(shop: Shop) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the point of the test
    with pytest.raises(RequestFormatError, match="zone"):
        shop.statement(since=naive)
    with pytest.raises(RequestFormatError, match="zone"):
        shop.statement(until=naive)


@pytest.mark.parametrize("year", [1, 900, 1500, 9999])
def test_far_years_sort_as_they_should(shop: Shop, meter: Meter, year: int) -> None:
    shop.vend(VendRequest("kiosk", "m1", meter.number, 10_000)).require_done()
    far = datetime(year, 6, 1, tzinfo=UTC)
    assert shop.statement(since=far).sales == (1 if far < START else 0)
    assert shop.statement(until=far).sales == (0 if far < START else 1)


def test_a_clock_without_a_zone_or_beyond_the_calendar_is_refused(
    shop: Shop, meter: Meter, clock: Clock, databases: Databases
) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the point of the test
    for wrong in (naive, *FARTHEST):
        clock.now = wrong
        with pytest.raises(RequestFormatError):
            shop.vend(VendRequest("kiosk", "m1", meter.number, 10_000))
        with pytest.raises(RequestFormatError):
            Shop.create(databases.empty(), UTILITY, PRICE, now=clock)
    clock.now = START
    shop.vend(VendRequest("kiosk", "m1", meter.number, 10_000)).require_done()


@pytest.mark.parametrize("wrong", [2.0, True, "2", None, HUGE])
@pytest.mark.parametrize("field", ["algorithm", "krn", "key_type", "base_year", "ken"])
def test_a_meters_key_is_described_in_whole_numbers(shop: Shop, field: str, wrong: Any) -> None:
    right: Any = {"algorithm": 11.0, "base_year": 2014.0}.get(field, wrong)
    for value in (wrong, right):
        with pytest.raises(VendingError):
            shop.add_meter(NewMeter("01234567897", **{field: value}))
    assert shop.meters() == []


@pytest.mark.parametrize("wrong", [500.0, True, "500", None, Decimal(500), HUGE])
def test_a_utilitys_limits_are_whole_minor_units(wrong: Any) -> None:
    money = Currency.named("ZAR")
    with pytest.raises(InvalidSettingError):
        Utility("City Power", money, minimum_minor=wrong)
    with pytest.raises(InvalidSettingError):
        Utility("City Power", money, maximum_minor=wrong)
    with pytest.raises(InvalidSettingError):
        Currency("ZAR", wrong)


@pytest.mark.parametrize("field", ["name", "zone", "address", "vendor", "tax_number"])
@pytest.mark.parametrize("wrong", NO_TEXTS)
def test_a_utility_is_described_in_lines_of_text(field: str, wrong: Any) -> None:
    whole: dict[str, Any] = {"name": "City Power", "currency": Currency.named("ZAR")}
    with pytest.raises(InvalidSettingError):
        Utility(**{**whole, field: wrong})
