"""The account prepay loop over the wire: balance, warning, disconnect, payment, reconnect."""

from __future__ import annotations

from datetime import timedelta

from billing.office import Office
from billing.prepaid.cuts import CutState
from billing.prepaid.standing import Level
from headend.orders.values import OrderKind, OrderState
from tests.billing.prepaid.town import Town, in_town
from tests.shop.conftest import Clock


def test_req14_the_whole_loop_is_confirmed_by_the_meter(office: Office, clock: Clock) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        assert town.scene.lit()
        await town.do(town.use, account, 35_00)
        assert town.level(account) is Level.WARNED
        assert town.told(account) == ["low_balance"], "in the settlement's own transaction"
        await town.do(town.use, account, 16_00)
        assert town.level(account) is Level.DISCONNECT_DUE
        await town.all()
        assert town.told(account)[1:] == ["disconnect_notice"]
        assert town.scene.lit()
        at = town.disconnect_at(account)
        assert at is not None
        assert at - clock.now >= timedelta(hours=24)
        await town.scene.at(at)
        await town.all()
        assert not town.scene.lit()
        (cut,) = town.cuts(account)
        assert cut.state is CutState.DARK
        assert town.told(account)[2:] == ["disconnected"]
        await town.scene.wait(days=2)
        await town.do(town.pay, account, 1_00)
        (cut,) = town.cuts(account)
        assert cut.state is CutState.RECONNECTING, "asked in the payment's own transaction"
        await town.all()
        assert town.scene.lit()
        (cut,) = town.cuts(account)
        assert cut.state is CutState.LIT
        assert town.told(account)[3:] == ["reconnected"]
        assert town.history(cut) == ["ordered", "dark", "reconnecting", "lit"]
        assert [order.kind for order in town.orders()] == [
            OrderKind.RELAY_TRIP,
            OrderKind.RELAY_CLOSE,
        ]
        assert {order.state for order in town.orders()} == {OrderState.DONE}

    go()
