"""Desk: disconnect windows and holidays."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from headend.faults import EntryError
from headend.orders.faults import UnknownProtectionError
from headend.orders.tables import disconnect_windows, holidays
from headend.orders.windows import DAY_MIN, Calendar, Window
from headend.person import Right
from headend.station import Station
from storage import audit
from storage.engine import insert_if_new

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOWS: Final = select(
    disconnect_windows.c.weekday, disconnect_windows.c.from_min, disconnect_windows.c.until_min
).order_by(disconnect_windows.c.weekday, disconnect_windows.c.from_min)
_HOLIDAYS: Final = select(holidays.c.day, holidays.c.name).order_by(holidays.c.day)


def load_calendar(connection: Connection, zone: tzinfo) -> Calendar:
    """When supply may be cut."""
    windows = tuple(Window(*row) for row in connection.execute(_WINDOWS))
    off = frozenset(date.fromisoformat(row.day) for row in connection.execute(_HOLIDAYS))
    return Calendar(windows, off, zone)


@dataclass(frozen=True, slots=True)
class CalendarDesk:
    """Windows and holidays, looked at and changed."""

    station: Station

    def calendar(self) -> Calendar:
        """What is in force."""
        self.station.require(Right.LOOK)
        with self.station.reading() as connection:
            return load_calendar(connection, self.station.zone)

    def set_windows(self, windows: Iterable[Window]) -> None:
        """Put these in the place of all windows; none at all: supply is never cut.

        Raises:
            EntryError: a window that cannot be, or two that overlap.
            NotAllowedError: the person may not protect customers.
        """
        self.station.require(Right.PROTECT)
        wanted = sorted(windows)
        for window in wanted:
            if not (
                1 <= window.weekday <= 7 and 0 <= window.from_min < window.until_min <= DAY_MIN
            ):
                raise EntryError(f"{window} is no window: it begins before it ends, on one day.")
        for first, second in pairwise(wanted):
            if first.weekday == second.weekday and first.until_min > second.from_min:
                raise EntryError(f"The windows {first} and {second} overlap.")
        with self.station.writing() as connection:
            connection.execute(delete(disconnect_windows))
            for window in wanted:
                connection.execute(
                    insert(disconnect_windows).values(
                        weekday=window.weekday,
                        from_min=window.from_min,
                        until_min=window.until_min,
                    )
                )
            self._record(connection, "disconnect_windows.set", "; ".join(map(str, wanted)))

    def holidays(self) -> Mapping[date, str]:
        """Days without disconnects, and why."""
        self.station.require(Right.LOOK)
        with self.station.reading() as connection:
            return {date.fromisoformat(row.day): row.name for row in connection.execute(_HOLIDAYS)}

    def add_holidays(self, days: Mapping[date, str]) -> int:
        """Add days; those that are there already stay as they are.  Gives how many are new.

        Raises:
            EntryError: a day without a name.
            NotAllowedError: the person may not protect customers.
        """
        self.station.require(Right.PROTECT)
        if any(not name.strip() for name in days.values()):
            raise EntryError("Each holiday needs a name: it is shown where an order waits for it.")
        with self.station.writing() as connection:
            added = [
                day
                for day, name in sorted(days.items())
                if insert_if_new(
                    connection, holidays, {"day": day.isoformat(), "name": name.strip()}
                )
            ]
            if added:
                listed = ", ".join(day.isoformat() for day in added)
                self._record(connection, "holidays.add", listed)
        return len(added)

    def remove_holiday(self, day: date) -> None:
        """Take a day out again.

        Raises:
            UnknownProtectionError: it is no holiday.
            NotAllowedError: the person may not protect customers.
        """
        self.station.require(Right.PROTECT)
        with self.station.writing() as connection:
            gone = connection.execute(delete(holidays).where(holidays.c.day == day.isoformat()))
            if not gone.rowcount:
                raise UnknownProtectionError(f"{day} is no holiday.")
            self._record(connection, "holidays.remove", day.isoformat())

    def _record(self, connection: Connection, action: str, detail: str) -> None:
        audit.record(
            connection,
            self.station.now(),
            actor=self.station.person.name,
            action=action,
            subject="orders",
            detail=detail,
        )


def parse_windows(text: str) -> tuple[Window, ...]:
    """Windows as people write them: ``mon-thu 9:00-11:30 13:30-16:00, fri 9:00-11:30``.

    Raises:
        EntryError: says which part cannot be read; or there is none.
    """
    found = tuple(
        Window(weekday, *span)
        for part in text.split(",")
        if part.strip()
        for days, spans in (_split(part),)
        for weekday in _weekdays(days)
        for span in map(_span, spans)
    )
    if not found:
        raise EntryError("No window is given: write for example mon-thu 9:00-11:30.")
    return found


def _split(part: str) -> tuple[str, list[str]]:
    days, *spans = part.split()
    if not spans:
        raise EntryError(f"{part.strip()!r} has no hours: write mon-thu 9:00-11:30.")
    return days, spans


def _weekdays(text: str) -> list[int]:
    first, _, last = text.lower().partition("-")
    try:
        numbers = [_DAYS.index(name[:3]) + 1 for name in (first, last or first)]
    except ValueError:
        raise EntryError(f"{text!r} is no day or span of days: write mon or mon-fri.") from None
    first_day, last_day = numbers
    if first_day <= last_day:
        return list(range(first_day, last_day + 1))
    return [*range(first_day, len(_DAYS) + 1), *range(1, last_day + 1)]  # over the week's end


def _span(text: str) -> tuple[int, int]:
    since, separator, until = text.partition("-")
    if not separator:
        raise EntryError(f"{text!r} is no span of hours: write 9:00-11:30.")
    return _minute(since), _minute(until)


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    try:
        minute = int(hours) * 60 + int(minutes or 0)
    except ValueError:
        minute = -1
    if not 0 <= minute <= DAY_MIN or int(minutes or 0) > 59:
        raise EntryError(f"{text!r} is no time of the day: write 9:00.")
    return minute


def read_holidays(path: Path) -> dict[date, str]:
    """Holidays of a CSV file: a day (2026-10-01) and a name in each line; a heading may be there.

    Raises:
        EntryError: says which line cannot be read.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise EntryError(f"The holidays in {path} cannot be read: {fault}.") from None
    days: dict[date, str] = {}
    for number, row in enumerate(csv.reader(text.splitlines()), 1):
        if not row or (number == 1 and not row[0][:1].isdigit()):
            continue
        try:
            day = date.fromisoformat(row[0].strip())
        except ValueError:
            raise EntryError(f"Line {number} of {path}: {row[0]!r} is no day.") from None
        days[day] = row[1].strip() if len(row) > 1 and row[1].strip() else "holiday"
    return days
