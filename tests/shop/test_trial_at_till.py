"""A trial at a terminal meets the refusals that the sale there would meet."""

from __future__ import annotations

import pytest

from tests.shop.test_vendor_credit import AMOUNT, left, make_vendor
from vending import Meter, Shop, Tender, VendRequest
from vending.cash.faults import (
    NoShiftError,
    VendorBlockedError,
    VendorCreditExhaustedError,
)


def test_a_trial_meets_what_the_till_would_be_refused(shop: Shop, meter: Meter) -> None:
    vendor_id = make_vendor(shop, AMOUNT)
    enough = VendRequest("t", "t", meter.number, AMOUNT, terminal="Spaza-0", operator="ann")
    too_much = VendRequest("t", "t", meter.number, AMOUNT + 5_000, terminal="Spaza-0")
    assert shop.trial_request(enough).quote.units
    with pytest.raises(VendorCreditExhaustedError):
        shop.trial_request(too_much)
    shop.shifts.require_shifts(True)
    with pytest.raises(NoShiftError):
        shop.trial_request(enough)
    card = VendRequest("t", "t", meter.number, AMOUNT, Tender.CARD, terminal="Spaza-0")
    assert shop.trial_request(card).quote.units
    shop.shifts.open(operator="ann", terminal="Spaza-0")
    assert shop.trial_request(enough).quote.units
    shop.vendors.block(vendor_id, "fraud")
    with pytest.raises(VendorBlockedError):
        shop.trial_request(card)
    assert shop.trial_vend(meter.number, AMOUNT).quote.units  # at no till
    assert left(shop, vendor_id) == AMOUNT
