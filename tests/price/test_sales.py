"""Sales by tariffs, on real databases: blocks of the month, charges, debts, change, ledger."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import pytest
from sqlalchemy import Connection, insert, text, update
from sqlalchemy.exc import DBAPIError

from storage.engine import open_engine, writing
from storage.errors import InvariantError
from tests.price.strategies import ZAR
from tests.shop.conftest import Clock
from tests.shop.databases import PRICE, UTILITY
from vending import Meter, NewMeter, Receipt, Shop, VendRequest
from vending.price.document import read_toml
from vending.price.dues import settle, situation, unsettle
from vending.price.faults import (
    CarriedChangeUsedError,
    DebtBlocksError,
    NothingDueError,
    TariffExistsError,
    TariffNotValidError,
    TariffResourceError,
    TariffValidityError,
    UnknownTariffError,
)
from vending.price.lines import DebtPaid, Quote
from vending.price.quoting import quote
from vending.price.situation import Scheme, SchemeKind, Situation
from vending.price.tables import charges_paid, debt_payments
from vending.price.tariff import Tariff
from vending.shop.faults import AboveMaximumError, BelowMinimumError
from vending.shop.price import flat_tariff
from vending.shop.tables import meters

BLOCKS = """
name = "Domestic"
[[blocks]]
up_to = 50
price = "1.00"
[[blocks]]
price = "2.00"
"""
EVERYTHING = """
name = "Everything"
[[blocks]]
price = "2.00"
[[taxes]]
code = "vat"
name = "VAT"
percent = 15
on = ["energy", "charges"]
[[charges]]
code = "service"
name = "Service charge"
per_month = 10
from_month = "2026-10"
[change]
rule = "carry"
"""
_ids = itertools.count()


def tariff(document: str) -> Tariff:
    return read_toml(document, ZAR)


def sell(shop: Shop, meter: Meter, amount_minor: int) -> Receipt:
    request = VendRequest(
        "test", f"sale {next(_ids)}", meter.number, amount_minor, confirmed_second=True
    )
    return shop.vend(request).require_done()


def lines(receipt: Receipt) -> list[tuple[str, int]]:
    assert receipt.payment is not None
    return [(line.kind, line.amount_minor) for line in receipt.payment.lines]


def balance(shop: Shop, account: str) -> int:
    return {each.account: each.balance_minor for each in shop.statement().accounts}[account]


def assigned(shop: Shop, meter: Meter, document: str) -> None:
    added = shop.tariffs.add(tariff(document))
    assert shop.tariffs.assign(added.tariff.name, [meter.number]) == 1


# --- blocks ---------------------------------------------------------------------------------


def test_blocks_go_on_where_the_month_stands(shop: Shop, meter: Meter, clock: Clock) -> None:
    assigned(shop, meter, BLOCKS)
    assert sell(shop, meter, 3_000).units == 300
    assert sell(shop, meter, 3_000).units == 200 + 50  # 20 kWh @ 1.00, then 5 @ 2.00
    clock.now = datetime(2026, 11, 30, 21, 59, tzinfo=UTC)  # 23:59 in Johannesburg
    assert sell(shop, meter, 3_000).units == 150
    clock.advance(minutes=1)
    assert sell(shop, meter, 3_000).units == 300


def test_meters_of_a_service_point_share_its_month(
    shop: Shop, new_number: Callable[[], str]
) -> None:
    first, second = (
        shop.add_meter(NewMeter(new_number(), service_point="Farm 7")) for _ in range(2)
    )
    shop.tariffs.add(tariff(BLOCKS))
    shop.tariffs.assign("Domestic", [first.number, second.number])
    assert sell(shop, first, 5_000).units == 500
    assert sell(shop, second, 5_000).units == 250


def test_the_steps_stand_on_the_receipt(shop: Shop, meter: Meter) -> None:
    assigned(shop, meter, BLOCKS)
    payment = sell(shop, meter, 6_000).payment
    assert payment is not None
    assert [(line.explanation, line.amount_minor) for line in payment.lines] == [
        ("50.0 kWh @ 1.00", 5_000),
        ("5.0 kWh @ 2.00", 1_000),
    ]
    assert [line.reason and line.reason.code for line in payment.lines] == ["units_at_price"] * 2
    assert (payment.tariff, payment.tariff_version, payment.price_id) == ("Domestic", 1, None)


def test_a_trial_tells_what_the_sale_will_be(shop: Shop, meter: Meter) -> None:
    assigned(shop, meter, EVERYTHING)
    owe(shop, meter, 3_000, Scheme(SchemeKind.PERCENT, 2_500))
    sell(shop, meter, 2_000)
    tried = shop.trial_vend(meter.number, 3_333).quote
    sold = sell(shop, meter, 3_333)
    assert [(line.kind.value, line.amount_minor) for line in tried.lines] == lines(sold)
    assert tried.units == sold.units


def test_so_many_units_are_sold_for_the_least_amount(shop: Shop, meter: Meter) -> None:
    assigned(shop, meter, BLOCKS)
    request = VendRequest("test", "by units", meter.number, units=600)
    sold = shop.vend(request).require_done()
    assert sold.payment is not None
    assert (sold.units, sold.payment.tendered_minor) == (600, 7_000)


def test_the_narrowest_limit_counts(shop: Shop, meter: Meter) -> None:
    assigned(shop, meter, 'minimum = "20"\nmaximum = "30"\n' + BLOCKS)
    with pytest.raises(BelowMinimumError, match=r"smallest sale of ZAR 20\.00"):
        sell(shop, meter, 1_999)
    with pytest.raises(AboveMaximumError, match=r"largest sale of ZAR 30\.00"):
        sell(shop, meter, 3_001)


# --- charges --------------------------------------------------------------------------------


def test_unpaid_months_are_collected_once(shop: Shop, meter: Meter, clock: Clock) -> None:
    assigned(shop, meter, EVERYTHING)
    first = sell(shop, meter, 10_000)
    # the meter was added in November: October is not due
    assert lines(first)[:1] == [("charge", 1_000)]
    assert balance(shop, "charge.service") == 1_000
    assert "charge" not in dict(lines(sell(shop, meter, 10_000)))
    clock.now = datetime(2027, 1, 31, 12, tzinfo=UTC)
    later = sell(shop, meter, 10_000)
    assert lines(later)[0] == ("charge", 2_000)
    assert later.payment is not None
    assert later.payment.lines[0].explanation == (
        "Service charge, 2 months from 2026-12 to 2027-01"
    )


def test_what_does_not_cover_the_charges_is_refused(shop: Shop, meter: Meter) -> None:
    assigned(shop, meter, EVERYTHING)
    with pytest.raises(BelowMinimumError, match=r"at least ZAR 11\.73 does"):
        sell(shop, meter, 1_150)
    assert sell(shop, meter, 1_173).units == 1


# --- debts ----------------------------------------------------------------------------------


def owe(shop: Shop, meter: Meter, minor: int, scheme: Scheme) -> int:
    return shop.tariffs.add_debt(
        meter.number, name="Old bill", principal_minor=minor, scheme=scheme, reason="2025 bill"
    ).debt_id


def test_a_debt_is_collected_until_it_is_paid(shop: Shop, meter: Meter) -> None:
    owe(shop, meter, 3_000, Scheme(SchemeKind.PERCENT, 2_500))
    assert balance(shop, "debts") == 3_000
    first = sell(shop, meter, 10_000)
    assert lines(first)[0] == ("debt", 2_500)
    assert first.payment is not None
    (debt,) = first.payment.debts
    assert (debt.name, debt.paid_minor, debt.left_minor) == ("Old bill", 2_500, 500)
    assert lines(sell(shop, meter, 10_000))[0] == ("debt", 500)
    assert "debt" not in dict(lines(sell(shop, meter, 10_000)))
    assert balance(shop, "debts") == 0
    assert not shop.meter(meter.number).has_dues


def test_a_blocking_debt_refuses_the_sale(shop: Shop, meter: Meter) -> None:
    owe(shop, meter, 3_000, Scheme(SchemeKind.BLOCK))
    with pytest.raises(DebtBlocksError, match=r"ZAR 30\.00 are left"):
        sell(shop, meter, 10_000)


def test_a_debt_is_written_off_with_a_reason(shop: Shop, meter: Meter) -> None:
    debt_id = owe(shop, meter, 3_000, Scheme(SchemeKind.BLOCK))
    assert shop.tariffs.write_off(debt_id, amount_minor=1_000, reason="mistake").left_minor == 2_000
    with pytest.raises(NothingDueError):
        shop.tariffs.write_off(debt_id, amount_minor=2_001, reason="mistake")
    shop.tariffs.write_off(debt_id, reason="hardship")
    assert [debt.left_minor for debt in shop.tariffs.debts(meter.number)] == [0]
    assert balance(shop, "debts") == balance(shop, "debts.brought_in") == 0
    assert sell(shop, meter, 10_000).units > 0


# --- change ---------------------------------------------------------------------------------


def test_change_is_kept_and_used_by_the_next_sale(shop: Shop, meter: Meter) -> None:
    assigned(shop, meter, EVERYTHING)
    kept = dict(lines(sell(shop, meter, 1_190)))["carried"]
    assert balance(shop, "carried") == kept == 17
    second = lines(sell(shop, meter, 1_000))
    assert second[-2][0] == second[-1][0] == "carried"
    assert second[-2][1] == -kept
    assert sum(amount for _, amount in second) == 1_000
    assert balance(shop, "carried") == second[-1][1]
    assert balance(shop, "tender.cash") == 2_190


# --- the books ------------------------------------------------------------------------------


def test_receipts_and_ledger_agree_with_everything_in_it(shop: Shop, meter: Meter) -> None:
    assigned(shop, meter, EVERYTHING)
    owe(shop, meter, 3_000, Scheme(SchemeKind.LESSER, 2_500, 700))
    debt_id = owe(shop, meter, 900, Scheme(SchemeKind.FIXED, None, 100))
    for amount in (5_000, 7_777, 1_234):
        sell(shop, meter, amount)
    shop.tariffs.write_off(debt_id, reason="hardship")
    counted = shop.statement()
    assert counted.agrees
    assert counted.tax_minor == balance(shop, "tax.vat")


def test_a_receipt_explains_itself_by_the_version_of_then(
    shop: Shop, meter: Meter, clock: Clock
) -> None:
    assigned(shop, meter, BLOCKS)
    receipt = sell(shop, meter, 6_000)
    clock.advance(days=1)
    shop.tariffs.add_version(tariff(BLOCKS.replace('"1.00"', '"1.50"')))
    explained = shop.tariffs.explain(receipt.receipt_no)
    assert explained.payment == receipt.payment
    assert explained.definition is not None
    assert explained.definition.tariff.blocks[0].price == 100_000


# --- versions -------------------------------------------------------------------------------


def test_a_version_set_ahead_is_valid_from_its_moment_on(
    shop: Shop, meter: Meter, clock: Clock
) -> None:
    assigned(shop, meter, BLOCKS)
    begins = datetime(2026, 12, 1, tzinfo=UTC)
    dearer = tariff(BLOCKS.replace('"1.00"', '"2.00"').replace('"2.00"', '"4.00"'))
    shop.tariffs.add_version(dearer, valid_from=begins)
    clock.now = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    assert sell(shop, meter, 4_000).units == 400
    clock.now = begins
    assert sell(shop, meter, 4_000).units == 100
    assert [each.version for each in shop.tariffs.versions("Domestic")] == [1, 2]
    assert [each.version for each in shop.tariffs.list()] == [2]


def test_versions_never_overlap_and_never_change_the_past(shop: Shop, clock: Clock) -> None:
    shop.tariffs.add(tariff(BLOCKS), valid_from=datetime(2026, 12, 1, tzinfo=UTC))
    with pytest.raises(TariffExistsError):
        shop.tariffs.add(tariff(BLOCKS))
    with pytest.raises(TariffValidityError, match="begin after it"):
        shop.tariffs.add_version(tariff(BLOCKS), valid_from=datetime(2026, 12, 1, tzinfo=UTC))
    clock.now = datetime(2027, 1, 1, tzinfo=UTC)
    with pytest.raises(TariffValidityError, match="what was sold stays"):
        shop.tariffs.add_version(tariff(BLOCKS), valid_from=datetime(2026, 12, 2, tzinfo=UTC))
    with pytest.raises(UnknownTariffError):
        shop.tariffs.versions("Nothing")


def test_a_tariff_that_is_not_valid_yet_sells_nothing(shop: Shop, meter: Meter) -> None:
    shop.tariffs.add(tariff(BLOCKS), valid_from=datetime(2026, 12, 1, tzinfo=UTC))
    shop.tariffs.assign("Domestic", [meter.number])
    with pytest.raises(TariffNotValidError):
        sell(shop, meter, 1_000)
    assert shop.tariffs.assign(None, [meter.number]) == 1
    assert sell(shop, meter, 1_000).units > 0


def test_a_tariff_for_water_is_not_for_electricity(shop: Shop, meter: Meter) -> None:
    shop.tariffs.add(tariff('resource = "water"' + BLOCKS))
    with pytest.raises(TariffResourceError):
        shop.tariffs.assign("Domestic", [meter.number])


# --- what the database holds ----------------------------------------------------------------


def refused(database_url: str, statement: object, values: object = None) -> None:
    engine = open_engine(database_url)
    with pytest.raises(DBAPIError), engine.begin() as connection:
        connection.execute(statement, values)  # type: ignore[call-overload]
    engine.dispose()


def test_the_database_keeps_debts_charges_and_versions(
    shop: Shop, meter: Meter, database_url: str, clock: Clock
) -> None:
    assigned(shop, meter, EVERYTHING)
    debt_id = owe(shop, meter, 1_000, Scheme(SchemeKind.FIXED, None, 600))
    receipt = sell(shop, meter, 5_000)
    other = sell(shop, shop.add_meter(NewMeter("04000000002")), 5_000)
    payment = {
        "debt_id": debt_id,
        "kind": "payment",
        "amount_minor": 401,
        "paid_at": clock.now,
        "receipt_no": other.receipt_no,
        "reason": "",
    }
    refused(database_url, insert(debt_payments), payment)
    charge = {
        "meter_id": meter.meter_id,
        "charge": "service",
        "month": "2026-11",
        "receipt_no": receipt.receipt_no,
        "amount_minor": 1_000,
    }
    refused(database_url, insert(charges_paid), {**charge, "turn": 0})
    refused(database_url, insert(charges_paid), {**charge, "turn": 1})
    refused(database_url, update(meters).values(tariff_id=999))
    for table in ("tariffs", "tariff_versions", "debts", "debt_payments", "charges_paid"):
        refused(database_url, text(f"DELETE FROM {table}"))
    refused(database_url, text("UPDATE tariff_versions SET definition = '{}'"))
    refused(
        database_url,
        text(
            "INSERT INTO tariff_versions (tariff_id, version, valid_from, definition, added_at, "
            "added_by) SELECT tariff_id, 2, valid_from, definition, added_at, added_by "
            "FROM tariff_versions WHERE version = 1"
        ),
    )


def test_a_reversal_gives_everything_back(
    shop: Shop,
    meter: Meter,
    new_number: Callable[[], str],
    database_url: str,
    clock: Clock,
) -> None:
    assigned(shop, meter, EVERYTHING)
    owe(shop, meter, 1_000, Scheme(SchemeKind.FIXED, None, 600))
    first, second = sell(shop, meter, 1_790), sell(shop, meter, 1_580)
    assert dict(lines(first))["carried"] > lines(second)[-1][1]
    # receipts of another meter stand for those of the reversals
    other = shop.add_meter(NewMeter(new_number()))
    reversals = [sell(shop, other, 1_000).receipt_no for _ in range(2)]
    engine = open_engine(database_url)
    held = shop.meter(meter.number)
    with pytest.raises(CarriedChangeUsedError), writing(engine) as connection:
        unsettle(connection, first.receipt_no, reversals[0], held, clock.now)
    with writing(engine) as connection:
        unsettle(connection, second.receipt_no, reversals[0], held, clock.now)
        unsettle(connection, first.receipt_no, reversals[1], held, clock.now)
    engine.dispose()
    assert [debt.left_minor for debt in shop.tariffs.debts(meter.number)] == [1_000]
    assert lines(sell(shop, meter, 1_790)) == lines(first)


def test_a_month_is_not_settled_twice_nor_a_debt_overpaid(
    shop: Shop, meter: Meter, database_url: str, clock: Clock
) -> None:
    debt_id = owe(shop, meter, 1_000, Scheme(SchemeKind.FIXED, None, 600))
    receipt = sell(shop, meter, 5_000)
    engine = open_engine(database_url)
    overpaid = Quote(500, 0, (), debts=(DebtPaid(debt_id, "Old bill", 500, 0),))
    with pytest.raises(InvariantError), writing(engine) as connection:
        settle(connection, receipt.receipt_no, meter, overpaid, clock.now)
    engine.dispose()


def test_a_flat_price_without_dues_takes_no_statement(meter: Meter, clock: Clock) -> None:
    nobody = cast(Connection, None)  # whatever is asked of it fails
    flat = flat_tariff(PRICE)
    known = situation(nobody, meter, flat, utility=UTILITY, now=clock.now, channel="cash")
    assert known == Situation("cash")
    sold = quote(flat, known, 10_000, ZAR)
    settle(nobody, 1, meter, sold, clock.now)
    assert sold.units == 347
