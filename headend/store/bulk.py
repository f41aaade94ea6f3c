"""Many rows at once.

PostgreSQL takes rows fastest as binary COPY.  Rows of fixed width are laid out for it by numpy,
without a step for each row; rows with a uniqueness go to a table of the session first and from
there into the real one, giving way to what is there.  SQLite takes them by executemany.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from storage.driver import driver_faults

Column = NDArray[Any]
_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"


def copy_stream(columns: Sequence[Column]) -> bytes:
    """Rows in the binary format of COPY (PostgreSQL's manual, COPY, Binary Format).

    Args:
        columns: of integers of 2, 4 or 8 bytes, which go to columns of that width (8: timestamps,
            too, in microseconds since 2000), or of (rows, width) bytes, which go to bytea.
    """
    fields: list[Any] = [("count", ">i2")]
    for place, column in enumerate(columns):
        kind = (
            (f"v{place}", "u1", (column.shape[1],))
            if column.ndim == 2
            else (f"v{place}", f">i{column.dtype.itemsize}")
        )
        fields += [(f"n{place}", ">i4"), kind]
    rows = np.empty(len(columns[0]), np.dtype(fields))
    rows["count"] = len(columns)
    for place, column in enumerate(columns):
        rows[f"n{place}"] = column.shape[1] if column.ndim == 2 else column.dtype.itemsize
        rows[f"v{place}"] = column
    return b"".join((_HEAD, rows.tobytes(), _END))


def copy(connection: Connection, into: str, streams: Sequence[bytes]) -> None:
    """Put streams into a table of PostgreSQL.

    Args:
        connection: in a write transaction.
        into: the table, with its columns in brackets.
        streams: each whole in itself.
    """
    sql = f"COPY {into} FROM STDIN (FORMAT BINARY)"
    for stream in streams:
        with (
            driver_faults(connection, sql) as driver,
            driver.cursor() as cursor,
            cursor.copy(sql) as door,
        ):
            door.write(stream)


def waiting_table(connection: Connection, name: str, columns: str) -> None:
    """An empty table of this session, for rows on their way into another (PostgreSQL)."""
    execute(connection, f"CREATE TEMP TABLE IF NOT EXISTS {name} ({columns}) ON COMMIT DELETE ROWS")
    execute(connection, f"TRUNCATE pg_temp.{name}")


def execute(connection: Connection, sql: str, values: Sequence[object] = ()) -> int:
    """A statement in the driver's own spelling; how many rows it touched."""
    with driver_faults(connection, sql) as driver:
        return int(driver.execute(sql, values).rowcount)


def rows(connection: Connection, sql: str, values: Sequence[object] = ()) -> list[Any]:
    """The rows that a statement in the driver's own spelling gives."""
    with driver_faults(connection, sql) as driver:
        found: list[Any] = driver.execute(sql, values).fetchall()
        return found


def execute_each(connection: Connection, sql: str, values: Sequence[Sequence[object]]) -> int:
    """A statement for each of many rows (SQLite); how many rows were touched."""
    with driver_faults(connection, sql) as driver:
        return int(driver.executemany(sql, values).rowcount)
