"""Budgets of networks hold under several workers, and a dead worker's permits come back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, insert, select, update

from headend.collection.job import handler
from headend.collection.permits import PERMIT_S, Permits
from headend.collection.sweep import sweep
from headend.collection.tables import link_permits, network_seconds
from headend.registry.tables import links, networks
from headend.station import Station
from headend.talk.faults import LineBudgetError
from headend.talk.lines import Lines
from headend.talk.reading import read_device
from simulators.street_plan import BusPlan
from tests.headend.collection.collecting import HOURLY, head_end
from tests.headend.registered import add_line
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN, register, street_beside
from tests.shop.conftest import Clock


def add_network(station: Station, *, per_s: int, open_max: int) -> int:
    with station.writing() as connection:
        made: int = connection.execute(
            insert(networks)
            .values(name="radio", connects_per_s_max=per_s, open_links_max=open_max)
            .returning(networks.c.network_id)
        ).scalar_one()
    return made


def join_network(station: Station, network_id: int) -> None:
    with station.writing() as connection:
        connection.execute(update(links).values(network_id=network_id))


def lines_of_network(station: Station, count: int, *, per_s: int, open_max: int) -> list[int]:
    network_id = add_network(station, per_s=per_s, open_max=open_max)
    ids = [
        add_line(station, f"tcp://127.0.0.1:{number}", name=f"line {number}")
        for number in range(1, count + 1)
    ]
    join_network(station, network_id)
    return ids


async def try_all(permits: list[Permits], link_ids: list[int]) -> int:
    """How many of the links were allowed, asked for by several workers at once."""
    asked = [permits[n % len(permits)].connecting(link_id) for n, link_id in enumerate(link_ids)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(answer is None or isinstance(answer, LineBudgetError) for answer in answers)
    return answers.count(None)


@on_a_loop
async def test_two_workers_together_open_no_more_links_than_allowed(station: Station) -> None:
    ids = lines_of_network(station, 12, per_s=100, open_max=5)
    workers = [Permits(station, name, wait_s=0) for name in ("one", "two")]
    assert await try_all(workers, ids) == 5
    await workers[0].aclose()
    with station.reading() as connection:
        left = connection.execute(select(func.count()).select_from(link_permits)).scalar_one()
    assert left < 5
    assert await try_all(workers[1:], ids) >= 5 - left
    for worker in workers:
        await worker.aclose()


@on_a_loop
async def test_connections_are_spread_over_seconds(station: Station) -> None:
    ids = lines_of_network(station, 6, per_s=2, open_max=100)
    workers = [Permits(station, name, clock=lambda: datetime.now(UTC)) for name in ("a", "b")]
    began = asyncio.get_running_loop().time()
    assert await try_all(workers, ids) == 6
    assert asyncio.get_running_loop().time() - began >= 1
    with station.reading() as connection:
        made = connection.execute(select(network_seconds.c.connects)).scalars().all()
    assert sum(made) == 6
    assert max(made) <= 2
    for worker in workers:
        await worker.aclose()


@on_a_loop
async def test_a_dead_workers_permit_expires(station: Station, clock: Clock) -> None:
    ids = lines_of_network(station, 2, per_s=100, open_max=1)
    dead, living = Permits(station, "dead", wait_s=0), Permits(station, "living", wait_s=0)
    await dead.connecting(ids[0])
    with pytest.raises(LineBudgetError, match="all that it may"):
        await living.connecting(ids[1])
    clock.advance(seconds=PERMIT_S + 1)
    await living.connecting(ids[1])
    await living.aclose()
    dead._prolonging.cancel() if dead._prolonging else None


@on_a_loop
async def test_a_link_of_no_network_needs_no_permit(station: Station) -> None:
    link_id = add_line(station, "tcp://127.0.0.1:1")
    permits = Permits(station, "one", wait_s=0)
    await permits.connecting(link_id)
    with station.reading() as connection:
        assert connection.execute(select(link_permits)).first() is None
    await permits.aclose()


@on_a_loop
async def test_a_line_holds_its_permit_as_long_as_it_is_open(station: Station) -> None:
    buses = (BusPlan(name="a", listen=LISTEN), BusPlan(name="b", listen=LISTEN))
    street, _ = street_beside(station, *buses)
    async with street:
        devices = await asyncio.to_thread(register, station, street)
        join_network(station, add_network(station, per_s=10, open_max=1))
        permits = Permits(station, "one", wait_s=0)
        lines = Lines(station, permits)
        first = await read_device(lines, devices[0], ["energy_import_total"])
        second = await read_device(lines, devices[1], ["energy_import_total"])
        assert not first.faults
        assert isinstance(second.silence, LineBudgetError)
        await lines.aclose()
        again = Lines(station, permits)
        assert not (await read_device(again, devices[1], ["energy_import_total"])).faults
        await again.aclose()
        await permits.aclose()


@on_a_loop
async def test_more_links_than_may_be_open_are_read_one_after_the_other(
    station: Station, clock: Clock
) -> None:
    """A job gives its line's permit back when it is done, not a minute later."""
    buses = tuple(BusPlan(name=f"bus {n}", listen=LISTEN, meters=2) for n in range(4))
    async with head_end(station, clock, *buses) as head:
        join_network(station, add_network(station, per_s=100, open_max=1))
        permits = Permits(station, "one", wait_s=0)
        lines = Lines(station, permits)
        head.collection.add_plan("hourly", HOURLY)
        head.wait(minutes=30)
        await asyncio.to_thread(sweep, station, head.work)
        await head.work.run({"round": handler(station, lines, head.work)})
        assert head.counts(1) == {"read": 8}
        assert lines.open == ()
        await lines.aclose()
