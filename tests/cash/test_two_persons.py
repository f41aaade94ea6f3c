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
