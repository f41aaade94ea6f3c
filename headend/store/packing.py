"""The nightly sweep: values that wait go into their packed days.

It goes day by day and, within a day, by some devices at a time, each time in one transaction that
takes values out of the waiting room and puts them into their days.  So it may be killed at any
moment, be run again, or run twice at the same time: nothing is lost and nothing doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection

from headend.station import Station
from headend.store import bulk
from headend.store.arrivals import NAMES, Arrivals
from headend.store.days import hold_devices, put_in_days
from headend.store.kept import Kept
from headend.store.months import Kind, Month, hold_months
from headend.store.packed import day_of

GRACE: Final = timedelta(hours=1)
"""How long after midnight UTC a day's own values may still come."""
CHUNK_VALUES: Final = 100_000
"""About so many values in one transaction."""
_COLUMNS: Final = ", ".join(NAMES)

Told = Callable[[int, int], None]
"""Is told how many values are packed, of how many."""


@dataclass(frozen=True, slots=True)
class Packing:
    """What a sweep has done."""

    days: int
    values: int
    """Taken out of the waiting room."""
    kept: Kept


def pack(
    station: Station,
    *,
    until: datetime | None = None,
    told: Told | None = None,
    chunk_values: int = CHUNK_VALUES,
) -> Packing:
    """Pack what waits of all days that are over.

    Args:
        station: the head-end.
        until: days that end by this moment; without: an hour ago.
        told: see `Told`.
        chunk_values: about so many values in one transaction.
    """
    last = day_of(until if until is not None else station.now() - GRACE) - 1
    with station.reading() as connection:
        days = [day for day in waiting_days(connection) if day <= last]
        total = _count(connection, last)
    kept, done = Kept(), 0
    for day in days:
        after = 0
        while True:
            with station.writing() as connection:
                bound = _bound(connection, day, after, chunk_values)
                if bound is None:
                    break
                arrivals = _taken_out(connection, day, after, bound)
                kept += put_in_days(connection, arrivals)
            after, done = bound, done + len(arrivals)
            if told is not None:
                told(done, max(done, total))
    return Packing(len(days), done, kept)


def waiting_days(connection: Connection) -> list[int]:
    """The days of which values wait, each found by one look at the index."""
    days: list[int] = []
    mark = _mark(connection)
    sql = f"SELECT min(day) FROM interval_arrivals WHERE day > {mark}"
    last = -(2**31)
    while True:
        [(day,)] = bulk.rows(connection, sql, (last,))
        if day is None:
            return days
        days.append(day)
        last = day


def _count(connection: Connection, last: int) -> int:
    sql = f"SELECT count(*) FROM interval_arrivals WHERE day <= {_mark(connection)}"
    return int(bulk.rows(connection, sql, (last,))[0][0])


def _bound(connection: Connection, day: int, after: int, chunk_values: int) -> int | None:
    """The last device of the next chunk; None when nothing waits any more."""
    mark = _mark(connection)
    sql = (
        f"SELECT device_id FROM interval_arrivals WHERE day = {mark} AND device_id > {mark} "
        f"ORDER BY device_id {{}} LIMIT 1"
    )
    found = bulk.rows(connection, sql.format("") + f" OFFSET {chunk_values}", (day, after))
    found = found or bulk.rows(connection, sql.format("DESC"), (day, after))
    return int(found[0][0]) if found else None


def _taken_out(connection: Connection, day: int, after: int, bound: int) -> Arrivals:
    """Values of some devices, out of the waiting room; the devices are held."""
    hold_months(connection, Kind.INTERVALS, [Month.of_day(day)])
    among = f"day = {day} AND device_id > {after} AND device_id <= {bound}"
    if connection.dialect.name == "sqlite":
        rows = bulk.rows(
            connection, f"DELETE FROM interval_arrivals WHERE {among} RETURNING {_COLUMNS}"
        )
        return Arrivals.of_rows(rows)
    found = bulk.rows(connection, f"SELECT DISTINCT device_id FROM interval_arrivals WHERE {among}")
    hold_devices(connection, np.array([row[0] for row in found], np.int64))
    # one row for each packed day: a row for each value costs more to fetch than to pack
    groups = bulk.rows(
        connection,
        f"WITH gone AS (DELETE FROM interval_arrivals WHERE {among} RETURNING {_COLUMNS}) "
        "SELECT device_id, quantity_id, interval_min, string_agg(int2send(slot), ''::bytea), "
        "string_agg(int4send(value), ''::bytea), string_agg(int2send(quality), ''::bytea) "
        "FROM gone GROUP BY device_id, quantity_id, interval_min",
    )
    return _spread(day, groups)


def _spread(day: int, groups: Sequence[Any]) -> Arrivals:
    """Values that come together by packed day: their bytes lie one after another, big-endian."""
    if not groups:
        return Arrivals.of_rows([])
    devices, quantities, lengths, *columns = zip(*groups, strict=True)
    counts = [len(slots) // 2 for slots in columns[0]]
    slot, value, quality = (
        np.frombuffer(b"".join(column), width)
        for column, width in zip(columns, (">i2", ">i4", ">i2"), strict=True)
    )
    device_id, quantity_id, interval_min = (
        np.repeat(key, counts) for key in (devices, quantities, lengths)
    )
    days = np.full(len(value), day)
    return Arrivals.of_columns((device_id, days, value, quantity_id, interval_min, slot, quality))


def _mark(connection: Connection) -> str:
    return "%s" if connection.dialect.name == "postgresql" else "?"
