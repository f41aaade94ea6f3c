"""Who may do what, and what takes a second person's word."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from tests.operations.asking import code_of, sell
from vending import (
    CounterRules,
    EngineeringAct,
    EngineeringRequest,
    FreeIssueRequest,
    KeyChangeRequest,
    Meter,
    NewMeter,
    Outcome,
    RefundRequest,
    ReplacementRequest,
    ReversalRequest,
    Shop,
)
from vending.people.actor import PERMISSIONS, Actor, Permission, Role
from vending.people.acts import Act
from vending.people.approvals import approve, request_approval
from vending.people.faults import ApprovalRequiredError
from vending.shop.advice import AdviceDesk
from vending.shop.engineering import EngineeringDesk
from vending.shop.faults import PermissionDeniedError
from vending.shop.giving import GivingDesk
from vending.shop.house import House
from vending.shop.rules import RulesDesk

SUPERVISOR = PERMISSIONS[Role.SUPERVISOR] | {Permission.ENGINEER}
ANNA = Actor("anna", SUPERVISOR, operator_id=1)
BEN = Actor("ben", SUPERVISOR, operator_id=2)
CLERK = Actor("carl", PERMISSIONS[Role.CLERK], operator_id=3)


def house_of(shop: Shop, actor: Actor) -> House:
    return replace(shop._house, actor=actor, door=None)


def agree(shop: Shop, act: Act, essence: dict[str, object]) -> None:
    """Anna asks, Ben approves."""
    house = shop._house
    with house.writing() as connection:
        number = request_approval(connection, act, "x", essence, "why", ANNA, house.now())
        approve(connection, number, BEN, house.now())


def test_a_clerk_neither_gives_nor_makes_engineering_tokens_nor_refunds(
    shop: Shop, meter: Meter
) -> None:
    house = house_of(shop, CLERK)
    receipt = sell(shop, meter.number, "s", operator="carl")
    with pytest.raises(PermissionDeniedError):
        GivingDesk(house).free_issue(FreeIssueRequest("till", "1", meter.number, 1, "x"))
    with pytest.raises(PermissionDeniedError):
        EngineeringDesk(house).issue(
            EngineeringRequest("till", "2", meter.number, EngineeringAct.CLEAR_TAMPER, 0, "x")
        )
    with pytest.raises(PermissionDeniedError):
        AdviceDesk(house).refund(RefundRequest("till", "3", receipt.receipt_no, "x"))
    reversal = AdviceDesk(house).reverse(ReversalRequest("kiosk", "4", "s"))
    assert reversal.require_done().seller.operator == "carl"


def test_a_free_issue_above_the_limit_takes_two_people(shop: Shop, meter: Meter) -> None:
    shop.rules.set(CounterRules(free_issue_limit_units=100, double_sale_window_s=0))
    desk = GivingDesk(house_of(shop, ANNA))
    small = FreeIssueRequest("till", "1", meter.number, 100, "storm")
    assert desk.free_issue(small).outcome is Outcome.DONE
    large = replace(small, message_id="2", units=101)
    assert code_of(desk.free_issue(large)) == "approval_required"
    agree(shop, Act.FREE_ISSUE, large.essence())
    again = replace(large, message_id="3")
    assert desk.free_issue(again).outcome is Outcome.DONE
    # an approval is used once; the same id gives the same answer without another
    assert desk.free_issue(again).replayed
    assert code_of(desk.free_issue(replace(large, message_id="4"))) == "approval_required"


def test_a_replacement_above_the_limit_takes_two_people(
    shop: Shop, meter: Meter, new_number: object
) -> None:
    old = shop.add_meter(NewMeter(new_number()))  # type: ignore[operator]
    desk = GivingDesk(house_of(shop, ANNA))
    request = ReplacementRequest("till", "1", meter.number, old.number, 1_001, "burnt")
    assert code_of(desk.replacement(request)) == "approval_required"
    agree(shop, Act.REPLACEMENT, request.essence())
    assert desk.replacement(replace(request, message_id="2")).outcome is Outcome.DONE


def test_one_person_carries_over_what_the_old_meter_got_and_it_is_blocked(
    shop: Shop, meter: Meter, new_number: object
) -> None:
    old = shop.add_meter(NewMeter(new_number()))  # type: ignore[operator]
    desk = GivingDesk(house_of(shop, ANNA))
    request = ReplacementRequest("till", "1", meter.number, old.number, 30, "burnt")
    assert code_of(desk.replacement(request)) == "approval_required"
    got = sell(shop, old.number, "s").units
    assert desk.replacement(replace(request, message_id="2", units=min(30, got))).receipt
    assert shop.meter(old.number).blocked == f"exchanged for {meter.number}"


def test_raising_a_limit_of_one_person_takes_two(shop: Shop) -> None:
    accountant = Actor("anna", PERMISSIONS[Role.ACCOUNTANT], operator_id=1)
    other = Actor("ben", PERMISSIONS[Role.ACCOUNTANT], operator_id=2)
    desk = RulesDesk(house_of(shop, accountant))
    strict = replace(desk.show(), replacement_limit_units=10)
    desk.set(strict)
    loose = replace(strict, free_issue_limit_units=10_000)
    with pytest.raises(ApprovalRequiredError):
        desk.set(loose)
    assert desk.show() == strict
    house = shop._house
    with house.writing() as connection:
        number = request_approval(
            connection, Act.COUNTER_RULES, "x", asdict(loose), "why", accountant, house.now()
        )
        approve(connection, number, other, house.now())
    desk.set(loose)
    assert desk.show() == loose


@pytest.mark.parametrize(
    ("act", "approved_as"),
    [
        (EngineeringAct.CLEAR_CREDIT, Act.CLEAR_CREDIT),
        (EngineeringAct.CLEAR_TAMPER, Act.CLEAR_TAMPER),
        (EngineeringAct.TARIFF_RATE, Act.METER_RATE),
        (EngineeringAct.WATER_FACTOR, Act.METER_RATE),
    ],
)
def test_where_money_could_vanish_two_people_decide(
    shop: Shop, meter: Meter, act: EngineeringAct, approved_as: Act
) -> None:
    desk = EngineeringDesk(house_of(shop, ANNA))
    request = EngineeringRequest("till", "1", meter.number, act, 0, "visit")
    assert code_of(desk.issue(request)) == "approval_required"
    agree(shop, approved_as, request.essence())
    assert desk.issue(replace(request, message_id="2")).outcome is Outcome.DONE


def test_a_power_limit_takes_one_person(shop: Shop, meter: Meter) -> None:
    desk = EngineeringDesk(house_of(shop, ANNA))
    request = EngineeringRequest(
        "till", "1", meter.number, EngineeringAct.POWER_LIMIT, 4_600, "visit"
    )
    assert desk.issue(request).outcome is Outcome.DONE


def test_a_refund_takes_two_people(shop: Shop, meter: Meter) -> None:
    receipt = sell(shop, meter.number, "s")
    desk = AdviceDesk(house_of(shop, ANNA))
    request = RefundRequest("till", "1", receipt.receipt_no, "meter broken")
    assert code_of(desk.refund(request)) == "approval_required"
    agree(shop, Act.REFUND, request.essence())
    assert desk.refund(replace(request, message_id="2")).outcome is Outcome.DONE
    assert shop.statement().agrees


def test_a_key_change_that_moves_money_takes_two_people(shop: Shop, meter: Meter) -> None:
    with Shop(shop._house.engine, now=shop._house.clock) as as_anna:
        object.__setattr__(as_anna, "_house", house_of(shop, ANNA))
        revision = KeyChangeRequest("till", "1", meter.number, krn=2)
        assert as_anna.key_change(revision).outcome is Outcome.DONE
        tariff = KeyChangeRequest("till", "2", meter.number, tariff_index="07")
        assert code_of(as_anna.key_change(tariff)) == "approval_required"
        agree(shop, Act.KEY_CHANGE, tariff.essence())
        again = replace(tariff, message_id="3")
        assert as_anna.key_change(again).outcome is Outcome.DONE
