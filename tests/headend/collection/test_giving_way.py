"""Rounds give way to what waits now, not to what waited before they began."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import event

from headend.collection.giving_way import LOOK_S, GivingWay
from headend.station import Station
from headend.work.durable import DurableWork
from headend.work.port import Urgency
from tests.headend.running import on_a_loop
from tests.headend.work.working import job, queue


@pytest.fixture
def work(station: Station) -> DurableWork:
    return DurableWork(station.engine)


@on_a_loop
async def test_a_round_gives_way_to_the_more_urgent_on_its_line(
    station: Station, work: DurableWork
) -> None:
    await asyncio.to_thread(queue, station, work, job(Urgency.ON_DEMAND, line=4))
    giving_way, began = GivingWay(station, work), time.monotonic()
    assert await giving_way.must(4, Urgency.ROUTINE, began)
    assert not await giving_way.must(4, Urgency.ON_DEMAND, began)
    assert not await giving_way.must(5, Urgency.ROUTINE, began)
    work.is_stopping = True
    assert await giving_way.must(5, Urgency.ORDER, began)


@on_a_loop
async def test_what_waited_before_a_round_began_does_not_stop_it(
    station: Station, work: DurableWork
) -> None:
    order = job(Urgency.ORDER, line=4)
    await asyncio.to_thread(queue, station, work, order)
    giving_way = GivingWay(station, work)
    assert await giving_way.must(4, Urgency.ROUTINE, time.monotonic())

    def carried_out() -> None:
        with station.writing() as connection:
            work.cancel(connection, order.key)

    await asyncio.to_thread(carried_out)
    began_after_it = time.monotonic()
    assert not await giving_way.must(4, Urgency.ROUTINE, began_after_it)
    await asyncio.sleep(LOOK_S)
    assert not await giving_way.must(4, Urgency.ROUTINE, began_after_it)


@on_a_loop
async def test_hundreds_of_lines_cost_one_look(station: Station, work: DurableWork) -> None:
    begun: list[object] = []
    event.listen(station.engine, "begin", begun.append)
    giving_way, began = GivingWay(station, work), time.monotonic()
    found = await asyncio.gather(
        *(giving_way.must(line, Urgency.ROUTINE, began) for line in range(300))
    )
    assert not any(found)
    assert len(begun) == 1
