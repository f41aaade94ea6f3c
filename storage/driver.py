"""The driver's own connection, for what only the driver can: COPY, executemany."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from storage.prepared import _fault, settle


@contextmanager
def driver_faults(connection: Connection, sql: str) -> Iterator[Any]:
    """The driver's connection, in the caller's transaction.

    What was put off goes first; the driver's exceptions come as SQLAlchemy's, without values.
    """
    settle(connection)
    driver: Any = connection.connection.driver_connection
    try:
        yield driver
    except connection.dialect.loaded_dbapi.Error as fault:
        raise _fault(connection, driver, sql, fault) from fault
