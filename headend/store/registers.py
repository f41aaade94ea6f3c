"""Register readings: ordinary rows, one for each device, quantity, moment and source.

What is stored is never changed.  The same value again is nothing new; another value for the same
key is kept apart (`differing`).  A correction is a row of its own, with its reason, and is given
in the place of what it corrects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, bindparam, select

from headend.faults import EntryError
from headend.store import bulk
from headend.store.archived import archived_readings
from headend.store.differing import Differing, keep_apart
from headend.store.kept import INT64_MAX, SOURCE_OF, SOURCES, Kept, microseconds, require_devices
from headend.store.months import Kind, Month, hold_months, require_months
from headend.store.quantities import quantity_id, quantity_ids
from headend.store.tables import reading_corrections, readings
from headend.values import Quality, Reading
from storage.prepared import Prepared

BULK_ROWS: Final = 200
"""From here on COPY is worth its round trips."""
_KEY: Final = "device_id, quantity_id, at, source"
_COLUMNS: Final = "device_id, at, value, quantity_id, source, quality"
_SINCE_2000_US: Final = microseconds(datetime(2000, 1, 1, tzinfo=UTC))
_WAITING: Final = "arriving_readings"
_UNNESTED: Final = (
    "unnest(%s::bigint[], %s::timestamptz[], %s::bigint[], %s::smallint[], %s::smallint[], "
    f"%s::smallint[]) AS given ({_COLUMNS})"
)
_SQLITE_INSERT: Final = (
    f"INSERT INTO readings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)

_of_quantity = (
    readings.c.device_id == bindparam("device_id"),
    readings.c.quantity_id == bindparam("quantity_id"),
)
_HELD: Final = (readings.c.at, readings.c.value, readings.c.source, readings.c.quality)
_STORED: Final = Prepared(
    select(readings.c.value, readings.c.quality).where(
        *_of_quantity,
        readings.c.at == bindparam("at"),
        readings.c.source == bindparam("source"),
    )
)
_SPAN: Final = Prepared(
    select(*_HELD)
    .where(
        *_of_quantity,
        readings.c.at >= bindparam("since"),
        readings.c.at < bindparam("until"),
    )
    .order_by(readings.c.at, readings.c.source)
)
_LATEST: Final = Prepared(
    select(*_HELD)
    .where(*_of_quantity, readings.c.at <= bindparam("until"))
    .order_by(readings.c.at.desc())  # not by the source, too: the index is read backwards
    .limit(len(SOURCES))
)
_CORRECTED: Final = Prepared(
    select(
        reading_corrections.c.at,
        reading_corrections.c.source,
        reading_corrections.c.value,
        reading_corrections.c.quality,
    )
    .where(
        reading_corrections.c.device_id == bindparam("device_id"),
        reading_corrections.c.quantity_id == bindparam("quantity_id"),
        reading_corrections.c.at >= bindparam("since"),
        reading_corrections.c.at < bindparam("until"),
    )
    .order_by(reading_corrections.c.correction_id)
)
_LAST_MOMENT: Final = datetime(9999, 12, 31, tzinfo=UTC)
_A_MOMENT: Final = timedelta(microseconds=1)

_Row = tuple[int, datetime, int, int, int, int]
"""In the order of `_COLUMNS`."""


def add_readings(connection: Connection, given: Sequence[Reading]) -> Kept:
    """Keep readings, in the caller's write transaction.

    The same (device, quantity, moment, source) is never stored twice.  Another value for it is
    kept apart, for a person; it overwrites nothing.

    Raises:
        EntryError: a time without a zone, a value of over 64 bits, the quality MISSING.
        NotRegisteredError: a device is not registered.
    """
    if not given:
        return Kept()
    rows = _rows(connection, given)
    require_devices(connection, (row[0] for row in rows))
    months = {Month.of(moment) for moment in {row[1] for row in rows}}
    hold_months(connection, Kind.READINGS, months)
    require_months(connection, Kind.READINGS, months)
    if connection.dialect.name == "sqlite":
        new, others = _keep_on_sqlite(connection, rows)
    else:
        new, others = _keep_on_postgresql(connection, rows)
    differing = [
        Differing(row[0], row[3], row[1], row[4], 0, row[2], row[5], value, quality)
        for row, (value, quality) in others
    ]
    keep_apart(connection, differing)
    return Kept(new, len(given) - new - len(differing), len(differing))


def find_readings(
    connection: Connection,
    device_id: int,
    quantity: str,
    since: datetime,
    until: datetime,
    *,
    corrected: bool = True,
) -> list[Reading]:
    """The readings of one quantity in a span of time, in the order of their moments.

    Args:
        connection: in any transaction.
        device_id: whose.
        quantity: its name.
        since: first moment.
        until: the moment before which they lie.
        corrected: with the last correction of each in its place; without: as they were read.
    """
    number = quantity_id(connection, quantity)
    if number is None:
        return []
    span = {"device_id": device_id, "quantity_id": number, "since": since, "until": until}
    rows = {(row.at, row.source): (row.value, row.quality) for row in _SPAN.rows(connection, span)}
    for row in archived_readings(connection, device_id, number, since, until):
        rows[row.at, row.source] = (row.value, row.quality)
    if corrected:
        for row in _CORRECTED.rows(connection, span):
            rows[row.at, row.source] = (row.value, row.quality)
    return [
        Reading(device_id, quantity, at, value, SOURCE_OF[source], Quality(quality))
        for (at, source), (value, quality) in sorted(rows.items())
    ]


def latest_readings(
    connection: Connection,
    device_id: int,
    quantities: Iterable[str],
    *,
    until: datetime = _LAST_MOMENT,
) -> dict[str, Reading]:
    """The last reading of each quantity that has one, corrected where it was.

    Args:
        connection: in any transaction.
        device_id: whose.
        quantities: their names.
        until: not later than this.  What lies in the archive is not looked for.
    """
    found = {}
    for quantity in quantities:
        number = quantity_id(connection, quantity)
        key = {"device_id": device_id, "quantity_id": number}
        rows = [] if number is None else _LATEST.rows(connection, {**key, "until": until})
        if not rows:
            continue
        row = min((each for each in rows if each.at == rows[0].at), key=_source)
        value, quality = row.value, row.quality
        just_then = {"since": row.at, "until": row.at + _A_MOMENT}
        for correction in _CORRECTED.rows(connection, {**key, **just_then}):
            if correction.source == row.source:
                value, quality = correction.value, correction.quality
        found[quantity] = Reading(
            device_id, quantity, row.at, value, SOURCE_OF[row.source], Quality(quality)
        )
    return found


def _source(row: Any) -> int:
    """What the meter itself says now goes before what it froze, and both before a person's."""
    source: int = row.source
    return source


