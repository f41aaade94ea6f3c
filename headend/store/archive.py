"""Older months go to Parquet files; the database lets go of them once the files are proved.

For each month and kind of what is kept:

1. Files are written, some devices to each, are on the disk, and are read back and compared value
   by value with what the database gave (`write_month`).
2. In one transaction nobody else writes to the month, the database is counted and summed once
   more against what was written, the files are put in use and the month is dropped
   (`drop_month`).

A crash before the second step leaves the database as it was: the files are not in use, and the
next run writes them anew.  A crash after it leaves nothing to do.  Values that come later for an
archived month lie in the database and are put into files of their own next time.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update

from headend.faults import EntryError
from headend.person import Right
from headend.registry.tables import end_devices
from headend.station import Station
from headend.store import bulk, parquet
from headend.store.archived import archive_folder
from headend.store.differing import keep_apart
from headend.store.faults import ArchiveFileError, ArchiveMismatchError
from headend.store.held import Columns, Figures, columns_of, figures, held
from headend.store.late import without_archived
from headend.store.months import (
    RECENT,
    TABLES,
    Kind,
    Month,
    hold_month_alone,
    partition,
    partitions,
)
from headend.store.quantities import quantity_names
from headend.store.tables import archive_files, archive_folders, store_months
from storage import audit
from storage.engine import plan_for_many_rows

DEVICES_PER_FILE: Final = 2_000
"""96 values a day of so many are about six million a month: a file of some 8 MB."""

Told = Callable[[int, int], None]
"""Is told how many groups of devices are written, of how many."""


@dataclass(frozen=True, slots=True)
class Archived:
    """A month that the archive holds now."""

    kind: Kind
    month: Month
    files: int
    rows: int
    """That the database let go of."""
    bytes: int


def set_folder(station: Station, folder: Path) -> None:
    """Say where the archive lies; its files are brought there by whoever moves it.

    Raises:
        NotAllowedError: the person has not the right.
        EntryError: it is no folder that can be written to.
    """
    station.require(Right.PROTECT)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{uuid.uuid4().hex}"
        probe.touch()
        probe.unlink()
    except OSError as fault:
        raise EntryError(f"{folder} cannot be written to: {fault.strerror}.") from None
    values = {"path": str(folder.absolute()), "set_by": station.person.name}
    with station.writing() as connection:
        connection.execute(delete(archive_folders))
        connection.execute(
            insert(archive_folders).values(folder_id=1, set_at=station.now(), **values)
        )
        audit.record(
            connection,
            station.now(),
            actor=station.person.name,
            action="archive.folder",
            subject="store",
            detail=values["path"],
        )


def archive_month(
    station: Station,
    kind: Kind,
    month: Month,
    *,
    told: Told | None = None,
    devices_per_file: int = DEVICES_PER_FILE,
) -> Archived:
    """Write a month to files, prove them, and let the database go of it.

    Raises:
        NotAllowedError: the person has not the right.
        EntryError: the month is too young.
        ArchiveExtraMissingError: DuckDB is not installed.
        ArchiveFileError: there is no folder, or it cannot be written to.
        ArchiveMismatchError: what is in the files is not what the database holds; nothing was
            dropped.
    """
    station.require(Right.PROTECT)
    parquet.require_duckdb()
    if month > Month.of(station.now()).plus(-RECENT - 1):
        raise EntryError(
            f"{month} is too young for the archive: values of it may still come. The youngest "
            f"month that can be archived is {Month.of(station.now()).plus(-RECENT - 1)}."
        )
    write_month(station, kind, month, told=told, devices_per_file=devices_per_file)
    return drop_month(station, kind, month)


def write_month(
    station: Station,
    kind: Kind,
    month: Month,
    *,
    told: Told | None = None,
    devices_per_file: int = DEVICES_PER_FILE,
) -> Figures:
    """The first step: files, proved.  Those that an earlier run left unfinished are taken away."""
    folder = _begin(station, kind, month)
    written = Figures()
    with station.reading() as connection:
        quantities = quantity_names(connection)
        groups = list(_groups(connection, devices_per_file))
    for done, (after, last) in enumerate(groups, 1):
        with station.reading() as connection:
            columns = parquet.in_order(kind, columns_of(connection, kind, month, after, last))
        if len(columns["device_id"]):
            written += figures(kind, columns)
            _write_file(station, kind, month, folder, columns, quantities)
        if told is not None:
            told(done, len(groups))
    high, low = written.sums
    with station.writing() as connection:
        _set_month(connection, station, kind, month, "verified", written.rows, high, low)
    return written


def drop_month(station: Station, kind: Kind, month: Month) -> Archived:
    """The second step: the files are put in use and the database lets go of the month.

    Raises:
        ArchiveMismatchError: the month is not written, or has changed since.
        ArchiveFileError: a file is not there any more.
    """
    with station.reading() as connection:
        folder = archive_folder(connection)
    mismatch = ""
    with station.writing() as connection:
        hold_month_alone(connection, kind, month)
        row = _month(connection, kind, month)
        if row is None or row.state != "verified":
            raise ArchiveMismatchError(f"{month} of {kind} is not written to the archive yet.")
        written = Figures.of_sums(row.rows, row.high_sum, row.low_sum)
        plan_for_many_rows(connection)
        now = held(connection, kind, month)
        if now == written:
            files = _put_in_use(connection, folder, kind, month)
            _set_month(connection, station, kind, month, "archived", row.rows, *written.sums)
            let_go(connection, kind, month)
            audit.record(
                connection,
                station.now(),
                actor=station.person.name,
                action="archive.month",
                subject=f"{kind} {month}",
                detail=f"{written.rows} rows in {len(files)} files",
            )
        else:
            mismatch = f"{written.rows} rows were written, {now.rows} are there"
            _set_month(connection, station, kind, month, "writing", 0, 0, 0)
    if mismatch:
        raise ArchiveMismatchError(
            f"{month} of {kind} has changed while it was archived ({mismatch}, or their values "
            "are others). Nothing was dropped; archive it again."
        )
    return Archived(kind, month, len(files), written.rows, sum(size for _, size in files))


def let_go(connection: Connection, kind: Kind, month: Month) -> None:
    """Drop a month from the database; `store_months` says already where it is."""
    if connection.dialect.name == "sqlite":
        for low, high in (month.days,) if kind is Kind.INTERVALS else ():
            sql = "DELETE FROM interval_days WHERE day >= ? AND day < ?"
            bulk.execute(connection, sql, (low, high))
        column = {Kind.READINGS: "at", Kind.EVENTS: "began_at"}.get(kind)
        if column:
            sql = f"DELETE FROM {TABLES[kind]} WHERE {column} >= ? AND {column} < ?"
            bulk.execute(connection, sql, (f"{month}-01", f"{month.plus(1)}-01"))
        return
    if month in partitions(connection, kind):
        name = partition(kind, month)
        bulk.execute(connection, f"ALTER TABLE {TABLES[kind]} DETACH PARTITION {name}")
        bulk.execute(connection, f"DROP TABLE {name}")


def _begin(station: Station, kind: Kind, month: Month) -> Path:
    """Take away what an earlier run left; from now on the month is being written."""
    with station.writing() as connection:
        folder = archive_folder(connection)
        connection.execute(
            update(archive_files)
            .where(
                archive_files.c.kind == kind.value,
                archive_files.c.month == str(month),
                archive_files.c.state == "written",
            )
            .values(state="deleted")
        )
        in_use = set(
            connection.execute(
                select(archive_files.c.name).where(
                    archive_files.c.kind == kind.value,
                    archive_files.c.month == str(month),
                    archive_files.c.state == "in_use",
                )
            ).scalars()
        )
        _set_month(connection, station, kind, month, "writing", 0, 0, 0)
    if not folder.is_dir():
        raise ArchiveFileError(
            f"The archive's folder {folder} is not there: mount it, or name another one with "
            "`meterhouse store archive --folder`."
        )
    for path in (folder / kind.value / str(month)).glob("*.pa*"):
        if f"{kind.value}/{month}/{path.name}" not in in_use:
            path.unlink()
    return folder


def _groups(connection: Connection, devices_per_file: int) -> Iterator[tuple[int, int]]:
    """Devices in groups: behind one id, up to another."""
    ids = connection.execute(
        select(end_devices.c.device_id).order_by(end_devices.c.device_id)
    ).scalars()
    numbers = list(ids)
    after = 0
    for place in range(devices_per_file - 1, len(numbers) + devices_per_file - 1, devices_per_file):
        last = numbers[min(place, len(numbers) - 1)]
        if last > after:
            yield after, last
        after = last


def _write_file(
    station: Station,
    kind: Kind,
    month: Month,
    folder: Path,
    columns: Columns,
    quantities: dict[int, str],
) -> None:
    """Write some devices' rows, read them back, and note the file."""
    columns, apart = without_archived(station, folder, kind, month, columns, quantities)
    if not len(columns["device_id"]):
        with station.writing() as connection:
            keep_apart(connection, apart)
        return
    first, last = (int(edge(columns["device_id"])) for edge in (np.min, np.max))
    name = f"{kind.value}/{month}/{first}-{last}-{uuid.uuid4().hex[:8]}.parquet"
    path = folder / name
    parquet.write(path, kind, columns, quantities)
    again = parquet.in_order(kind, parquet.read([path], kind, quantities))
    wanted, found = figures(kind, columns), figures(kind, again)
    if wanted != found or not parquet.is_same(kind, columns, again):
        raise ArchiveMismatchError(
            f"What was read back from {path} is not what was written to it; nothing was dropped. "
            "Look at that disk, then archive again."
        )
    high, low = found.sums
    with station.writing() as connection:
        keep_apart(connection, apart)
        connection.execute(
            insert(archive_files).values(
                kind=kind.value,
                month=str(month),
                state="written",
                name=name,
                first_device=first,
                last_device=last,
                rows=found.rows,
                high_sum=high,
                low_sum=low,
                bytes=path.stat().st_size,
                sha256=_sha256(path),
                written_at=station.now(),
            )
        )


