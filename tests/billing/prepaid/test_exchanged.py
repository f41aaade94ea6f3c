"""A meter that is exchanged while it is off: the new one is cut too, if nobody pays (21)."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from billing.accounts.tables import supplies
from billing.office import Office
from billing.prepaid.cuts import CutState
from headend.registry.tables import installations
from tests.billing.prepaid.town import Town, strict, town_of
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock


def test_req21_who_still_owes_is_cut_by_the_new_meter(office: Office, clock: Clock) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock, 2) as town:
            strict(town.office)
            account, _ = town.accounts
            await town.until_cut(account, 60_00)
            await town.do(_exchange, town)
            await town.all()
            await town.all()
            assert town.cuts(account)[0].state is CutState.LIT
            for _ in range(3):
                await town.scene.wait(hours=24)
                await town.all()
            new, old = town.cuts(account)
            assert (new.state, old.state) == (CutState.DARK, CutState.LIT)
            cut_by = [each.device_id for each in town.orders() if each.kind.value == "relay_trip"]
            assert cut_by == [each.device_id for each in town.scene.devices]
            assert town.told(account)[-1] == "disconnected"
            await town.do(town.pay, account, 90_00)
            await town.all()
            assert town.cuts(account)[0].state is CutState.LIT

    go()


def _exchange(town: Town) -> None:
    """The second meter comes to the first one's point."""
    first, second = town.scene.devices
    now = town.office.now()
    with town.office.writing() as connection:
        point_id = connection.scalar(
            select(installations.c.point_id).where(installations.c.device_id == first.device_id)
        )
        connection.execute(update(installations).values(until=now, last_wh=0))
        connection.execute(
            update(supplies).where(supplies.c.account_id == town.accounts[1]).values(until=now)
        )
        connection.execute(
            insert(installations).values(
                point_id=point_id,
                device_id=second.device_id,
                since=now,
                first_wh=0,
                reason="exchanged",
                made_by="test",
            )
        )
