"""A token that is not settled: what shows that it did not arrive, and what waits meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select, update

from commands.order.wiring import ShopTokens, deliver_new_tokens
from headend.faults import StoreRefusedError
from headend.orders.deciding import decide
from headend.orders.faults import OrderStateError, SecondPersonError
from headend.orders.job import Carrier
from headend.orders.tables import orders
from headend.orders.tokens import TokenToDeliver, deliver_token
from headend.orders.values import Order, OrderKind, OrderState
from headend.person import SERVICE, Person
from headend.station import Station
from headend.talk.device import load_device
from headend.talk.ordering import OrderOutcome
from simulators.street_plan import BusPlan
from tests.headend.orders.scene import BORIS, Scene, TestTokens, scene_of
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock
from vending import NewMeter, Outcome, Receipt, ReversalRequest, Shop, VendRequest
from vending.shop.faults import DeliveredByWireError

DLT = BusPlan(listen=LISTEN, load=100, credit_kwh=0)
MODBUS = BusPlan(listen=LISTEN, protocol="modbus-tcp", load=100, credit_kwh=0)
BUSES = pytest.mark.parametrize("bus", [DLT, MODBUS], ids=["dlt", "modbus"])


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


async def sell(shop: Shop, scene: Scene, message_id: str, minor: int = 10_000) -> Receipt:
    number = scene.devices[0].number

    def act() -> Receipt:
        if message_id == "m1":
            shop.add_meter(NewMeter(number, customer="Anna Example"))
        return shop.vend(VendRequest("kiosk", message_id, number, minor)).require_done()

    scene.tokens = Tokens()
    return await asyncio.to_thread(act)


async def deliver(scene: Scene) -> list[Order]:
    """What the service does; gives all token orders, the first one first."""
    await asyncio.to_thread(deliver_new_tokens, scene.station, scene.work)
    await scene.run()
    return await token_orders(scene)


async def token_orders(scene: Scene) -> list[Order]:
    found = await asyncio.to_thread(lambda: scene.orders.list(kinds=frozenset({OrderKind.TOKEN})))
    return found[::-1]


async def begin(scene: Scene, *, is_sent: bool = True) -> Order:
    """Order what was sold, mark it as being sent, send it or not; and the worker dies."""
    await asyncio.to_thread(deliver_new_tokens, scene.station, None)
    order = (await token_orders(scene))[-1]
    acting = replace(scene.station, person=SERVICE)
    carrier = Carrier(acting, scene.lines, scene.credentials, scene.tokens, None)
    with acting.writing() as connection:
        device = load_device(connection, order.device_id)
        talk = carrier._talk(connection, order, device)
    assert talk is not None
    ready = await talk.prepare()
    assert not isinstance(ready, OrderOutcome)
    with acting.writing() as connection:
        sending = carrier._mark(connection, order, device, ready)
    assert sending is not None
    if is_sent:
        assert (await talk.send(ready.evidence)).outcome.value == "done"
    return sending


def load_by_hand(scene: Scene, digits: str) -> None:
    """Somebody else's program gives the meter a token by wire."""
    meter = scene.meter()
    meter.take_token(meter.token_report.sequence + 1, digits, scene.held.now())


@BUSES
def test_a_token_is_not_sent_while_it_is_open_whether_the_meter_has_another(
    station: Station, clock: Clock, shop: Shop, bus: BusPlan
) -> None:
    @on_a_loop
    async def go() -> None:
        async with scene_of(station, clock, bus, at=None) as scene:
            await sell(shop, scene, "m1")
            first = await begin(scene)
            await sell(shop, scene, "m2", 20_000)
            _, second = await deliver(scene)
            assert second.state is OrderState.QUEUED
            assert second.words is not None
            assert f"order {first.order_id}" in second.words
            assert "keypad" in second.words
            assert scene.meter().tokens_accepted == 1
            await scene.wait(minutes=3)
            await scene.run()  # the look settles the first one,
            await scene.run()  # which lets the second one go at once
            assert [order.state for order in await token_orders(scene)] == [OrderState.DONE] * 2
            assert scene.meter().tokens_accepted == 2

    go()


