"""Somebody else's order to switch on begins to be sent in the very moment of asking (21)."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from billing.office import Office
from billing.prepaid.cuts import CutState
from headend.orders.faults import OrderWaitingError
from headend.orders.placing import place
from headend.orders.values import RECONNECTS, Order, OrderRequest
from headend.station import Station
from headend.work.port import Work
from tests.billing.prepaid.town import Town, in_town
from tests.shop.conftest import Clock


def test_req21_light_is_asked_again_when_the_order_in_the_way_has_gone(
    office: Office, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[int] = []

    def placing(
        connection: Connection, station: Station, work: Work | None, request: OrderRequest
    ) -> Order:
        if request.kind in RECONNECTS and not met:
            met.append(request.device_id)
            raise OrderWaitingError("Order 7 for the same is queued already.")
        return place(connection, station, work, request)

    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        await town.until_cut(account, 60_00)
        monkeypatch.setattr("billing.prepaid.disconnecting.place", placing)
        await town.do(town.pay, account, 90_00)
        (cut,) = town.cuts(account)
        assert (cut.state, len(met)) == (CutState.RECONNECTING, 1)
        assert cut.look_at is not None
        await town.scene.at(cut.look_at)
        await town.all()
        assert town.scene.lit()
        assert town.cuts(account)[0].state is CutState.LIT

    go()
