"""What a backup counts, and what must be found again after it was brought back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Integer, column, func, inspect, select, table
from sqlalchemy import text as sql

from storage.audit import head
from storage.audit_verify import StoredLine, break_at, count_lines, stored_lines
from storage.backup.archive import Manifest, Progress
from storage.backup.faults import BackupBrokenError

_SUMMED: Final = ("_minor", "_wh")
_OTHERS: Final = ("information_schema", "pg_catalog", "pg_toast")
_TELL_EVERY: Final = 1_000


@dataclass(frozen=True, slots=True)
class Counted:
    """A database at one moment."""

    rows: dict[str, int]
    sums: dict[str, int]
    audit_head: str


def count_all(connection: Connection, progress: Progress) -> Counted:
    """Count rows, add up amounts and energies; all in the caller's transaction."""
    names = list(_tables(connection))
    rows: dict[str, int] = {}
    sums: dict[str, int] = {}
    for number, (schema, name) in enumerate(names, 1):
        full = name if schema is None else f"{schema}.{name}"
        rows[full] = (
            connection.scalar(select(func.count()).select_from(table(name, schema=schema))) or 0
        )
        if schema is None:
            sums |= _sums(connection, name)
        progress(number, len(names))
    return Counted(rows, sums, str(head(connection)))


def check_trail(connection: Connection, progress: Progress) -> None:
    """Walk along the audit trail.

    Raises:
        BackupBrokenError: it is not whole.
    """
    before: StoredLine | None = None
    total = count_lines(connection)
    for done, line in enumerate(stored_lines(connection), 1):
        broken = break_at(connection, line, before)
        if broken is not None:
            raise BackupBrokenError(
                f"The audit trail is broken: {broken.message} `meterhouse audit verify` says more."
            )
        before = line
        if not done % _TELL_EVERY or done == total:
            progress(done, total)


def check_sqlite(connection: Connection) -> None:
    """Have SQLite look at every page and every reference.

    Raises:
        BackupBrokenError: something is wrong with them.
    """
    said = connection.execute(sql("PRAGMA integrity_check(1)")).scalar()
    if said != "ok":
        raise BackupBrokenError(f"The database file is damaged: {said}.")
    lost = connection.execute(sql("PRAGMA foreign_key_check")).first()
    if lost is not None:
        raise BackupBrokenError(f"A row of the table {lost[0]} refers to one that is not there.")


def compare(manifest: Manifest, found: Counted) -> None:
    """Hold what was found against what was backed up.

    Raises:
        BackupBrokenError: says what differs.
    """
    for what, wanted, there in (
        ("rows of", manifest.rows, found.rows),
        ("sum of", manifest.sums, found.sums),
    ):
        for name in sorted({*wanted, *there}):
            if wanted.get(name) != there.get(name):
                raise BackupBrokenError(
                    f"The {what} {name} should be {wanted.get(name)} and is {there.get(name)}."
                )
    if manifest.audit_head != found.audit_head:
        raise BackupBrokenError(
            f"The audit trail should end with {manifest.audit_head}, and ends with "
            f"{found.audit_head}."
        )


def is_empty(connection: Connection) -> bool:
    """Whether there is no table at all."""
    return next(_tables(connection), None) is None


def _tables(connection: Connection) -> Iterator[tuple[str | None, str]]:
    inspector = inspect(connection)
    if connection.dialect.name == "sqlite":
        schemas: list[str | None] = [None]
    else:
        home = inspector.default_schema_name
        schemas = [
            None if name == home else name
            for name in inspector.get_schema_names()
            if name not in _OTHERS
        ]
    for schema in sorted(schemas, key=str):
        for name in sorted(inspector.get_table_names(schema=schema)):
            yield schema, name


def _sums(connection: Connection, name: str) -> dict[str, int]:
    """Of the columns that are there: which tables a program has declared is nothing to go by."""
    summed = [
        str(found["name"])
        for found in inspect(connection).get_columns(name)
        if str(found["name"]).endswith(_SUMMED) and isinstance(found["type"], Integer)
    ]
    if not summed:
        return {}
    columns: list[Any] = [column(each) for each in summed]
    row = connection.execute(
        select(*(func.sum(each) for each in columns)).select_from(table(name, *columns))
    ).one()
    return {f"{name}.{each}": int(value or 0) for each, value in zip(summed, row, strict=True)}
