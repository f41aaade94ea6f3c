"""Desk: emergency stops - no disconnects in a place, or nowhere (requirement 26).

Disconnects that wait go on waiting, or expire; reconnects go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, or_, select, update

from headend.faults import EntryError
from headend.orders.faults import OrderStateError, UnknownProtectionError
from headend.orders.reach import Reach
from headend.orders.tables import emergency_stops, order_policy
from headend.person import Right
from headend.registry.places import place_row
from headend.registry.tables import places
from headend.station import Station
from storage import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyStop:
    """Disconnects suspended."""

    stop_id: int
    place: str | None
    """None: everywhere."""
    reason: str
    since: datetime
    declared_by: str
    resumed_at: datetime | None
    resumed_by: str | None

    @property
    def where(self) -> str:
        """For a person."""
        return "everywhere" if self.place is None else f"in {self.place}"


_SHOWN: Final = "stop_id reason since declared_by resumed_at resumed_by".split()


@dataclass(frozen=True, slots=True)
class EmergencyDesk:
    """Stop, resume, look."""

    station: Station

    def stop(self, *, place: str | None = None, reason: str) -> EmergencyStop:
        """Suspend all disconnects of a place, or of everybody.

        When this returns, none begins any more.

        Raises:
            EntryError: no reason.
            NotRegisteredError: no such place.
            NotAllowedError: the person may not protect customers.
        """
        self.station.require(Right.PROTECT)
        if not reason.strip():
            raise EntryError("Say why disconnects are suspended.")
        with self.station.writing() as connection:
            place_id = None if place is None else place_row(connection, place).place_id
            connection.execute(select(order_policy.c.policy_id).with_for_update())
            number = connection.execute(
                insert(emergency_stops)
                .values(
                    place_id=place_id,
                    reason=reason.strip(),
                    since=self.station.now(),
                    declared_by=self.station.person.name,
                )
                .returning(emergency_stops.c.stop_id)
            ).scalar_one()
            made = _find(connection, number)
            self._record(connection, "emergency.stop", made, reason)
            return made

    def resume(self, stop_id: int, *, why: str = "") -> EmergencyStop:
        """Let disconnects go on.

        Raises:
            UnknownProtectionError: there is no stop of this number.
            OrderStateError: it is over already.
            NotAllowedError: the person may not protect customers.
        """
        self.station.require(Right.PROTECT)
        with self.station.writing() as connection:
            row = connection.execute(
                select(emergency_stops).where(emergency_stops.c.stop_id == stop_id)
            ).first()
            if row is None:
                raise UnknownProtectionError(f"There is no emergency stop {stop_id}.")
            if row.resumed_at is not None:
                raise OrderStateError(f"Emergency stop {stop_id} is over already.")
            connection.execute(
                update(emergency_stops)
                .where(emergency_stops.c.stop_id == stop_id)
                .values(
                    resumed_at=max(self.station.now(), row.since),
                    resumed_by=self.station.person.name,
                )
            )
            made = _find(connection, stop_id)
            self._record(connection, "emergency.resume", made, why)
            return made

    def list(self, *, only_active: bool = True) -> list[EmergencyStop]:
        """Stops, the latest first."""
        self.station.require(Right.LOOK)
        with self.station.reading() as connection:
            rows = connection.execute(_all().order_by(emergency_stops.c.stop_id.desc()))
            found = [_stop(row) for row in rows]
        return [each for each in found if not only_active or each.resumed_at is None]

    def _record(
        self, connection: Connection, action: str, stop: EmergencyStop, reason: str
    ) -> None:
        audit.record(
            connection,
            self.station.now(),
            actor=self.station.person.name,
            action=action,
            subject=str(stop.stop_id),
            detail=stop.where,
            reason=reason,
        )


def stops_over(connection: Connection, reach: Reach) -> list[EmergencyStop]:
    """The stops in force that cover a device."""
    rows = connection.execute(
        _all().where(
            emergency_stops.c.resumed_at.is_(None),
            or_(
                emergency_stops.c.place_id.is_(None),
                emergency_stops.c.place_id.in_(reach.above | reach.below),
            ),
        )
    )
    return [_stop(row) for row in rows]


def _all() -> Select[Any]:
    return select(
        *(emergency_stops.c[name] for name in _SHOWN), places.c.name.label("place")
    ).outerjoin(places, places.c.place_id == emergency_stops.c.place_id)


def _find(connection: Connection, stop_id: int) -> EmergencyStop:
    return _stop(connection.execute(_all().where(emergency_stops.c.stop_id == stop_id)).one())


def _stop(row: Any) -> EmergencyStop:
    return EmergencyStop(**row._mapping)
