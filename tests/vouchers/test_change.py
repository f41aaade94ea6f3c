"""Money that no drawer took in leaves no change in cash, and none is taken above the limits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.shop.databases import START
from vending import Meter, Outcome, PaymentRequest, RedeemRequest, Shop, Tender, VendRequest
from vending.shop.faults import RequestFormatError

ODD = 5_017
"""Does not buy whole tenths."""


def balance(shop: Shop, account: str) -> int:
    return sum(each.balance_minor for each in shop.statement().accounts if each.account == account)


@pytest.mark.parametrize("tender", [Tender.BANK, Tender.WALLET])
def test_the_rest_is_kept_for_the_next_purchase(shop: Shop, meter: Meter, tender: Tender) -> None:
    first = shop.vend(VendRequest("k", "1", meter.number, ODD, tender)).require_done()
    assert first.payment is not None
    assert first.payment.change_minor == 0
    kept = balance(shop, "carried")
    assert kept == sum(line.amount_minor for line in first.payment.lines if line.kind == "carried")
    assert kept > 0
    assert balance(shop, "tender.cash") == 0
    asked = VendRequest("k", "2", meter.number, 5_000, tender, units=100)
    second = shop.vend(asked).require_done()
    assert second.payment is not None
    assert (
        next(line.amount_minor for line in second.payment.lines if line.kind == "carried") == -kept
    )
    assert balance(shop, "tender.cash") == 0
    cash = shop.vend(VendRequest("k", "3", meter.number, 5_000)).require_done()
    assert cash.units > first.units
    assert balance(shop, "carried") == 0
    assert shop.statement().agrees


def test_the_rest_of_a_voucher_is_kept_too(shop: Shop, meter: Meter) -> None:
    made = shop.vouchers.make(ODD, 1, START + timedelta(days=30))
    shop.vouchers.activate(made.batch.batch_id, "Corner shop")
    paid = shop.vouchers.redeem(RedeemRequest("web", "r1", meter.number, made.pins[0]))
    assert paid.require_done().payment is not None
    assert balance(shop, "carried") > 0
    assert balance(shop, "tender.cash") == 0
    assert shop.statement().agrees


def test_nothing_is_taken_above_the_largest_sale(shop: Shop, meter: Meter) -> None:
    for number, amount in enumerate((shop.utility.maximum_minor + 1, 2**62)):
        for tender in (Tender.CASH, Tender.WALLET):
            asked = VendRequest("k", f"{number}{tender}", meter.number, amount, tender, units=100)
            result = shop.vend(asked)
            assert result.outcome is Outcome.FAILED
            assert result.fault is not None
            assert result.fault.code == "above_maximum"
    with pytest.raises(RequestFormatError):
        PaymentRequest("k", "p", meter.number, 2**62)
    assert shop.statement().agrees
