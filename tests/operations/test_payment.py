"""Pay account: money for debts, without a token; given back when a sale that paid is undone."""

from __future__ import annotations

from tests.operations.asking import code_of, sell
from vending import Meter, PaymentRequest, ReversalRequest, Shop
from vending.price.situation import Scheme, SchemeKind
from vending.receipts.receipt import ReceiptKind

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
