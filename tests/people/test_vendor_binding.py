"""Who works for a vendor sells with that vendor's money, and with nobody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.shop.test_vendor_credit import AMOUNT, left, make_vendor
from vending import (
    FreeBasicRequest,
    Meter,
    Outcome,
    PaymentRequest,
    ReversalRequest,
    Shop,
    VendRequest,
)
from vending.cash.faults import VendorTerminalError
from vending.people.actor import PERMISSIONS, Actor, Role
from vending.shop.advice import AdviceDesk
from vending.shop.giving import GivingDesk
from vending.shop.payment import PaymentDesk


def hired(shop: Shop, vendor_id: int) -> Shop:
    """The shop as a clerk of this vendor has it."""
    clerk = Actor("carl", PERMISSIONS[Role.CLERK], operator_id=3, vendor_id=vendor_id)
    theirs = object.__new__(Shop)
    theirs.__dict__.update(shop.__dict__)
    theirs.__dict__["_house"] = replace(shop._house, actor=clerk, door=None)
    return theirs


@pytest.mark.parametrize("terminal", ["", "nowhere", "Other-0"])
def test_a_vendors_clerk_sells_at_no_other_terminal(
    shop: Shop, meter: Meter, terminal: str
) -> None:
    own = make_vendor(shop, 0)
    other = make_vendor(shop, 20_000, name="Other")
    clerk = hired(shop, own)
    number = meter.number
    with pytest.raises(VendorTerminalError):
        clerk.vend(VendRequest("till", "1", number, AMOUNT, terminal=terminal))
    with pytest.raises(VendorTerminalError):
        PaymentDesk(clerk._house).pay(
            PaymentRequest("till", "2", number, AMOUNT, terminal=terminal)
        )
    with pytest.raises(VendorTerminalError):
        GivingDesk(clerk._house).free_basic(
            FreeBasicRequest("till", "3", number, terminal=terminal)
        )
    assert left(shop, other) == 20_000
    assert shop.statement().taken_minor == 0


def test_a_vendors_clerk_sells_and_undoes_at_its_terminals(shop: Shop, meter: Meter) -> None:
    own = make_vendor(shop, 20_000)
    clerk = hired(shop, own)
    sale = VendRequest("kiosk", "s", meter.number, AMOUNT, terminal="Spaza-0")
    assert clerk.vend(sale).outcome is Outcome.DONE
    assert left(shop, own) < 20_000
    undo = ReversalRequest("kiosk", "r2", "s", terminal="Spaza-0", operator="carl")
    assert AdviceDesk(clerk._house).reverse(undo).receipt
    assert left(shop, own) == 20_000
