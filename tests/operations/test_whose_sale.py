"""Whose a sale is: who undoes it, where the money goes out, who hears its answer again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from storage.engine import open_engine
from tests.operations.asking import code_of, sell
from vending import Meter, RefundRequest, ReversalRequest, Shop, VendResult
from vending.people.actor import PERMISSIONS, Actor, Role
from vending.people.faults import ClientMismatchError
from vending.shop.advice import AdviceDesk
from vending.shop.faults import PermissionDeniedError
from vending.shop.whose_sale import UNDO_WITHIN, require_own_answer

CLERK = Actor("carl", PERMISSIONS[Role.CLERK], operator_id=3)
BOSS = Actor("boss", PERMISSIONS[Role.SUPERVISOR], operator_id=4)
KIOSK = Actor("kiosk", PERMISSIONS[Role.KIOSK], operator_id=5, client="kiosk")
OTHER_KIOSK = replace(KIOSK, name="k1", operator_id=6, client="k1")


def desk_of(shop: Shop, actor: Actor, later: timedelta = timedelta(0)) -> AdviceDesk:
    ticking = shop._house.clock
    house = replace(shop._house, actor=actor, door=None, clock=lambda: ticking() + later)
    return AdviceDesk(house)


def reverse(desk: AdviceDesk, sale: str, terminal: str = "", client: str = "till") -> VendResult:
    request = ReversalRequest(client, f"r-{desk.house.actor.name}-{sale}", sale, "kiosk")
    return desk.reverse(replace(request, terminal=terminal))


def test_a_seller_reverses_their_own_sale_at_their_till(shop: Shop, meter: Meter) -> None:
    sell(shop, meter.number, "1", operator="carl", terminal="1")
    reverse(desk_of(shop, CLERK), "1", "1").require_done()


def test_a_seller_reverses_nobody_elses_sale(shop: Shop, meter: Meter) -> None:
    sell(shop, meter.number, "anns", operator="ann", terminal="1")
    assert code_of(reverse(desk_of(shop, CLERK), "anns", "1")) == "not_own_sale"
    reverse(desk_of(shop, BOSS), "anns", "1").require_done()
    sell(shop, meter.number, "elsewhere", operator="carl", terminal="2")
    assert code_of(reverse(desk_of(shop, CLERK), "elsewhere", "1")) == "not_own_sale"
    assert shop.statement().agrees


def test_a_seller_reverses_within_a_quarter_of_an_hour(shop: Shop, meter: Meter) -> None:
    sell(shop, meter.number, "1", operator="carl", terminal="1")
    late = desk_of(shop, CLERK, UNDO_WITHIN + timedelta(seconds=1))
    assert code_of(reverse(late, "1", "1")) == "not_own_sale"


def test_a_seller_reverses_in_the_shift_of_the_sale(shop: Shop, meter: Meter) -> None:
    sell(shop, meter.number, "before", operator="carl", terminal="1")
    shop.shifts.open(operator="carl", terminal="1")
    assert code_of(reverse(desk_of(shop, CLERK), "before", "1")) == "not_own_sale"
    sell(shop, meter.number, "in it", operator="carl", terminal="1")
    reverse(desk_of(shop, CLERK), "in it", "1").require_done()


def test_cash_of_a_drawer_goes_out_of_an_open_drawer(shop: Shop, meter: Meter) -> None:
    shop.shifts.open(operator="carl", terminal="1")
    sell(shop, meter.number, "1", operator="carl", terminal="1")
    assert code_of(reverse(desk_of(shop, BOSS), "1", "2")) == "no_shift"
    shop.shifts.open(operator="boss", terminal="2")
    again = ReversalRequest("till", "again", "1", "kiosk", terminal="2")
    desk_of(shop, BOSS).reverse(again).require_done()
    assert shop.statement().agrees


def test_a_program_reverses_what_its_own_client_sold(shop: Shop, meter: Meter) -> None:
    sell(shop, meter.number, "1")
    with pytest.raises(ClientMismatchError):
        reverse(desk_of(shop, OTHER_KIOSK), "1", client="k1")
    reverse(desk_of(shop, KIOSK), "1", client="kiosk").require_done()


def test_money_goes_back_on_the_side_where_it_came_in(shop: Shop, meter: Meter) -> None:
    vendor = shop.vendors.add("Duka")
    shop.vendors.add_terminal("V1", vendor_id=vendor.vendor_id)
    shop.vendors.top_up(vendor.vendor_id, 50_000, reference="slip")
    credit = shop.vendors.credit(vendor.vendor_id)
    sold = sell(shop, meter.number, "duka", terminal="V1")
    here = ReversalRequest("kiosk", "r1", "duka")
    assert code_of(shop.advice.reverse(here)) == "other_side"
    refund = RefundRequest("kiosk", "f1", sold.receipt_no, "x")
    assert code_of(shop.advice.refund(refund)) == "other_side"
    shop.advice.reverse(replace(here, message_id="r2", terminal="V1")).require_done()
    assert shop.vendors.credit(vendor.vendor_id) == credit
    house = sell(shop, meter.number, "house")
    there = ReversalRequest("kiosk", "r3", "house", terminal="V1")
    assert code_of(shop.advice.reverse(there)) == "other_side"
    refund = RefundRequest("kiosk", "f2", house.receipt_no, "x", terminal="V1")
    assert code_of(shop.advice.refund(refund)) == "other_side"
    assert shop.statement().agrees


def test_a_seller_hears_answers_of_their_own_tills(
    shop: Shop, meter: Meter, database_url: str
) -> None:
    sell(shop, meter.number, "anns", operator="ann", terminal="1")
    sell(shop, meter.number, "own", operator="carl", terminal="2")
    engine = open_engine(database_url)
    house = desk_of(shop, CLERK).house

    def hear(actor: Actor, message_id: str) -> None:
        with engine.connect() as connection:
            require_own_answer(connection, replace(house, actor=actor), "kiosk", message_id)

    hear(CLERK, "own")
    hear(BOSS, "anns")
    hear(Actor("eva", PERMISSIONS[Role.AUDITOR], operator_id=9), "anns")
    with pytest.raises(PermissionDeniedError):
        hear(CLERK, "anns")
    hear(replace(CLERK, terminal="1"), "anns")
    shop.shifts.open(operator="carl", terminal="1")
    hear(CLERK, "anns")
    engine.dispose()
