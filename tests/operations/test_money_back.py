"""Payments on account that are undone, and sales whose kept change was used since."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.operations.asking import audit_actions, code_of, sell
from tests.operations.test_payment import left, owe
from tests.shop.test_vendor_credit import left as credit_left
from tests.shop.test_vendor_credit import make_vendor
from vending import (
    Meter,
    NewMeter,
    PaymentRequest,
    RefundRequest,
    ReversalRequest,
    Shop,
    Tender,
    VendResult,
    receipt_text,
)
from vending.price.document import read_toml
from vending.receipts.receipt import ReceiptKind
from vending.shop.faults import SaleReversedError

ODD = 10_077
"""Buys units and leaves change."""
CARRIES = """
name = "Carries"
[[blocks]]
price = "2.50"
[change]
rule = "carry"
"""


def pay(shop: Shop, meter: Meter, message_id: str = "p1", amount_minor: int = 10_000) -> VendResult:
    return shop.payments.pay(PaymentRequest("kiosk", message_id, meter.number, amount_minor))


def reverse(shop: Shop, sale: str, message_id: str = "r1", terminal: str = "") -> VendResult:
    return shop.advice.reverse(
        ReversalRequest("kiosk", message_id, sale, reason="wrong debt", terminal=terminal)
    )


def refund(shop: Shop, receipt_no: int, message_id: str = "f1") -> VendResult:
    return shop.advice.refund(RefundRequest("kiosk", message_id, receipt_no, "paid twice"))


def balance(shop: Shop, account: str) -> int:
    return sum(each.balance_minor for each in shop.statement().accounts if each.account == account)


# --- payments on account ------------------------------------------------------------------------


def test_a_payment_that_nobody_has_on_paper_is_reversed(
    shop: Shop, meter: Meter, database_url: str
) -> None:
    owe(shop, meter, 30_000)
    paid = pay(shop, meter)
    undone = reverse(shop, "p1")
    reversal = undone.require_done()
    assert (reversal.kind, reversal.tokens) == (ReceiptKind.REVERSAL, ())
    assert "due again" in reversal.messages[0]
    assert left(shop, meter) == 30_000
    assert reverse(shop, "p1").response == undone.response
    assert code_of(reverse(shop, "p1", "r2")) == "sale_reversed"
    again = pay(shop, meter)
    assert (again.response, again.reversed_by) == (paid.response, reversal.receipt_no)
    with pytest.raises(SaleReversedError):
        shop.printed(paid.require_done().receipt_no)
    statement = shop.statement()
    assert statement.agrees
    assert (statement.taken_minor, statement.payments, statement.reversals) == (0, 1, 1)
    assert "payment.reversal" in audit_actions(database_url)


def test_a_payment_is_undone_though_units_were_sold_after_it(shop: Shop, meter: Meter) -> None:
    owe(shop, meter, 30_000)
    pay(shop, meter)
    sell(shop, meter.number, "s1")
    before = left(shop, meter)
    reverse(shop, "p1").require_done()
    assert left(shop, meter) == before + 10_000
    assert shop.statement().agrees


def test_a_payment_whose_receipt_was_handed_out_is_refunded_not_reversed(
    shop: Shop, meter: Meter
) -> None:
    owe(shop, meter, 30_000)
    receipt = pay(shop, meter).require_done()
    shop.printed(receipt.receipt_no)
    assert code_of(reverse(shop, "p1")) == "receipt_printed"
    given = refund(shop, receipt.receipt_no).require_done()
    assert (given.kind, given.reversed_receipt_no) == (ReceiptKind.REFUND, receipt.receipt_no)
    assert "token" not in given.messages[0]
    assert left(shop, meter) == 30_000
    assert code_of(refund(shop, receipt.receipt_no, "f2")) == "sale_refunded"
    assert shop.statement().agrees
    assert balance(shop, "tender.cash") == 0


def test_a_confirmed_payment_is_not_reversed(shop: Shop, meter: Meter) -> None:
    owe(shop, meter, 30_000)
    pay(shop, meter)
    shop.advice.confirm("kiosk", "p1")
    assert code_of(reverse(shop, "p1")) == "sale_confirmed"


def test_a_vendors_payment_gives_its_credit_back_and_takes_its_commission(
    shop: Shop, meter: Meter
) -> None:
    vendor_id = make_vendor(shop, 5_000)
    shop.vendors.set_commission(vendor_id, basis_points=500)
    owe(shop, meter, 30_000)
    request = PaymentRequest("kiosk", "p1", meter.number, 4_000, terminal="Spaza-0")
    shop.payments.pay(request).require_done()
    assert code_of(reverse(shop, "p1")) == "other_side"
    reverse(shop, "p1", "r2", terminal="Spaza-0").require_done()
    assert credit_left(shop, vendor_id) == 5_000
    assert shop.vendors.settle_commission(vendor_id).commission_minor == 0
    assert shop.statement().agrees


def test_cash_that_was_counted_in_goes_out_of_an_open_drawer(shop: Shop, meter: Meter) -> None:
    owe(shop, meter, 30_000)
    opened = shop.shifts.open(operator="ben", terminal="T1")
    paid = shop.payments.pay(
        PaymentRequest("kiosk", "p1", meter.number, 4_000, operator="ben", terminal="T1")
    ).require_done()
    assert paid.shift_no == opened.batch_id
    assert code_of(reverse(shop, "p1", "r1")) == "no_shift"
    undone = shop.advice.reverse(
        ReversalRequest("kiosk", "r2", "p1", operator="ben", terminal="T1")
    ).require_done()
    assert undone.shift_no == opened.batch_id
    assert f"{opened.batch_id}" in receipt_text(paid)
    (cash,) = (
        each
        for each in shop.shifts.expected(opened.batch_id, operator="eve")
        if each.tender == Tender.CASH.value
    )
    assert cash.expected_minor == 0


# --- change that was kept ----------------------------------------------------------------------


def kept_by(shop: Shop, meter: Meter, message_id: str) -> int:
    """Sell so that change is kept, and show the receipt; gives what was kept."""
    receipt = sell(shop, meter.number, message_id, ODD, tender=Tender.WALLET)
    shop.printed(receipt.receipt_no)
    assert receipt.payment is not None
    return receipt.payment.lines[-1].amount_minor


def test_a_refund_is_less_by_the_kept_change_that_was_used_since(shop: Shop, meter: Meter) -> None:
    kept = kept_by(shop, meter, "s1")
    assert kept > 0
    spent = sell(shop, meter.number, "s2", None, units=100, tender=Tender.WALLET)
    assert spent.payment is not None
    before = balance(shop, "tender.wallet")
    assert balance(shop, "carried") < kept
    used = kept - balance(shop, "carried")
    given = refund(shop, 1).require_done()
    assert given.payment is not None
    assert given.payment.tendered_minor == ODD - used
    assert sum(line.amount_minor for line in given.payment.lines) == ODD - used
    assert before - balance(shop, "tender.wallet") == ODD - used
    assert balance(shop, "carried") == 0
    words = given.messages[-1]
    assert shop.utility.currency.text(used) in words
    assert "used since" in words
    for language in ("en", "fr", "pt", "zh"):
        assert shop.utility.currency.text(used) in receipt_text(given, language)
    assert shop.statement().agrees


def test_a_refund_takes_back_what_is_kept_still(shop: Shop, meter: Meter) -> None:
    kept_by(shop, meter, "s1")
    given = refund(shop, 1).require_done()
    assert given.payment is not None
    assert given.payment.tendered_minor == ODD
    assert balance(shop, "carried") == balance(shop, "tender.wallet") == 0
    assert shop.statement().agrees


def test_both_sales_are_refunded_and_nothing_is_given_twice(shop: Shop, meter: Meter) -> None:
    kept_by(shop, meter, "s1")
    kept_by(shop, meter, "s2")
    for number in (1, 2):
        refund(shop, number, f"f{number}").require_done()
    # what the second one had used came back to the meter: it buys units, or is paid by nobody
    assert balance(shop, "tender.wallet") == balance(shop, "carried") >= 0
    assert shop.statement().agrees
    sell(shop, meter.number, "s3", 5_000)
    assert shop.statement().agrees


def test_a_neighbours_purchase_with_the_kept_change_lessens_a_reversal(
    shop: Shop, new_number: Callable[[], str]
) -> None:
    first, second = (
        shop.add_meter(NewMeter(new_number(), service_point="flat 4")) for _ in range(2)
    )
    shop.tariffs.add(read_toml(CARRIES, shop.utility.currency))
    for each in (first, second):
        shop.tariffs.assign("Carries", [each.number])
    sell(shop, first.number, "s1", ODD)
    kept = balance(shop, "carried")
    assert kept > 0
    sell(shop, second.number, "s2", 5_000)
    undone = reverse(shop, "s1").require_done()
    assert undone.payment is not None
    assert undone.payment.tendered_minor == ODD - kept
    assert shop.statement().agrees
