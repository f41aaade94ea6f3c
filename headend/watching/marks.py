"""How far a step of the sweep has come."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from headend.station import Station
from headend.watching.tables import watch_marks

CHECKED: Final = "checked"
"""Until when all days are judged."""


def mark(connection: Connection, step: str) -> datetime | None:
    """Until when a step is done; None: it was never done."""
    found: datetime | None = connection.execute(
        select(watch_marks.c.done_until).where(watch_marks.c.step == step)
    ).scalar()
    return found


def set_mark(station: Station, step: str, until: datetime) -> None:
    """Note until when a step is done."""
    with station.writing() as connection:
        make: Any = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
        into = make(watch_marks)
        into = into.on_conflict_do_update(
            index_elements=["step"], set_={"done_until": into.excluded.done_until}
        )
        connection.execute(into, {"step": step, "done_until": until})