@BUSES
def test_another_tokens_report_does_not_show_that_a_token_did_not_arrive(
    station: Station, clock: Clock, shop: Shop, bus: BusPlan
) -> None:
    @on_a_loop
    async def go() -> None:
        async with scene_of(station, clock, bus, at=None) as scene:
            await sell(shop, scene, "m1")
            first = await begin(scene)
            load_by_hand(scene, "1" * 20)
            await scene.wait(minutes=3)
            await scene.run()
            order = await scene.order(first.order_id)
            assert order.state is OrderState.UNKNOWN, order.words
            undone = await asyncio.to_thread(
                shop.advice.reverse, ReversalRequest("kiosk", "undo", "m1", reason="no paper")
            )
            assert undone.outcome is Outcome.FAILED
            assert undone.fault is not None
            assert undone.fault.code == DeliveredByWireError.code
            await sell(shop, scene, "m2", 20_000)
            _, second = await deliver(scene)
            assert second.state is OrderState.QUEUED
            with pytest.raises(SecondPersonError):
                decide(
                    replace(station, person=Person(first.ordered_by)),
                    first.order_id,
                    OrderState.DONE,
                    why="I say so.",
                )
            decided = await asyncio.to_thread(
                lambda: decide(
                    scene.as_(BORIS), first.order_id, OrderState.DONE, why="Its credit shows it."
                )
            )
            assert decided.state is OrderState.DONE
            _, second = await deliver(scene)
            assert second.state is OrderState.DONE, second.words
            with pytest.raises(OrderStateError):
                decide(scene.as_(BORIS), first.order_id, OrderState.FAILED, why="Changed my mind.")

    go()


@BUSES
def test_a_report_as_before_shows_that_a_token_did_not_arrive(
    station: Station, clock: Clock, shop: Shop, bus: BusPlan
) -> None:
    @on_a_loop
    async def go() -> None:
        async with scene_of(station, clock, bus, at=None) as scene:
            load_by_hand(scene, "1" * 20)
            await sell(shop, scene, "m1")
            first = await begin(scene, is_sent=False)
            assert first.evidence is not None
            assert first.evidence["sequence_before"] == 1
            await scene.wait(minutes=3)
            await scene.run()
            order = await scene.order(first.order_id)
            assert order.state is OrderState.FAILED
            assert order.words is not None
            assert order.words.startswith("The token did not reach the meter.")

    go()


@on_a_loop
async def test_the_database_holds_that_one_token_of_a_meter_is_open(
    station: Station, clock: Clock, shop: Shop
) -> None:
    async with scene_of(station, clock, DLT, at=None) as scene:
        await sell(shop, scene, "m1")
        first = await begin(scene, is_sent=False)
        await sell(shop, scene, "m2")
        await asyncio.to_thread(deliver_new_tokens, scene.station, None)
        with pytest.raises(StoreRefusedError), station.writing() as connection:
            connection.execute(
                update(orders)
                .where(orders.c.order_id > first.order_id)
                .values(state="sending", sending_at=clock.now)
            )
        with station.reading() as connection:
            states = connection.scalars(select(orders.c.state).order_by(orders.c.order_id)).all()
        assert states == ["sending", "queued"]


@on_a_loop
async def test_later_parts_wait_for_an_earlier_one_that_is_open(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock, DLT, at=None) as scene:
        digits = [f"{number:020d}" for number in (11, 22, 33)]
        scene.tokens = TestTokens({f"7/{n}": each for n, each in enumerate(digits, 1)})
        parts = [TokenToDeliver(7, n, each) for n, each in enumerate(digits, 1)]
        scene.meter().power_off(scene.held.now())
        with station.writing() as connection:
            deliver_token(scene.orders, connection, scene.devices[0].device_id, parts)
        await scene.run()
        placed = await token_orders(scene)
        assert [order.state for order in placed] == [OrderState.QUEUED] * 3
        assert placed[1].words == (
            f"Waits for order {placed[0].order_id}: token 1 of this receipt."
        )
        scene.meter().power_on(scene.held.now())
        await scene.wait(minutes=2)
        for _ in parts:
            await scene.run()
        # the meter takes none of these digits: what stands behind a refused one is taken back
        states = [order.state for order in await token_orders(scene)]
        assert states == [OrderState.FAILED, OrderState.CANCELLED, OrderState.CANCELLED]