def _rows(connection: Connection, given: Sequence[Reading]) -> list[_Row]:
    for reading in given:
        if reading.at.tzinfo is None:
            raise EntryError(f"The time {reading.at} of a reading has no zone; nothing was kept.")
        if type(reading.value) is not int or not -INT64_MAX <= reading.value <= INT64_MAX:
            raise EntryError(
                f"The value {reading.value!r} of {reading.quantity} is no whole number of 64 "
                "bits; nothing was kept."
            )
        if reading.quality is Quality.MISSING:
            raise EntryError(
                f"A reading of {reading.quantity} is said to be missing: leave it out; nothing "
                "was kept."
            )
    numbers = quantity_ids(connection, {reading.quantity for reading in given})
    return [
        (
            reading.device_id,
            reading.at,
            reading.value,
            numbers[reading.quantity],
            SOURCES[reading.source],
            int(reading.quality),
        )
        for reading in given
    ]


_Others = list[tuple[_Row, tuple[int, int]]]
"""Rows that were not stored, with the value and quality that are, where these are others."""


def _keep_on_sqlite(connection: Connection, rows: Sequence[_Row]) -> tuple[int, _Others]:
    as_text = readings.c.at.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    assert as_text is not None
    texts = {moment: as_text(moment) for moment in {row[1] for row in rows}}
    new = bulk.execute_each(
        connection, _SQLITE_INSERT, [(row[0], texts[row[1]], *row[2:]) for row in rows]
    )
    if new == len(rows):
        return new, []
    others: _Others = []
    for row in rows:
        key = {"device_id": row[0], "at": row[1], "quantity_id": row[3], "source": row[4]}
        stored = _STORED.first(connection, key)
        if (stored.value, stored.quality) != (row[2], row[5]):
            others.append((row, (stored.value, stored.quality)))
    return new, others


def _keep_on_postgresql(connection: Connection, rows: Sequence[_Row]) -> tuple[int, _Others]:
    columns = list(zip(*rows, strict=True))
    if len(rows) < BULK_ROWS:
        source, values = _UNNESTED, [list(column) for column in columns]
    else:
        source, values = f"pg_temp.{_WAITING} AS given", []
        _copy(connection, columns)
    new = bulk.execute(
        connection,
        f"INSERT INTO readings ({_COLUMNS}) SELECT {_COLUMNS} FROM {source} ON CONFLICT DO NOTHING",
        values,
    )
    if new == len(rows):
        return new, []
    found: list[Any] = bulk.rows(
        connection,
        "SELECT given.device_id, given.at, given.value, given.quantity_id, given.source, "
        f"given.quality, readings.value, readings.quality FROM {source} "
        f"JOIN readings USING ({_KEY}) WHERE readings.at BETWEEN %s AND %s AND "
        "(given.value, given.quality) <> (readings.value, readings.quality)",
        [*values, min(columns[1]), max(columns[1])],
    )
    return new, [(tuple(row[:6]), (row[6], row[7])) for row in found]


def _copy(connection: Connection, columns: Sequence[Sequence[Any]]) -> None:
    bulk.waiting_table(
        connection,
        _WAITING,
        "device_id bigint, at timestamptz, value bigint, quantity_id smallint, source smallint, "
        "quality smallint",
    )
    devices, moments, values, *narrow = columns
    at = np.fromiter(map(microseconds, moments), np.int64, len(moments)) - _SINCE_2000_US
    wide = [np.array(devices, np.int64), at, np.array(values, np.int64)]
    stream = bulk.copy_stream([*wide, *(np.array(column, np.int16) for column in narrow)])
    bulk.copy(connection, f"pg_temp.{_WAITING} ({_COLUMNS})", [stream])
