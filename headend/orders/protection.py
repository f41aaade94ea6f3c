"""Desk: keep-power orders (保电), which beat every reason for a disconnect (requirement 22).

One is for a service point or for a place with all that is below it, has an owner, a reason and an
end.  It also protects whoever is fed *through* a point: the main switch of an area with a hospital
in it is not opened either.  To end one early takes two people, unless the policy says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, or_, select, update

from headend.faults import EntryError
from headend.orders.faults import OrderStateError, SecondPersonError, UnknownProtectionError
from headend.orders.policy import load_policy
from headend.orders.reach import Reach
from headend.orders.tables import keep_powers, order_policy
from headend.person import Right
from headend.registry.places import place_row, point_row
from headend.registry.tables import places, service_points
from headend.station import Station
from storage import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepPower:
    """One keep-power order."""

    keep_power_id: int
    point: str | None
    place: str | None
    owner: str
    """Who answers for it: a name, a department."""
    reason: str
    since: datetime
    until: datetime
    added_by: str
    added_at: datetime
    lift_asked_by: str | None
    lift_why: str | None
    lifted_by: str | None
    lifted_at: datetime | None

    def is_active(self, at: datetime) -> bool:
        """Whether it protects at a moment."""
        return self.lifted_at is None and self.since <= at < self.until

    @property
    def what(self) -> str:
        """The point or place, for a person."""
        return self.point if self.point is not None else f"place {self.place}"


_SHOWN: Final = (
    "keep_power_id owner reason since until added_by added_at lift_asked_by lift_why lifted_by "
    "lifted_at"
).split()


@dataclass(frozen=True, slots=True)
class ProtectionDesk:
    """Protect, look, end."""

    station: Station

    def add(
        self,
        *,
        point: str | None = None,
        place: str | None = None,
        owner: str,
        reason: str,
        until: datetime,
        since: datetime | None = None,
    ) -> KeepPower:
        """Protect a point, or a place with everything below it.

        When this returns, no disconnect of it begins any more; one that was on its way already
        is not called back.

        Raises:
            EntryError: not one of point and place, no owner or reason, an end before the beginning.
            NotRegisteredError: no such point or place.
            NotAllowedError: the person may not protect customers.
        """
        self.station.require(Right.PROTECT)
        now = self.station.now()
        since = now if since is None else since
        if (point is None) == (place is None):
            raise EntryError("A keep-power order is for one service point, or for one place.")
        if not owner.strip() or not reason.strip():
            raise EntryError("A keep-power order has an owner and a reason.")
        if until <= max(since, now):
            raise EntryError("A keep-power order ends after it begins, and not in the past.")
        with self.station.writing() as connection:
            _close_the_gate(connection)
            number = connection.execute(
                insert(keep_powers)
                .values(
                    point_id=None if point is None else point_row(connection, point).point_id,
                    place_id=None if place is None else place_row(connection, place).place_id,
                    owner=owner.strip(),
                    reason=reason.strip(),
                    since=since,
                    until=until,
                    added_by=self.station.person.name,
                    added_at=now,
                    lift_needs_two=int(load_policy(connection).lift_needs_two),
                )
                .returning(keep_powers.c.keep_power_id)
            ).scalar_one()
            made = _find(connection, number)
            self._record(connection, "keep_power.add", made, reason)
            return made

    def end(self, keep_power_id: int, *, why: str) -> KeepPower:
        """End one before its time: the first person asks, a second one lifts it.

        Raises:
            UnknownProtectionError: there is none of this number.
            OrderStateError: it has ended already.
            SecondPersonError: the same person again.
            EntryError: no reason.
            NotAllowedError: the person may not protect customers.
        """
        self.station.require(Right.PROTECT)
        if not why.strip():
            raise EntryError("Say why the keep-power order ends early.")
        now, who = self.station.now(), self.station.person.name
        with self.station.writing() as connection:
            row = connection.execute(
                select(keep_powers).where(keep_powers.c.keep_power_id == keep_power_id)
            ).first()
            if row is None:
                raise UnknownProtectionError(f"There is no keep-power order {keep_power_id}.")
            if row.lifted_at is not None or row.until <= now:
                raise OrderStateError(f"Keep-power order {keep_power_id} has ended already.")
            if row.lift_asked_at is None:
                changes: dict[str, Any] = {
                    "lift_asked_by": who,
                    "lift_asked_at": now,
                    "lift_why": why.strip(),
                }
                if not row.lift_needs_two:
                    changes |= {"lifted_by": who, "lifted_at": now}
            elif row.lift_asked_by == who:
                raise SecondPersonError(
                    f"{who} has asked to end keep-power order {keep_power_id}; somebody else "
                    "has to agree."
                )
            else:
                changes = {"lifted_by": who, "lifted_at": now}
            connection.execute(
                update(keep_powers)
                .where(keep_powers.c.keep_power_id == keep_power_id)
                .values(changes)
            )
            changed = _find(connection, keep_power_id)
            action = "keep_power.ask_to_lift" if changed.lifted_at is None else "keep_power.lift"
            self._record(connection, action, changed, why)
            return changed

    def list(self, *, only_active: bool = True) -> list[KeepPower]:
        """Keep-power orders, the latest first."""
        self.station.require(Right.LOOK)
        now = self.station.now()
        with self.station.reading() as connection:
            rows = connection.execute(_all().order_by(keep_powers.c.keep_power_id.desc()))
            found = [_keep_power(row) for row in rows]
        return [
            each for each in found if not only_active or (each.until > now and not each.lifted_at)
        ]

    def _record(
        self, connection: Connection, action: str, keep_power: KeepPower, reason: str
    ) -> None:
        audit.record(
            connection,
            self.station.now(),
            actor=self.station.person.name,
            action=action,
            subject=str(keep_power.keep_power_id),
            detail=f"{keep_power.what} until {keep_power.until.isoformat()}",
            reason=reason,
        )


def protections_over(connection: Connection, reach: Reach, at: datetime) -> list[KeepPower]:
    """The keep-power orders that a disconnect would break at a moment."""
    if reach.point_id is None:
        return []
    rows = connection.execute(
        _all().where(
            keep_powers.c.lifted_at.is_(None),
            keep_powers.c.since <= at,
            keep_powers.c.until > at,
            or_(
                keep_powers.c.point_id.in_(reach.points),
                keep_powers.c.place_id.in_(reach.above | reach.below),
            ),
        )
    )
    return [_keep_power(row) for row in rows]


def _close_the_gate(connection: Connection) -> None:
    """Wait for those who are just beginning a disconnect; whoever comes after sees this."""
    connection.execute(
        select(order_policy.c.policy_id).where(order_policy.c.policy_id == 1).with_for_update()
    )


def _all() -> Select[Any]:
    return (
        select(
            *(keep_powers.c[name] for name in _SHOWN),
            service_points.c.name.label("point"),
            places.c.name.label("place"),
        )
        .outerjoin(service_points, service_points.c.point_id == keep_powers.c.point_id)
        .outerjoin(places, places.c.place_id == keep_powers.c.place_id)
    )


def _find(connection: Connection, keep_power_id: int) -> KeepPower:
    return _keep_power(
        connection.execute(_all().where(keep_powers.c.keep_power_id == keep_power_id)).one()
    )


def _keep_power(row: Any) -> KeepPower:
    return KeepPower(**row._mapping)
