"""Packed days: values put into them, whatever was there before.

Whoever writes to a device's days holds its row of `end_devices` until the transaction ends, so
that of two writers the second sees what the first has written (PostgreSQL; on SQLite a write
transaction is alone).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from headend.store import bulk
from headend.store.arrivals import KEY, Arrivals, DayKey, slot_start
from headend.store.differing import Differing, keep_apart
from headend.store.kept import SOURCES, Kept
from headend.store.months import Kind, Month, require_months
from headend.store.packed import (
    Merged,
    Qualities,
    Values,
    day_of,
    empty,
    merge,
    pack,
    start_of,
    unpack,
)
from headend.values import Quality, Source

_COLUMNS: Final = "total, device_id, day, quantity_id, interval_min, present, packed, qualities"
_KEYS: Final = (
    f"unnest(%s::int[], %s::bigint[], %s::smallint[], %s::smallint[]) AS k ({', '.join(KEY)})"
)
_SAME_KEY: Final = " AND ".join(f"d.{name} = k.{name}" for name in KEY)
_IS_KEY: Final = " AND ".join(f"{name} = ?" for name in KEY)

Stored = dict[DayKey, tuple[bytes, bytes]]
"""Packed values and qualities."""


def put_in_days(connection: Connection, arrivals: Arrivals) -> Kept:
    """Put values into their packed days, which are made where there are none.

    Args:
        connection: in a write transaction that holds the devices (`hold_devices`).
        arrivals: in the order in which they came; of two of the same interval the first stays.
    """
    kept = Kept()
    for interval_min in np.unique(arrivals.interval_min).tolist():
        chosen = arrivals.where(arrivals.interval_min == interval_min).sorted()
        kept += _put(connection, chosen, interval_min)
    return kept


def hold_devices(connection: Connection, device_ids: Sequence[int] | NDArray[np.int64]) -> None:
    """Keep other writers off the days of devices until the transaction ends."""
    if connection.dialect.name == "postgresql":
        bulk.execute(
            connection,
            "SELECT 1 FROM end_devices WHERE device_id = ANY(%s::bigint[]) "
            "ORDER BY device_id FOR NO KEY UPDATE",
            (np.unique(device_ids).tolist(),),
        )


def stored_days(connection: Connection, keys: Sequence[DayKey]) -> Stored:
    """Those of some packed days that are there."""
    if connection.dialect.name == "postgresql":
        rows = bulk.rows(
            connection,
            f"SELECT {', '.join(f'd.{name}' for name in KEY)}, d.packed, d.qualities "
            f"FROM {_KEYS} JOIN interval_days d ON {_SAME_KEY} WHERE d.day BETWEEN %s AND %s",
            [*_columns(keys), min(key[0] for key in keys), max(key[0] for key in keys)],
        )
        return {tuple(row[:4]): (row[4], row[5]) for row in rows}
    sql = f"SELECT packed, qualities FROM interval_days WHERE {_IS_KEY}"
    found = {key: bulk.rows(connection, sql, key) for key in keys}
    return {key: rows[0] for key, rows in found.items() if rows}


def days_with_any(connection: Connection, days: Sequence[int], table: str) -> list[int]:
    """The days of which a table has anything at all: one look at the index for each."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    sql = f"SELECT 1 FROM {table} WHERE day = {mark} LIMIT 1"
    return [day for day in days if bulk.rows(connection, sql, (day,))]


@dataclass(frozen=True, slots=True)
class _Days:
    """Packed days of one interval length, opened."""

    keys: Sequence[DayKey]
    values: Values
    qualities: Qualities
    was_there: NDArray[np.bool_]


def _put(connection: Connection, arrivals: Arrivals, interval_min: int) -> Kept:
    days = _opened(connection, arrivals.day_keys(), interval_min)
    kept, apart = Kept(), []
    changed = np.zeros(len(days.keys), bool)
    numbers, rest = arrivals.day_numbers(), arrivals
    while len(rest):  # once, unless intervals come twice
        again = rest.repeats()
        now, places = rest.where(~again), numbers[~again]
        new, new_qualities = empty(len(days.keys), interval_min)
        new[places, now.slot], new_qualities[places, now.slot] = now.value, now.quality
        before = days.values.copy(), days.qualities.copy()
        merged = merge(days.values, days.qualities, new, new_qualities)
        apart += _apart(days, merged, before, (new, new_qualities))
        differing, taken = int(merged.differing.sum()), int(merged.taken.sum())
        kept += Kept(taken, len(now) - taken - differing, differing)
        changed |= merged.taken.any(axis=1)
        rest, numbers = rest.where(again), numbers[again]
    keep_apart(connection, apart)
    _write(connection, days, changed)
    return kept


def _opened(connection: Connection, keys: Sequence[DayKey], interval_min: int) -> _Days:
    values, qualities = empty(len(keys), interval_min)
    was_there = np.zeros(len(keys), bool)
    filled = set(days_with_any(connection, sorted({key[0] for key in keys}), "interval_days"))
    asked = [key for key in keys if key[0] in filled]
    stored = stored_days(connection, asked) if asked else {}
    for place, key in enumerate(keys if stored else ()):
        if key in stored:
            values[place], qualities[place] = unpack(*stored[key])
            was_there[place] = True
    return _Days(keys, values, qualities, was_there)


