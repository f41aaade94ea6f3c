"""From a sale to the meter by wire: once, and the keypad whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, select

from commands.order.wiring import ShopTokens, deliver_new_tokens
from headend.faults import StoreRefusedError
from headend.orders.tables import order_events, orders
from headend.orders.tokens import deliveries_of
from headend.orders.values import Order, OrderKind, OrderState
from headend.station import Station
from protocols.token_block import fingerprint
from simulators.street_plan import BusPlan
from tests.headend.orders.scene import Scene, TestTokens, scene_of
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock
from vending import NewMeter, Outcome, Receipt, ReversalRequest, Shop, VendRequest, VendResult

MODBUS = BusPlan(listen=LISTEN, protocol="modbus-tcp", load=100, credit_kwh=0)
DLT = BusPlan(listen=LISTEN, load=100, credit_kwh=0)


@pytest.fixture
def shop(database_url: str, clock: Clock) -> Iterator[Shop]:
    with Shop.open(database_url, now=clock, rnd=lambda: 5) as shop:
        yield shop


class Tokens(TestTokens):
    """The shop's own."""

    def digits(self, connection: Connection, token_ref: str) -> str:
        return ShopTokens().digits(connection, token_ref)

    def hold(self, connection: Connection, token_ref: str) -> None:
        ShopTokens().hold(connection, token_ref)


def sell(shop: Shop, scene: Scene, message_id: str = "m1") -> Receipt:
    number = scene.devices[0].number
    if message_id == "m1":
        shop.add_meter(NewMeter(number, customer="Anna Example"))
    return shop.vend(VendRequest("kiosk", message_id, number, 10_000)).require_done()


def reverse(shop: Shop, sale: str) -> VendResult:
    return shop.advice.reverse(ReversalRequest("kiosk", f"undo {sale}", sale, reason="no paper"))


async def deliver(scene: Scene) -> list[Order]:
    """What the service does; gives all token orders, the first one first."""
    await asyncio.to_thread(deliver_new_tokens, scene.station, scene.work)
    await scene.run()
    found = await asyncio.to_thread(lambda: scene.orders.list(kinds=frozenset({OrderKind.TOKEN})))
    return found[::-1]


@pytest.mark.parametrize("bus", [DLT, MODBUS], ids=["dlt", "modbus"])
def test_a_sold_token_is_in_the_meter_without_anybody_typing_it(
    station: Station, clock: Clock, shop: Shop, bus: BusPlan
) -> None:
    @on_a_loop
    async def go() -> None:
        async with scene_of(station, clock, bus, at=None) as scene:
            scene.tokens = Tokens()
            receipt = await asyncio.to_thread(sell, shop, scene)
            assert not scene.lit()
            (order,) = await deliver(scene)
            assert order.state is OrderState.DONE, order.words
            assert scene.lit()
            assert scene.meter().tokens_accepted == 1
            assert order.result is not None
            assert order.result["result"] == "Accept"
            assert await deliver(scene) == [order]  # once, however often it is looked for
            with station.reading() as connection:
                assert deliveries_of(connection, receipt.receipt_no) == [
                    (1, OrderState.DONE, order.words)
                ]

    go()


@on_a_loop
async def test_a_token_that_was_typed_before_counts_as_delivered(
    station: Station, clock: Clock, shop: Shop
) -> None:
    async with scene_of(station, clock, DLT, at=None) as scene:
        scene.tokens = Tokens()
        receipt = await asyncio.to_thread(sell, shop, scene)
        scene.meter().enter_token(receipt.tokens[0].digits, scene.held.now())
        (order,) = await deliver(scene)
        assert order.state is OrderState.DONE
        assert order.words == "The meter had it before: typed at the keypad."
        assert scene.meter().tokens_accepted == 1


@on_a_loop
async def test_a_token_that_finds_its_meter_dark_waits_and_the_keypad_is_there(
    station: Station, clock: Clock, shop: Shop
) -> None:
    async with scene_of(station, clock, DLT, at=None) as scene:
        scene.tokens = Tokens()
        await asyncio.to_thread(sell, shop, scene)
        scene.meter().power_off(scene.held.now())
        (order,) = await deliver(scene)
        assert order.state is OrderState.QUEUED
        scene.meter().power_on(scene.held.now())
        await scene.wait(minutes=1)
        (order,) = await deliver(scene)
        assert order.state is OrderState.DONE


