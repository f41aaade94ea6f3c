"""kill -9 of a worker at every step of an order: nothing is sent twice, nothing stays unsettled.

The steps are the frames on the wire (before the meter has one; after the meter has answered it) and
the commits (before; right after).  The worker is killed at each of them, each time with an order to
another meter, and another worker goes on.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

import headend.talk.ordering_relay
from headend.orders.values import Order, OrderKind, OrderState
from headend.station import Station
from headend.talk.ordering_token import fingerprint_of
from simulators.contact import Order as Ordered
from simulators.metering.smart_meter import SmartMeter
from simulators.street_plan import BusPlan
from tests.headend.orders.scene import Scene, scene_of
from tests.headend.orders.tap import Tap, tapped
from tests.headend.orders.worker import carry
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock
from vending.sts import Service, TransferCredit, encode

_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.headend.orders.worker"])
_COMMITS: Final = 3
_METERS: Final = 40
_ON_BOTH: Final = ("trip", "modbus-token", "recharge")


@dataclass(frozen=True)
class Case:
    """One kind of order, and how its meter shows that it was carried out."""

    kind: OrderKind
    change: str
    """What the tap calls the one frame that matters."""
    was_done: Callable[[SmartMeter], bool]
    says: Callable[[Scene, SmartMeter], dict[str, Any]] = lambda _scene, _meter: {}
    before: Callable[[Scene, SmartMeter], None] = lambda _scene, _meter: None
    bus: dict[str, Any] = field(default_factory=dict)
    device_kind: str = "keypad"


def _token(scene: Scene, meter: SmartMeter) -> dict[str, Any]:
    content = TransferCredit(Service.ELECTRICITY, 5, 6_000_000, 100)
    digits = encode(content, meter.keypad.state.cipher())
    scene.tokens.known[meter.address] = digits
    return {"token": meter.address, "fingerprint": fingerprint_of(digits)}


def _fast_clock(scene: Scene, meter: SmartMeter) -> None:
    meter.advance(scene.held.now())
    meter.set_clock(meter.local + 100, scene.held.now())


_MODBUS: Final = {"protocol": "modbus-tcp"}
_MONEY: Final = {"kind": "money"}
CASES: Final = {
    "trip": Case(
        OrderKind.RELAY_TRIP,
        "relay",
        lambda meter: meter.flow.supply.remote.order is Ordered.OPEN,
    ),
    "modbus-trip": Case(
        OrderKind.RELAY_TRIP,
        "write",
        lambda meter: meter.flow.supply.remote.order is Ordered.OPEN,
        bus=_MODBUS,
    ),
    "token": Case(OrderKind.TOKEN, "write", lambda meter: meter.tokens_accepted == 1, _token),
    "modbus-token": Case(
        OrderKind.TOKEN, "write", lambda meter: meter.tokens_accepted == 1, _token, bus=_MODBUS
    ),
    "recharge": Case(
        OrderKind.RECHARGE,
        "payment",
        lambda meter: meter.account.count == 2,
        lambda _scene, _meter: {"amount_minor": 700, "client_number": "0" * 12},
        bus=_MONEY,
        device_kind="money",
    ),
    "clock": Case(
        OrderKind.SET_CLOCK,
        "clock",
        lambda meter: abs(meter.local - meter.second - 28_800) < 50,
        before=_fast_clock,
    ),
    "parameter": Case(
        OrderKind.WRITE_PARAMETER,
        "write",
        lambda meter: meter.parameters.number(0x04001001, 0) == 3_300,
        lambda _scene, _meter: {"item": "04001001", "values": ["33.00"]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_order_survives_the_death_of_its_worker(
    station: Station, clock: Clock, name: str, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    if database_url.startswith("postgresql") and name not in _ON_BOTH:
        pytest.skip("the same steps as the others; a minute saved")
    monkeypatch.setattr(headend.talk.ordering_relay, "LOOK_SETTLE_S", 0.0)
    case = CASES[name]
    plan = BusPlan(listen=LISTEN, meters=_METERS, load=100, **case.bus)

    @on_a_loop
    async def go() -> None:
        async with scene_of(station, clock, plan) as scene:
            await _kill_everywhere(scene, case, database_url)

    go()


async def _kill_everywhere(scene: Scene, case: Case, url: str) -> None:
    tap = await tapped(scene)
    await asyncio.to_thread(scene.set_all, kind=case.device_kind)
    for number, commit in enumerate(step / 2 + 1 for step in range(2 * _COMMITS)):
        killed = await _killed_and_gone_on(scene, case, tap, url, number, die_at_commit=commit)
        assert killed, f"there is no commit {commit}"
    wire_step = 0
    while True:
        number = 2 * _COMMITS + wire_step
        if not await _killed_and_gone_on(scene, case, tap, url, number, wire_step=wire_step):
            break
        wire_step += 1
    assert wire_step >= 4, "there is a frame before and one that matters"
    await tap.stop()


async def _killed_and_gone_on(
    scene: Scene,
    case: Case,
    tap: Tap,
    url: str,
    number: int,
    *,
    die_at_commit: float | None = None,
    wire_step: int | None = None,
) -> bool:
    """Kill a worker at a step of an order to a meter of its own; tells whether it lived to it."""
    meter = scene.meter(number)
    case.before(scene, meter)
    placed = await scene.place(case.kind, number, says=case.says(scene, meter))
    tap.changes.clear()
    tap.requests = 0
    process = _FORKS.Process(
        target=carry,
        args=(url, placed.order_id, scene.clock.now, scene.tokens.known, die_at_commit),
    )
    _set_trap(tap, process, wire_step)
    await asyncio.to_thread(process.start)
    await asyncio.to_thread(process.join)
    killed = process.exitcode == -signal.SIGKILL
    assert killed or process.exitcode == 0
    _set_trap(tap, process, None)
    left = await scene.order(placed.order_id)
    had_it = case.was_done(_now(scene, meter))
    await scene.wait(minutes=3)
    await scene.run()
    _check(case, meter, left, had_it, await scene.order(placed.order_id), tap, killed)
    return killed


def _set_trap(tap: Tap, process: Any, wire_step: int | None) -> None:
    """Kill at the n-th request when it comes (even steps), or when it is answered (odd)."""

    def shoot(at: int, drops: bool) -> Callable[[int], None]:
        def act(number: int) -> None:
            if number == at and process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)
                if drops:
                    raise ConnectionResetError

        return act

    nothing = shoot(-1, drops=False)
    tap.at_request = tap.at_answer = nothing
    if wire_step is None:
        return
    at = wire_step // 2 + 1
    if wire_step % 2 == 0:
        tap.at_request = shoot(at, drops=True)
    else:
        tap.at_answer = shoot(at, drops=False)


def _check(
    case: Case,
    meter: SmartMeter,
    left: Order,
    had_it: bool,
    order: Order,
    tap: Tap,
    killed: bool,
) -> None:
    times = tap.changes.count(case.change)
    story = f"killed: {killed}, left {left.state}, then {order.state}: {order.words}; sent {times}"
    assert times <= 1, story
    if left.state is OrderState.QUEUED:
        assert not had_it, story  # nothing is sent before it is marked
        assert order.state is OrderState.DONE, story
    else:
        assert order.state is (OrderState.DONE if had_it else OrderState.FAILED), story
    assert case.was_done(meter) == (order.state is OrderState.DONE), story


def _now(scene: Scene, meter: SmartMeter) -> SmartMeter:
    meter.advance(scene.held.now())
    return meter
