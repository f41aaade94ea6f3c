"""Whoever moves in where somebody was cut has light, and is not cut for the other (22)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from billing.accounts.tables import supplies
from billing.office import Office
from billing.prepaid.cuts import CutState
from tests.billing.made import make_account, make_supply
from tests.billing.prepaid.town import Town, strict, town_of
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock


@pytest.mark.parametrize("was", [CutState.ORDERED, CutState.DARK])
def test_req22_who_moves_in_is_not_cut_for_who_moved_out(
    office: Office, clock: Clock, was: CutState
) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock) as town:
            strict(town.office)
            (old,) = town.accounts
            await town.cut_to(old, was)
            assert town.cuts(old)[0].state is was
            new = await town.do(_hand_over, town)
            await town.do(town.pay, new, 80_00, "payment 9")
            await town.scene.wait(minutes=1)
            for _ in range(3):
                await town.all()
            assert town.scene.lit()
            assert town.cuts(old)[0].ended_at is not None
            assert town.sent("relay_trip") == int(was is CutState.DARK)

    go()


def test_req22_an_empty_flat_stays_dark_until_somebody_moves_in(
    office: Office, clock: Clock
) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock) as town:
            strict(town.office)
            (old,) = town.accounts
            await town.cut_to(old, CutState.DARK)
            await town.do(_end, town)
            await town.scene.wait(days=2)
            for _ in range(3):
                await town.all()
            assert not town.scene.lit()
            await town.do(_move_in, town)
            for _ in range(3):
                await town.all()
            assert town.scene.lit()

    go()


def _hand_over(town: Town) -> int:
    _end(town)
    return _move_in(town)


def _end(town: Town) -> None:
    """The customer leaves the first flat and keeps another, which has no line."""
    with town.office.writing() as connection:
        connection.execute(update(supplies).values(until=town.office.now() + timedelta(seconds=30)))
        make_supply(connection, town.office, town.accounts[0])


def _move_in(town: Town) -> int:
    with town.office.writing() as connection:
        account_id = make_account(connection, town.office, mode="prepaid")
        point_id, until = connection.execute(
            select(supplies.c.point_id, supplies.c.until).order_by(supplies.c.supply_id).limit(1)
        ).one()
        connection.execute(
            insert(supplies).values(account_id=account_id, point_id=point_id, since=until)
        )
    return account_id