@on_a_loop
async def test_no_table_of_orders_holds_the_digits(
    station: Station, clock: Clock, shop: Shop
) -> None:
    async with scene_of(station, clock, DLT, at=None) as scene:
        scene.tokens = Tokens()
        receipt = await asyncio.to_thread(sell, shop, scene)
        await deliver(scene)
        digits = receipt.tokens[0].digits
        with station.reading() as connection:
            rows = [*connection.execute(select(orders)), *connection.execute(select(order_events))]
        assert rows
        assert digits not in repr(rows)
        assert digits[:8] not in repr(rows)
        assert rows[0].fingerprint == fingerprint(digits)


@on_a_loop
async def test_a_token_whose_receipt_was_taken_back_is_not_sent(
    station: Station, clock: Clock, shop: Shop
) -> None:
    async with scene_of(station, clock, DLT, at=None) as scene:
        scene.tokens = TestTokens()  # it knows none: the receipt was reversed meanwhile
        await asyncio.to_thread(sell, shop, scene)
        (order,) = await deliver(scene)
        assert order.state is OrderState.CANCELLED
        assert scene.meter().tokens_accepted == 0


@on_a_loop
async def test_a_sale_is_reversed_or_delivered_and_never_both(
    station: Station, clock: Clock, shop: Shop
) -> None:
    async with scene_of(station, clock, DLT, at=None) as scene:
        scene.tokens = Tokens()
        await asyncio.to_thread(sell, shop, scene)
        await asyncio.to_thread(deliver_new_tokens, scene.station, scene.work)
        undone = await asyncio.to_thread(reverse, shop, "m1")
        assert undone.outcome is Outcome.DONE
        (order,) = await deliver(scene)
        assert order.state is OrderState.CANCELLED
        assert scene.meter().tokens_accepted == 0
        await asyncio.to_thread(sell, shop, scene, "m2")
        await deliver(scene)
        assert scene.meter().tokens_accepted == 1
        for _ in range(2):  # asked again, it is the same answer
            refused = await asyncio.to_thread(reverse, shop, "m2")
            assert refused.outcome is Outcome.FAILED
            assert refused.fault is not None
            assert refused.fault.code == "delivered_by_wire"
            assert "Give a refund" in str(refused.fault)


@on_a_loop
async def test_what_stands_behind_a_token_that_was_not_taken_is_not_sent(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock, DLT, at=None) as scene:
        wrong = "12345678901234567890"
        scene.tokens = TestTokens({"7/1": wrong, "7/2": wrong})
        says = [{"token": f"7/{n}", "fingerprint": fingerprint(wrong)} for n in (1, 2)]
        first = await scene.place(OrderKind.TOKEN, says=says[0])
        second = await scene.place(OrderKind.TOKEN, says=says[1])
        await scene.run()
        assert (await scene.order(first.order_id)).state is OrderState.FAILED
        refused = await scene.order(second.order_id)
        assert refused.state is OrderState.CANCELLED
        assert refused.words is not None
        assert refused.words.startswith("Token 1 of this receipt is failed")


@on_a_loop
async def test_a_person_may_order_a_failed_delivery_again_but_not_one_under_way(
    station: Station, clock: Clock, shop: Shop
) -> None:
    async with scene_of(station, clock, DLT, at=None) as scene:
        scene.tokens = Tokens()
        receipt = await asyncio.to_thread(sell, shop, scene)
        says = {
            "token": f"{receipt.receipt_no}/1",
            "fingerprint": fingerprint(receipt.tokens[0].digits),
        }
        first = await scene.place(OrderKind.TOKEN, says=says)
        with pytest.raises(StoreRefusedError):
            await scene.place(OrderKind.TOKEN, says=says)
        await asyncio.to_thread(lambda: scene.orders.cancel(first.order_id, why="typed"))
        second = await scene.ordered(OrderKind.TOKEN, says=says)
        assert second.state is OrderState.DONE


@on_a_loop
async def test_a_keypad_meter_without_a_line_has_the_keypad_only(
    station: Station, clock: Clock, shop: Shop
) -> None:
    async with scene_of(station, clock, DLT, at=None) as scene:
        await asyncio.to_thread(lambda: scene.set_device(0, link_id=None))
        await asyncio.to_thread(sell, shop, scene)
        assert await deliver(scene) == []
