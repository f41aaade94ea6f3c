"""Visits and those that were answered, by the hour: of each meter and each link."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from headend.collection.tables import contact_hours, link_hours
from storage.prepared import Prepared


def hour_of(moment: datetime) -> datetime:
    """The hour that a moment lies in."""
    return moment.replace(minute=0, second=0, microsecond=0)


def count_contact(connection: Connection, device_id: int, at: datetime, *, answered: bool) -> None:
    """One visit of a meter."""
    key = {"device_id": device_id, "hour": hour_of(at)}
    add_up(connection, contact_hours, key, {"asked": 1, "answered": int(answered)})


def count_link(
    connection: Connection,
    link_id: int,
    at: datetime,
    *,
    asked: int,
    answered: int,
    broken: int,
    busy_ms: int,
) -> None:
    """Some visits of a link's meters."""
    key = {"link_id": link_id, "hour": hour_of(at)}
    counts = {"asked": asked, "answered": answered, "broken": broken, "busy_ms": busy_ms}
    add_up(connection, link_hours, key, counts)


def add_up(
    connection: Connection, into: Table, key: Mapping[str, Any], counts: Mapping[str, int]
) -> None:
    """Add counts to a row, which is made when there is none, by the end of the transaction."""
    adding = _adding(connection.dialect.name, into, tuple(key), tuple(counts))
    adding.run_by_the_end(connection, {**key, **counts})


@lru_cache(maxsize=16)
def _adding(dialect: str, into: Table, key: tuple[str, ...], counts: tuple[str, ...]) -> Prepared:
    insert: Any = (sqlite if dialect == "sqlite" else postgresql).insert(into)
    statement = insert.values({name: bindparam(name) for name in (*key, *counts)})
    return Prepared(
        statement.on_conflict_do_update(
            index_elements=list(key),
            set_={name: into.c[name] + statement.excluded[name] for name in counts},
        )
    )
