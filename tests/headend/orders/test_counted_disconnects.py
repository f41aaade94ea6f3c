"""How many disconnects one person may order is counted, whatever the caller says."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from headend.orders.policy import set_policy
from headend.orders.protection import ProtectionDesk
from headend.orders.values import OrderKind, OrderState
from headend.station import Station
from simulators.street_plan import BusPlan
from tests.headend.orders.scene import ANNA, BORIS, scene_of
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock

TRIP = OrderKind.RELAY_TRIP
FOUR = BusPlan(listen=LISTEN, meters=4, load=100)
PARAMETER = {"item": "04001001", "values": ["33.00"]}


@on_a_loop
async def test_the_disconnects_of_a_batch_are_counted(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock, FOUR) as scene:
        await asyncio.to_thread(
            set_policy, scene.as_(ANNA), {"trips_at_once_max": 2, "trips_window_s": 1}
        )
        states = []
        for number in range(4):
            placed = await scene.place(TRIP, number, batch="arrears")
            states.append(placed.state)
            clock.advance(minutes=1)
        assert states == [OrderState.QUEUED] * 2 + [OrderState.WAITING_APPROVAL] * 2


@on_a_loop
async def test_small_batches_do_not_evade_it(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock, FOUR) as scene:
        await asyncio.to_thread(set_policy, scene.as_(ANNA), {"trips_at_once_max": 1})
        alone = await scene.place(TRIP, 0, batch="one")
        other = await scene.place(TRIP, 1, batch="two")
        assert (alone.two_because, other.two_because) == (
            None,
            "it is one person's disconnect number 2 within 60 minutes",
        )
        by_boris = await scene.place(TRIP, 2, batch="three", by=BORIS)
        assert by_boris.two_because is None
        await asyncio.to_thread(scene.desk(BORIS).approve, other.order_id)
        clock.advance(minutes=61)
        later = await scene.place(TRIP, 3, batch="four")
        assert later.two_because is None


@on_a_loop
async def test_a_write_is_weighed_again_when_its_point_was_protected_meanwhile(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        placed = await scene.place(OrderKind.WRITE_PARAMETER, says=PARAMETER)
        assert placed.two_because is None
        desk = ProtectionDesk(scene.as_(BORIS))
        until = clock.now + timedelta(days=1)
        await asyncio.to_thread(
            lambda: desk.add(
                point=scene.devices[0].number,
                owner="hospital",
                reason="life support",
                until=until,
            )
        )
        await scene.run()
        held = await scene.order(placed.order_id)
        assert held.state is OrderState.CANCELLED
        assert held.words is not None
        assert "two people" in held.words
