"""Tables and constraints as the migrations spell them, with the names that the models have.

For migrations only, and as fixed as they are.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.types import Identifier, UtcTimestamp, WholeNumber


def table(name: str, *items: sa.schema.SchemaItem, clustered: bool = False) -> None:
    """Make a table, STRICT on SQLite; ``clustered``: WITHOUT ROWID there."""
    op.create_table(name, *items, sqlite_strict=True, sqlite_with_rowid=not clustered)


def text(
    name: str, *, null: bool = False, comment: str | None = None, default: str | None = None
) -> sa.Column[str]:
    """A text column."""
    return sa.Column(name, sa.Text(), nullable=null, comment=comment, server_default=default)


def number(
    name: str, *, null: bool = False, comment: str | None = None, default: int | None = None
) -> sa.Column[int]:
    """A 64-bit whole number."""
    given = None if default is None else sa.text(str(default))
    return sa.Column(name, WholeNumber(), nullable=null, comment=comment, server_default=given)


def time(name: str, *, null: bool = False) -> sa.Column[object]:
    """A moment in UTC."""
    return sa.Column(name, UtcTimestamp(), nullable=null)


def reference(name: str, *, null: bool = False, comment: str | None = None) -> sa.Column[int]:
    """A column that holds the identifier of a row of another table."""
    return sa.Column(name, Identifier, nullable=null, comment=comment)


def identity(table: str, column: str) -> tuple[sa.schema.SchemaItem, ...]:
    """A primary key that the database gives out: the column and its constraint."""
    return (
        sa.Column(column, Identifier, nullable=False, autoincrement=True),
        primary(table, column),
    )


def primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    """A primary key."""
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def unique(table: str, *columns: str, name: str | None = None) -> sa.UniqueConstraint:
    """A unique key."""
    return sa.UniqueConstraint(*columns, name=name or f"uq_{table}_{'_'.join(columns)}")


def check(table: str, name: str, rule: str) -> sa.CheckConstraint:
    """A CHECK that both databases understand."""
    # op.f: the name is whole already
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}"))


def digits(column: str) -> str:
    """An SQL condition that both databases understand: nothing but 0-9."""
    return f"ltrim({column}, '0123456789') = ''"


def foreign(
    table: str, columns: list[str], target: str, *, to: list[str] | None = None, name: str = ""
) -> sa.ForeignKeyConstraint:
    """A foreign key."""
    return sa.ForeignKeyConstraint(
        columns,
        [f"{target}.{column}" for column in to or columns],
        name=f"fk_{table}_{name or '_'.join(columns)}",
    )
