"""An order for a later day is not sent before it, whoever touches it meanwhile."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from headend.faults import StoreRefusedError
from headend.orders.tables import orders
from headend.orders.values import OrderKind, OrderState
from headend.station import Station
from tests.headend.orders.scene import BORIS, scene_of
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock

TRIP = OrderKind.RELAY_TRIP


@on_a_loop
async def test_an_approved_disconnect_still_waits_for_its_day(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        day = clock.now + timedelta(days=7)
        placed = await scene.place(TRIP, at_once=30, not_before=day)
        approved = await asyncio.to_thread(scene.desk(BORIS).approve, placed.order_id)
        assert approved.due_at == approved.not_before == day
        await scene.run()
        assert scene.lit()
        await scene.at(day)
        await scene.run()
        done = await scene.order(placed.order_id)
        assert (done.state, scene.lit()) == (OrderState.DONE, False), done.words


@on_a_loop
async def test_the_day_is_asked_again_when_the_order_is_marked(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        day = clock.now + timedelta(days=7)
        placed = await scene.place(TRIP, not_before=day)
        await asyncio.to_thread(_change, scene.station, placed.order_id, due_at=clock.now)
        await scene.run()
        assert scene.lit()
        assert (await scene.order(placed.order_id)).due_at == day


@on_a_loop
async def test_the_database_sends_nothing_before_its_day(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock) as scene:
        placed = await scene.place(TRIP, not_before=clock.now + timedelta(days=7))
        number, now = placed.order_id, clock.now
        with pytest.raises(StoreRefusedError, match="not_before"):
            await asyncio.to_thread(
                lambda: _change(
                    scene.station,
                    number,
                    state="sending",
                    sending_at=now,
                    allowed_until=now + timedelta(hours=1),
                )
            )
        with pytest.raises(StoreRefusedError, match="never changed"):
            await asyncio.to_thread(lambda: _change(scene.station, number, not_before=None))


def _change(station: Station, order_id: int, **values: object) -> None:
    with station.writing() as connection:
        connection.execute(orders.update().where(orders.c.order_id == order_id).values(values))
