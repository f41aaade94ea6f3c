"""Bring a backup back into a database that is empty, and hold it against its manifest."""

from __future__ import annotations

import os
from pathlib import Path
from zipfile import ZipFile

from sqlalchemy import Engine, make_url

from storage.backup.archive import Counting, Manifest, pieces_of, reading_archive
from storage.backup.checking import check_sqlite, check_trail, compare, count_all, is_empty
from storage.backup.faults import BackupBrokenError, BackupFileError
from storage.backup.postgresql_dump import loading, tool
from storage.backup.shape import Shape, fresh_shape, require_shape, shape_of
from storage.backup.sqlite_copy import fold, opened
from storage.engine import open_engine, reading, shown
from storage.errors import DatabaseExistsError, DatabaseUnavailableError
from storage.migrate import require_ours
from storage.schema import SCHEMA_VERSION


def restore(path: Path, url: str, counting: Counting) -> Manifest:
    """Bring a backup back.

    Args:
        path: the backup's file.
        url: an empty database; a SQLite file that is not there is made.
        counting: shows progress.

    Raises:
        BackupFileError: it is no backup, or one of another kind of database or a newer program.
        BackupBrokenError: it is damaged, or does not hold its rules; nothing was brought back, or
            (PostgreSQL) it must not be worked with.
        BackupToolError: pg_restore is missing, too old, or has failed; nothing was brought back.
        DatabaseExistsError: the database is not empty; nothing was changed.
        DatabaseMissingError: what is in the file is no database of ours.
        DatabaseUrlError, DatabaseUnavailableError: the database cannot be opened.
    """
    with reading_archive(path) as (archive, manifest):
        shown(url)  # refuses what is no URL
        kind = "sqlite" if make_url(url).get_backend_name() == "sqlite" else "postgresql"
        if kind != manifest.kind:
            raise BackupFileError(
                f"This is a backup of {manifest.kind}, and goes into a database of that kind only."
            )
        if manifest.schema > SCHEMA_VERSION:
            raise BackupFileError(
                f"The backup is of schema {manifest.schema}, newer than this program's "
                f"{SCHEMA_VERSION}: install the newer meterhouse."
            )
        if kind == "sqlite":
            _restore_sqlite(archive, manifest, Path(make_url(url).database or ""), counting)
        else:
            _restore_postgresql(archive, manifest, url, counting)
    return manifest


def _restore_sqlite(archive: ZipFile, manifest: Manifest, path: Path, counting: Counting) -> None:
    if path.exists() and path.stat().st_size:
        raise DatabaseExistsError(
            f"There is a database at {path} already. Nothing was changed; choose another name."
        )
    beside = path.with_name(f"{path.name}.restoring")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file, counting("Bringing back") as progress:
            for piece in pieces_of(archive, manifest, progress):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        engine = opened(beside)
        try:
            with reading(engine) as connection:
                check_sqlite(connection)
            _look_through(engine, manifest, fresh_shape(engine, manifest.schema), counting)
        finally:
            engine.dispose()
        fold(beside)
        beside.replace(path)
    except OSError as fault:
        raise DatabaseUnavailableError(
            f"The database file {path} cannot be made: {fault.strerror or fault}."
        ) from None
    finally:
        for rest in ("", "-wal", "-shm", "-journal"):
            Path(f"{beside}{rest}").unlink(missing_ok=True)


def _restore_postgresql(archive: ZipFile, manifest: Manifest, url: str, counting: Counting) -> None:
    engine = open_engine(url)
    try:
        with reading(engine) as connection:
            if not is_empty(connection):
                raise DatabaseExistsError(
                    "This database is in use: it holds tables. Nothing was changed; make an empty "
                    "one (`createdb`)."
                )
            tool("pg_restore", connection)
        wanted = fresh_shape(engine, manifest.schema)
        with counting("Checking the file") as progress:
            for _piece in pieces_of(archive, manifest, progress):
                pass
        with (
            reading(engine) as connection,
            loading(engine, connection) as out,
            counting("Bringing back") as progress,
        ):
            for piece in pieces_of(archive, manifest, progress):
                out.write(piece)
        _look_through(engine, manifest, wanted, counting)
    finally:
        engine.dispose()


def _look_through(engine: Engine, manifest: Manifest, wanted: Shape, counting: Counting) -> None:
    with reading(engine) as connection:
        found = require_ours(connection)
        if found != manifest.schema:
            raise BackupBrokenError(f"The schema should be {manifest.schema} and is {found}.")
        require_shape(wanted, shape_of(connection))
        with counting("Counting") as progress:
            compare(manifest, count_all(connection, progress))
        with counting("Checking the trail") as progress:
            check_trail(connection, progress)
