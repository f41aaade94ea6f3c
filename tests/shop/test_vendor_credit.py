"""A prepaid vendor sells from its credit: never more than there is, never twice, no hot row."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from storage.engine import open_engine, writing
from tests.shop.databases import START, PostgresqlDatabases
from vending import Meter, NewMeter, Outcome, Shop, VendRequest
from vending.cash.credit import (
    BUCKETS,
    SellingVendor,
    available_minor,
    credit_vendor,
    post_reserved,
    reserve,
    spend,
    void_reserved,
)
from vending.cash.faults import VendorCreditExhaustedError
from vending.cash.tables import terminals, vendor_credit, vendors
from vending.sts import make_drn

AMOUNT = 5_000


def make_vendor(shop: Shop, credit_minor: int, *, name: str = "Spaza", prepaid: bool = True) -> int:
    """A vendor with credit and two terminals, NAME-0 and NAME-1."""
    with shop._house.writing() as connection:
        vendor_id: int = connection.execute(
            insert(vendors).returning(vendors.c.vendor_id),
            {"name": name, "prepaid": int(prepaid), "added_at": START},
        ).scalar_one()
        for number in range(2):
            connection.execute(
                insert(terminals),
                {"name": f"{name}-{number}", "vendor_id": vendor_id, "added_at": START},
            )
        if credit_minor:
            credit_vendor(connection, vendor_id, credit_minor)
    return vendor_id


def left(shop: Shop, vendor_id: int) -> int:
    with shop._house.writing() as connection:
        return available_minor(connection, vendor_id)


def sell(shop: Shop, meter: Meter, message_id: str, amount: int = AMOUNT) -> Outcome:
    request = VendRequest(
        "kiosk", message_id, meter.number, amount, terminal="Spaza-0", confirmed_second=True
    )
    return shop.vend(request).outcome


def test_a_sale_takes_what_it_keeps_from_the_vendors_credit_once(shop: Shop, meter: Meter) -> None:
    vendor_id = make_vendor(shop, 20_000)
    for _ in range(3):
        assert sell(shop, meter, "m1") is Outcome.DONE
    receipt = shop.last_receipt(meter.number)
    assert receipt.payment is not None
    kept = receipt.payment.tendered_minor - receipt.payment.change_minor
    assert left(shop, vendor_id) == 20_000 - kept
    assert receipt.seller.vendor == "Spaza"
    statement = shop.statement()
    assert statement.agrees
    of = {each.account: each.balance_minor for each in statement.accounts}
    assert of[f"vendor.{vendor_id}"] == -kept
    assert of["tender.cash"] == 0


def test_a_sale_beyond_the_credit_is_refused_and_takes_nothing(shop: Shop, meter: Meter) -> None:
    vendor_id = make_vendor(shop, AMOUNT - 100)
    request = VendRequest("kiosk", "m1", meter.number, AMOUNT, terminal="Spaza-1")
    result = shop.vend(request)
    assert result.fault is not None
    assert (result.outcome, result.fault.code) == (Outcome.FAILED, "vendor_credit_exhausted")
    assert left(shop, vendor_id) == AMOUNT - 100
    with shop._house.writing() as connection:
        credit_vendor(connection, vendor_id, 10_000)
    assert shop.vend(request).outcome is Outcome.FAILED
    assert sell(shop, meter, "m2") is Outcome.DONE


def test_a_refused_sale_gives_back_what_it_took(shop: Shop, meter: Meter) -> None:
    vendor_id = make_vendor(shop, 20_000)
    shop.block_meter(meter.number, "unpaid")
    assert sell(shop, meter, "m1") is Outcome.FAILED
    assert left(shop, vendor_id) == 20_000


def test_a_vendor_that_settles_afterwards_needs_no_credit(shop: Shop, meter: Meter) -> None:
    make_vendor(shop, 0, prepaid=False)
    assert sell(shop, meter, "m1") is Outcome.DONE
    assert shop.statement().agrees


@pytest.mark.parametrize(
    ("table", "code"), [("vendors", "vendor_blocked"), ("terminals", "terminal_blocked")]
)
def test_who_is_blocked_sells_nothing(shop: Shop, meter: Meter, table: str, code: str) -> None:
    make_vendor(shop, 20_000)
    with shop._house.writing() as connection:
        connection.execute(text(f"UPDATE {table} SET blocked = 'fraud'"))
    result = shop.vend(VendRequest("kiosk", "m1", meter.number, AMOUNT, terminal="Spaza-0"))
    assert result.fault is not None
    assert result.fault.code == code


def test_the_credit_is_sold_to_the_last_sale_by_many_at_once(shop: Shop) -> None:
    """Twelve sales want it, it suffices for seven: the sum decides, not the buckets."""
    vendor_id = make_vendor(shop, 7 * AMOUNT)
    meters = [shop.add_meter(NewMeter(make_drn("08", f"{n:08d}"))) for n in range(12)]
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda number: sell(shop, meters[number], str(number)), range(12)))
    assert outcomes.count(Outcome.DONE) == 7
    assert left(shop, vendor_id) == 7 * AMOUNT - shop.statement().taken_minor
    assert shop.statement().agrees


def test_what_is_reserved_is_posted_or_voided(shop: Shop) -> None:
    vendor_id = make_vendor(shop, 1_000)
    with shop._house.writing() as connection:
        first = reserve(connection, vendor_id, 300)
        second = reserve(connection, vendor_id, 500)
        with pytest.raises(VendorCreditExhaustedError):
            reserve(connection, vendor_id, 300)
        assert available_minor(connection, vendor_id) == 200
        post_reserved(connection, vendor_id, first, 300)
        void_reserved(connection, vendor_id, second, 500)
        assert available_minor(connection, vendor_id) == 700
        reserved = connection.execute(select(vendor_credit.c.reserved_minor)).scalars()
        assert set(reserved) == {0}


def test_the_database_refuses_credit_below_nothing(shop: Shop, database_url: str) -> None:
    make_vendor(shop, 1_000)
    engine = open_engine(database_url)
    for column in ("available_minor", "reserved_minor"):
        with pytest.raises(DBAPIError, match=f"ck_vendor_credit_{column}"), engine.begin() as held:
            held.execute(text(f"UPDATE vendor_credit SET {column} = {column} - 1001"))
    engine.dispose()


def test_a_terminal_does_not_wait_for_another_ones_sale(
    postgresql_databases: PostgresqlDatabases,
) -> None:
    """One transaction holds what it took; another one takes from another bucket meanwhile."""
    url = postgresql_databases.shop()
    with Shop.open(url) as shop:
        vendor = SellingVendor(make_vendor(shop, 1_000 * BUCKETS), "Spaza", True, True)
        engine = shop._house.engine

        def spend_too() -> None:
            with writing(engine) as connection:
                spend(connection, vendor, 10)

        with writing(engine) as holding, ThreadPoolExecutor(1) as pool:
            spend(holding, vendor, 10)
            pool.submit(spend_too).result(timeout=20)
        assert left(shop, vendor.vendor_id) == 1_000 * BUCKETS - 20
    postgresql_databases.discard(url)


def test_who_finds_all_buckets_held_waits_for_one_and_lays_nothing_anew(
    postgresql_databases: PostgresqlDatabases,
) -> None:
    """To lock them all would have everybody wait for everybody."""
    url = postgresql_databases.shop()
    with Shop.open(url) as shop:
        vendor = SellingVendor(make_vendor(shop, 1_000 * BUCKETS), "Spaza", True, True)
        engine = shop._house.engine
        amounts = select(vendor_credit.c.available_minor).order_by(vendor_credit.c.available_minor)

        def spend_too(minor: int) -> None:
            with writing(engine) as connection:
                spend(connection, vendor, minor)

        spend_too(500)
        with ThreadPoolExecutor(BUCKETS) as pool:
            with writing(engine) as holding:
                holding.execute(select(vendor_credit).with_for_update())
                waiting = [pool.submit(spend_too, 10) for _ in range(4)]
                time.sleep(0.3)
                assert not any(each.done() for each in waiting)
            for each in waiting:
                each.result(timeout=20)
        with writing(engine) as connection:
            held = list(connection.scalars(amounts))
        assert sum(held) == 1_000 * BUCKETS - 540
        assert 460 <= held[0] <= 500
        assert held[-1] == 1_000
    postgresql_databases.discard(url)


def test_a_sale_larger_than_any_bucket_is_made_when_the_sum_suffices(shop: Shop) -> None:
    vendor = SellingVendor(make_vendor(shop, 1_600), "Spaza", True, True)
    with shop._house.writing() as connection:
        spend(connection, vendor, 1_550)
        assert available_minor(connection, vendor.vendor_id) == 50
