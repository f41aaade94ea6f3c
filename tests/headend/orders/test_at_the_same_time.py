"""PostgreSQL: what two people do at the same moment; on SQLite one writes after the other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from headend.orders.credentials import Credentials
from headend.orders.desk import Orders
from headend.orders.emergency import EmergencyDesk
from headend.orders.job import Carrier
from headend.orders.policy import set_policy
from headend.orders.ports import NoTokens
from headend.orders.protection import ProtectionDesk
from headend.orders.values import Order, OrderKind, OrderRequest, OrderState
from headend.registry.desk import Registry
from headend.station import Station
from headend.talk.device import load_device
from headend.talk.lines import Lines
from headend.talk.ordering import Ready
from tests.headend.orders.scene import ANNA, BORIS, MONDAY_MORNING
from tests.headend.registered import add_device, add_line
from tests.shop.conftest import Clock

TRIP, CLOSE = OrderKind.RELAY_TRIP, OrderKind.RELAY_CLOSE
_WAITS_S = 0.7
"""Long enough for whoever need not wait to be done."""


@pytest.fixture
def anna(station: Station, clock: Clock) -> Station:
    """A head-end on PostgreSQL on a Monday morning."""
    if station.engine.dialect.name == "sqlite":
        pytest.skip("a write transaction is alone there")
    clock.now = MONDAY_MORNING
    return replace(station, person=ANNA)


class Meanwhile:
    """Somebody else does something, and may have to wait for us."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._others = ThreadPoolExecutor(1)
        self._came = self._others.submit(act)
        wait([self._came], _WAITS_S)

    @property
    def has_ended(self) -> bool:
        """Whether it need not wait."""
        return self._came.done()

    def result(self) -> Any:
        """What came of it."""
        with self._others:
            return self._came.result()


def request(kind: OrderKind, device_id: int, **given: Any) -> OrderRequest:
    """An order."""
    return OrderRequest(
        client="t", message_id=f"{kind} {device_id}", kind=kind, device_id=device_id, why="w",
        **given,
    )  # fmt: skip


def test_a_reconnect_waits_for_a_trip_that_is_just_being_ordered(anna: Station) -> None:
    device_id = add_device(anna, "1", add_line(anna, "tcp://127.0.0.1:9"), kind="credit")
    with anna.writing() as connection:
        trip = Orders(anna).place_in(connection, request(TRIP, device_id))
        other = Meanwhile(lambda: Orders(anna).place(request(CLOSE, device_id)))
    close = other.result()
    assert isinstance(close, Order), close
    assert close.supersedes == trip.order_id


def test_disconnects_that_are_ordered_at_the_same_time_are_counted(anna: Station) -> None:
    line = add_line(anna, "tcp://127.0.0.1:9")
    ids = [add_device(anna, number, line, kind="credit") for number in ("1", "2")]
    set_policy(anna, {"trips_at_once_max": 1})
    with anna.writing() as connection:
        first = Orders(anna).place_in(connection, request(TRIP, ids[0]))
        other = Meanwhile(lambda: Orders(anna).place(request(TRIP, ids[1])))
    assert first.state is OrderState.QUEUED
    assert other.result().state is OrderState.WAITING_APPROVAL


@pytest.mark.parametrize("what", ["keep-power", "emergency"])
def test_who_protects_a_fed_point_is_not_passed_by_a_trip_that_is_being_marked(
    anna: Station, clock: Clock, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    line = add_line(anna, "tcp://127.0.0.1:9")
    main = add_device(anna, "1", line, kind="credit")
    add_device(anna, "2", line, kind="credit")
    Registry(anna).move_point("2", place=None, parent="1")
    order = Orders(anna).place(request(TRIP, main))
    carrier = Carrier(anna, Lines(anna), Credentials(), NoTokens(), None)
    boris = replace(anna, person=BORIS)
    others: list[Meanwhile] = []
    judged = Carrier._may_begin

    def protect() -> object:
        if what == "emergency":
            return EmergencyDesk(boris).stop(reason="flood")
        return ProtectionDesk(boris).add(
            point="2", owner="o", reason="hospital", until=clock.now + timedelta(days=3)
        )

    def then_somebody_protects(self: Carrier, connection: Connection, order: Order) -> Any:
        moment = judged(self, connection, order)
        others.append(Meanwhile(protect))
        return moment

    monkeypatch.setattr(Carrier, "_may_begin", then_somebody_protects)
    with anna.writing() as connection:
        device = load_device(connection, main)
        sent = carrier._mark(connection, order, device, Ready({}))
        # whoever protects hears that it holds when the trip is on its way, not before
        assert not others[0].has_ended
    assert sent is not None
    others[0].result()
