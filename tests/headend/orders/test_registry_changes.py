"""The registry changes while an order is under way: another meter is neither ordered nor read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from headend.orders.values import OrderKind, OrderState
from headend.registry.desk import Registry
from headend.registry.entries import NewDevice, NewLink
from headend.station import Station
from headend.talk.ordering import OrderOutcome, Ready, Talk
from protocols.outcomes import Outcome
from simulators.street_plan import BusPlan
from tests.headend.orders.scene import ANNA, Scene, scene_of
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock

TRIP = OrderKind.RELAY_TRIP
TWO = BusPlan(listen=LISTEN, meters=2, load=100)
MODBUS = BusPlan(listen=LISTEN, protocol="modbus-tcp", load=100)


def swap(scene: Scene) -> None:
    """Two meters stand in the registry with each other's address; somebody corrects that."""
    first, second = (scene.devices[number].address for number in (0, 1))
    scene.set_device(0, address="000000099999")
    scene.set_device(1, address=first)
    scene.set_device(0, address=second)


@on_a_loop
async def test_what_was_prepared_for_one_meter_is_not_sent_to_another(
    station: Station, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = Talk.prepare

    async def corrected_meanwhile(talk: Talk) -> Ready | OrderOutcome:
        prepared = await prepare(talk)
        monkeypatch.setattr(Talk, "prepare", prepare)
        await asyncio.to_thread(swap, scene)
        return prepared

    async with scene_of(station, clock, TWO) as scene:
        monkeypatch.setattr(Talk, "prepare", corrected_meanwhile)
        held = await scene.ordered(TRIP)
        assert (held.state, scene.lit(0), scene.lit(1)) == (OrderState.QUEUED, True, True)
        assert held.words is not None
        assert "another address" in held.words
        await scene.wait(minutes=1)
        await scene.run()
        done = await scene.order(held.order_id)
        assert (done.state, scene.lit(0), scene.lit(1)) == (OrderState.DONE, True, False)


@on_a_loop
async def test_a_look_does_not_ask_the_meter_that_has_the_address_now(
    station: Station, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene_of(station, clock, TWO) as scene:
        unknown = await lost(scene, monkeypatch)
        await asyncio.to_thread(swap, scene)
        await scene.wait(minutes=2)
        await scene.run()
        still = await scene.order(unknown)
        assert still.state is OrderState.UNKNOWN
        assert still.words is not None
        assert "another address" in still.words
        await asyncio.to_thread(swap_back, scene)
        await scene.wait(minutes=10)
        await scene.run()
        assert (await scene.order(unknown)).state is OrderState.DONE


@on_a_loop
async def test_a_look_does_not_ask_the_meter_that_hangs_in_the_place_of_a_removed_one(
    station: Station, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene_of(station, clock, MODBUS) as scene:
        unknown = await lost(scene, monkeypatch)
        old = scene.devices[0]
        new = NewDevice(number="999", protocol="modbus", address=old.address, profile=old.profile)
        registry = Registry(scene.as_(ANNA))
        await asyncio.to_thread(lambda: registry.replace_device(old.number, new, reason="broken"))
        await scene.wait(minutes=2)
        await scene.run()
        still = await scene.order(unknown)
        assert still.state is OrderState.UNKNOWN
        assert still.words is not None
        assert "was removed" in still.words


@on_a_loop
async def test_an_order_goes_to_the_line_that_its_meter_has_gone_to(
    station: Station, clock: Clock
) -> None:
    async with scene_of(station, clock) as scene:
        placed = await scene.place(TRIP)
        registry = Registry(scene.as_(ANNA))
        number = scene.devices[0].number
        await asyncio.to_thread(registry.add_link, NewLink("other", url="tcp://127.0.0.1:9"))
        await asyncio.to_thread(lambda: registry.change_device(number, link="other"))
        job = scene.work.waiting[0]
        await scene.run()
        moved = await scene.order(placed.order_id)
        assert moved.state is OrderState.QUEUED  # nobody answers there
        assert moved.job_key != job.key
        events = await asyncio.to_thread(scene.orders.history, placed.order_id)
        assert "line changed" in [event.event for event in events]
        assert scene.lit()


async def lost(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> int:
    """A trip that is carried out, and whose answer is lost; its number."""
    send = Talk.send

    async def unheard(talk: Talk, evidence: Mapping[str, Any]) -> OrderOutcome:
        await send(talk, evidence)
        return OrderOutcome(outcome=Outcome.UNKNOWN, words="Lost.", was_sent=True)

    with monkeypatch.context() as patched:
        patched.setattr(Talk, "send", unheard)
        unknown = await scene.ordered(TRIP)
    assert (unknown.state, scene.lit()) == (OrderState.UNKNOWN, False)
    return unknown.order_id


def swap_back(scene: Scene) -> None:
    """As it was."""
    first, second = (scene.devices[number].address for number in (0, 1))
    scene.set_device(0, address="000000099999")
    scene.set_device(1, address=second)
    scene.set_device(0, address=first)
