"""The operator's module for money meters is an entry point of an installed package."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from commands.order.purchases import VARIABLE, purchase_module
from commands.order.wiring import order_handlers
from headend.orders.faults import PurchaseModuleError
from headend.orders.sweeping import sweep
from headend.orders.values import Order, OrderKind, OrderState
from headend.station import Station
from simulators.street_plan import BusPlan
from tests.headend.orders.scene import Scene, scene_of
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock

MONEY = BusPlan(listen=LISTEN, kind="money", load=100)
SAYS = {"amount_minor": 700, "client_number": "0" * 12}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with two modules: one that opens, and one that does not."""
    (tmp_path / "our_purchases.py").write_text(
        "from tests.headend.orders.scene import TestModule as open_module\n"
        "def broken():\n"
        "    raise OSError('secret of the box')\n"
    )
    metadata = tmp_path / "our_purchases-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: our-purchases\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[meterhouse.purchase_modules]\n"
        "ours = our_purchases:open_module\n"
        "broken = our_purchases:broken\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


async def recharged(scene: Scene) -> Order:
    """A recharge as the service carries it out."""
    await asyncio.to_thread(lambda: scene.set_device(0, kind="money"))
    placed = await scene.place(OrderKind.RECHARGE, says=SAYS)
    handlers = order_handlers(scene.station, scene.lines, scene.work, scene.credentials)
    await asyncio.to_thread(sweep, scene.station, scene.work)
    await scene.work.run(handlers)
    return await scene.order(placed.order_id)


@on_a_loop
async def _carried_out(station: Station, clock: Clock, state: OrderState, words: str) -> None:
    async with scene_of(station, clock, MONEY) as scene:
        before = scene.meter().account.count
        order = await recharged(scene)
        assert order.state is state, order.words
        assert words in (order.words or "")
        assert scene.meter().account.count - before == int(state is OrderState.DONE)


@pytest.mark.usefixtures("package")
def test_the_service_recharges_with_the_module_that_is_named(
    station: Station, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "ours")
    _carried_out(station, clock, OrderState.DONE, "")


def test_without_a_module_a_recharge_fails_and_says_how_to_name_one(
    station: Station, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    _carried_out(station, clock, OrderState.FAILED, VARIABLE)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(("name", "says"), [("theirs", "broken, ours"), ("broken", "OSError")])
def test_a_module_that_is_not_there_or_does_not_open_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.setenv(VARIABLE, name)
    with pytest.raises(PurchaseModuleError, match=says) as refused:
        purchase_module()
    assert refused.value.code == "purchase_module"
    assert "secret of the box" not in str(refused.value)
