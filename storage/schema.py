"""The shared metadata.  Each room declares its tables on it, in a module of its own.

Constraints get predictable names, the same on both databases, so that migrations can speak
of them and faults can be read.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import MetaData, Table

SCHEMA_VERSION: Final = "0006"
"""The newest migration; a database of another version is refused (see `migrate`)."""

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def table(name: str, *columns_and_constraints: Any, clustered: bool = False) -> Table:
    """Declare a table; on SQLite it is STRICT, so that a column holds its type and no other.

    ``clustered``: on SQLite its rows lie in the tree of the primary key (WITHOUT ROWID): one
    tree less to write, for narrow rows that are found by their key.
    """
    return Table(
        name,
        metadata,
        *columns_and_constraints,
        sqlite_strict=True,
        sqlite_with_rowid=not clustered,
    )
