"""Commission of a vendor's receipts: each once, reversals take back, the statement agrees."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, update

from storage import ledger as books
from storage.engine import open_engine, writing
from storage.ledger import Transfer
from tests.cash.books import ledger
from tests.shop.conftest import Clock
from vending import Meter, Shop
from vending.cash.accounts import vendor_account
from vending.cash.credit import credit_vendor
from vending.shop.tables import receipts, requests


def sold(
    url: str, meter: Meter, number: int, paid_minor: int, vendor_id: int, at: datetime
) -> None:
    """A sale of a vendor, as its rows: paid out of the vendor's account."""
    engine = open_engine(url)
    with writing(engine) as connection:
        ids = {"client": "v", "message_id": str(number)}
        connection.execute(
            insert(requests),
            {**ids, "operation": "vend", "request_sha256": bytes(32), "received_at": at},
        )
        move = Transfer(vendor_account(vendor_id), "sales.energy", paid_minor, "energy")
        connection.execute(
            insert(receipts),
            {
                **ids,
                "kind": "credit",
                "meter_id": meter.meter_id,
                "issued_at": at,
                "tendered_minor": paid_minor,
                "change_minor": 0,
                "units": 10,
                "tender": "cash",
                "vendor_id": vendor_id,
                "transaction_id": books.post(connection, "vend", at, "ZAR", [move]),
            },
        )
        connection.execute(
            update(requests)
            .where(requests.c.client == "v", requests.c.message_id == str(number))
            .values(outcome="done", response=b"{}")
        )
        credit_vendor(connection, vendor_id, -paid_minor)
    engine.dispose()


def test_each_receipt_is_settled_once(
    shop: Shop, meter: Meter, clock: Clock, database_url: str
) -> None:
    number = shop.vendors.add("Corner Shop").vendor_id
    shop.vendors.top_up(number, 50_000, reference="R1")
    shop.vendors.set_commission(number, basis_points=150, fixed_minor=1)
    sold(database_url, meter, 1, 9_999, number, clock.now)
    clock.advance(days=1)
    shop.vendors.set_commission(number, basis_points=1_000)
    sold(database_url, meter, 2, 1_000, number, clock.now)
    earned = (149 + 1) + 100
    before = shop.vendors.statement(number)
    assert (before.unsettled_minor, before.agrees) == (earned, True)
    settled = shop.vendors.settle_commission(number, operator="boss")
    assert (settled.receipts, settled.commission_minor) == (2, earned)
    assert shop.vendors.settle_commission(number).receipts == 0
    after = shop.vendors.statement(number)
    assert (after.unsettled_minor, after.total("commission_minor")) == (0, earned)
    assert after.agrees
    assert after.closing_minor == 50_000 - 9_999 - 1_000 + earned
    assert len(after.days) == 2
    second = shop.vendors.statement(number, since=clock.now)
    assert second.opening_minor == 50_000 - 9_999
    assert second.agrees
    assert ledger(database_url)["commission"] == -earned
    assert shop.vendors.credit(number).available_minor == 50_000 - 9_999 - 1_000 + earned
    (row,) = shop.reports.sales(("vendor",))
    assert (row.vendor, row.sales, row.paid_minor) == ("Corner Shop", 2, 10_999)
