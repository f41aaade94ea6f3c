"""A reconnect that waits is not lost, and one that the service gives up raises an alarm."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from headend.collection.contacts import count_contact
from headend.orders.calendar import CalendarDesk
from headend.orders.credentials import Credentials
from headend.orders.faults import OrderWaitingError
from headend.orders.values import OrderKind, OrderState
from headend.station import Station
from headend.watching.tables import alarms
from tests.headend.orders.scene import BORIS, PASSWORDS, Scene, scene_of
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock

TRIP, CLOSE = OrderKind.RELAY_TRIP, OrderKind.RELAY_CLOSE
FRIDAY_EVENING = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


@on_a_loop
async def test_a_trip_that_must_wait_does_not_take_a_reconnects_place(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        await scene.ordered(TRIP)
        await scene.at(FRIDAY_EVENING)
        scene.meter().power_off(scene.held.now())
        waiting = await scene.ordered(CLOSE)
        with pytest.raises(OrderWaitingError, match="window that opens"):
            await scene.place(TRIP)
        scene.meter().power_on(scene.held.now())
        await scene.wait(hours=1)
        await scene.run()
        closed = await scene.order(waiting.order_id)
        assert (closed.state, scene.lit()) == (OrderState.DONE, True)


@on_a_loop
async def test_a_trip_that_may_be_sent_now_takes_a_reconnects_place(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        scene.meter().power_off(scene.held.now())
        waiting = await scene.ordered(CLOSE)
        trip = await scene.place(TRIP)
        assert trip.supersedes == waiting.order_id


@on_a_loop
async def test_a_reconnect_waits_for_a_password_and_for_a_suspended_meter(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        await scene.ordered(TRIP)
        scene.credentials = Credentials()
        waiting = await scene.ordered(CLOSE)
        assert waiting.state is OrderState.QUEUED
        assert waiting.words is not None
        assert "file of meter passwords" in waiting.words
        scene.credentials = PASSWORDS
        await asyncio.to_thread(scene.set_device, 0, state="suspended")
        await scene.wait(minutes=2)
        await scene.run()
        waiting = await scene.order(waiting.order_id)
        assert waiting.state is OrderState.QUEUED
        assert waiting.words is not None
        assert "suspended" in waiting.words
        await asyncio.to_thread(scene.set_device, 0, state="active")
        await scene.wait(hours=1)
        await scene.run()
        assert (await scene.order(waiting.order_id)).state is OrderState.DONE
        assert scene.lit()


@on_a_loop
async def test_a_reconnect_that_the_service_ends_raises_an_alarm(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        scene.meter().power_off(scene.held.now())
        waiting = await scene.ordered(CLOSE)
        await asyncio.to_thread(scene.set_device, 0, state="removed")
        await scene.wait(hours=1)
        await scene.run()
        assert (await scene.order(waiting.order_id)).state is OrderState.CANCELLED
        assert await asyncio.to_thread(open_alarms, scene) == ["not_reconnected"]


@on_a_loop
async def test_a_reconnect_outlives_a_meter_that_is_silent_for_weeks(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        await scene.ordered(TRIP)
        scene.meter().power_off(scene.held.now())
        waiting = await scene.ordered(CLOSE)
        await scene.wait(days=30)
        await scene.run()
        scene.meter().power_on(scene.held.now())
        await scene.wait(hours=1)
        await scene.run()
        assert (await scene.order(waiting.order_id)).state is OrderState.DONE
        assert scene.lit()


@on_a_loop
async def test_a_reconnect_goes_out_as_soon_as_its_meter_is_heard_again(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        await scene.ordered(TRIP)
        scene.meter().power_off(scene.held.now())
        waiting = await scene.ordered(CLOSE)
        for _ in range(6):
            await scene.wait(hours=1)
            await scene.run()
        scene.meter().power_on(scene.held.now())
        await scene.wait(minutes=35)
        await scene.run()
        assert not scene.lit()  # its hour is not over
        await asyncio.to_thread(answered, scene)
        await scene.run()
        assert (await scene.order(waiting.order_id)).state is OrderState.DONE
        assert scene.lit()


@on_a_loop
async def test_a_trips_life_begins_when_its_window_opens(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock) as scene:
        days = {(clock.now + timedelta(days=day)).date(): "spring" for day in range(10)}
        desk = CalendarDesk(replace(scene.station, person=BORIS))
        await asyncio.to_thread(desk.add_holidays, days)
        placed = await scene.place(TRIP)
        assert placed.due_at is not None
        assert placed.expires_at == placed.due_at + timedelta(days=7)


def answered(scene: Scene) -> None:
    """A round has read the meter."""
    with scene.station.writing() as connection:
        count_contact(connection, scene.devices[0].device_id, scene.clock.now, answered=True)


def open_alarms(scene: Scene) -> list[str]:
    """Their kinds."""
    with scene.station.reading() as connection:
        return list(connection.scalars(select(alarms.c.kind).where(alarms.c.closed_at.is_(None))))
