"""The demo's home with an account: a meter with a contact on a line, money at the office.

The meter answers DL/T 645 on a real socket; what is read, ordered and read back goes through it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import select

import billing.tables_all
from billing.accounts.desk import AccountDesk
from billing.accounts.supplying import NewSupply
from billing.accounts.values import Application, Terms
from billing.ledger.books import open_books
from billing.ledger.entry import Posted
from billing.ledger.posting import balance, entries_of
from billing.notices.tables import notices
from billing.office import Office
from billing.payments.door import take
from billing.payments.payment import Payment
from billing.person import SERVICE, Person
from billing.prepaid.desk import PrepaidDesk, Status
from billing.prepaid.policy import set_policy
from billing.prepaid.sweep import sweep
from billing.prepaid.watcher import PrepaidWatcher
from billing.privacy.seal import KEY_BYTES, Seal
from billing.settlement.looking import Settlement, settlements_of
from billing.settlement.run import settle_day
from billing.tariffs.store import add_version, approve_version
from headend.collection.desk import Collection
from headend.collection.job import handler as read_meters
from headend.collection.sweep import sweep as sweep_rounds
from headend.orders.credentials import Credential, Credentials
from headend.orders.job import handler as carry_out
from headend.orders.policy import set_policy as set_order_policy
from headend.orders.sweeping import sweep as sweep_orders
from headend.registry.desk import Registry
from headend.registry.entries import NewDevice, NewLink
from headend.station import Station
from headend.talk.lines import Lines
from headend.work.inline import InlineWork
from protocols.dlt645.fields import Password
from simulators.metering.smart_meter import SmartMeter
from simulators.street import Street, build_street
from simulators.street_clock import HeldClock
from simulators.street_plan import BusPlan, StreetPlan
from storage.engine import open_engine
from vending import Utility

T = TypeVar("T")
NAME: Final = "Dana"
LOAD_W: Final = 600
_BUS: Final = BusPlan(name="dana", first=444, load=LOAD_W, credit_kwh=2_000, listen="127.0.0.1:0")
_RATE: Final = """
code = "home"
name = "Home, account prepay"
currency = "USD"
[energy]
rate = "0.225"
[[taxes]]
code = "vat"
name = "VAT"
percent = "16"
on = ["energy"]
"""
_ENERGY: Final = {"quantities": ["energy_import_total"]}
_WARN_MINOR: Final = 300
_CENTURIES: Final = timedelta(days=40_000)


@dataclass(slots=True)
class AccountHome:
    """Dana, her meter, and the office that she pays.

    Args:
        url: the database of a shop, which is there.
        utility: whose office it is.
        clock: the time of the story.
    """

    url: str
    utility: Utility
    clock: Callable[[], datetime]
    office: Office = field(init=False)
    number: str = field(init=False, default="")
    """The account's; empty: it is not open yet."""
    account_id: int = field(init=False, default=0)
    meter: SmartMeter = field(init=False)
    paid_minor: int = field(init=False, default=0)
    """By her own count."""
    _street: Street = field(init=False)
    _time: HeldClock = field(init=False)
    _lines: Lines = field(init=False)
    _work: InlineWork = field(init=False)
    _runner: asyncio.Runner = field(init=False)
    _told: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        assert billing.tables_all.__doc__
        self._runner = asyncio.Runner()
        self._time = HeldClock(self.clock())
        self._street = build_street(StreetPlan(buses=(_BUS,)), self._time)
        (self.meter,) = self._street.buses[0].wire.meters
        self._work = InlineWork()
        zone = ZoneInfo(self.utility.zone)
        station = Station(open_engine(self.url), zone, self.clock)
        self._lines = Lines(station)
        self.office = Office(
            engine=station.engine,
            zone=zone,
            currency=self.utility.currency,
            clock=self.clock,
            seal=Seal(os.urandom(KEY_BYTES)),
            person=Person("Otieno"),
            name=self.utility.name,
            watchers=(PrepaidWatcher(),),
            station=station,
            work=self._work,
        )
        self._do(self._street.start())

    def close(self) -> None:
        """Close line and port, and let the database go."""
        self._do(self._lines.aclose())
        self._do(self._street.stop())
        self._runner.close()
        self.office.engine.dispose()

    # What happens

    def open_account(self) -> None:
        """A tariff, a meter on a line, an account with its supply."""
        office, station = self.office, self._station
        with office.writing() as connection:
            open_books(connection, office.currency.code)
            version = add_version(connection, office, _RATE, since=office.today())
            second = office.acting(Person("Wanjiru"))
            approve_version(connection, second, version.code, version.version)
        set_order_policy(station, {"close_credit": "close"})
        no_grace = {"first_grace_h": 0, "small_grace_h": 0, "notice_h": 8}
        set_policy(office, no_grace)
        registry = Registry(station)
        registry.add_link(NewLink(_BUS.name, self._street.ports[0].url))
        plate = self.meter.address[1:]
        registry.add_device(NewDevice(number=plate, address=self.meter.address, link=_BUS.name))
        self.read()
        desk = AccountDesk(office)
        applied = desk.apply(
            Application("counter", NAME, "ID 444", "4 Hill Street", mode="prepaid")
        )
        desk.check(applied.number)
        desk.sign(applied.number, Terms(warn_minor=_WARN_MINOR))
        desk.add_supply(applied.number, NewSupply(plate, "home"))
        self.number, self.account_id = applied.number, applied.account_id

    def read(self) -> None:
        """Read the meter, over the wire."""
        self._pass_time()
        Collection(self._station).read_now([self.meter.address[1:]], _ENERGY, self._work)
        self._carry_out()

    def settle(self, day: date) -> None:
        """Settle a day that is over, and let the office do what follows."""
        settle_day(self.office.acting(SERVICE), day)
        self.look()

    def look(self) -> None:
        """The office looks, its orders are carried out and read back, it looks again."""
        self._pass_time()
        sweep(self.office)
        self._carry_out()
        sweep(self.office)

    def pay(self, amount_minor: int, reference: str) -> None:
        """Pay from the phone; the light is asked for in the payment's own transaction."""
        self._pass_time()
        payment = Payment("web", reference, amount_minor, account_id=self.account_id)
        with self.office.writing() as connection:
            take(connection, self.office, payment)
        self.paid_minor += amount_minor

    def wait(self) -> None:
        """Let the meter live up to now."""
        self._pass_time()

    # What there is

    @property
    def balance_minor(self) -> int:
        """What is on the account."""
        with self.office.reading() as connection:
            return balance(connection, self.account_id)

    @property
    def status(self) -> Status:
        """How it stands."""
        return PrepaidDesk(self.office).status(self.number)

    @property
    def entries(self) -> list[Posted]:
        """All that was posted, in order."""
        with self.office.reading() as connection:
            return entries_of(connection, self.account_id)

    @property
    def settlements(self) -> list[Settlement]:
        """All that was settled, in order."""
        now = self.office.now()
        with self.office.reading() as connection:
            return settlements_of(connection, self.account_id, now - _CENTURIES, now + _CENTURIES)

    def news(self) -> list[str]:
        """What its people were told since the last time: names of events."""
        with self.office.reading() as connection:
            rows = connection.execute(
                select(notices.c.notice_id, notices.c.event)
                .where(notices.c.account_id == self.account_id, notices.c.notice_id > self._told)
                .order_by(notices.c.notice_id)
            ).all()
        if rows:
            self._told = rows[-1].notice_id
        return [row.event for row in rows]

    # Inside

    @property
    def _station(self) -> Station:
        station = self.office.station
        assert station is not None, "it was made with one"
        return station

    def _pass_time(self) -> None:
        behind = self.clock() - self._time.now()
        self._time.wait(seconds=max(behind // timedelta(seconds=1), 0))
        self.meter.advance(self._time.now())

    def _carry_out(self) -> None:
        passwords = Credentials({"default": Credential(Password(2, "000000"))})
        station, work = self._station, self._work
        handlers = {
            "round": read_meters(station, self._lines, work),
            "order": carry_out(station, self._lines, work, passwords),
        }

        async def run() -> None:
            await asyncio.to_thread(sweep_rounds, station, work)
            await asyncio.to_thread(sweep_orders, station, work)
            await work.run(handlers)

        self._do(run())

    def _do(self, act: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(act)
