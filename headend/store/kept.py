"""What became of values that were given to the store, and what is asked of each of them first."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from headend.faults import EntryError, NotRegisteredError
from headend.store import bulk
from headend.store.packed import EPOCH
from headend.values import Source

SOURCES: Final = {
    Source.REGISTER: 1,
    Source.FREEZE: 2,
    Source.PROFILE: 3,
    Source.MANUAL: 4,
    Source.ESTIMATE: 5,
}
"""As they are stored."""
SOURCE_OF: Final = {number: source for source, number in SOURCES.items()}
INT64_MAX: Final = 2**63 - 1

_MICROSECOND: Final = timedelta(microseconds=1)
_IDS_ON_POSTGRESQL: Final = "unnest(%s::bigint[]) AS id"
_IDS_ON_SQLITE: Final = "(SELECT value AS id FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of values."""

    new: int = 0
    same: int = 0
    """They were there already (or are estimates of what was measured)."""
    differing: int = 0
    """Another value was there: it stays, and theirs waits for a person."""

    def __add__(self, other: Kept) -> Kept:
        return Kept(self.new + other.new, self.same + other.same, self.differing + other.differing)


def require_devices(connection: Connection, device_ids: Iterable[int]) -> None:
    """Refuse values of devices that nobody has registered.

    Raises:
        NotRegisteredError: names one of them.
    """
    wanted = sorted(set(device_ids))
    is_sqlite = connection.dialect.name == "sqlite"
    missing = bulk.rows(
        connection,
        f"SELECT id FROM {_IDS_ON_SQLITE if is_sqlite else _IDS_ON_POSTGRESQL} "
        "WHERE NOT EXISTS (SELECT 1 FROM end_devices WHERE device_id = id) LIMIT 1",
        (json.dumps(wanted) if is_sqlite else wanted,),
    )
    if missing:
        raise NotRegisteredError(
            f"There is no device {missing[0][0]}: register the meter before its values are kept."
        )


def microseconds(moment: datetime) -> int:
    """A moment as microseconds since 1970.

    Raises:
        EntryError: it has no zone.
    """
    if moment.tzinfo is None:
        raise EntryError(f"The time {moment} of a value has no zone; nothing was kept.")
    return (moment - EPOCH) // _MICROSECOND
