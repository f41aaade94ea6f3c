"""What the database holds of a month: counted and summed, and as columns for the archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from headend.store import bulk
from headend.store.kept import microseconds
from headend.store.months import TABLES, Kind, Month
from headend.store.packed import DAY_MIN
from headend.store.tables import readings
from headend.values import Quality

Columns = dict[str, NDArray[Any]]
_LOW: Final = 2**32 - 1
_MINUTE_US: Final = 60_000_000
_NEVER: Final = -(2**63)
_TIME: Final = {Kind.READINGS: "at", Kind.INTERVALS: "day", Kind.EVENTS: "began_at"}
_WHAT: Final = {
    Kind.READINGS: ("count(*)", "value"),
    Kind.INTERVALS: ("sum(present)", "total"),
    Kind.EVENTS: (
        "count(*)",
        "CAST(length(details) + CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END AS bigint)",
    ),
}
"""What is counted, and what is summed."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What two places must agree on before one of them is given up."""

    rows: int = 0
    total: int = 0
    """Of the values; of events: the lengths of their details and how many have ended."""

    def __add__(self, other: Figures) -> Figures:
        return Figures(self.rows + other.rows, self.total + other.total)

    @property
    def sums(self) -> tuple[int, int]:
        """The total in two numbers of 64 bits: high × 2^32 + low."""
        return divmod(self.total, 2**32)

    @classmethod
    def of_sums(cls, rows: int, high: int, low: int) -> Figures:
        """From what `sums` gave."""
        return cls(rows, high * 2**32 + low)


def held(connection: Connection, kind: Kind, month: Month) -> Figures:
    """What the database holds of a month.

    Sums are taken of the upper and the lower half of each number apart: SQLite refuses a sum of
    over 64 bits.
    """
    count, value = _WHAT[kind]
    limits, values = _within(connection, kind, month)
    [(rows, high, low)] = bulk.rows(
        connection,
        f"SELECT {count}, sum({value} >> 32), sum({value} & {_LOW}) "
        f"FROM {TABLES[kind]} WHERE {limits}",
        values,
    )
    return Figures.of_sums(int(rows or 0), int(high or 0), int(low or 0))


def figures(kind: Kind, columns: Columns) -> Figures:
    """The same of columns."""
    if kind is Kind.EVENTS:
        ended = int((columns["ended_at"] != _NEVER).sum())
        return Figures(len(columns["kind"]), sum(len(text) for text in columns["details"]) + ended)
    value = columns["value"].astype(np.int64)
    high, low = int((value >> 32).sum()), int((value & _LOW).sum())
    return Figures.of_sums(len(value), high, low)


def columns_of(connection: Connection, kind: Kind, month: Month, after: int, last: int) -> Columns:
    """What the database holds of a month and of some devices (``after < device <= last``)."""
    read = {Kind.READINGS: _readings, Kind.INTERVALS: _intervals, Kind.EVENTS: _events}[kind]
    return read(connection, month, after, last)


def months_held(connection: Connection, kind: Kind) -> list[Month]:
    """The months of which the database holds anything, the oldest first."""
    found: list[Month] = []
    column, table = _TIME[kind], TABLES[kind]
    while True:
        after = ""
        values: Sequence[object] = ()
        if found:
            end = found[-1].days[1] if kind is Kind.INTERVALS else found[-1].end
            [after_mark], values = _marks(connection, [end])
            after = f"WHERE {column} >= {after_mark}"
        [(first,)] = bulk.rows(connection, f"SELECT min({column}) FROM {table} {after}", values)
        if first is None:
            return found
        if kind is Kind.INTERVALS:
            found.append(Month.of_day(first))
        else:
            found.append(Month.named(first[:7]) if isinstance(first, str) else Month.of(first))


def _within(connection: Connection, kind: Kind, month: Month) -> tuple[str, list[Any]]:
    edges = list(month.days) if kind is Kind.INTERVALS else [month.start, month.end]
    (low, high), values = _marks(connection, edges)
    return f"{_TIME[kind]} >= {low} AND {_TIME[kind]} < {high}", values


