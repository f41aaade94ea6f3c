"""Trips and closes of real simulated meters, and everything that forbids them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from headend.faults import StoreRefusedError
from headend.orders.emergency import EmergencyDesk
from headend.orders.faults import (
    KeepPowerError,
    OrderIdTakenError,
    OrderWaitingError,
    OutsideWindowError,
    SecondPersonError,
)
from headend.orders.policy import set_policy
from headend.orders.protection import ProtectionDesk
from headend.orders.tables import orders
from headend.orders.values import OrderKind, OrderState
from headend.station import Station
from simulators.street_plan import BusPlan
from tests.headend.orders.scene import ANNA, BORIS, MONDAY_MORNING, Scene, scene_of
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock

SATURDAY_EVENING = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
MODBUS = BusPlan(listen=LISTEN, protocol="modbus-tcp", load=100)
TRIP, CLOSE, ALLOW = OrderKind.RELAY_TRIP, OrderKind.RELAY_CLOSE, OrderKind.RELAY_ALLOW_CLOSE


def protect(scene: Scene, *, place: str | None = None) -> None:
    """A keep-power order for a day: of the first meter's point, or of a place."""
    ProtectionDesk(scene.as_(ANNA)).add(
        point=scene.devices[0].number if place is None else None,
        place=place,
        owner="City hospital",
        reason="life support",
        until=scene.clock.now + timedelta(1),
    )


@pytest.mark.parametrize("bus", [BusPlan(listen=LISTEN, load=100), MODBUS], ids=["dlt", "modbus"])
def test_a_trip_and_a_close_are_read_back(station: Station, clock: Clock, bus: BusPlan) -> None:
    @on_a_loop
    async def go() -> None:
        async with scene_of(station, clock, bus) as scene:
            tripped = await scene.ordered(TRIP)
            assert tripped.state is OrderState.DONE
            assert not scene.lit()
            assert tripped.result is not None
            assert tripped.result["supply_on"] is False
            closed = await scene.ordered(CLOSE)
            assert closed.state is OrderState.DONE, closed.words
            assert scene.lit()

    go()


@on_a_loop
async def test_accepted_is_not_supply_on(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock) as scene:
        await scene.ordered(TRIP)
        allowed = await scene.ordered(ALLOW)
        assert allowed.state is OrderState.DONE
        assert allowed.result is not None
        assert allowed.result["supply_on"] is False
        assert allowed.result["awaits_button"] is True
        scene.meter().press_button(scene.held.now())
        assert scene.lit()


@on_a_loop
async def test_a_trip_on_saturday_evening_waits_for_monday_morning(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock, at=SATURDAY_EVENING) as scene:
        waiting = await scene.ordered(TRIP)
        assert waiting.state is OrderState.QUEUED
        assert waiting.due_at == datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
        assert scene.lit()
        await scene.at(MONDAY_MORNING)
        await scene.run()
        assert (await scene.order(waiting.order_id)).state is OrderState.DONE
        assert not scene.lit()


@on_a_loop
async def test_an_order_that_would_rather_be_refused_than_wait_is(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock, at=SATURDAY_EVENING) as scene:
        with pytest.raises(OutsideWindowError, match="2026-11-23 09:00"):
            await scene.place(TRIP, outside_window="refuse")
        closed = await scene.ordered(CLOSE)
        assert closed.state is OrderState.DONE  # reconnects know no hours


