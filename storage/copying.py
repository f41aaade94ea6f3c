"""Many rows of any kinds at once: COPY in its text format (PostgreSQL).

Triggers and constraints see each row as they see one that is inserted.  Rows of fixed width only
are faster still as binary columns (`headend.store.bulk`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from storage.driver import driver_faults

_NULL: Final = "\\N"


def copy_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Insert rows (PostgreSQL), in their order.

    Args:
        connection: in a write transaction.
        table: its name.
        columns: their names.
        rows: values in the order of the columns: texts, whole numbers, aware moments, None.

    Raises:
        TypeError: a value is of no kind that a column takes.
    """
    sql = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    lines = ["\t".join([_TO_TEXT[type(value)](value) for value in row]) for row in rows]
    if not lines:
        return
    data = ("\n".join(lines) + "\n").encode()
    with (
        driver_faults(connection, sql) as driver,
        driver.cursor() as cursor,
        cursor.copy(sql) as door,
    ):
        door.write(data)


def _of_text(value: str) -> str:
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if value.isprintable():
        return value
    return value.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _of_time(value: datetime) -> str:
    if value.tzinfo is None:
        raise TypeError(f"A stored time needs a zone; {value!r} has none.")
    return value.isoformat()


class _Kinds(dict[type, Callable[[Any], str]]):
    def __missing__(self, kind: type) -> Callable[[Any], str]:
        for known, convert in ((str, _of_text), (datetime, _of_time)):
            if issubclass(kind, known):
                return convert
        raise TypeError(f"no column takes {kind.__name__}")


_TO_TEXT: Final = _Kinds({str: _of_text, int: str, datetime: _of_time, type(None): lambda _: _NULL})
