"""kill -9 of the office at every commit: nobody is cut twice, nobody stays dark who has paid."""

from __future__ import annotations

import asyncio

import pytest

from billing.ledger.entry import Entry, EntryKind
from billing.office import Office
from billing.prepaid.cuts import CutState
from tests.billing.prepaid.town import COUNTER, Town, strict, town_of
from tests.billing.prepaid.worker import post_and_die, sweep_and_die
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock

COMMITS = (1, 1.5, 2, 2.5, 3, 3.5)
"""n: before the n-th commit; n and a half: right after it."""


def test_the_office_may_die_at_any_commit(office: Office, clock: Clock, database_url: str) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock, len(COMMITS)) as town:
            strict(town.office)
            killed = set()
            for number, commit in enumerate(COMMITS):
                killed |= await _one_customer(town, database_url, number, commit)
            assert {"announced", "asked", "paid", "dark", "lit"} <= killed

    go()


async def _one_customer(town: Town, url: str, number: int, commit: float) -> set[str]:
    """From below the floor to the light, with a death at each step; gives where it died."""
    account = town.accounts[number]
    killed: set[str] = set()

    async def dying(step: str) -> None:
        if await asyncio.to_thread(sweep_and_die, url, town.scene.clock.now, commit):
            killed.add(step)
        await town.sweep()

    await town.do(town.use, account, 60_00)
    await dying("announced")
    at = await town.do(town.disconnect_at, account)
    assert at is not None
    await town.scene.at(at)
    await dying("asked")
    await town.scene.run()
    await dying("dark")
    assert not town.scene.lit(number)
    entry = Entry(account, EntryKind.PAYMENT, 90_00, COUNTER, f"payment {number}", "paid")
    if await asyncio.to_thread(post_and_die, url, town.scene.clock.now, commit, entry):
        killed.add("paid")
    if town.balance(account) < 0:
        assert commit == 1, "what was committed is there"
        assert town.cuts(account)[0].state is CutState.DARK, "nothing of it was done"
        await town.do(town.post, entry)
    assert town.cuts(account)[0].state is CutState.RECONNECTING
    await town.scene.run()
    await dying("lit")
    assert town.scene.lit(number)
    (cut,) = town.cuts(account)
    assert cut.state is CutState.LIT
    device = town.scene.devices[number].device_id
    sent = [order.kind for order in town.orders() if order.device_id == device]
    assert sent == ["relay_trip", "relay_close"]
    events = town.told(account)
    assert sorted(events) == sorted(set(events)), "each thing was told once"
    return killed


@pytest.mark.parametrize("racers", [4])
def test_offices_at_the_same_time_cut_nobody_twice(
    office: Office, clock: Clock, database_url: str, racers: int
) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock, 3) as town:
            strict(town.office)
            for account in town.accounts:
                await town.do(town.use, account, 60_00)
            await asyncio.gather(*(_sweep(town, database_url) for _ in range(racers)))
            at = town.disconnect_at(town.accounts[0])
            assert at is not None
            await town.scene.at(at)
            await asyncio.gather(*(_sweep(town, database_url) for _ in range(racers)))
            for _ in range(2):
                await town.scene.run()
                await asyncio.gather(*(_sweep(town, database_url) for _ in range(racers)))
            assert [order.kind for order in town.orders()] == ["relay_trip"] * 3
            for account in town.accounts:
                assert [cut.state for cut in town.cuts(account)] == [CutState.DARK]
                assert town.told(account) == ["low_balance", "disconnect_notice", "disconnected"]

    go()


async def _sweep(town: Town, url: str) -> None:
    await asyncio.to_thread(sweep_and_die, url, town.scene.clock.now, None)
