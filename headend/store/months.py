"""Months: the pieces in which the store grows, is archived and is given up.

On PostgreSQL each month of `readings`, `interval_days` and `meter_events` is a partition in the
schema ``months``.  A sweep makes those to come ahead of time; a value of a month that has none (a
late one, or of a meter whose clock is wrong) makes it.  On SQLite there is nothing to make.

A month that is archived may get late values: they lie in the database until the next archiving
puts them beside the month's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from headend.store import bulk
from headend.store.packed import EPOCH

RECENT: Final = 2
"""So many months back from this one are never archived."""
AHEAD: Final = 3
"""How many months are made ahead."""
_LOCK: Final = 0x6D68_6D6F
"""The advisory lock under which partitions are made."""
_NAME: Final = re.compile(r"(\w+)_(\d{4})_(\d{2})")


class Kind(StrEnum):
    """What is kept by the month."""

    READINGS = "readings"
    INTERVALS = "intervals"
    EVENTS = "events"


TABLES: Final = {
    Kind.READINGS: "readings",
    Kind.INTERVALS: "interval_days",
    Kind.EVENTS: "meter_events",
}


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of UTC."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """The one that a moment lies in."""
        moment = moment.astimezone(UTC)
        return cls(moment.year, moment.month)

    @classmethod
    def of_day(cls, day: int) -> Month:
        """The one that a day, counted from 1970-01-01, lies in."""
        found = date.fromordinal(EPOCH.toordinal() + day)
        return cls(found.year, found.month)

    @classmethod
    def named(cls, text: str) -> Month:
        """From ``YYYY-MM``.

        Raises:
            ValueError: it is none.
        """
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
            raise ValueError(f"A month looks like 2026-11, not {text!r}.")
        return cls(int(text[:4]), int(text[5:]))

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    def plus(self, months: int) -> Month:
        """So many months later."""
        count = self.year * 12 + self.number - 1 + months
        return Month(count // 12, count % 12 + 1)

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment of the next."""
        return self.plus(1).start

    @property
    def days(self) -> tuple[int, int]:
        """Its first day and the first of the next, counted from 1970-01-01."""
        return (self.start - EPOCH).days, (self.end - EPOCH).days


def months_between(since: datetime, until: datetime) -> list[Month]:
    """The months that lie, wholly or in part, in a span of time."""
    month, found = Month.of(since), []
    while month.start < until:
        found.append(month)
        month = month.plus(1)
    return found


def partition(kind: Kind, month: Month) -> str:
    """The name of a month's partition."""
    return f"months.{TABLES[kind]}_{month.year:04}_{month.number:02}"


def partitions(connection: Connection, kind: Kind) -> list[Month]:
    """The months that have a partition (PostgreSQL)."""
    found = bulk.rows(
        connection,
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        f"WHERE i.inhparent = '{TABLES[kind]}'::regclass ORDER BY 1",
    )
    names = [_NAME.fullmatch(name) for (name,) in found]
    return [Month(int(name[2]), int(name[3])) for name in names if name]


def require_months(connection: Connection, kind: Kind, months: Iterable[Month]) -> None:
    """Make the partitions that are not there, in the caller's write transaction."""
    if connection.dialect.name == "sqlite":
        return
    names = {partition(kind, month): month for month in months}
    missing = bulk.rows(
        connection,
        "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NULL",
        (list(names),),
    )
    if missing:
        bulk.execute(connection, f"SELECT pg_advisory_xact_lock({_LOCK})")
        for (name,) in missing:
            _make(connection, kind, names[name], name)


def make_ahead(connection: Connection, now: datetime) -> int:
    """Make the partitions of this month and of those to come; how many there were to make."""
    if connection.dialect.name == "sqlite":
        return 0
    made = 0
    wanted = {Month.of(now).plus(ahead) for ahead in range(AHEAD + 1)}
    for kind in Kind:
        missing = wanted - set(partitions(connection, kind))
        require_months(connection, kind, sorted(missing))
        made += len(missing)
    return made


def _make(connection: Connection, kind: Kind, month: Month, name: str) -> None:
    """Made beside and attached then: readers and writers of other months need not wait."""
    table = TABLES[kind]
    if bulk.rows(connection, "SELECT 1 WHERE to_regclass(%s) IS NOT NULL", (name,)):
        return  # another one has made it meanwhile
    first, last = month.days if kind is Kind.INTERVALS else (month.start, month.end)
    bulk.execute(connection, f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    bulk.execute(
        connection,
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{last}')",
    )


def hold_months(connection: Connection, kind: Kind, months: Iterable[Month]) -> None:
    """Keep the archiver from dropping months until the caller's write transaction ends.

    Only of months that are old enough to be archived: the present ones cost nothing.
    """
    if connection.dialect.name == "sqlite":
        return  # a write transaction is alone
    recent = Month.of(datetime.now(UTC)).plus(-RECENT)
    for month in sorted(months):
        if month < recent:
            bulk.execute(
                connection, "SELECT pg_advisory_xact_lock_shared(%s, %s)", _lock(kind, month)
            )


def hold_month_alone(connection: Connection, kind: Kind, month: Month) -> None:
    """Wait until nobody writes to a month, and keep them off until the transaction ends."""
    if connection.dialect.name == "postgresql":
        bulk.execute(connection, "SELECT pg_advisory_xact_lock(%s, %s)", _lock(kind, month))


def _lock(kind: Kind, month: Month) -> tuple[int, int]:
    return _LOCK + 1 + list(Kind).index(kind), month.year * 12 + month.number
