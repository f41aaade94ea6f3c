"""Orders of unknown outcome: the alarm of a meter, and looks that come to no meter."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import select

from headend.orders.sweeping import sweep
from headend.orders.values import Order, OrderKind, OrderState
from headend.station import Station
from headend.talk.ordering import OrderOutcome, Talk
from headend.watching.tables import alarms
from protocols.outcomes import Outcome
from tests.headend.orders.scene import Scene, scene_of
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock


@on_a_loop
async def test_the_alarm_stays_while_another_order_of_the_meter_is_unknown(
    station: Station, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene_of(station, clock) as scene:
        first = await lost(scene, monkeypatch, OrderKind.RELAY_TRIP)
        second = await lost(scene, monkeypatch, OrderKind.KEEP_POWER_ON)
        for order, stays in ((first, True), (second, False)):
            await asyncio.to_thread(scene.orders.look_again, order.order_id)
            await scene.run_queued()
            assert (await scene.order(order.order_id)).state is not OrderState.UNKNOWN
            assert await asyncio.to_thread(is_open, scene) is stays


@on_a_loop
async def test_looks_that_come_to_no_meter_end_after_a_day_with_one_line_of_history(
    station: Station, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene_of(station, clock) as scene:
        order = await lost(scene, monkeypatch, OrderKind.RELAY_TRIP)
        for _ in range(4 * 26):  # the line's modem is away: the jobs wait for it
            await scene.wait(minutes=15)
            await asyncio.to_thread(sweep, scene.station, scene.work)
        left = await scene.order(order.order_id)
        assert (left.state, left.due_at) == (OrderState.UNKNOWN, None)
        assert left.words is not None
        assert f"order settle {order.order_id}" in left.words
        events = await asyncio.to_thread(scene.orders.history, order.order_id)
        assert [event.event for event in events][-3:] == ["unknown", "look queued", "left"]
        await scene.run()  # the modem calls in: the last look waited for it
        assert (await scene.order(order.order_id)).state is OrderState.DONE


async def lost(scene: Scene, monkeypatch: pytest.MonkeyPatch, kind: OrderKind) -> Order:
    """An order that is carried out, and whose answer is lost."""
    send = Talk.send

    async def unheard(talk: Talk, evidence: Mapping[str, Any]) -> OrderOutcome:
        await send(talk, evidence)
        return OrderOutcome(outcome=Outcome.UNKNOWN, words="Lost.", was_sent=True)

    with monkeypatch.context() as patched:
        patched.setattr(Talk, "send", unheard)
        return await scene.ordered(kind)


def is_open(scene: Scene) -> bool:
    """Whether the meter's alarm is open."""
    with scene.station.reading() as connection:
        found = connection.scalar(
            select(alarms.c.alarm_id).where(
                alarms.c.kind == "order_unknown", alarms.c.closed_at.is_(None)
            )
        )
    return found is not None
