"""Orders driven at random against a small model of when supply may be cut.

Two people order, approve, cancel, protect, stop and resume, while the clock goes on through noon,
nights and weekends and workers die before and after they send; after each step it is looked at
what the meters' contacts did, and whether they might.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run
from sqlalchemy import select

from headend.faults import HeadEndError
from headend.orders.calendar import CalendarDesk
from headend.orders.emergency import EmergencyDesk
from headend.orders.policy import set_policy
from headend.orders.protection import ProtectionDesk
from headend.orders.tables import order_events
from headend.orders.values import ENDED, Order, OrderKind, OrderState
from headend.station import Station
from headend.talk.ordering import OrderOutcome, Talk
from simulators.contact import Order as Ordered
from simulators.street_plan import BusPlan
from storage.engine import open_engine
from tests.headend.orders.scene import ANNA, BORIS, Scene, scene_of
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock
from tests.shop.databases import Databases

T = TypeVar("T")
METERS = st.sampled_from((0, 1))
PEOPLE = st.sampled_from((ANNA, BORIS))
CONTACT = (OrderKind.RELAY_TRIP, OrderKind.RELAY_CLOSE, OrderKind.RELAY_ALLOW_CLOSE)
HOLIDAY = date(2026, 11, 25)


class DiedError(Exception):
    """A worker's end, between one step and the next."""


@dataclass
class Model:
    """Who is protected until when, and where disconnects are suspended."""

    protected: dict[int, datetime] = field(default_factory=dict)
    """Meter → until when."""
    lift_asked: dict[int, str] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)
    """Meter → number of its keep-power order."""
    stop: int | None = None
    ended: dict[int, Order] = field(default_factory=dict)
    open_contacts: set[int] = field(default_factory=set)


