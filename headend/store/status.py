"""What the store holds, for `meterhouse store status`: quick, estimates where counting is slow."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from headend.store import bulk
from headend.store.held import months_held
from headend.store.months import TABLES, Kind, Month
from headend.store.packing import waiting_days
from headend.store.retention import Policy, policies
from headend.store.tables import archive_files, differing_values


@dataclass(frozen=True, slots=True)
class KindStatus:
    """What is held of one kind."""

    kind: Kind
    rows: int
    """In the database; on PostgreSQL as its statistics estimate it."""
    bytes: int | None
    """On the disk, with indexes; None where the database cannot tell (SQLite)."""
    months: tuple[Month, ...]
    """In the database."""
    archived_months: int
    archived_rows: int
    archived_bytes: int
    policy: Policy


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What the store holds."""

    kinds: tuple[KindStatus, ...]
    waiting_days: int
    """Of interval values that wait to be packed."""
    open_contradictions: int


def status(connection: Connection) -> StoreStatus:
    """Look at the store."""
    known = policies(connection)
    kinds = tuple(_kind(connection, kind, known[kind]) for kind in Kind)
    is_open = differing_values.c.state == "open"
    contradictions = connection.scalar(
        select(func.count()).select_from(differing_values).where(is_open)
    )
    return StoreStatus(kinds, len(waiting_days(connection)), contradictions or 0)


def _kind(connection: Connection, kind: Kind, policy: Policy) -> KindStatus:
    rows, size = _size(connection, TABLES[kind])
    files = connection.execute(
        select(
            func.count(archive_files.c.month.distinct()),
            func.coalesce(func.sum(archive_files.c.rows), 0),
            func.coalesce(func.sum(archive_files.c.bytes), 0),
        ).where(archive_files.c.kind == kind.value, archive_files.c.state == "in_use")
    ).one()
    months = tuple(months_held(connection, kind))
    count, archived_rows, archived_bytes = (int(each) for each in files)
    return KindStatus(kind, rows, size, months, count, archived_rows, archived_bytes, policy)


def _size(connection: Connection, table: str) -> tuple[int, int | None]:
    if connection.dialect.name == "sqlite":
        [(rows,)] = bulk.rows(connection, f"SELECT count(*) FROM {table}")
        return int(rows), None
    [(rows, size)] = bulk.rows(
        connection,
        "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0), "
        "coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_inherits i "
        f"JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '{table}'::regclass",
    )
    return int(rows), int(size)