@on_a_loop
async def test_keep_power_beats_a_trip_when_it_is_ordered_and_when_it_is_sent(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        placed = await scene.place(TRIP)
        await asyncio.to_thread(protect, scene)
        await scene.run()
        cancelled = await scene.order(placed.order_id)
        assert cancelled.state is OrderState.CANCELLED
        assert cancelled.words is not None
        assert "life support" in cancelled.words
        assert scene.lit()
        with pytest.raises(KeepPowerError, match="City hospital"):
            await scene.place(TRIP)


@on_a_loop
async def test_keep_power_of_a_place_protects_everything_in_it_and_what_feeds_it(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock, BusPlan(listen=LISTEN, meters=3)) as scene:
        await asyncio.to_thread(scene.put_in_area, 0, "North")
        await asyncio.to_thread(scene.put_in_area, 1, "North", role="supply")
        await asyncio.to_thread(protect, scene)
        with pytest.raises(KeepPowerError):
            await scene.place(TRIP, 1)  # the area's supply: it would take the hospital with it
        await asyncio.to_thread(protect, scene, place="North S")
        await asyncio.to_thread(scene.put_in_area, 2, "North")
        with pytest.raises(KeepPowerError, match="place North S"):
            await scene.place(TRIP, 2)


@on_a_loop
async def test_the_database_itself_refuses_to_send_a_trip_to_a_protected_point(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        await asyncio.to_thread(scene.put_in_area, 0, "North")
        placed = await scene.place(TRIP)
        await asyncio.to_thread(protect, scene, place="North F")

        def send_anyway() -> None:
            now = scene.clock.now
            with scene.station.writing() as connection:
                connection.execute(
                    orders.update()
                    .where(orders.c.order_id == placed.order_id)
                    .values(state="sending", sending_at=now, allowed_until=now + timedelta(hours=1))
                )

        with pytest.raises(StoreRefusedError, match="keep-power"):
            await asyncio.to_thread(send_anyway)


@on_a_loop
async def test_an_emergency_stop_holds_disconnects_up_until_it_is_over(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        desk = EmergencyDesk(scene.as_(ANNA))
        stop = await asyncio.to_thread(desk.stop, reason="flood")
        held_up = await scene.ordered(TRIP)
        assert held_up.state is OrderState.QUEUED
        assert held_up.words == f"Waits for the end of emergency stop {stop.stop_id}."
        closed = await scene.ordered(CLOSE)  # takes the trip's place, and is not held up
        assert closed.state is OrderState.DONE
        assert (await scene.order(held_up.order_id)).state is OrderState.CANCELLED
        again = await scene.ordered(TRIP)
        await asyncio.to_thread(desk.resume, stop.stop_id)
        await scene.wait(minutes=11)
        await scene.run()
        assert (await scene.order(again.order_id)).state is OrderState.DONE


@on_a_loop
async def test_a_close_takes_the_place_of_a_trip_that_still_waits(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock, at=SATURDAY_EVENING) as scene:
        trip = await scene.place(TRIP)
        with pytest.raises(OrderWaitingError, match=str(trip.order_id)):
            await scene.place(TRIP)
        close = await scene.ordered(CLOSE)
        superseded = await scene.order(trip.order_id)
        assert superseded.state is OrderState.CANCELLED
        assert close.supersedes == trip.order_id
        await scene.at(MONDAY_MORNING)
        await scene.run()
        assert scene.lit()


@on_a_loop
async def test_the_same_message_is_the_same_order(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock) as scene:
        first = await scene.ordered(CLOSE, message_id="m1")
        again = await scene.place(CLOSE, message_id="m1")
        assert again == first
        with pytest.raises(OrderIdTakenError):
            await scene.place(TRIP, message_id="m1")


@on_a_loop
async def test_many_trips_at_once_take_a_second_person(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock) as scene:
        placed = await scene.place(TRIP, at_once=21, batch="arrears")
        await scene.run()
        assert scene.lit()
        assert placed.state is OrderState.WAITING_APPROVAL
        with pytest.raises(SecondPersonError):
            await asyncio.to_thread(scene.orders.approve, placed.order_id)
        await asyncio.to_thread(scene.desk(BORIS).approve_batch, "arrears")
        await scene.run()
        done = await scene.order(placed.order_id)
        assert (done.state, done.approved_by) == (OrderState.DONE, "boris")
        assert not scene.lit()


@on_a_loop
async def test_who_ordered_does_not_approve_even_past_the_program(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        await asyncio.to_thread(set_policy, scene.as_(ANNA), {"trips_at_once_max": 0})
        placed = await scene.place(TRIP)

        def approve_past_the_desk(**values: object) -> None:
            with scene.station.writing() as connection:
                connection.execute(
                    orders.update().where(orders.c.order_id == placed.order_id).values(values)
                )

        with pytest.raises(StoreRefusedError, match="two_people"):
            await asyncio.to_thread(
                approve_past_the_desk, approved_by="anna", approved_at=scene.clock.now
            )
        with pytest.raises(StoreRefusedError, match="needs_approval"):
            await asyncio.to_thread(approve_past_the_desk, state="queued")


@on_a_loop
async def test_an_ended_order_never_changes(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock) as scene:
        done = await scene.ordered(CLOSE)

        def change(values: dict[str, object]) -> None:
            with scene.station.writing() as connection:
                connection.execute(
                    orders.update().where(orders.c.order_id == done.order_id).values(values)
                )

        changes: list[dict[str, object]] = [{"state": "queued"}, {"words": "no"}, {"result": "{}"}]
        for values in changes:
            with pytest.raises(StoreRefusedError):
                await asyncio.to_thread(change, values)


@on_a_loop
async def test_a_dead_meter_is_tried_again_until_the_order_expires(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        scene.meter().power_off(scene.held.now())
        placed = await scene.ordered(CLOSE, lives_s=3600)
        assert placed.state is OrderState.QUEUED
        assert placed.words is not None
        assert placed.words.startswith("Nothing was sent")
        scene.meter().power_on(scene.held.now())
        await scene.wait(seconds=31)
        await scene.run()
        assert (await scene.order(placed.order_id)).state is OrderState.DONE
        scene.meter().power_off(scene.held.now())
        lost = await scene.ordered(ALLOW, lives_s=3600)
        await scene.wait(hours=2)
        await scene.run()
        assert (await scene.order(lost.order_id)).state is OrderState.EXPIRED


@on_a_loop
async def test_keep_power_is_ended_early_by_two_people(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock) as scene:
        await asyncio.to_thread(protect, scene)
        anna, boris = (ProtectionDesk(scene.as_(person)) for person in (ANNA, BORIS))
        (kept,) = await asyncio.to_thread(anna.list)
        asked = await asyncio.to_thread(lambda: anna.end(kept.keep_power_id, why="moved out"))
        assert asked.is_active(scene.clock.now)
        with pytest.raises(SecondPersonError):
            await asyncio.to_thread(lambda: anna.end(kept.keep_power_id, why="really"))
        with pytest.raises(KeepPowerError):
            await scene.place(TRIP)
        await asyncio.to_thread(lambda: boris.end(kept.keep_power_id, why="agreed"))
        assert (await scene.ordered(TRIP)).state is OrderState.DONE


@on_a_loop
async def test_the_meter_itself_is_told_to_keep_power(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock, BusPlan(name="dlt", listen=LISTEN), MODBUS) as scene:
        for number in (0, 1):
            kept = await scene.ordered(OrderKind.KEEP_POWER_ON, number)
            assert kept.state is OrderState.DONE, kept.words
            refused = await scene.ordered(TRIP, number)
            assert refused.state is OrderState.FAILED
            assert scene.lit(number)
            given_up = await scene.ordered(OrderKind.KEEP_POWER_OFF, number)
            assert given_up.state is OrderState.DONE, given_up.words
            assert (await scene.ordered(TRIP, number)).state is OrderState.DONE