def _put_in_use(
    connection: Connection, folder: Path, kind: Kind, month: Month
) -> list[tuple[str, int]]:
    of_month = (
        archive_files.c.kind == kind.value,
        archive_files.c.month == str(month),
        archive_files.c.state == "written",
    )
    files = connection.execute(select(archive_files.c.name, archive_files.c.bytes).where(*of_month))
    found = [(row.name, row.bytes) for row in files]
    for name, size in found:
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise ArchiveFileError(
                f"The archive's file {path} is not there any more, or is not what was written. "
                "Nothing was dropped; archive the month again."
            )
    connection.execute(update(archive_files).where(*of_month).values(state="in_use"))
    return found


def _month(connection: Connection, kind: Kind, month: Month) -> Any:
    return connection.execute(
        select(store_months).where(
            store_months.c.kind == kind.value, store_months.c.month == str(month)
        )
    ).one_or_none()


def _set_month(
    connection: Connection,
    station: Station,
    kind: Kind,
    month: Month,
    state: str,
    rows: int,
    high: int,
    low: int,
) -> None:
    values = {
        "state": state,
        "rows": rows,
        "high_sum": high,
        "low_sum": low,
        "changed_at": station.now(),
    }
    if _month(connection, kind, month) is None:
        connection.execute(insert(store_months).values(kind=kind.value, month=str(month), **values))
        return
    connection.execute(
        update(store_months)
        .where(store_months.c.kind == kind.value, store_months.c.month == str(month))
        .values(**values)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
