"""Credit without a payment, and bank bookings that one person accepted, take two people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.cash.camt import Booking, Payment, statement
from vending import Meter, Shop
from vending.cash.bank.bank_desk import BankDesk
from vending.cash.vendors import VendorDesk
from vending.people.actor import PERMISSIONS, Actor, Permission, Role
from vending.people.acts import Act
from vending.people.approvals import approve, request_approval
from vending.people.faults import ApprovalRequiredError
from vending.shop.house import House

ACCOUNTANT = PERMISSIONS[Role.ACCOUNTANT] | {Permission.SELL}
ANNA = Actor("anna", ACCOUNTANT, operator_id=1)
BEN = Actor("ben", ACCOUNTANT, operator_id=2)


def house_of(shop: Shop, actor: Actor) -> House:
    return replace(shop._house, actor=actor, door=None)


def agree(shop: Shop, act: Act, essence: Mapping[str, Any]) -> None:
    """Anna asks, Ben approves."""
    house = shop._house
    with house.writing() as connection:
        number = request_approval(connection, act, "x", essence, "why", ANNA, house.now())
        approve(connection, number, BEN, house.now())


def test_a_credit_limit_takes_two_people(shop: Shop) -> None:
    desk = VendorDesk(house_of(shop, ANNA))
    with pytest.raises(ApprovalRequiredError):
        desk.add("Corner", credit_limit_minor=500)
    vendor = desk.add("Corner").vendor_id
    with pytest.raises(ApprovalRequiredError):
        desk.set_credit_limit(vendor, 700)
    assert desk.credit(vendor).available_minor == 0
    agree(shop, Act.VENDOR_CREDIT, {"vendor_id": vendor, "credit_limit_minor": 700})
    assert desk.set_credit_limit(vendor, 700).credit_limit_minor == 700
    assert desk.set_credit_limit(vendor, 700).credit_limit_minor == 700
    agree(shop, Act.VENDOR_CREDIT, {"vendor": "Other", "credit_limit_minor": 500})
    assert desk.credit(desk.add("Other", credit_limit_minor=500).vendor_id).available_minor == 500


def test_who_accepted_a_booking_does_not_settle_it_alone(shop: Shop, meter: Meter) -> None:
    shop.bank.import_file(
        statement([Booking([Payment("50.00", meter.number)]), Booking([Payment("60.00")])]),
        file_name="s.xml",
        operator="anna",
    )
    mine, theirs = (BankDesk(house_of(shop, actor), shop._vend_for_bank) for actor in (ANNA, BEN))
    first, second = (entry.entry_id for entry in shop.bank.entries())
    mine.accept(first, meter=meter.number)
    with pytest.raises(ApprovalRequiredError, match="somebody else"):
        list(mine.settle())
    assert shop.statement().sales == 0
    assert [each.outcome for each in theirs.settle()] == ["done"]
    mine.accept(second, meter=meter.number)
    agree(shop, Act.BULK_VEND, {"bookings": {str(second): 1}})
    assert [each.outcome for each in mine.settle()] == ["done"]
    assert shop.statement().sales == 2
