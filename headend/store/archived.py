"""Reading the archive: what is not in the database any more.

Nothing is asked of DuckDB, or of the disk, unless a file of the archive holds something of the
device and the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select

from headend.store import parquet
from headend.store.faults import ArchiveFileError
from headend.store.kept import microseconds
from headend.store.months import Kind, Month
from headend.store.packed import DAY_MIN, EPOCH, Qualities, Values, empty
from headend.store.quantities import quantity_names
from headend.store.tables import archive_files, archive_folders
from headend.values import MeterEvent
from storage.prepared import Prepared

_FILES: Final = Prepared(
    select(archive_files.c.name)
    .where(
        archive_files.c.kind == bindparam("kind"),
        archive_files.c.month >= bindparam("first"),
        archive_files.c.month <= bindparam("last"),
        archive_files.c.state == "in_use",
        archive_files.c.first_device <= bindparam("device_id"),
        archive_files.c.last_device >= bindparam("device_id"),
    )
    .order_by(archive_files.c.name)
)
_FOLDER: Final = Prepared(select(archive_folders.c.path))
_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTE_US: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class ArchivedReading:
    """A row as the database had it."""

    at: datetime
    source: int
    value: int
    quality: int


def archive_folder(connection: Connection) -> Path:
    """Where the archive lies.

    Raises:
        ArchiveFileError: nobody has said where.
    """
    row = _FOLDER.first(connection)
    if row is None:
        raise ArchiveFileError(
            "Nobody has said where the archive is to lie: name a folder that every worker can "
            "read, `meterhouse store archive --folder FOLDER`."
        )
    return Path(row.path)


def archived_readings(
    connection: Connection, device_id: int, quantity_id: int, since: datetime, until: datetime
) -> Iterator[ArchivedReading]:
    """Readings of a span of time.

    Raises:
        ArchiveExtraMissingError, ArchiveFileError: there are some, but they cannot be read.
    """
    found = _read(connection, Kind.READINGS, device_id, quantity_id, since, until)
    if found:
        names = ("at", "source", "value", "quality")
        for at, *rest in zip(*(found[name].tolist() for name in names), strict=True):
            yield ArchivedReading(EPOCH + at * _MICROSECOND, *rest)


def archived_intervals(
    connection: Connection, device_id: int, quantity_id: int, since: datetime, until: datetime
) -> list[tuple[tuple[int, int], tuple[Values, Qualities]]]:
    """Days of interval values of a span of time: (day, interval length), values, qualities.

    Raises:
        ArchiveExtraMissingError, ArchiveFileError: there are some, but they cannot be read.
    """
    found = _read(connection, Kind.INTERVALS, device_id, quantity_id, since, until)
    if not found:
        return []
    minutes = found["start"] // _MINUTE_US
    day, lengths = minutes // DAY_MIN, found["interval_min"]
    days: dict[tuple[int, int], tuple[Values, Qualities]] = {}
    for number, length in sorted(set(zip(day.tolist(), lengths.tolist(), strict=True))):
        chosen = (day == number) & (lengths == length)
        values, qualities = empty(1, length)
        slots: NDArray[Any] = minutes[chosen] % DAY_MIN // length
        values[0, slots] = found["value"][chosen]
        qualities[0, slots] = found["quality"][chosen]
        days[number, length] = values[0], qualities[0]
    return list(days.items())


def archived_events(
    connection: Connection, device_id: int, since: datetime, until: datetime
) -> list[MeterEvent]:
    """Events of a span of time.

    Raises:
        ArchiveExtraMissingError, ArchiveFileError: there are some, but they cannot be read.
    """
    found = _read(connection, Kind.EVENTS, device_id, None, since, until)
    if not found:
        return []
    names = ("kind", "began_at", "ended_at", "details")
    return [
        MeterEvent(
            device_id,
            kind,
            EPOCH + began * _MICROSECOND,
            None if ended == np.iinfo(np.int64).min else EPOCH + ended * _MICROSECOND,
            details,
        )
        for kind, began, ended, details in zip(
            *(found[name].tolist() for name in names), strict=True
        )
    ]


def _read(
    connection: Connection,
    kind: Kind,
    device_id: int,
    quantity_id: int | None,
    since: datetime,
    until: datetime,
) -> dict[str, NDArray[Any]]:
    if since >= until:
        return {}
    span = {"first": str(Month.of(since)), "last": str(Month.of(until - _MICROSECOND))}
    rows = _FILES.rows(connection, {"kind": kind.value, "device_id": device_id, **span})
    if not rows:
        return {}
    folder = archive_folder(connection)
    names = quantity_names(connection)
    return parquet.read(
        [folder / row.name for row in rows],
        kind,
        names,
        device_id=device_id,
        quantity=None if quantity_id is None else names[quantity_id],
        since_us=microseconds(since),
        until_us=microseconds(until),
    )
