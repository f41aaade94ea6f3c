"""Customers' reading days (抄表例日): set once, moved only with a second person and a notice.

A service point without one gets it at once.  Moving it is asked for by one person, with the date
on which the customer is told, and agreed or refused by another.  It holds from the first of a
month on, so that each point is read exactly once in every month, that of the move too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from headend.collection.calendar import first_of, month_number
from headend.collection.faults import ReadingDayError
from headend.collection.tables import reading_days
from headend.person import Right
from headend.registry.tables import end_devices, installations, service_points
from headend.station import Station
from storage import audit

NOTICE_DAYS: Final = 10
"""At least so long before it holds the customer is told."""


@dataclass(frozen=True, slots=True)
class Move:
    """A reading day of a service point, or its move."""

    move_id: int
    point: str
    day: int
    from_month: date
    """The first of the month from which on it holds."""
    state: str
    """``asked``, ``agreed`` or ``refused``."""
    notice_on: date | None
    reason: str
    ordered_by: str
    approved_by: str | None


class ReadingDays:
    """Reading days of one station; looking needs `Right.LOOK`."""

    def __init__(self, station: Station) -> None:
        self._station = station

    def set_first(self, number: str, day: int, *, reason: str = "first reading day") -> Move:
        """Give a meter's service point its first reading day, from this month on.

        Raises:
            ReadingDayError: no such day, no such meter, or the point has one: move it then.
        """
        self._station.require(Right.READ)
        with self._station.writing() as connection:
            point_id = self._point(connection, number)
            if self._rows(connection, point_id):
                raise ReadingDayError(
                    f"The service point of meter {number} has a reading day: ask for a move, "
                    "which another person approves."
                )
            month = month_number(self._today())
            return self._insert(
                connection, number, point_id, day, month, reason, is_first=True, notice_on=None
            )

    def ask(self, number: str, day: int, from_month: date, notice_on: date, reason: str) -> Move:
        """Ask for another reading day.

        Args:
            number: of the meter that stands at the point.
            day: 1-31.
            from_month: any day of the month from which on it holds.
            notice_on: when the customer is, or was, told.
            reason: why.

        Raises:
            ReadingDayError: says what is wrong.
        """
        self._station.require(Right.READ)
        month = month_number(from_month)
        if month <= month_number(self._today()):
            raise ReadingDayError("A move holds from a later month on, never within this one.")
        if (first_of(month) - notice_on).days < NOTICE_DAYS:
            raise ReadingDayError(
                f"The customer is told at least {NOTICE_DAYS} days before "
                f"{first_of(month)}, when it holds."
            )
        if not reason.strip():
            raise ReadingDayError("Why is it moved? The reason stays with it.")
        with self._station.writing() as connection:
            point_id = self._point(connection, number)
            rows = self._rows(connection, point_id)
            if not rows:
                raise ReadingDayError(f"Meter {number} has no reading day yet: set one.")
            if any(row.state == "asked" for row in rows):
                raise ReadingDayError("A move of this point waits for approval already.")
            if any(row.state == "agreed" and row.from_month >= month for row in rows):
                raise ReadingDayError("Another day is agreed for that month or a later one.")
            return self._insert(
                connection, number, point_id, day, month, reason, is_first=False,
                notice_on=notice_on,
            )  # fmt: skip

    def approve(self, move_id: int, *, agrees: bool = True) -> Move:
        """Agree to a move, or refuse it, as another person than who asked.

        Raises:
            ReadingDayError: no such move, it is decided, too late, or one's own.
        """
        self._station.require(Right.APPROVE)
        person, now = self._station.person.name, self._station.now()
        with self._station.writing() as connection:
            row = self._row(connection, move_id)
            if row is None or row.state != "asked":
                raise ReadingDayError(f"No move {move_id} waits for approval.")
            if row.ordered_by == person:
                raise ReadingDayError("Another person than who asked for the move approves it.")
            if agrees and row.from_month <= month_number(self._today()):
                raise ReadingDayError("Its month has begun: refuse it, and ask for a later one.")
            state = "agreed" if agrees else "refused"
            connection.execute(
                update(reading_days)
                .where(reading_days.c.move_id == move_id, reading_days.c.state == "asked")
                .values(state=state, approved_by=person, approved_at=now)
            )
            self._note(connection, f"reading_day.{state}", row.name, f"day {row.day}", row.reason)
            return _move(self._row(connection, move_id))

    def moves(self, *, only_asked: bool = False) -> list[Move]:
        """Reading days and their moves, by point."""
        self._station.require(Right.LOOK)
        query = _ALL.order_by(service_points.c.name, reading_days.c.from_month)
        if only_asked:
            query = query.where(reading_days.c.state == "asked")
        with self._station.reading() as connection:
            return [_move(row) for row in connection.execute(query)]

    # What they share

    def _today(self) -> date:
        return self._station.now().astimezone(self._station.zone).date()

    def _insert(
        self,
        connection: Connection,
        number: str,
        point_id: int,
        day: int,
        month: int,
        reason: str,
        *,
        is_first: bool,
        notice_on: date | None,
    ) -> Move:
        if not 1 <= day <= 31:
            raise ReadingDayError("A reading day is 1-31; after a month's end its last is meant.")
        state = "agreed" if is_first else "asked"
        move_id: int = connection.execute(
            insert(reading_days)
            .values(
                point_id=point_id,
                day=day,
                from_month=month,
                state=state,
                is_first=int(is_first),
                notice_on=None if notice_on is None else notice_on.isoformat(),
                reason=reason,
                ordered_by=self._station.person.name,
                ordered_at=self._station.now(),
            )
            .returning(reading_days.c.move_id)
        ).scalar_one()
        action = "reading_day.set" if is_first else "reading_day.asked"
        self._note(connection, action, number, f"day {day} from {first_of(month)}", reason)
        return _move(self._row(connection, move_id))

    def _point(self, connection: Connection, number: str) -> int:
        query = (
            select(installations.c.point_id)
            .join(end_devices, end_devices.c.device_id == installations.c.device_id)
            .where(end_devices.c.number == number, installations.c.until.is_(None))
        )
        found: int | None = connection.execute(query).scalar()
        if found is None:
            raise ReadingDayError(f"Meter {number} stands at no service point.")
        return found

    def _rows(self, connection: Connection, point_id: int) -> list[Any]:
        query = select(reading_days).where(reading_days.c.point_id == point_id)
        return list(connection.execute(query))

    def _row(self, connection: Connection, move_id: int) -> Any:
        return connection.execute(_ALL.where(reading_days.c.move_id == move_id)).first()

    def _note(
        self, connection: Connection, action: str, subject: str, detail: str, reason: str
    ) -> None:
        audit.record(
            connection,
            self._station.now(),
            actor=self._station.person.name,
            action=action,
            subject=subject,
            detail=detail,
            reason=reason,
        )


_ALL: Final = select(reading_days, service_points.c.name).join(
    service_points, service_points.c.point_id == reading_days.c.point_id
)


def _move(row: Any) -> Move:
    return Move(
        row.move_id,
        row.name,
        row.day,
        first_of(row.from_month),
        row.state,
        None if row.notice_on is None else date.fromisoformat(row.notice_on),
        row.reason,
        row.ordered_by,
        row.approved_by,
    )
