"""What became of values that were given to the store, and what is asked of each of them first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, select

from headend.faults import EntryError, NotRegisteredError
from headend.registry.tables import end_devices
from headend.store import bulk
from headend.store.packed import EPOCH
from headend.values import Source
from storage.prepared import Prepared

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
_DEVICE: Final = Prepared(
    select(end_devices.c.device_id).where(end_devices.c.device_id == bindparam("device_id"))
)


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
    if connection.dialect.name == "postgresql":
        unknown = bulk.rows(
            connection,
            "SELECT id FROM unnest(%s::bigint[]) AS id "
            "WHERE NOT EXISTS (SELECT 1 FROM end_devices WHERE device_id = id) LIMIT 1",
            (wanted,),
        )
        missing = [row[0] for row in unknown]
    else:
        missing = [
            device_id
            for device_id in wanted
            if _DEVICE.first(connection, {"device_id": device_id}) is None
        ]
    if missing:
        raise NotRegisteredError(
            f"There is no device {missing[0]}: register the meter before its values are kept."
        )


def microseconds(moment: datetime) -> int:
    """A moment as microseconds since 1970.

    Raises:
        EntryError: it has no zone.
    """
    if moment.tzinfo is None:
        raise EntryError(f"The time {moment} of a value has no zone; nothing was kept.")
    return (moment - EPOCH) // _MICROSECOND
