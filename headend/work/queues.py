"""Where a line's turn goes: the queue of all workers, or that of the one its modem called."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, select

from headend.registry.tables import links
from headend.work.tables import line_owners
from storage.prepared import Prepared

LINES: Final = "lines"
"""Lines that any worker can open."""
OF_WORKER: Final = "lines-of-"
"""Before a worker's name: the queue of its own lines."""

_WHERE: Final = Prepared(
    select(links.c.kind, line_owners.c.worker)
    .select_from(links.outerjoin(line_owners, line_owners.c.link_id == links.c.link_id))
    .where(links.c.link_id == bindparam("line"))
)


def queue_of_worker(name: str) -> str:
    """The queue of the lines that only this worker has."""
    return OF_WORKER + name


def queue_of_line(connection: Connection, line: int) -> str | None:
    """The queue for a line's next turn; None: its modem is not connected, the line waits."""
    row = _WHERE.first(connection, {"line": line})
    if row is not None and row.worker is not None:
        return queue_of_worker(row.worker)
    if row is not None and row.kind == "modem":
        return None
    return LINES
