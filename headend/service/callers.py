"""Modems that are known, and those that call though nobody knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, insert, select, update

from headend.registry.tables import links
from headend.work.tables import unknown_callers

CALLERS_MAX: Final = 10_000
"""So many unknown names are kept: whoever calls under ever new ones must not fill the disk."""
_NAME_CHARACTERS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class UnknownCaller:
    """A modem that called and is no line's."""

    caller: str
    calls: int
    first_at: datetime
    last_at: datetime
    remote: str


@dataclass(slots=True)
class Calls:
    """Calls of one unknown name that have not been written down yet."""

    count: int
    remote: str


def known_callers(connection: Connection) -> dict[str, int]:
    """The modems that may call: by their names, the links' identifiers."""
    rows = connection.execute(
        select(links.c.caller, links.c.link_id).where(
            links.c.kind == "modem", links.c.state == "active"
        )
    )
    return {row.caller: row.link_id for row in rows}


def unknown(connection: Connection, limit: int = 100) -> list[UnknownCaller]:
    """Who called and is not known, the last one first."""
    rows = connection.execute(
        select(unknown_callers).order_by(unknown_callers.c.last_at.desc()).limit(limit)
    )
    return [
        UnknownCaller(row.caller, row.calls, row.first_at, row.last_at, row.remote) for row in rows
    ]


def note(connection: Connection, calls: dict[str, Calls], now: datetime) -> None:
    """Write down who called."""
    room = CALLERS_MAX - int(
        connection.execute(select(func.count()).select_from(unknown_callers)).scalar_one()
    )
    for name, each in sorted(calls.items()):
        caller = name[:_NAME_CHARACTERS_MAX]
        again = connection.execute(
            update(unknown_callers)
            .where(unknown_callers.c.caller == caller)
            .values(calls=unknown_callers.c.calls + each.count, last_at=now, remote=each.remote)
        )
        if again.rowcount or room <= 0:
            continue
        room -= 1
        connection.execute(
            insert(unknown_callers).values(
                caller=caller, calls=each.count, first_at=now, last_at=now, remote=each.remote
            )
        )