class OrderMachine(RuleBasedStateMachine):
    """The head-end, its meters, and the model."""

    databases: Databases
    monkeypatch: pytest.MonkeyPatch

    def __init__(self) -> None:
        super().__init__()
        self.url = self.databases.shop()
        self.engine = open_engine(self.url)
        self.clock = Clock()
        station = Station(self.engine, ZoneInfo("Asia/Shanghai"), self.clock)
        self.runner = asyncio.Runner()
        self.opened = scene_of(station, self.clock, BusPlan(listen=LISTEN, meters=2, load=100))
        self.scene: Scene = self._do(self.opened.__aenter__())
        self.model = Model()
        self.dies: str | None = None
        desk = CalendarDesk(self.scene.as_(ANNA))
        desk.add_holidays({HOLIDAY: "a day off"})
        self.calendar = desk.calendar()
        set_policy(self.scene.as_(ANNA), {"trips_at_once_max": 1})
        self._die_where_it_is_wanted()

    def teardown(self) -> None:
        self.monkeypatch.undo()
        self._do(self.opened.__aexit__(None, None, None))
        self.runner.close()
        self.engine.dispose()
        self.databases.discard(self.url)

    def _do(self, act: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(act)

    def _die_where_it_is_wanted(self) -> None:
        send = Talk.send
        machine = self

        async def dying(talk: Talk, evidence: Mapping[str, Any]) -> OrderOutcome:
            if machine.dies == "before":
                raise DiedError
            outcome = await send(talk, evidence)
            if machine.dies == "after":
                raise DiedError
            return outcome

        self.monkeypatch.setattr(Talk, "send", dying)

    # What people do

    @rule(
        meter=METERS,
        kind=st.sampled_from(CONTACT),
        by=PEOPLE,
        many=st.booleans(),
        outside=st.sampled_from(("wait", "refuse")),
    )
    def order(self, meter: int, kind: OrderKind, by: Any, many: bool, outside: str) -> None:
        try:
            placed = self.scene.place_now(
                kind, meter, by=by, at_once=2 if many else 1, outside_window=outside
            )
        except HeadEndError:
            assert kind is OrderKind.RELAY_TRIP or self._waiting(meter, kind)
            return
        waits = placed.state is OrderState.WAITING_APPROVAL
        if kind is not OrderKind.RELAY_TRIP:
            assert not waits
        elif many:
            assert waits
        elif not waits:  # one person's second disconnect within the hour waits as well
            assert not [
                other
                for other in self._orders()
                if other.order_id != placed.order_id
                and (other.kind, other.ordered_by) == (kind, by.name)
                and other.two_because is None
                and other.state not in (OrderState.CANCELLED, OrderState.EXPIRED)
                and placed.ordered_at - other.ordered_at < timedelta(hours=1)
            ]

    @rule(by=PEOPLE)
    def approve_all(self, by: Any) -> None:
        for order in self._orders():
            if order.state is OrderState.WAITING_APPROVAL:
                try:
                    self.scene.desk(by).approve(order.order_id)
                except HeadEndError:
                    continue
                assert order.ordered_by != by.name

    @rule(meter=METERS)
    def cancel(self, meter: int) -> None:
        for order in self._orders():
            if order.device_id == self.scene.devices[meter].device_id and (
                order.state in (OrderState.QUEUED, OrderState.WAITING_APPROVAL)
            ):
                self.scene.orders.cancel(order.order_id, why="changed my mind")

    @rule(meter=METERS, days=st.integers(1, 3))
    def protect(self, meter: int, days: int) -> None:
        if self._is_protected(meter):
            return
        until = self.clock.now + timedelta(days=days)
        made = ProtectionDesk(self.scene.as_(ANNA)).add(
            point=self.scene.devices[meter].number, owner="x", reason="y", until=until
        )
        self.model.protected[meter] = until
        self.model.numbers[meter] = made.keep_power_id
        self.model.lift_asked.pop(meter, None)

    @rule(meter=METERS, by=PEOPLE)
    def end_protection(self, meter: int, by: Any) -> None:
        if not self._is_protected(meter):
            return
        asked = self.model.lift_asked.get(meter)
        try:
            ProtectionDesk(self.scene.as_(by)).end(self.model.numbers[meter], why="z")
        except HeadEndError:
            assert asked == by.name
            return
        if asked is None:
            self.model.lift_asked[meter] = by.name
        else:
            del self.model.protected[meter]

    @rule()
    def stop_or_resume(self) -> None:
        desk = EmergencyDesk(self.scene.as_(BORIS))
        if self.model.stop is None:
            self.model.stop = desk.stop(reason="flood").stop_id
        else:
            desk.resume(self.model.stop)
            self.model.stop = None

    # What time and machines do

    @rule(minutes=st.sampled_from((1, 3, 20, 90, 300, 900, 2_880)))
    def wait(self, minutes: int) -> None:
        self._do(self.scene.wait(minutes=minutes))

    @rule(dies=st.sampled_from((None, None, "before", "after")))
    def work(self, dies: str | None) -> None:
        self.dies = dies
        try:
            self._do(self.scene.run())
        except DiedError:
            assert dies is not None
        finally:
            self.dies = None

    # What must hold

    @invariant()
    def contacts_open_only_when_they_may(self) -> None:
        for number in (0, 1):
            meter = self.scene.meter(number)
            meter.advance(self.scene.held.now())
            is_open = meter.flow.supply.remote.order is Ordered.OPEN
            if is_open and number not in self.model.open_contacts:
                assert self.calendar.is_open(self.clock.now)
                assert not self._is_protected(number)
                assert self.model.stop is None
            (self.model.open_contacts.add if is_open else self.model.open_contacts.discard)(number)

    @invariant()
    def each_order_is_sent_once_and_by_as_many_people_as_it_takes(self) -> None:
        with self.scene.station.reading() as connection:
            sent = connection.execute(
                select(order_events.c.order_id).where(order_events.c.event == "sending")
            )
            numbers = [row.order_id for row in sent]
        assert len(numbers) == len(set(numbers))
        for order in self._orders():
            if order.two_because is not None and order.sending_at is not None:
                assert order.approved_by not in (None, order.ordered_by)

    @invariant()
    def what_has_ended_stays_as_it_is(self) -> None:
        for order in self._orders():
            if order.state in ENDED:
                assert self.model.ended.setdefault(order.order_id, order) == order

    def _orders(self) -> list[Order]:
        return self.scene.orders.list(limit=1_000)

    def _is_protected(self, meter: int) -> bool:
        until = self.model.protected.get(meter)
        return until is not None and self.clock.now < until

    def _waiting(self, meter: int, kind: OrderKind) -> bool:
        return any(
            order.kind is kind and order.state in (OrderState.QUEUED, OrderState.WAITING_APPROVAL)
            for order in self._orders()
            if order.device_id == self.scene.devices[meter].device_id
        )


def test_supply_is_cut_when_it_may_be_and_by_whom(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headend.talk.ordering_relay.LOOK_SETTLE_S", 0.0)

    class Machine(OrderMachine):
        pass

    Machine.databases = databases
    Machine.monkeypatch = pytest.MonkeyPatch()
    run(Machine, settings=settings(max_examples=8, stateful_step_count=25))
