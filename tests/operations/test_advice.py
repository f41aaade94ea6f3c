"""After a sale: printed, confirmed, reversed, refunded."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text

from storage.engine import open_engine, writing
from storage.errors import InvariantError
from tests.operations.asking import audit_actions, code_of, sell
from vending import (
    FreeIssueRequest,
    Meter,
    NewMeter,
    Outcome,
    RefundRequest,
    ReversalRequest,
    Shop,
    VendRequest,
    VendResult,
)
from vending.receipts.receipt import ReceiptKind
from vending.shop.faults import (
    NotASaleError,
    SaleReversedError,
    UnknownMessageError,
    UnknownReceiptError,
)


def reverse(shop: Shop, sale: str, message_id: str = "r1") -> VendResult:
    return shop.advice.reverse(ReversalRequest("kiosk", message_id, sale, reason="no paper"))


def test_a_sale_is_reversed_to_the_last_minor_unit(
    shop: Shop, meter: Meter, database_url: str
) -> None:
    receipt = sell(shop, meter.number, "s1")
    result = reverse(shop, "s1")
    reversal = result.require_done()
    assert (reversal.kind, reversal.reversed_receipt_no) == (
        ReceiptKind.REVERSAL,
        receipt.receipt_no,
    )
    assert (reversal.tokens, reversal.payment) == ((), receipt.payment)
    assert reverse(shop, "s1").response == result.response
    statement = shop.statement()
    assert statement.agrees
    assert (statement.taken_minor, statement.units, statement.tax_minor) == (0, 0, 0)
    assert (statement.sales, statement.reversals) == (1, 1)
    assert code_of(reverse(shop, "s1", "r2")) == "sale_reversed"
    assert audit_actions(database_url).count("sale.reversal") == 1


def test_the_answer_of_a_reversed_sale_stays_and_is_marked(shop: Shop, meter: Meter) -> None:
    request = VendRequest("kiosk", "s1", meter.number, 10_000)
    first = shop.vend(request)
    reversal = reverse(shop, "s1").require_done()
    for again in (shop.vend(request), shop.last_response("kiosk", "s1")):
        assert again.response == first.response
        assert again.reversed_by == reversal.receipt_no
    assert first.receipt is not None
    with pytest.raises(SaleReversedError):
        shop.printed(first.receipt.receipt_no)
    with pytest.raises(SaleReversedError):
        shop.reprint(first.receipt.receipt_no)
    with pytest.raises(SaleReversedError):
        shop.advice.confirm("kiosk", "s1")
    assert shop.last_receipt(meter.number).kind is ReceiptKind.REVERSAL


def test_identifiers_are_not_used_again_after_a_reversal(shop: Shop, meter: Meter) -> None:
    first = sell(shop, meter.number, "s1")
    reverse(shop, "s1").require_done()
    second = sell(shop, meter.number, "s2")
    assert first.tokens[0].tid is not None
    assert second.tokens[0].tid == first.tokens[0].tid + 1
    assert second.days_since_last == 0 or second.days_since_last is None


def test_what_left_the_building_is_not_undone(shop: Shop, meter: Meter) -> None:
    printed = sell(shop, meter.number, "printed")
    shop.printed(printed.receipt_no)
    shop.printed(printed.receipt_no)
    assert code_of(reverse(shop, "printed", "1")) == "receipt_printed"
    copied = sell(shop, meter.number, "copied")
    shop.reprint(copied.receipt_no)
    assert code_of(reverse(shop, "copied", "2")) == "receipt_printed"
    sell(shop, meter.number, "confirmed")
    confirmed = shop.advice.confirm("kiosk", "confirmed")
    assert shop.advice.confirm("kiosk", "confirmed") == confirmed
    assert code_of(reverse(shop, "confirmed", "3")) == "sale_confirmed"
    sell(shop, meter.number, "earlier")
    sell(shop, meter.number, "later")
    assert code_of(reverse(shop, "earlier", "4")) == "not_latest_sale"
    reverse(shop, "later", "5").require_done()
    reverse(shop, "earlier", "6").require_done()
    sell(shop, meter.number, "before a gift")
    shop.giving.free_issue(FreeIssueRequest("till", "g", meter.number, 10, "sorry")).require_done()
    assert code_of(reverse(shop, "before a gift", "7")) == "not_latest_sale"
    assert shop.statement().agrees


def test_advice_is_about_sales(shop: Shop, meter: Meter) -> None:
    with pytest.raises(UnknownMessageError):
        shop.advice.confirm("kiosk", "never")
    assert code_of(reverse(shop, "never")) == "unknown_message"
    assert shop.vend(VendRequest("kiosk", "low", meter.number, 1)).outcome is Outcome.FAILED
    with pytest.raises(NotASaleError):
        shop.advice.confirm("kiosk", "low")
    assert code_of(reverse(shop, "low", "r2")) == "not_a_sale"
    shop.giving.free_issue(FreeIssueRequest("kiosk", "g", meter.number, 10, "x")).require_done()
    assert code_of(reverse(shop, "g", "r3")) == "not_a_sale"
    with pytest.raises(UnknownReceiptError):
        shop.printed(99)
    refund = shop.advice.refund(RefundRequest("kiosk", "f", 99, "x"))
    assert code_of(refund) == "not_a_sale"


def test_a_refund_gives_the_money_back_once_and_leaves_the_token(
    shop: Shop, meter: Meter, database_url: str
) -> None:
    receipt = sell(shop, meter.number, "s1")
    shop.printed(receipt.receipt_no)
    ask = RefundRequest("kiosk", "f1", receipt.receipt_no, "meter broken")
    result = shop.advice.refund(ask)
    refund = result.require_done()
    assert (refund.kind, refund.units) == (ReceiptKind.REFUND, 0)
    assert "stays valid" in refund.messages[0]
    assert shop.advice.refund(ask).response == result.response
    second = shop.advice.refund(RefundRequest("kiosk", "f2", receipt.receipt_no, "again"))
    assert code_of(second) == "sale_refunded"
    assert code_of(reverse(shop, "s1")) == "sale_refunded"
    statement = shop.statement()
    assert statement.agrees
    assert (statement.taken_minor, statement.units) == (0, receipt.units)
    assert shop.vend(VendRequest("kiosk", "s1", meter.number, 10_000)).reversed_by is None
    assert shop.reprint(receipt.receipt_no).copy_no == 1
    no_reason = shop.advice.refund(RefundRequest("kiosk", "f3", receipt.receipt_no))
    assert code_of(no_reason) == "reason_missing"
    # nobody had signed in: the audit trail says that no second person was asked
    assert "approval.not_needed" in audit_actions(database_url)


def test_the_database_itself_holds_the_rules_of_advice(
    shop: Shop, meter: Meter, database_url: str
) -> None:
    printed = sell(shop, meter.number, "s1").receipt_no
    shop.printed(printed)
    undone = sell(shop, meter.number, "s2").receipt_no
    reverse(shop, "s2").require_done()
    engine = open_engine(database_url)
    moment = "2026-11-21T09:30:00.000000Z"
    advice = "INSERT INTO advices (receipt_no, advice, advised_at, operator) VALUES "
    printing = "INSERT INTO prints (receipt_no, printed_at, operator) VALUES "
    copying = "INSERT INTO reprints (receipt_no, copy_no, printed_at, operator) VALUES "
    for statement, words in (
        (f"{advice} ({printed}, 'reversed', '{moment}', '')", "unprinted"),
        (f"{advice} ({undone}, 'confirmed', '{moment}', '')", "key|unique|UNIQUE"),
        (f"{printing} ({undone}, '{moment}', '')", "never printed"),
        (f"{copying} ({undone}, 1, '{moment}', '')", "never printed"),
        (f"DELETE FROM advices WHERE receipt_no = {undone}", "never deleted"),
        (f"UPDATE prints SET operator = 'x' WHERE receipt_no = {printed}", "never changed"),
    ):
        with pytest.raises(InvariantError, match=words), writing(engine) as connection:
            connection.execute(text(statement))
    engine.dispose()


def test_months_units_and_later_sales_follow_a_reversal(
    shop: Shop, new_number: Callable[[], str]
) -> None:
    meter = shop.add_meter(NewMeter(new_number(), service_point="stand 9"))
    sell(shop, meter.number, "s1")
    reverse(shop, "s1").require_done()
    assert shop.lookup.confirm_meter(meter.number).last_purchase is None
    receipt = sell(shop, meter.number, "s2")
    last = shop.lookup.confirm_meter(meter.number).last_purchase
    assert last is not None
    assert (last.receipt_no, last.units) == (receipt.receipt_no, receipt.units)