def _marks(connection: Connection, values: list[Any]) -> tuple[list[str], list[Any]]:
    if connection.dialect.name == "postgresql":
        return ["%s"] * len(values), values
    as_text = readings.c.at.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    assert as_text is not None
    return ["?"] * len(values), [
        value if isinstance(value, int) else as_text(value) for value in values
    ]


def _readings(connection: Connection, month: Month, after: int, last: int) -> Columns:
    limits, values = _within(connection, Kind.READINGS, month)
    rows = bulk.rows(
        connection,
        "SELECT device_id, quantity_id, at, source, value, quality FROM readings "
        f"WHERE {limits} AND device_id > {after} AND device_id <= {last}",
        values,
    )
    device, quantity, at, source, value, quality = zip(*rows, strict=True) if rows else [()] * 6
    return {
        "device_id": np.array(device, np.int64),
        "quantity_id": np.array(quantity, np.int16),
        "at": _times(at),
        "source": np.array(source, np.int16),
        "value": np.array(value, np.int64),
        "quality": np.array(quality, np.int16),
    }


def _intervals(connection: Connection, month: Month, after: int, last: int) -> Columns:
    rows: list[Any] = []
    for day in range(*month.days):  # the key begins with the day
        rows += bulk.rows(
            connection,
            "SELECT day, device_id, quantity_id, interval_min, packed, qualities "
            f"FROM interval_days WHERE day = {day} AND device_id > {after} "
            f"AND device_id <= {last}",
        )
    parts = [_opened(rows, length) for length in sorted({row[3] for row in rows})]
    if not parts:
        return _opened([], 60)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _opened(rows: Sequence[Any], interval_min: int) -> Columns:
    """Packed days of one interval length as a row for each value."""
    mine = [row for row in rows if row[3] == interval_min]
    slots = DAY_MIN // interval_min
    values = np.frombuffer(b"".join(row[4] for row in mine), "<i4").astype(np.int32)
    good = bytes(slots)
    qualities = np.frombuffer(b"".join(row[5] or good for row in mine), np.uint8)
    there = qualities != Quality.MISSING
    midnights = np.array([row[0] for row in mine], np.int64) * DAY_MIN
    minutes = np.add.outer(midnights, np.arange(slots) * interval_min).reshape(-1)
    spread: Columns = {
        "device_id": np.repeat(np.array([row[1] for row in mine], np.int64), slots),
        "quantity_id": np.repeat(np.array([row[2] for row in mine], np.int16), slots),
        "start": minutes * _MINUTE_US,
        "interval_min": np.full(len(values), interval_min, np.int16),
        "value": values,
        "quality": qualities.astype(np.int16),
    }
    return {name: column[there] for name, column in spread.items()}


def _events(connection: Connection, month: Month, after: int, last: int) -> Columns:
    limits, values = _within(connection, Kind.EVENTS, month)
    rows: list[Any] = bulk.rows(
        connection,
        "SELECT device_id, kind, began_at, variant, ended_at, details, seen_at FROM meter_events "
        f"WHERE {limits} AND device_id > {after} AND device_id <= {last}",
        values,
    )
    device, kind, began, variant, ended, details, seen = (
        zip(*rows, strict=True) if rows else [()] * 7
    )
    return {
        "device_id": np.array(device, np.int64),
        "kind": np.array(kind, object),
        "began_at": _times(began),
        "variant": np.array(variant, np.int16),
        "ended_at": _times(ended),
        "details": np.array(details, object),
        "seen_at": _times(seen),
    }


def _times(moments: Sequence[Any]) -> NDArray[np.int64]:
    """Microseconds since 1970; from SQLite they come as text."""
    if moments and any(isinstance(moment, str) for moment in moments):
        texts = [moment[:-1] if moment else "NaT" for moment in moments]
        return np.array(texts, "datetime64[us]").astype(np.int64)
    known = [_NEVER if moment is None else microseconds(moment) for moment in moments]
    return np.array(known, np.int64)
