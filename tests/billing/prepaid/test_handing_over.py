"""A service point changes hands while it is off: its light follows who has it now (21, 22)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from billing.accounts.tables import supplies
from billing.office import Office
from billing.prepaid.cuts import CutState
from headend.registry.tables import installations
from tests.billing.made import make_account
from tests.billing.prepaid.town import Town, strict, town_of
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock


@pytest.mark.parametrize("was", [CutState.ORDERED, CutState.DARK])
def test_req21_of_two_that_are_off_the_one_that_is_handed_over_has_light(
    office: Office, clock: Clock, was: CutState
) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock, 2) as town:
            strict(town.office)
            old, other = town.accounts
            await town.scene.wait(minutes=1)
            await town.do(_hand_over, town, 1, other, old)
            await town.cut_to(old, was)
            assert town.cuts(old)[0].state is was
            new = await town.do(_somebody, town)
            await town.do(_hand_over, town, 0, old, new)
            await town.do(town.pay, new, 80_00, "payment 9")
            for _ in range(3):
                await town.scene.wait(minutes=1)
                await town.all()
            assert (town.scene.lit(0), town.scene.lit(1)) == (True, False)
            assert town.cuts(old)[0].state is CutState.DARK
            assert town.sent("relay_trip") == (2 if was is CutState.DARK else 1)
            await town.do(town.pay, old, 90_00)
            await town.all()
            assert town.scene.lit(1)
            assert town.cuts(old)[0].state is CutState.LIT
            assert town.told(old).count("reconnected") == 1

    go()


def test_req21_a_late_light_of_who_moved_out_does_not_meet_who_has_not_paid(
    office: Office, clock: Clock
) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock) as town:
            strict(town.office)
            (old,) = town.accounts
            await town.until_cut(old, 60_00)
            town.scene.set_device(0, state="suspended")
            new = await town.do(_somebody, town)
            await town.do(_hand_over, town, 0, old, new)
            await town.do(town.pay, new, 80_00, "payment 9")
            await town.all()
            assert not town.scene.lit(), "its meter takes no orders"
            await town.do(town.use, new, 100_00)
            await town.sweep()
            for _ in range(4):  # nobody looks in between: the office was closed
                at = town.disconnect_at(new) or clock.now + timedelta(hours=25)
                await town.scene.at(max(at, clock.now + timedelta(minutes=1)))
                town.scene.set_device(0, state="active")
                await town.all()
            for _ in range(12):
                await town.scene.wait(minutes=30)
                await town.all()
            assert town.cuts(new)[0].state is CutState.DARK
            assert not town.scene.lit(), "who has not paid has no light"
            assert town.cuts(old)[0].ended_at is not None

    go()


def test_req21_who_is_cut_himself_has_no_light_from_a_point_that_he_takes_over(
    office: Office, clock: Clock
) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock, 2) as town:
            strict(town.office)
            old, new = town.accounts
            await town.do(town.use, new, 60_00)
            await town.until_cut(old, 60_00)
            assert [town.scene.lit(each) for each in (0, 1)] == [False, False]
            await town.do(_hand_over, town, 0, old, new)
            for _ in range(3):
                await town.scene.wait(minutes=1)
                await town.all()
            assert [town.scene.lit(each) for each in (0, 1)] == [False, False]
            await town.do(town.pay, new, 90_00)
            for _ in range(3):
                await town.all()
            assert [town.scene.lit(each) for each in (0, 1)] == [True, True]
            assert town.cuts(old)[0].ended_at is not None
            assert {each.state for each in town.cuts(new)} == {CutState.LIT}

    go()


def _somebody(town: Town) -> int:
    with town.office.writing() as connection:
        return make_account(connection, town.office, mode="prepaid")


def _hand_over(town: Town, meter: int, old: int, new: int) -> None:
    """The point of a meter goes from one account to another, now."""
    now = town.office.now()
    device_id = town.scene.devices[meter].device_id
    with town.office.writing() as connection:
        point_id = connection.scalar(
            select(installations.c.point_id).where(installations.c.device_id == device_id)
        )
        ended = connection.execute(
            update(supplies)
            .where(
                supplies.c.point_id == point_id,
                supplies.c.account_id == old,
                supplies.c.until.is_(None),
            )
            .values(until=now)
        )
        assert ended.rowcount == 1
        connection.execute(insert(supplies).values(account_id=new, point_id=point_id, since=now))
