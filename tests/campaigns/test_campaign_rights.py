"""A campaign that two people agreed to is run with the roles as they are shipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from vending import KeyChangeRequest, Meter, NewMeter, Shop
from vending.campaigns.campaign import CampaignState, MeterState
from vending.campaigns.desk import plan
from vending.people.actor import PERMISSIONS, Actor, Role
from vending.people.acts import Act
from vending.people.faults import ApprovalRequiredError
from vending.shop.faults import PermissionDeniedError, ReservedClientError

GROUP = {"sgc": "123457", "krn": 1}
ADMINISTRATOR = Actor("ada", PERMISSIONS[Role.ADMINISTRATOR], operator_id=1)
SUPERVISOR = Actor("sue", PERMISSIONS[Role.SUPERVISOR], operator_id=2)
ENGINEER = Actor("eve", PERMISSIONS[Role.ENGINEER], operator_id=3)


@contextmanager
def acting(shop: Shop, actor: Actor) -> Iterator[Shop]:
    """The shop, as somebody who signed in."""
    house = shop._house
    object.__setattr__(shop, "_house", replace(house, actor=actor, door=None))
    try:
        yield shop
    finally:
        object.__setattr__(shop, "_house", house)


@pytest.fixture
def street(shop: Shop, new_number: Callable[[], str]) -> list[Meter]:
    return [shop.add_meter(NewMeter(new_number())) for _ in range(3)]


def agree(shop: Shop, name: str, changes: dict[str, Any]) -> None:
    """The administrator asks, a supervisor approves."""
    with acting(shop, ADMINISTRATOR):
        asked = shop.approvals.request(Act.CAMPAIGN, name, plan(name, GROUP, changes), "why")
    with acting(shop, SUPERVISOR):
        shop.approvals.approve(asked.approval_id)


def test_a_campaign_that_moves_money_is_covered_by_its_own_approval(
    shop: Shop, street: list[Meter]
) -> None:
    changes = {"tariff_index": "07"}
    with acting(shop, ADMINISTRATOR), pytest.raises(ApprovalRequiredError):
        shop.campaigns.prepare("tariff", GROUP, changes, "new tariff")
    agree(shop, "tariff", changes)
    with acting(shop, ADMINISTRATOR):
        shop.campaigns.prepare("tariff", GROUP, changes, "new tariff")
        ended = shop.campaigns.run("tariff")
    assert ended.state is CampaignState.CLOSED
    assert ended.counts[MeterState.ISSUED] == len(street)
    assert {shop.meter(each.number).key.tariff_index for each in street} == {"07"}
    details = [line.detail for line in shop.audit.lines() if line.action == "key_change.issued"]
    assert details == ["campaign tariff: new tariff"] * len(street)


def test_a_campaigns_approval_covers_nothing_else(shop: Shop, street: list[Meter]) -> None:
    changes = {"tariff_index": "07"}
    agree(shop, "tariff", changes)
    with acting(shop, ADMINISTRATOR):
        client = shop.campaigns.prepare("tariff", GROUP, changes, "new tariff").client
        with pytest.raises(PermissionDeniedError):
            shop.key_change(KeyChangeRequest("till", "1", street[0].number, tariff_index="07"))
    number = street[0].number
    with acting(shop, ENGINEER):
        single = KeyChangeRequest("till", f"{number}/1", number, tariff_index="07")
        refused = shop.key_change(single).fault
        assert isinstance(refused, ApprovalRequiredError)
        with pytest.raises(ReservedClientError):
            shop.key_change(KeyChangeRequest(client, f"{number}/1", number, tariff_index="07"))
        for request in (
            KeyChangeRequest(client, "another", number, tariff_index="07"),
            KeyChangeRequest(client, f"{number}/7", number, tariff_index="07"),
            KeyChangeRequest(client, f"{street[1].number}/1x", number, tariff_index="07"),
            KeyChangeRequest(client, f"{number}/2", number, tariff_index="08"),
        ):
            refused = shop._change_key(request).fault
            assert isinstance(refused, ApprovalRequiredError)
