"""Names of quantities as small numbers: a row of a billion does not spell its quantity out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from headend.store.tables import quantities
from storage.prepared import Prepared

_ALL: Final = Prepared(select(quantities.c.quantity_id, quantities.c.name))
_ONE: Final = Prepared(
    select(quantities.c.quantity_id).where(quantities.c.name == bindparam("name"))
)


def quantity_ids(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """The numbers of quantities; new names get one, in the caller's write transaction."""
    wanted = set(names)
    known = quantity_names(connection)
    found = {name: number for number, name in known.items() if name in wanted}
    for name in sorted(wanted - found.keys()):
        found[name] = _added(connection, name)
    return found


def quantity_id(connection: Connection, name: str) -> int | None:
    """The number of a quantity; None when nothing of it has ever been kept."""
    number: int | None = _ONE.scalar(connection, {"name": name})
    return number


def quantity_names(connection: Connection) -> dict[int, str]:
    """All quantities of which something was kept: number to name."""
    return {row.quantity_id: row.name for row in _ALL.rows(connection)}


def _added(connection: Connection, name: str) -> int:
    # not ON CONFLICT on SQLite: a write transaction is alone there
    if connection.dialect.name == "postgresql":
        connection.execute(postgresql_insert(quantities).values(name=name).on_conflict_do_nothing())
    else:
        connection.execute(insert(quantities).values(name=name))
    number: int = _ONE.scalar(connection, {"name": name})
    return number
