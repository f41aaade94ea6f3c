"""Which columns hold personal fields: all whose name ends in ``_sealed``, in whatever room.

The column's comment begins with what the field is (``contact.phone``), which is authenticated with
every value; a column ``..._digest`` beside it holds the digest of the same text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, LargeBinary, Table, select

from storage.schema import metadata

_SEALED: Final = "_sealed"


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed texts."""

    table: Table
    column: Column[Any]
    field: str
    digest: Column[Any] | None

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.table.name}.{self.column.name}"

    @property
    def key(self) -> list[Column[Any]]:
        """The primary key of its table."""
        return list(self.table.primary_key.columns)


def sealed_columns() -> list[SealedColumn]:
    """All of them, table by table; `billing.tables_all` must have been imported."""
    return [
        SealedColumn(
            table,
            column,
            (column.comment or "").partition(":")[0],
            table.c.get(column.name.removesuffix(_SEALED) + "_digest"),
        )
        for table in sorted(metadata.tables.values(), key=lambda each: each.name)
        for column in table.columns
        if column.name.endswith(_SEALED) and isinstance(column.type, LargeBinary)
    ]


def anything_sealed(connection: Connection) -> bool:
    """Whether any personal field is kept in this database."""
    return any(
        connection.execute(select(each.column).where(each.column.is_not(None)).limit(1)).first()
        is not None
        for each in sealed_columns()
    )
