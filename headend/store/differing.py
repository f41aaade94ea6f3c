"""Values that contradict what is kept: set apart for a person, who says which of them holds.

Nothing is overwritten.  Where a person takes the other value, a register gets a correction; in a
packed day the other value is put in the place, and the line here keeps what was there before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from headend.store.tables import differing_values

_NAMES: Final = (
    "device_id",
    "quantity_id",
    "at",
    "source",
    "interval_min",
    "value",
    "quality",
    "kept_value",
    "kept_quality",
)


@dataclass(frozen=True, slots=True)
class Differing:
    """A value that contradicts the one that is kept."""

    device_id: int
    quantity_id: int
    at: datetime
    source: int
    interval_min: int
    """0: of a register."""
    value: int
    quality: int
    kept_value: int
    kept_quality: int
    is_superseded: bool = False
    """An estimate that gave way to what was measured: nobody need look at it."""


def keep_apart(connection: Connection, values: Sequence[Differing]) -> None:
    """Keep them for a person, each once, in the caller's write transaction."""
    if not values:
        return
    now = datetime.now(UTC)
    rows = [
        {
            **dict(zip(_NAMES, astuple(value)[:-1], strict=True)),
            "seen_at": now,
            "state": "superseded" if value.is_superseded else "open",
        }
        for value in values
    ]
    insert = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    connection.execute(insert(differing_values).on_conflict_do_nothing(), rows)
