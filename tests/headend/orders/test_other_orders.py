"""Money, clocks, parameters, tariffs, balances: sent once, read back, by whoever may."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from headend.faults import HeadEndError, NotAllowedError
from headend.orders.faults import OrderFormatError, SecondPersonError
from headend.orders.protection import ProtectionDesk
from headend.orders.values import OrderKind, OrderState
from headend.person import Person, Right
from headend.station import Station
from headend.store.readings import latest
from headend.watching.tables import alarms
from simulators.street_plan import BusPlan
from tests.headend.orders.scene import ANNA, BORIS, MONDAY_MORNING, Scene, scene_of
from tests.headend.orders.tap import tapped
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock

MONEY = BusPlan(listen=LISTEN, kind="money", load=100)
MODBUS = BusPlan(listen=LISTEN, protocol="modbus-tcp", load=100)
OLD = BusPlan(name="old", listen=LISTEN, protocol="dlt645-1997", load=100)
CLIENT = "0" * 12


def ahead(scene: Scene, seconds: int) -> None:
    """A clock that is fast."""
    meter = scene.meter()
    meter.advance(scene.held.now())
    meter.set_clock(meter.local + seconds, scene.held.now())


def open_alarms(station: Station) -> list[str]:
    """The kinds of the alarms that are open."""
    with station.reading() as connection:
        return list(connection.scalars(select(alarms.c.kind).where(alarms.c.closed_at.is_(None))))


async def refused(scene: Scene, kind: OrderKind, says: dict[str, Any], match: str) -> None:
    with pytest.raises(OrderFormatError, match=match):
        await scene.place(kind, says=says)


@on_a_loop
async def test_money_goes_into_the_meter_once(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock, MONEY) as scene:
        await asyncio.to_thread(lambda: scene.set_device(0, kind="money"))
        says = {"amount_minor": 700, "client_number": CLIENT}
        paid = await scene.ordered(OrderKind.RECHARGE, says=says)
        assert paid.state is OrderState.DONE, paid.words
        assert scene.meter().account.count == 2
        assert scene.meter().account.total_minor == 5_700
        balance = await scene.ordered(OrderKind.BALANCE)
        assert balance.result is not None
        assert paid.result is not None
        with station.reading() as connection:
            kept = latest(connection, scene.devices[0].device_id, ["amount_left"])
        assert kept["amount_left"].value == balance.result["amount_left"]
        assert balance.result["amount_left"] == paid.result["remaining_minor"]
        other = await scene.ordered(
            OrderKind.RECHARGE, says={**says, "client_number": "000000000042"}
        )
        assert other.state is OrderState.FAILED
        assert scene.meter().account.count == 2


@on_a_loop
async def test_much_money_takes_two_people(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock, MONEY) as scene:
        await asyncio.to_thread(lambda: scene.set_device(0, kind="money"))
        says = {"amount_minor": 100_001, "client_number": CLIENT}
        placed = await scene.place(OrderKind.RECHARGE, says=says)
        assert placed.two_because == "it is a recharge above the limit of one person"
        with pytest.raises(SecondPersonError, match="anna ordered it"):
            await asyncio.to_thread(scene.orders.approve, placed.order_id)
        await asyncio.to_thread(scene.desk(BORIS).approve, placed.order_id)
        await scene.run()
        assert (await scene.order(placed.order_id)).state is OrderState.DONE


@on_a_loop
async def test_a_lost_answer_is_settled_by_the_purchase_count(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock, MONEY) as scene:
        await asyncio.to_thread(lambda: scene.set_device(0, kind="money"))
        tap = await tapped(scene)
        tap.mute_after = "payment"
        says = {"amount_minor": 700, "client_number": CLIENT}
        left = await scene.ordered(OrderKind.RECHARGE, says=says)
        assert left.state is OrderState.UNKNOWN
        assert await asyncio.to_thread(open_alarms, station) == ["order_unknown"]
        tap.mute_after, tap.is_mute = None, False
        await scene.wait(minutes=2)
        await scene.run()
        settled = await scene.order(left.order_id)
        assert settled.state is OrderState.DONE
        assert tap.changes == ["payment"]
        assert await asyncio.to_thread(open_alarms, station) == []
        assert scene.meter().account.count == 2
        history = await asyncio.to_thread(lambda: scene.orders.history(left.order_id))
        told = [event.event for event in history if event.event != "look queued"]
        assert told == ["ordered", "sending", "unknown", "looking", "done"]
        await tap.stop()


@on_a_loop
async def test_a_clock_is_corrected_by_minutes_once_a_day(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock) as scene:
        ahead(scene, 200)
        first = await scene.ordered(OrderKind.SET_CLOCK)
        assert first.state is OrderState.DONE, first.words
        ahead(scene, 30)
        second = await scene.ordered(OrderKind.SET_CLOCK)
        assert second.state is OrderState.CANCELLED
        assert second.words is not None
        assert "today already" in second.words


@on_a_loop
async def test_a_clock_that_is_far_off_takes_a_stronger_order(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        ahead(scene, 4_000)
        weak = await scene.ordered(OrderKind.SET_CLOCK)
        assert weak.state is OrderState.FAILED
        assert weak.words is not None
        assert "two people" in weak.words
        strong = await scene.place(OrderKind.SET_CLOCK, says={"step_max_s": 7_200})
        assert strong.state is OrderState.WAITING_APPROVAL
        await asyncio.to_thread(scene.desk(BORIS).approve, strong.order_id)
        await scene.run()
        set_ = await scene.order(strong.order_id)
        assert set_.state is OrderState.DONE, set_.words
        meter = scene.meter()
        assert abs(meter.local - meter.second - 28_800) <= 5


@on_a_loop
async def test_clocks_are_not_touched_around_midnight(station: Station, clock: Clock) -> None:
    just_before = MONDAY_MORNING.replace(hour=15, minute=58)
    async with scene_of(station, clock, at=just_before) as scene:
        ahead(scene, 100)
        waits = await scene.ordered(OrderKind.SET_CLOCK)
        assert waits.state is OrderState.QUEUED
        await scene.wait(minutes=10)
        await scene.run()
        assert (await scene.order(waits.order_id)).state is OrderState.DONE


@on_a_loop
async def test_a_parameter_is_written_and_read_back(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock) as scene:
        says = {"item": "04001001", "values": ["33.00"]}
        written = await scene.ordered(OrderKind.WRITE_PARAMETER, says=says)
        assert written.state is OrderState.DONE, written.words
        again = await scene.ordered(OrderKind.WRITE_PARAMETER, says=says)
        assert again.words == "Nothing to do: the meter holds it already."
        await refused(
            scene, OrderKind.WRITE_PARAMETER, {"item": "04000C03", "raw": "00000000"}, "password"
        )
        await refused(
            scene,
            OrderKind.WRITE_PARAMETER,
            {"item": "04050101", "values": ["0.5600"]},
            "tariff_table",
        )
        await refused(
            scene, OrderKind.WRITE_PARAMETER, {"item": "04001001", "values": ["x"]}, "04001001"
        )
        await refused(scene, OrderKind.RECHARGE, {}, "holds no money")


@on_a_loop
async def test_a_tariff_takes_two_people_and_stops_at_the_first_item_that_is_not_taken(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock, MONEY) as scene:
        items = [{"item": f"0405010{n}", "values": [f"0.5{n}00"]} for n in (1, 2)]
        placed = await scene.place(OrderKind.TARIFF_TABLE, says={"items": items})
        assert placed.two_because == "it changes the meter's tariff"
        await asyncio.to_thread(scene.desk(BORIS).approve, placed.order_id)
        await scene.run()
        done = await scene.order(placed.order_id)
        assert done.state is OrderState.DONE, done.words
        assert done.result == {"written": 2}


@on_a_loop
async def test_what_is_written_to_a_protected_point_takes_two_people(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        desk = ProtectionDesk(scene.as_(ANNA))
        await asyncio.to_thread(
            lambda: desk.add(
                point=scene.devices[0].number,
                owner="City hospital",
                reason="life support",
                until=scene.clock.now.replace(year=2027),
            )
        )
        says = {"item": "04001001", "values": ["33.00"]}
        placed = await scene.place(OrderKind.WRITE_PARAMETER, says=says)
        assert placed.state is OrderState.WAITING_APPROVAL
        closed = await scene.ordered(OrderKind.RELAY_CLOSE)
        assert closed.state is OrderState.DONE  # light is never held up


@on_a_loop
async def test_what_a_meter_does_not_know_is_refused_at_once(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock, OLD, MODBUS) as scene:
        for kind in (OrderKind.RELAY_TRIP, OrderKind.KEEP_POWER_ON):
            with pytest.raises(OrderFormatError, match="1997"):
                await scene.place(kind, 0)
        for item in ("C010", "C011", "C032", "C331", "C034"):  # clock, number, tariff, unknown
            with pytest.raises(OrderFormatError, match=item):
                await scene.place(OrderKind.WRITE_PARAMETER, 0, says={"item": item, "raw": "00"})
        with pytest.raises(OrderFormatError, match="no recharge"):
            await scene.place(
                OrderKind.RECHARGE, 1, says={"amount_minor": 1, "client_number": CLIENT}
            )
        with pytest.raises(OrderFormatError, match="keep-power"):
            await scene.place(
                OrderKind.WRITE_PARAMETER, 1, says={"item": "relay_protected", "values": ["yes"]}
            )
        clock_set = await scene.ordered(OrderKind.SET_CLOCK, 1)
        assert clock_set.state is OrderState.DONE, clock_set.words


@on_a_loop
async def test_who_may_only_look_orders_nothing(station: Station, clock: Clock) -> None:
    async with scene_of(station, clock) as scene:
        looker = Person("lena", frozenset({Right.LOOK}))
        with pytest.raises(NotAllowedError, match="command"):
            await scene.place(OrderKind.RELAY_CLOSE, by=looker)
        with pytest.raises(HeadEndError):
            await asyncio.to_thread(lambda: scene.desk(looker).cancel(1, why="x"))


@on_a_loop
async def test_an_order_without_a_password_waits_and_says_which_is_missing(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        await asyncio.to_thread(lambda: scene.set_device(0, credential="south"))
        waiting = await scene.ordered(OrderKind.RELAY_CLOSE)
        assert waiting.state is OrderState.QUEUED
        assert waiting.words is not None
        assert "'south'" in waiting.words


@on_a_loop
async def test_a_balance_of_a_silent_meter_is_asked_for_again(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        scene.meter().power_off(scene.held.now())
        silent = await scene.ordered(OrderKind.BALANCE)
        assert silent.state is OrderState.QUEUED
        scene.meter().power_on(scene.held.now())
        await scene.wait(minutes=1)
        await scene.run()
        read = await scene.order(silent.order_id)
        assert read.state is OrderState.DONE
        assert read.result is not None
        assert read.result["credit"] > 0
        assert await asyncio.to_thread(open_alarms, station) == []
