"""Sums of interval values by device: what losses and reports ask for of many meters at once.

Each packed day holds its sum, so that whole days are added up by the database; only the first and
the last day of a span that begins or ends within a day are opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from headend.store import bulk
from headend.store.days import days_with_any
from headend.store.intervals import find_intervals
from headend.store.packed import day_of, start_of
from headend.store.quantities import quantity_id

_AT_ONCE: Final = 500
"""Devices in one statement on SQLite."""
_NO_DAY: Final = (
    "NOT EXISTS (SELECT 1 FROM interval_days d WHERE d.day = a.day AND d.device_id = a.device_id "
    "AND d.quantity_id = a.quantity_id AND d.interval_min = a.interval_min)"
)
"""What waits for a day that is packed is counted once it is in there: it may be a repeat."""


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of a device's interval values in a span of time."""

    total: int
    """In the quantity's unit as it is kept."""
    minutes: int
    """Of how many minutes of the span there is a value; the span's own length: nothing missing."""


def interval_sums(
    connection: Connection,
    device_ids: Sequence[int],
    quantity: str,
    since: datetime,
    until: datetime,
) -> dict[int, Sum]:
    """Sums of interval values, for quantities whose intervals add up; devices without are left out.

    Values of which the meter itself says that they are none are in it, as they are in bills that
    nobody has checked: look for them with `intervals`.  Whole days in the archive are not summed.
    """
    number = quantity_id(connection, quantity)
    first, last = day_of(since), day_of(until)
    if number is None or since >= until:
        return {}
    low = first if start_of(first) == since else first + 1
    sums: dict[int, list[int]] = {}
    whole = list(range(low, last))
    for device_id, total, minutes in _packed(connection, device_ids, number, whole):
        _add(sums, device_id, total, minutes)
    waiting = set(days_with_any(connection, whole, "interval_arrivals"))
    edges = [(since, min(until, start_of(low)))] if low > first else []
    if start_of(last) < until and last >= low:
        edges.append((start_of(last), until))
    for device_id in device_ids:
        for begin, end in edges:
            for value in find_intervals(connection, device_id, quantity, begin, end):
                _add(sums, device_id, value.value, value.interval_min)
    for device_id, total, minutes in _waiting(connection, device_ids, number, sorted(waiting)):
        _add(sums, device_id, total, minutes)
    return {device_id: Sum(*each) for device_id, each in sums.items()}


def _add(sums: dict[int, list[int]], device_id: int, total: int, minutes: int) -> None:
    known = sums.setdefault(device_id, [0, 0])
    known[0] += int(total)
    known[1] += int(minutes)


def _packed(
    connection: Connection, device_ids: Sequence[int], number: int, days: Sequence[int]
) -> list[Any]:
    what = "sum(total), sum(present * interval_min)"
    return _summed(connection, "interval_days", what, device_ids, number, days)


def _waiting(
    connection: Connection, device_ids: Sequence[int], number: int, days: Sequence[int]
) -> list[Any]:
    what = "sum(value), sum(interval_min)"
    return _summed(
        connection, "interval_arrivals", what, device_ids, number, days, f" AND {_NO_DAY}"
    )


def _summed(
    connection: Connection,
    table: str,
    what: str,
    device_ids: Sequence[int],
    number: int,
    days: Sequence[int],
    only: str = "",
) -> list[Any]:
    if not days or not device_ids:
        return []
    select = f"SELECT device_id, {what} FROM {table} AS a WHERE quantity_id = {number}{only}"
    if connection.dialect.name == "postgresql":
        return bulk.rows(
            connection,
            f"{select} AND day = ANY(%s::int[]) AND device_id = ANY(%s::bigint[]) "
            "GROUP BY device_id",
            (list(days), list(device_ids)),
        )
    found: list[Any] = []
    among = f"day IN ({', '.join(map(str, days))})"
    for place in range(0, len(device_ids), _AT_ONCE):
        part = ", ".join(str(int(each)) for each in device_ids[place : place + _AT_ONCE])
        found += bulk.rows(
            connection, f"{select} AND {among} AND device_id IN ({part}) GROUP BY device_id"
        )
    return found
