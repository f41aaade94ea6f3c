"""A head-end with a street of simulated meters, and orders carried out as the service would."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, select, update

from headend.orders.credentials import Credential, Credentials
from headend.orders.desk import Orders
from headend.orders.faults import TokenGoneError
from headend.orders.job import handler
from headend.orders.sweeping import sweep
from headend.orders.values import Order, OrderKind, OrderRequest, OrderState
from headend.person import Person
from headend.registry.tables import end_devices, installations, places, service_points
from headend.station import Station
from headend.talk.device import Device
from headend.talk.lines import Lines
from headend.work.inline import InlineWork
from protocols.dlt645.fields import Password
from protocols.dlt645.security import AuthenticationResult, IdentityAuthentication, Purchase
from simulators.metering.esam import PUBLIC_TEST_MAC
from simulators.metering.smart_meter import SmartMeter
from simulators.street import Street
from simulators.street_clock import HeldClock
from simulators.street_plan import BusPlan
from tests.headend.talk.streets import LISTEN, register, street_beside
from tests.shop.conftest import Clock

MONDAY_MORNING: Final = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
"""9:30 in Shanghai: a window is open."""
PASSWORDS: Final = Credentials({"default": Credential(Password(2, "000000"))})
ANNA, BORIS = Person("anna"), Person("boris")
_numbers = itertools.count(1)


class TestTokens:
    """Tokens by reference; those that are not here are gone."""

    __test__ = False

    def __init__(self, digits: Mapping[str, str] | None = None) -> None:
        self.known = dict(digits or {})

    def digits(self, connection: Connection, token_ref: str) -> str:
        """See `TokenSource`."""
        if token_ref not in self.known:
            raise TokenGoneError(f"There is no token {token_ref} any more.")
        return self.known[token_ref]

    def hold(self, connection: Connection, token_ref: str) -> None:
        """See `TokenSource`; nobody takes these back."""


class TestModule:
    """Makes the MAC that simulated money meters take."""

    __test__ = False

    async def authentication(self, meter: str) -> IdentityAuthentication:
        """See `PurchaseModule`."""
        return IdentityAuthentication(bytes(8), bytes(8), bytes(8))

    async def purchase(
        self,
        meter: str,
        session: AuthenticationResult,
        amount_cents: int,
        count: int,
        client_number: str,
    ) -> Purchase:
        """See `PurchaseModule`."""
        return Purchase(amount_cents, count, PUBLIC_TEST_MAC, client_number, PUBLIC_TEST_MAC)


@dataclass
class Scene:
    """What a test holds in its hands."""

    station: Station
    clock: Clock
    held: HeldClock
    street: Street
    devices: list[Device]
    lines: Lines
    work: InlineWork
    tokens: TestTokens = field(default_factory=TestTokens)
    credentials: Credentials = PASSWORDS

    @property
    def orders(self) -> Orders:
        """The desk, as Anna has it."""
        return self.desk(ANNA)

    def desk(self, person: Person) -> Orders:
        """The desk, as somebody has it."""
        return Orders(self.as_(person), self.work)

    def as_(self, person: Person) -> Station:
        """The station with somebody at it."""
        return replace(self.station, person=person)

    def meter(self, number: int = 0) -> SmartMeter:
        """The simulated meter behind a device."""
        meters = [meter for bus in self.street.buses for meter in bus.wire.meters]
        return meters[number]

    def lit(self, number: int = 0) -> bool:
        """Whether the customer has electricity."""
        meter = self.meter(number)
        meter.advance(self.held.now())
        return meter.keypad.is_lit

    async def wait(self, **span: int) -> None:
        """Let time pass for everybody."""
        self.clock.advance(**span)
        self.held.wait(**span)

    async def at(self, moment: datetime) -> None:
        """Let time pass until a moment."""
        span = moment - self.clock.now
        await self.wait(seconds=int(span.total_seconds()))

    async def place(
        self, kind: OrderKind, number: int = 0, *, by: Person = ANNA, **given: Any
    ) -> Order:
        """Order something."""
        return await asyncio.to_thread(self.place_now, kind, number, by=by, **given)

    def place_now(
        self, kind: OrderKind, number: int = 0, *, by: Person = ANNA, **given: Any
    ) -> Order:
        """Order something, off the event loop."""
        values: dict[str, Any] = {
            "client": "test",
            "message_id": str(next(_numbers)),
            "why": "a test",
            "device_id": self.devices[number].device_id,
        }
        return self.desk(by).place(OrderRequest(kind=kind, **(values | given)))

    async def run(self) -> None:
        """What the service does until nothing is due."""
        await asyncio.to_thread(sweep, self.station, self.work)
        await self.run_queued()

    async def run_queued(self) -> None:
        """Carry out what is queued, and nothing that becomes due meanwhile."""
        carry = handler(
            self.station,
            self.lines,
            self.work,
            self.credentials,
            tokens=self.tokens,
            purchases=TestModule(),
        )
        await self.work.run({"order": carry})

    async def order(self, order_id: int) -> Order:
        """An order as it stands."""
        return await asyncio.to_thread(self.orders.find, order_id)

    async def ordered(self, kind: OrderKind, number: int = 0, **given: Any) -> Order:
        """Order something, carry it out, and give it as it then stands."""
        placed = await self.place(kind, number, **given)
        await self.run()
        return await self.order(placed.order_id)

    def put_in_area(self, number: int, area: str, *, role: str = "customer") -> None:
        """Put a meter's point into an area of the network, made when it is new."""
        with self.station.writing() as connection:
            place_id = _area(connection, area)
            point_id = connection.scalar(
                select(installations.c.point_id).where(
                    installations.c.device_id == self.devices[number].device_id
                )
            )
            connection.execute(
                update(service_points)
                .where(service_points.c.point_id == point_id)
                .values(place_id=place_id, role=role)
            )

    def set_device(self, number: int, **values: Any) -> None:
        """Change the registry past its desk."""
        with self.station.writing() as connection:
            connection.execute(
                update(end_devices)
                .where(end_devices.c.device_id == self.devices[number].device_id)
                .values(values)
            )

    def set_all(self, **values: Any) -> None:
        """The same of all devices."""
        with self.station.writing() as connection:
            connection.execute(update(end_devices).values(values))


def _area(connection: Connection, area: str) -> int:
    found = connection.scalar(select(places.c.place_id).where(places.c.name == area))
    if found is not None:
        return int(found)
    parent = None
    for kind, name in (("substation", f"{area} S"), ("feeder", f"{area} F"), ("area", area)):
        parent = connection.execute(
            places.insert()
            .values(kind=kind, name=name, parent_id=parent)
            .returning(places.c.place_id)
        ).scalar_one()
    assert parent is not None
    return int(parent)


@asynccontextmanager
async def scene_of(
    station: Station, clock: Clock, *buses: BusPlan, at: datetime | None = MONDAY_MORNING
) -> AsyncIterator[Scene]:
    """A scene; on a Monday morning, when supply may be cut, unless told otherwise."""
    if at is not None:
        clock.now = at
    street, held = street_beside(station, *(buses or (BusPlan(listen=LISTEN, load=100),)))
    async with street:
        devices = await asyncio.to_thread(register, station, street)
        lines = Lines(station)
        try:
            yield Scene(station, clock, held, street, devices, lines, InlineWork())
        finally:
            await lines.aclose()


__all__ = ["ANNA", "BORIS", "MONDAY_MORNING", "OrderState", "Scene", "TestTokens", "scene_of"]
