"""Pay account: money for debts, without a token; given back when a sale that paid is undone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from storage.engine import open_engine
from tests.operations.asking import code_of, sell
from tests.shop.test_vendor_credit import left as credit_left
from tests.shop.test_vendor_credit import make_vendor
from vending import Meter, PaymentRequest, ReversalRequest, Shop, Tender
from vending.price.situation import Scheme, SchemeKind
from vending.receipts.receipt import ReceiptKind
from vending.shop.faults import RequestFormatError

HALF = Scheme(SchemeKind.PERCENT, rate_bp=5_000)


def owe(shop: Shop, meter: Meter, amount_minor: int, scheme: Scheme = HALF) -> int:
    debt = shop.tariffs.add_debt(
        meter.number, name="Connection", principal_minor=amount_minor, scheme=scheme, reason="new"
    )
    return debt.debt_id


def left(shop: Shop, meter: Meter) -> int:
    return sum(debt.left_minor for debt in shop.lookup.confirm_meter(meter.number).debts)


def test_a_payment_lowers_the_debt_and_gives_change(shop: Shop, meter: Meter) -> None:
    owe(shop, meter, 30_000)
    request = PaymentRequest("till", "p1", meter.number, 10_000)
    result = shop.payments.pay(request)
    receipt = result.require_done()
    assert (receipt.kind, receipt.tokens, receipt.units) == (ReceiptKind.ACCOUNT_PAYMENT, (), 0)
    assert receipt.payment is not None
    (debt,) = receipt.payment.debts
    assert (debt.name, debt.paid_minor, debt.left_minor) == ("Connection", 10_000, 20_000)
    assert shop.payments.pay(request).response == result.response
    assert left(shop, meter) == 20_000
    rest = shop.payments.pay(PaymentRequest("till", "p2", meter.number, 25_000)).require_done()
    assert rest.payment is not None
    assert rest.payment.change_minor == 5_000
    assert left(shop, meter) == 0
    nothing = shop.payments.pay(PaymentRequest("till", "p3", meter.number, 100))
    assert code_of(nothing) == "nothing_due"
    statement = shop.statement()
    assert statement.agrees
    assert (statement.payments, statement.taken_minor) == (2, 30_000)


def test_a_blocked_meter_may_pay_and_one_debt_may_be_chosen(shop: Shop, meter: Meter) -> None:
    owe(shop, meter, 1_000)
    second = owe(shop, meter, 2_000)
    shop.block_meter(meter.number, "debt")
    request = PaymentRequest("till", "p1", meter.number, 500, debt_id=second)
    shop.payments.pay(request).require_done()
    debts = shop.lookup.confirm_meter(meter.number).debts
    assert [debt.left_minor for debt in debts] == [1_000, 1_500]


def test_what_a_sale_paid_of_a_debt_is_owed_again_after_its_reversal(
    shop: Shop, meter: Meter
) -> None:
    owe(shop, meter, 30_000)
    receipt = sell(shop, meter.number, "1")
    assert left(shop, meter) == 25_000
    assert receipt.payment is not None
    shop.advice.reverse(ReversalRequest("kiosk", "r", "1")).require_done()
    assert left(shop, meter) == 30_000
    assert shop.statement().agrees
    assert shop.statement().taken_minor == 0


def test_a_payment_at_a_vendors_till_takes_its_credit_and_earns_commission(
    shop: Shop, meter: Meter
) -> None:
    vendor_id = make_vendor(shop, 5_000)
    shop.vendors.set_commission(vendor_id, basis_points=500)
    owe(shop, meter, 30_000)
    request = PaymentRequest("till", "p1", meter.number, 4_000, terminal="Spaza-0")
    receipt = shop.payments.pay(request).require_done()
    assert receipt.seller.vendor == "Spaza"
    assert credit_left(shop, vendor_id) == 1_000
    beyond = shop.payments.pay(replace(request, message_id="p2", amount_minor=1_001))
    assert code_of(beyond) == "vendor_credit_exhausted"
    assert shop.vendors.settle_commission(vendor_id).commission_minor == 200
    shop.vendors.block(vendor_id, "fraud")
    assert code_of(shop.payments.pay(replace(request, message_id="p3"))) == "vendor_blocked"
    assert left(shop, meter) == 26_000
    statement = shop.statement()
    assert statement.agrees
    of = {each.account: each.balance_minor for each in statement.accounts}
    assert of["tender.cash"] == 0


def test_a_vouchers_word_pays_nothing_without_the_voucher(
    shop: Shop, meter: Meter, database_url: str
) -> None:
    owe(shop, meter, 30_000)
    vendor_id = make_vendor(shop, 0)
    with pytest.raises(RequestFormatError):
        shop.payments.pay(PaymentRequest("till", "p1", meter.number, 4_000, tender=Tender.VOUCHER))
    with pytest.raises(RequestFormatError):
        shop.vendors.top_up(vendor_id, 500, reference="r", tender=Tender.VOUCHER)
    assert left(shop, meter) == 30_000
    assert credit_left(shop, vendor_id) == 0
    honest = PaymentRequest("till", "p2", meter.number, 4_000)
    number = shop.payments.pay(honest).require_done().receipt_no
    engine = open_engine(database_url)
    with engine.connect() as connection:  # nothing of it is committed
        connection.execute(
            text(
                "INSERT INTO requests (client, message_id, operation, request_sha256, received_at, "
                "operator, terminal) SELECT client, 'p3', operation, request_sha256, received_at, "
                "operator, terminal FROM requests WHERE message_id = 'p2'"
            )
        )
        own = {"receipt_no": str(number + 1), "message_id": "'p3'", "tender": "'voucher'"}
        names = [column["name"] for column in inspect(connection).get_columns("receipts")]
        values = ", ".join(own.get(name, name) for name in names)
        with pytest.raises(DBAPIError, match="needs the voucher"):
            connection.execute(
                text(
                    f"INSERT INTO receipts ({', '.join(names)}) SELECT {values} FROM receipts "
                    f"WHERE receipt_no = {number}"
                )
            )
    engine.dispose()
