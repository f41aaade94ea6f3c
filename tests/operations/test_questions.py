"""What the shop asks before it sells: a second purchase, a key change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.operations.asking import audit_actions, sell
from tests.shop.conftest import Clock
from vending import CounterRules, Meter, NewMeter, Outcome, ReversalRequest, Shop, VendRequest
from vending.shop.faults import DoubleSaleQuestionError, UnknownMessageError


@pytest.fixture(autouse=True)
def _ask_as_a_new_shop_does(shop: Shop) -> None:
    shop.rules.set(CounterRules())


def test_the_same_sale_again_is_asked_about_and_the_answer_is_logged(
    shop: Shop, meter: Meter, database_url: str
) -> None:
    sell(shop, meter.number, "1")
    second = VendRequest("kiosk", "2", meter.number, 10_000)
    with pytest.raises(DoubleSaleQuestionError, match="confirmed_second"):
        shop.vend(second)
    with pytest.raises(UnknownMessageError):
        shop.last_response("kiosk", "2")
    with pytest.raises(DoubleSaleQuestionError):
        shop.vend(second)
    answered = shop.vend(replace(second, confirmed_second=True))
    assert answered.outcome is Outcome.DONE
    # what is answered is no part of what is asked: without the answer it is the same request
    assert shop.vend(second).response == answered.response
    assert audit_actions(database_url).count("sale.second_confirmed") == 1
    third = VendRequest("kiosk", "3", meter.number, 10_000)
    shop.decline_second(third)
    assert audit_actions(database_url).count("sale.second_declined") == 1


def test_other_sales_are_not_asked_about(
    shop: Shop, meter: Meter, new_number: Callable[[], str], clock: Clock
) -> None:
    sell(shop, meter.number, "1")
    sell(shop, meter.number, "2", 10_001)
    sell(shop, shop.add_meter(NewMeter(new_number())).number, "3")
    with pytest.raises(DoubleSaleQuestionError):
        sell(shop, meter.number, "4")
    clock.advance(seconds=599)
    with pytest.raises(DoubleSaleQuestionError):
        sell(shop, meter.number, "4")
    clock.advance(seconds=1)
    sell(shop, meter.number, "4")
    shop.rules.set(CounterRules(double_sale_window_s=0))
    sell(shop, meter.number, "5")


def test_the_same_units_again_are_asked_about(shop: Shop, meter: Meter) -> None:
    sell(shop, meter.number, "1", None, units=100)
    with pytest.raises(DoubleSaleQuestionError):
        sell(shop, meter.number, "2", None, units=100)
    sell(shop, meter.number, "2", None, units=101)


def test_a_reversed_sale_is_no_first_one(shop: Shop, meter: Meter) -> None:
    sell(shop, meter.number, "1")
    shop.advice.reverse(ReversalRequest("kiosk", "r", "1")).require_done()
    sell(shop, meter.number, "2")


def test_a_clock_that_goes_back_does_not_silence_the_question(
    shop: Shop, meter: Meter, clock: Clock
) -> None:
    sell(shop, meter.number, "1")
    shop.set_price(shop.price())
    clock.advance(minutes=5)
    sell(shop, meter.number, "2", 10_002)
    clock.advance(minutes=-4)
    with pytest.raises(DoubleSaleQuestionError):
        sell(shop, meter.number, "3", 10_002)
