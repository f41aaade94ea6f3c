"""How far a look at all accounts has come: it goes on where it stopped, in whichever process.

The row of a pass is locked while a part of it is done, in the same transaction, so that a part is
done once; another process passes by.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from billing.collecting.tables import collection_passes
from storage.engine import insert_if_new


def begin_part(connection: Connection, name: str) -> int | None:
    """The account after which the next part begins; None: done, or somebody is at it.

    Args:
        connection: in a write transaction, which also does the part.
        name: of the pass.
    """
    insert_if_new(connection, collection_passes, {"name": name, "upto_account_id": 0})
    row = connection.execute(
        select(collection_passes.c.upto_account_id, collection_passes.c.done_at)
        .where(collection_passes.c.name == name)
        .with_for_update(skip_locked=True)
    ).first()
    return None if row is None or row.done_at is not None else int(row.upto_account_id)


def is_done(connection: Connection, name: str) -> bool:
    """Whether a pass has come to its end."""
    return (
        connection.scalar(
            select(collection_passes.c.done_at).where(collection_passes.c.name == name)
        )
        is not None
    )


def end_part(connection: Connection, name: str, upto: int | None, at: datetime) -> None:
    """A part is done, up to an account; None: that was the last one."""
    values = {"done_at": at} if upto is None else {"upto_account_id": upto}
    connection.execute(
        update(collection_passes).where(collection_passes.c.name == name).values(**values)
    )
