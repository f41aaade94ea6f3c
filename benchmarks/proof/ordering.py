"""Orders, sales and reads: given until the head-end has taken them, as clients do.

Whatever is asked again because an answer was lost has the same message id, and is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, select

from benchmarks.proof.house import House
from headend.collection.desk import Collection
from headend.collection.tables import round_devices, rounds
from headend.orders.desk import Orders
from headend.orders.tables import orders
from headend.orders.values import OrderKind, OrderRequest, OrderState
from headend.registry.tables import end_devices
from vending import VendRequest

CLIENT: Final = "proof"
PLAN: Final = "hourly"
QUANTITY: Final = "energy_import_total"
DEMANDED: Final = "voltage_l1"
"""What a person asks for is something else, so that what is kept of an hour is the hour's."""
_SOLD_MINOR: Final = 100_00
_DEAD_LIVES_S: Final = 20
_MINUTE_S: Final = 60
_DAY_MIN: Final = 1440
_LEAD: Final = timedelta(seconds=3)
_BY_HAND_WITHIN_MIN: Final = 3
_WHY: Final = "the proof"


@dataclass
class Ordering:
    """What was given so far."""

    house: House
    dead: frozenset[int]
    trips: set[int] = field(default_factory=set)
    """Serial numbers of the meters."""
    closes: set[int] = field(default_factory=set)
    reads: dict[int, int] = field(default_factory=dict)
    """Round by serial number."""
    sales: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Receipt and tenths of a kWh, by serial number."""
    rounds: list[int] = field(default_factory=list)
    """Of hours that were asked for by hand."""

    def trip(self, number: int) -> None:
        """Cut a meter's supply; of a dead one, give up soon."""
        self._order(OrderKind.RELAY_TRIP, number, _DEAD_LIVES_S if number in self.dead else None)
        self.trips.add(number)

    def close_again(self) -> None:
        """Give supply back to meters whose trip has ended, if it was done."""
        for number in sorted(self._tripped() - self.closes):
            self._order(OrderKind.RELAY_CLOSE, number, None)
            self.closes.add(number)

    def sell(self, number: int) -> None:
        """Sell a token; the service takes it to the meter."""
        request = VendRequest(CLIENT, f"sale-{number}", self.house.numbers[number], _SOLD_MINOR)
        receipt = self.house.shop.vend(request).require_done()
        self.sales[number] = (receipt.receipt_no, receipt.units)

    def read(self, number: int) -> None:
        """Ask for a reading now."""
        desk = Collection(self.house.station)
        document = {"quantities": [DEMANDED]}
        numbers = [self.house.numbers[number]]
        self.reads[number] = desk.read_now(numbers, document, self.house.work)

    # Hours

    def plan_hours(self, hour_s: int) -> datetime:
        """Have the street read once in an "hour"; gives when the first one begins.

        What is asked for by hand has longer than its hour: workers that are killed are taken over
        as late as ever, and the calendar knows minutes only.
        """
        by_hand = bool(hour_s % _MINUTE_S)
        minutes = _DAY_MIN if by_hand else hour_s // _MINUTE_S
        begins = self.house.station.now()
        if not by_hand:
            begins = (begins + _LEAD).replace(second=0, microsecond=0) + timedelta(minutes=1)
        local = begins.astimezone(self.house.station.zone)
        first = (local.hour * _MINUTE_S + local.minute) % minutes
        document = {
            "what": {"quantities": [QUANTITY]},
            "when": {
                "every_min": minutes,
                "at": f"{first // _MINUTE_S:02}:{first % _MINUTE_S:02}",
            },
            "within_min": _BY_HAND_WITHIN_MIN if by_hand else minutes,
            "retry_min": 1,
        }
        Collection(self.house.station).add_plan(PLAN, document)
        return begins

    def read_hour(self) -> None:
        """Ask for an hour's round by hand."""
        made = Collection(self.house.station).run_now(PLAN, self.house.work)
        assert made is not None, "the street has meters"
        self.rounds.append(made)

    def end_hours(self) -> None:
        """No more hours; those that go on, go on."""
        desk = Collection(self.house.station)
        if any(plan.name == PLAN for plan in desk.plans()):
            desk.end_plan(PLAN)

    # Ending

    def left(self) -> int:
        """How much of it has not ended; what is unknown is looked at again, as a person would.

        That the dead are asked once more is not waited for.
        """
        station = self.house.station
        with station.reading() as connection:
            rows = connection.execute(
                select(orders.c.order_id, orders.c.state, orders.c.due_at).where(
                    orders.c.ended_at.is_(None)
                )
            ).all()
            delivered = set(connection.scalars(select(orders.c.token_ref)))
            unread = self._unread(connection)
        now = station.now()
        for row in rows:
            if row.state == OrderState.UNKNOWN.value and (row.due_at is None or row.due_at > now):
                Orders(station, self.house.work).look_again(row.order_id)
        waiting = sum(f"{receipt}/1" not in delivered for receipt, _ in self.sales.values())
        return len(rows) + waiting + unread + len(self._tripped() - self.closes)

    def _unread(self, connection: Connection) -> int:
        """Living meters for which a round still waits."""
        dead = [self.house.devices[number] for number in self.dead]
        found = connection.scalar(
            select(func.count())
            .select_from(round_devices.join(rounds, rounds.c.round_id == round_devices.c.round_id))
            .where(
                rounds.c.ended_at.is_(None),
                round_devices.c.state == "waiting",
                round_devices.c.device_id.not_in(dead),
            )
        )
        return int(found or 0)

    def _tripped(self) -> set[int]:
        """Meters whose trip is done."""
        query = (
            select(end_devices.c.number)
            .join(orders, orders.c.device_id == end_devices.c.device_id)
            .where(
                orders.c.kind == OrderKind.RELAY_TRIP.value,
                orders.c.state == OrderState.DONE.value,
            )
        )
        with self.house.station.reading() as connection:
            done = set(connection.scalars(query))
        return {number for number in self.trips if self.house.numbers[number] in done}

    def _order(self, kind: OrderKind, number: int, lives_s: int | None) -> None:
        request = OrderRequest(
            client=CLIENT,
            message_id=f"{kind.value}-{number}",
            kind=kind,
            device_id=self.house.devices[number],
            why=_WHY,
            lives_s=lives_s,
        )
        Orders(self.house.station, self.house.work).place(request)
