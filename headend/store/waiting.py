"""The waiting room of interval values: a row each, until they are packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from headend.store import bulk
from headend.store.arrivals import KEY, NAMES, Arrivals, DayKey, slot_start
from headend.store.differing import Differing, keep_apart
from headend.store.kept import SOURCES, Kept
from headend.values import Quality, Source

BULK_ROWS: Final = 200
"""From here on COPY is worth its round trips."""
_COLUMNS: Final = ", ".join(NAMES)
_ROW_KEY: Final = ", ".join((*KEY, "slot"))
_WAITING: Final = "arriving_intervals"
_TYPES: Final = ("bigint", "int", "int", "smallint", "smallint", "smallint", "smallint")
_UNNESTED: Final = f"unnest({', '.join(f'%s::{kind}[]' for kind in _TYPES)}) AS given ({_COLUMNS})"
_IS_ROW: Final = " AND ".join(f"{name} = {{}}" for name in (*KEY, "slot"))

_Pair = tuple[tuple[int, ...], tuple[int, int]]
"""A value that was not put in, in the order of `NAMES`; value and quality that wait."""


def wait(connection: Connection, arrivals: Arrivals) -> Kept:
    """Let values wait, in the caller's write transaction; each interval once."""
    if not len(arrivals):
        return Kept()
    if connection.dialect.name == "sqlite":
        new, pairs = _wait_on_sqlite(connection, arrivals)
    else:
        new, pairs = _wait_on_postgresql(connection, arrivals)
    taken, differing = _settle(connection, pairs)
    return Kept(new + taken, len(arrivals) - new - taken - differing, differing)


def _wait_on_sqlite(connection: Connection, arrivals: Arrivals) -> tuple[int, list[_Pair]]:
    rows = arrivals.rows()
    marks = ", ".join("?" * len(NAMES))
    new = bulk.execute_each(
        connection,
        f"INSERT INTO interval_arrivals ({_COLUMNS}) VALUES ({marks}) ON CONFLICT DO NOTHING",
        rows,
    )
    if new == len(rows):
        return new, []
    sql = f"SELECT value, quality FROM interval_arrivals WHERE {_IS_ROW.format(*'?????')}"
    pairs = [(row, bulk.rows(connection, sql, _row_key(row))[0]) for row in rows]
    return new, [pair for pair in pairs if pair[1] != (pair[0][2], pair[0][6])]


def _wait_on_postgresql(connection: Connection, arrivals: Arrivals) -> tuple[int, list[_Pair]]:
    if len(arrivals) < BULK_ROWS:
        source = _UNNESTED
        values: list[list[int]] = [column.tolist() for column in arrivals.columns]
    else:
        source, values = f"pg_temp.{_WAITING} AS given", []
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(NAMES, _TYPES, strict=True))
        bulk.waiting_table(connection, _WAITING, columns)
        stream = bulk.copy_stream(arrivals.columns)
        bulk.copy(connection, f"pg_temp.{_WAITING} ({_COLUMNS})", [stream])
    new = bulk.execute(
        connection,
        f"INSERT INTO interval_arrivals ({_COLUMNS}) SELECT {_COLUMNS} FROM {source} "
        "ON CONFLICT DO NOTHING",
        values,
    )
    if new == len(arrivals):
        return new, []
    found = bulk.rows(
        connection,
        f"SELECT {', '.join(f'given.{name}' for name in NAMES)}, a.value, a.quality "
        f"FROM {source} JOIN interval_arrivals a USING ({_ROW_KEY}) "
        "WHERE (given.value, given.quality) <> (a.value, a.quality)",
        values,
    )
    return new, [(tuple(row[:7]), (row[7], row[8])) for row in found]


def _settle(connection: Connection, pairs: list[_Pair]) -> tuple[int, int]:
    """What contradicts what waits: how many took an estimate's place, how many are kept apart."""
    taken, differing, apart = 0, 0, []
    for row, stored in pairs:
        mine = row[2], row[6]
        is_estimate = row[6] == Quality.ESTIMATED
        was_estimate = stored[1] == Quality.ESTIMATED
        if was_estimate and not is_estimate:
            if _replace_estimate(connection, row):
                taken += 1
                apart.append(_differing(row, stored, mine, is_superseded=True))
                continue
            [stored] = bulk.rows(connection, *_stored(connection, row))
            if stored == mine:
                continue
            was_estimate = False
        superseded = is_estimate and not was_estimate
        differing += not superseded
        apart.append(_differing(row, mine, stored, is_superseded=superseded))
    keep_apart(connection, apart)
    return taken, differing


def take_out(connection: Connection, keys: Sequence[DayKey]) -> Arrivals:
    """Take what waits for some packed days out of the waiting room."""
    if connection.dialect.name == "postgresql":
        found = bulk.rows(
            connection,
            "DELETE FROM interval_arrivals a USING unnest(%s::int[], %s::bigint[], "
            f"%s::smallint[], %s::smallint[]) AS k ({', '.join(KEY)}) WHERE "
            f"{' AND '.join(f'a.{name} = k.{name}' for name in KEY)} "
            f"RETURNING {', '.join(f'a.{name}' for name in NAMES)}",
            [list(column) for column in zip(*keys, strict=True)],
        )
        return Arrivals.of_rows(found)
    sql = (
        f"DELETE FROM interval_arrivals WHERE {' AND '.join(f'{name} = ?' for name in KEY)} "
        f"RETURNING {_COLUMNS}"
    )
    return Arrivals.of_rows([row for key in keys for row in bulk.rows(connection, sql, key)])


def _replace_estimate(connection: Connection, row: tuple[int, ...]) -> bool:
    sql = (
        "UPDATE interval_arrivals SET value = {}, quality = {} "
        f"WHERE {_IS_ROW} AND quality = {int(Quality.ESTIMATED)}"
    )
    values = (row[2], row[6], *_row_key(row))
    return bulk.execute(connection, _marked(connection, sql, len(values)), values) == 1


def _stored(connection: Connection, row: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    sql = f"SELECT value, quality FROM interval_arrivals WHERE {_IS_ROW}"
    return _marked(connection, sql, 5), _row_key(row)


def _marked(connection: Connection, sql: str, count: int) -> str:
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    return sql.format(*[mark] * count)


def _row_key(row: tuple[int, ...]) -> tuple[int, ...]:
    """Day, device, quantity, interval length, slot."""
    return row[1], row[0], row[3], row[4], row[5]


def _differing(
    row: tuple[int, ...], other: tuple[int, int], kept: tuple[int, int], *, is_superseded: bool
) -> Differing:
    device_id, day, _, quantity_id, interval_min, slot, _ = row
    at = slot_start(day, slot, interval_min)
    source = SOURCES[Source.PROFILE]
    return Differing(device_id, quantity_id, at, source, interval_min, *other, *kept, is_superseded)