def _apart(
    days: _Days,
    merged: Merged,
    before: tuple[Values, Qualities],
    new: tuple[Values, Qualities],
) -> list[Differing]:
    """What contradicts, and the estimates that gave way or did not come in."""
    found = []
    for place, slot in np.argwhere(merged.differing | merged.superseded).tolist():
        day, device_id, quantity_id, interval_min = days.keys[place]
        kept = int(days.values[place, slot]), int(days.qualities[place, slot])
        out = before if merged.taken[place, slot] else new
        found.append(
            Differing(
                device_id,
                quantity_id,
                slot_start(day, slot, interval_min),
                SOURCES[Source.PROFILE],
                interval_min,
                int(out[0][place, slot]),
                int(out[1][place, slot]),
                *kept,
                is_superseded=bool(merged.superseded[place, slot]),
            )
        )
    return found


def _write(connection: Connection, days: _Days, changed: NDArray[np.bool_]) -> None:
    there = days.qualities != Quality.MISSING
    present = there.sum(axis=1)
    total = np.where(there, days.values, 0).sum(axis=1, dtype=np.int64)
    if connection.dialect.name == "sqlite":
        _write_on_sqlite(connection, days, present, total, changed)
        return
    require_months(
        connection, Kind.INTERVALS, {Month.of_day(day) for day in {key[0] for key in days.keys}}
    )
    new = changed & ~days.was_there
    good = ~days.qualities.any(axis=1)
    keys = [
        np.array(column, width)
        for column, width in zip(
            zip(*days.keys, strict=True), (np.int32, np.int64, np.int16, np.int16), strict=True
        )
    ]
    streams = []
    for chosen, are_good in ((new & good, True), (new & ~good, False)):
        if not chosen.any():
            continue
        day, device, quantity, length = (key[chosen] for key in keys)
        packed = np.ascontiguousarray(days.values[chosen], "<i4").view(np.uint8)
        qualities = days.qualities[chosen][:, :0] if are_good else days.qualities[chosen]
        streams.append(
            bulk.copy_stream(
                [
                    total[chosen],
                    device,
                    day,
                    quantity,
                    length,
                    present[chosen].astype(np.int16),
                    packed.reshape(len(day), -1),
                    qualities,
                ]
            )
        )
    bulk.copy(connection, f"interval_days ({_COLUMNS})", streams)
    _update_on_postgresql(
        connection, days, present, total, np.flatnonzero(changed & days.was_there)
    )


def _update_on_postgresql(
    connection: Connection,
    days: _Days,
    present: NDArray[Any],
    total: NDArray[Any],
    places: NDArray[Any],
) -> None:
    if not len(places):
        return
    packed = [pack(days.values[place], days.qualities[place]) for place in places]
    keys = [days.keys[place] for place in places]
    bulk.execute(
        connection,
        "UPDATE interval_days d SET total = k.total, present = k.present, packed = k.packed, "
        "qualities = k.qualities FROM unnest(%s::int[], %s::bigint[], %s::smallint[], "
        "%s::smallint[], %s::bigint[], %s::smallint[], %s::bytea[], %s::bytea[]) "
        f"AS k ({', '.join(KEY)}, total, present, packed, qualities) WHERE {_SAME_KEY} "
        "AND d.day BETWEEN %s AND %s",
        [
            *_columns(keys),
            total[places].tolist(),
            present[places].tolist(),
            [each[0] for each in packed],
            [each[1] for each in packed],
            min(key[0] for key in keys),
            max(key[0] for key in keys),
        ],
    )


def _write_on_sqlite(
    connection: Connection,
    days: _Days,
    present: NDArray[Any],
    total: NDArray[Any],
    changed: NDArray[np.bool_],
) -> None:
    rows = []
    for place in np.flatnonzero(changed).tolist():
        day, device, quantity, length = days.keys[place]
        packed = pack(days.values[place], days.qualities[place])
        rows.append(
            (int(total[place]), device, day, quantity, length, int(present[place]), *packed)
        )
    bulk.execute_each(
        connection,
        f"INSERT INTO interval_days ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET total = excluded.total, "
        "present = excluded.present, packed = excluded.packed, qualities = excluded.qualities",
        rows,
    )


def _columns(keys: Sequence[DayKey]) -> list[list[int]]:
    return [list(column) for column in zip(*keys, strict=True)]


def replace_value(
    connection: Connection,
    device_id: int,
    quantity_id: int,
    start: datetime,
    interval_min: int,
    value: int,
    quality: Quality,
) -> bool:
    """Put a value in the place of another, where a person has said so.

    The device is held (`hold_devices`).

    Returns:
        Whether the day is packed and in the database; else nothing was done.
    """
    day = day_of(start)
    key = day, device_id, quantity_id, interval_min
    stored = stored_days(connection, [key])
    if key not in stored:
        return False
    values, qualities = unpack(*stored[key])
    slot = (start - start_of(day)) // timedelta(minutes=interval_min)
    values[slot], qualities[slot] = value, quality
    opened = _Days([key], values[None, :], qualities[None, :], np.ones(1, bool))
    _write(connection, opened, np.ones(1, bool))
    return True
