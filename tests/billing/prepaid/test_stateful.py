"""The prepay loop driven at random: money, use, protection, emergencies, time, deaths of workers.

After each step it is looked at what the meters' contacts did and whether they might; at the end,
whoever has paid has light.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run
from sqlalchemy import func, select

from billing.ledger.books import open_books
from billing.office import Office
from billing.prepaid.standing import Level
from billing.prepaid.tables import supply_cut_orders, supply_cuts
from billing.privacy.seal import Seal
from headend.orders.calendar import CalendarDesk
from headend.orders.emergency import EmergencyDesk
from headend.orders.protection import ProtectionDesk
from headend.station import Station
from headend.talk.ordering import OrderOutcome, Talk
from simulators.contact import Order as Ordered
from storage.engine import open_engine
from tests.billing.conftest import PERSONAL_KEY, ZONE
from tests.billing.prepaid.town import Town, strict, town_of
from tests.headend.orders.scene import ANNA, BORIS
from tests.shop.conftest import Clock
from tests.shop.databases import Databases
from vending import Currency

T = TypeVar("T")
METERS = st.sampled_from((0, 1))
HOLIDAY = date(2026, 11, 25)
NOTICE_H = 6


class DiedError(Exception):
    """A worker's end, between one step and the next."""


class PrepaidMachine(RuleBasedStateMachine):
    """Two prepaid homes, the office, the head-end, and what may be."""

    databases: Databases

    def __init__(self) -> None:
        super().__init__()
        self.url = self.databases.shop()
        self.engine = open_engine(self.url)
        self.clock = Clock()
        station = Station(self.engine, ZONE, self.clock)
        office = Office(
            engine=self.engine,
            zone=ZONE,
            currency=Currency.named("CNY"),
            clock=self.clock,
            seal=Seal(PERSONAL_KEY),
            station=station,
        )
        with office.writing() as connection:
            open_books(connection, "CNY")
        self.runner = asyncio.Runner()
        self.opened = town_of(office, self.clock, 2)
        self.town: Town = self._do(self.opened.__aenter__())
        strict(office, notice_h=NOTICE_H, look_again_h=2, reconnect_above_minor=1_00)
        desk = CalendarDesk(self.town.scene.as_(ANNA))
        desk.add_holidays({HOLIDAY: "a day off"})
        self.calendar = desk.calendar()
        self.patch = pytest.MonkeyPatch()
        self.protected: dict[int, datetime] = {}
        self.stop: int | None = None
        self.dark: set[int] = set()
        self.below_since: dict[int, datetime] = {}
        self.dies: str | None = None
        self._die_where_it_is_wanted()

    def teardown(self) -> None:
        try:
            self._end_well()
        finally:
            self.patch.undo()
            self._do(self.opened.__aexit__(None, None, None))
            self.runner.close()
            self.engine.dispose()
            self.databases.discard(self.url)

    def _end_well(self) -> None:
        """Everybody works on; who has paid has light, and who pays now has it, too."""
        self.dies = None
        self._work_on(4)
        self._who_has_paid_has_light()
        for account in self.town.accounts:
            self.town.pay(account, 50_00 - min(self.town.balance(account), 0))
        self._work_on(4)
        self._who_has_paid_has_light()

    def _work_on(self, rounds: int) -> None:
        for _ in range(rounds):
            self._do(self.town.all())
            self._look()
            self._do(self.town.scene.wait(hours=9))

    def _who_has_paid_has_light(self) -> None:
        for number, account in enumerate(self.town.accounts):
            if self.town.balance(account) >= 1_00:
                assert self.town.scene.lit(number), [c.words for c in self.town.cuts(account)]
                assert all(cut.ended_at is not None for cut in self.town.cuts(account))

    def _do(self, act: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(act)

    def _die_where_it_is_wanted(self) -> None:
        send, machine = Talk.send, self

        async def dying(talk: Talk, evidence: Mapping[str, Any]) -> OrderOutcome:
            if machine.dies == "before":
                raise DiedError
            outcome = await send(talk, evidence)
            if machine.dies == "after":
                raise DiedError
            return outcome

        self.patch.setattr(Talk, "send", dying)

    # What happens

    @initialize(amount=st.sampled_from((55_00, 70_00)))
    def both_fall_below(self, amount: int) -> None:
        for meter in (0, 1):
            self._use(meter, amount)

    @rule(meter=METERS, amount=st.sampled_from((5_00, 30_00, 45_00, 60_00)))
    def use(self, meter: int, amount: int) -> None:
        self._use(meter, amount)

    def _use(self, meter: int, amount: int) -> None:
        account = self.town.accounts[meter]
        self.town.use(account, amount)
        if self.town.balance(account) < 0:
            self.below_since.setdefault(meter, self.clock.now)

    @rule(meter=METERS, amount=st.sampled_from((50, 10_00, 60_00, 200_00)))
    def pay(self, meter: int, amount: int) -> None:
        account = self.town.accounts[meter]
        self.town.pay(account, amount)
        if self.town.balance(account) >= 0:
            self.below_since.pop(meter, None)

    @rule(meter=METERS, days=st.integers(1, 3))
    def protect(self, meter: int, days: int) -> None:
        if self._is_protected(meter):
            return
        until = self.clock.now + timedelta(days=days)
        ProtectionDesk(self.town.scene.as_(ANNA)).add(
            point=self.town.scene.devices[meter].number, owner="x", reason="y", until=until
        )
        self.protected[meter] = until

    @rule(hours=st.sampled_from((1, 9, 30)))
    def an_emergency_passes(self, hours: int) -> None:
        desk = EmergencyDesk(self.town.scene.as_(BORIS))
        self.stop = desk.stop(reason="flood").stop_id
        self._do(self.town.all())
        self._look()
        self._do(self.town.scene.wait(hours=hours))
        self._do(self.town.all())
        self._look()
        desk.resume(self.stop)
        self.stop = None

    @rule(hours=st.sampled_from((1, 7, 16, 24, 66)))
    def wait(self, hours: int) -> None:
        self._do(self.town.scene.wait(hours=hours))

    @rule(meter=METERS)
    def the_announced_time_comes(self, meter: int) -> None:
        self._do(self.town.sweep())
        at = self.town.disconnect_at(self.town.accounts[meter])
        if at is not None and at > self.clock.now:
            self._do(self.town.scene.at(at))
            self._do(self.town.sweep())

    @rule(dies=st.sampled_from((None, None, "before", "after")))
    def the_head_end_works(self, dies: str | None) -> None:
        self.dies = dies
        try:
            self._do(self.town.scene.run())
        except DiedError:
            assert dies is not None
        finally:
            self.dies = None

    @rule()
    def all_work(self) -> None:
        self._do(self.town.all())

    # What must hold

    @invariant()
    def _look(self) -> None:
        for number, account in enumerate(self.town.accounts):
            meter = self.town.scene.meter(number)
            meter.advance(self.town.scene.held.now())
            is_open = meter.flow.supply.remote.order is Ordered.OPEN
            if is_open and number not in self.dark:
                assert self.calendar.is_open(self.clock.now)
                assert not self._is_protected(number)
                assert self.stop is None
                assert self.town.balance(account) < 0, "who has paid is not cut"
                assert self.clock.now - self.below_since[number] >= timedelta(hours=NOTICE_H)
                assert "disconnect_notice" in self.town.told(account)
            (self.dark.add if is_open else self.dark.discard)(number)

    @invariant()
    def levels_follow_balances(self) -> None:
        for account in self.town.accounts:
            level, balance = self.town.level(account), self.town.balance(account)
            if balance >= 20_00:
                assert level is Level.OK
            elif balance >= 0:
                assert level is Level.WARNED
            else:
                assert level in (Level.DISCONNECT_DUE, Level.HELD)

    @invariant()
    def a_supply_is_switched_off_once_in_a_cut(self) -> None:
        with self.town.office.reading() as connection:
            offs = connection.execute(
                select(func.count())
                .where(supply_cut_orders.c.does == "off")
                .group_by(supply_cut_orders.c.cut_id)
            ).scalars()
            cuts = connection.scalar(select(func.count()).select_from(supply_cuts))
            counts = offs.all()
        assert counts == [1] * (cuts or 0)

    def _is_protected(self, meter: int) -> bool:
        until = self.protected.get(meter)
        return until is not None and self.clock.now < until


def test_req22_whatever_happens_the_rules_hold_and_who_paid_has_light(
    databases: Databases,
) -> None:
    class Machine(PrepaidMachine):
        pass

    Machine.databases = databases
    run(Machine, settings=settings(max_examples=5, stateful_step_count=15, deadline=None))
