"""Changing the constraints of a table that has rows already.

SQLite cannot alter a constraint: the table is made anew there and its rows are copied.
Rows of other tables may refer to them meanwhile (``PRAGMA defer_foreign_keys``): by the end of
the transaction everything that was referred to is there again.  For migrations only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from alembic import op

from storage.migrations.columns import check


def rebuild_on_sqlite(
    name: str, make: Callable[[], None], columns: Mapping[str, str], *, source: str = ""
) -> None:
    """Make a table anew and copy its rows.

    Args:
        name: of the table.
        make: makes it, without triggers, which would look at each copied row.
        columns: for each column of the new table what it holds: SQL on the old table, which is
            called ``old``.
        source: joins to other tables.
    """
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute(f"CREATE TABLE old_{name} AS SELECT * FROM {name}")
    op.execute(f"DROP TABLE {name}")  # its indexes and triggers, too
    make()
    op.execute(
        f"INSERT INTO {name} ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
        f"FROM old_{name} AS old {source}"
    )
    op.execute(f"DROP TABLE old_{name}")


def replace_check(table: str, name: str, rule: str) -> None:
    """Another rule under a CHECK's name (PostgreSQL)."""
    drop_constraint(table, f"ck_{table}_{name}")
    add_check(table, name, rule)


def add_check(table: str, name: str, rule: str) -> None:
    """One rule more (PostgreSQL)."""
    made = check(table, name, rule)
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {made.name} CHECK ({rule})")


def drop_constraint(table: str, name: str) -> None:
    """One rule less (PostgreSQL)."""
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")


def is_postgresql() -> bool:
    """Which of the two databases this is."""
    return op.get_bind().dialect.name == "postgresql"
