"""Vendors: credit, top-ups that count once, dated commission, terminals; and reports."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from storage.engine import open_engine, writing
from tests.cash.books import ledger
from tests.cash.conftest import Sell
from tests.shop.conftest import Clock
from vending import Meter, NewMeter, Resource, Shop, Tender, VendRequest
from vending.cash.commission import rate_at
from vending.cash.faults import (
    CommissionRateError,
    TerminalExistsError,
    TopUpConflictError,
    UnknownTerminalError,
    UnknownVendorError,
    VendorCreditExhaustedError,
    VendorExistsError,
)
from vending.cash.tables import vendor_credit
from vending.shop.faults import InvalidSettingError, RequestFormatError


def test_a_top_up_counts_once(shop: Shop, database_url: str) -> None:
    vendor = shop.vendors.add("Corner Shop", credit_limit_minor=1_000)
    first = shop.vendors.top_up(vendor.vendor_id, 50_000, reference="R1", operator="boss")
    assert shop.vendors.top_up(vendor.vendor_id, 50_000, reference="R1") == first
    with pytest.raises(TopUpConflictError):
        shop.vendors.top_up(vendor.vendor_id, 60_000, reference="R1")
    assert shop.vendors.credit(vendor.vendor_id).available_minor == 51_000
    assert ledger(database_url)[f"vendor.{vendor.vendor_id}"] == 50_000
    statement = shop.vendors.statement(vendor.vendor_id)
    assert (statement.opening_minor, statement.closing_minor) == (0, 50_000)
    assert statement.agrees
    rows = list(csv.DictReader(io.StringIO(statement.csv())))
    assert rows[0]["top_ups"] == "500.00"
    assert all(len(line) <= 48 for line in statement.text(shop.utility).splitlines())


def test_vendors_are_managed(shop: Shop) -> None:
    vendor = shop.vendors.add("Corner Shop")
    with pytest.raises(VendorExistsError):
        shop.vendors.add("Corner Shop")
    with pytest.raises(InvalidSettingError):
        shop.vendors.add(" ")
    with pytest.raises(UnknownVendorError):
        shop.vendors.vendor(99)
    with pytest.raises(RequestFormatError):
        shop.vendors.top_up(vendor.vendor_id, 1, reference="")
    assert shop.vendors.block(vendor.vendor_id, "unpaid").blocked == "unpaid"
    assert shop.vendors.unblock(vendor.vendor_id).blocked is None
    assert shop.vendors.set_credit_limit(vendor.vendor_id, 700).credit_limit_minor == 700
    assert shop.vendors.credit(vendor.vendor_id).available_minor == 700
    assert shop.vendors.set_credit_limit(vendor.vendor_id, 0).credit_limit_minor == 0
    assert [each.name for each, _ in shop.vendors.all()] == ["Corner Shop"]


def test_a_limit_that_is_used_up_already_is_refused(shop: Shop, database_url: str) -> None:
    vendor = shop.vendors.add("Corner Shop", credit_limit_minor=700)
    engine = open_engine(database_url)
    with writing(engine) as connection:
        connection.execute(update(vendor_credit).values(available_minor=1))
    engine.dispose()
    with pytest.raises(VendorCreditExhaustedError):
        shop.vendors.set_credit_limit(vendor.vendor_id, 0)
    assert shop.vendors.vendor(vendor.vendor_id).credit_limit_minor == 700


def test_commission_is_dated_and_rounded_down(shop: Shop, clock: Clock) -> None:
    vendor = shop.vendors.add("Corner Shop")
    number = vendor.vendor_id
    first = shop.vendors.set_commission(number, basis_points=150, fixed_minor=5)
    later = shop.vendors.set_commission(
        number, basis_points=100, valid_from=clock.now + timedelta(days=1)
    )
    with pytest.raises(CommissionRateError, match="now or later"):
        shop.vendors.set_commission(number, valid_from=clock.now - timedelta(days=1))
    with pytest.raises(CommissionRateError):
        shop.vendors.set_commission(number, basis_points=10_001)
    rates = shop.vendors.commission(number)
    assert rates == [first, later]
    assert first.of(9_999) == 149 + 5
    assert rate_at(rates, clock.now) == first
    assert rate_at(rates, clock.now + timedelta(days=2)) == later
    assert rate_at(rates, clock.now - timedelta(days=2)) is None
    assert shop.vendors.settle_commission(number).receipts == 0


def test_terminals_are_assigned(shop: Shop) -> None:
    vendor = shop.vendors.add("Corner Shop")
    shop.vendors.add_terminal("T1")
    with pytest.raises(TerminalExistsError):
        shop.vendors.add_terminal("T1")
    with pytest.raises(UnknownTerminalError):
        shop.vendors.assign_terminal("T9", None)
    assert shop.vendors.assign_terminal("T1", vendor.vendor_id).vendor_id == vendor.vendor_id
    assert shop.shifts.open(operator="ann", terminal="T1").vendor_id == vendor.vendor_id
    assert [each.name for each in shop.vendors.terminals()] == ["T1"]


def test_different_units_are_never_added_up(
    shop: Shop, meter: Meter, new_number: Callable[[], str]
) -> None:
    water = shop.add_meter(NewMeter(new_number(), resource="water"))
    sold = [
        shop.vend(VendRequest("t", f"{each.number}{turn}", each.number, 10_000)).require_done()
        for each in (meter, water)
        for turn in range(2)
    ]
    (day,) = shop.reports.sales()
    assert day.sales == 4
    assert day.units == {
        Resource.ELECTRICITY: 2 * sold[0].units,
        Resource.WATER: 2 * sold[2].units,
    }
    statement = shop.statement()
    assert statement.units_of == day.units
    assert statement.agrees


def test_sales_by_day_tender_and_resource(shop: Shop, sell: Sell, clock: Clock) -> None:
    paid = {"cash": 0, "card": 0}
    for amount, tender in ((10_000, Tender.CASH), (7_000, Tender.CARD), (900, Tender.CARD)):
        payment = sell(amount, tender).payment
        assert payment is not None
        paid[tender.value] += amount - payment.change_minor
    # 22:30 UTC is the next day in the utility's zone
    clock.advance(hours=13)
    late = sell(5_000)
    assert late.payment is not None
    rows = shop.reports.sales(("day", "tender"))
    assert [(row.day, row.tender, row.sales, row.paid_minor) for row in rows] == [
        ("2026-11-21", "card", 2, paid["card"]),
        ("2026-11-21", "cash", 1, paid["cash"]),
        ("2026-11-22", "cash", 1, 5_000 - late.payment.change_minor),
    ]
    (one,) = shop.reports.sales(("resource",), since=clock.now)
    assert (one.resource, one.sales) == ("electricity", 1)
    assert one.units == {Resource.ELECTRICITY: late.units}
    assert shop.reports.unknown() == []
    with pytest.raises(RequestFormatError):
        shop.reports.sales(("colour",))
