"""Make a backup of a database that others are writing to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from sqlalchemy import Connection, Engine

from storage.backup.archive import MANIFEST, Counting, Manifest, add_data, writing_archive
from storage.backup.checking import check_sqlite, check_trail, count_all
from storage.backup.postgresql_dump import database_bytes, dumping, tool
from storage.backup.sqlite_copy import copied, fold, opened
from storage.engine import open_engine, reading
from storage.migrate import require_ours

_SQLITE_MEMBER: Final = "database.sqlite"
_POSTGRESQL_MEMBER: Final = "database.pgdump"


def back_up(url: str, path: Path, counting: Counting) -> Manifest:
    """Back a database up into a new file.

    The copy is looked through before the file is put in its place: its pages and references
    (SQLite), its audit trail.

    Args:
        url: the database.
        path: the file to be made.
        counting: shows progress.

    Raises:
        BackupFileError: there is such a file, or it cannot be written.
        BackupBrokenError: the database itself is damaged.
        BackupToolError: pg_dump is missing, too old, or has failed.
        DatabaseMissingError: the database holds nothing of ours.
        DatabaseUnavailableError: no answer.
    """
    engine = open_engine(url)
    try:
        if engine.dialect.name == "sqlite":
            return _back_up_sqlite(engine, path, counting)
        return _back_up_postgresql(engine, path, counting)
    finally:
        engine.dispose()


def _back_up_sqlite(engine: Engine, path: Path, counting: Counting) -> Manifest:
    source = Path(unquote((engine.url.database or "").removeprefix("file:")))
    with writing_archive(path) as archive:
        with copied(source, path, counting) as copy:
            manifest = _look_through(copy, counting)
            with counting("Packing") as packing, copy.open("rb") as data:
                size, sha256 = add_data(
                    archive,
                    _SQLITE_MEMBER,
                    data,
                    packed=False,
                    progress=packing,
                    total=copy.stat().st_size,
                )
        manifest = replace(manifest, member=_SQLITE_MEMBER, data_bytes=size, data_sha256=sha256)
        archive.writestr(MANIFEST, manifest.to_json())
    return manifest


def _look_through(copy: Path, counting: Counting) -> Manifest:
    engine = opened(copy)
    try:
        with reading(engine) as connection:
            check_sqlite(connection)
            manifest = _manifest(connection, counting)
    finally:
        engine.dispose()
    fold(copy)
    return manifest


def _back_up_postgresql(engine: Engine, path: Path, counting: Counting) -> Manifest:
    with reading(engine) as connection:
        tool("pg_dump", connection)  # before anything is counted
        manifest = _manifest(connection, counting)
        total = database_bytes(connection)
        with writing_archive(path) as archive:
            with dumping(engine, connection) as data, counting("Dumping") as progress:
                size, sha256 = add_data(
                    archive,
                    _POSTGRESQL_MEMBER,
                    data,
                    packed=True,
                    progress=progress,
                    total=total,
                )
            manifest = replace(
                manifest, member=_POSTGRESQL_MEMBER, data_bytes=size, data_sha256=sha256
            )
            archive.writestr(MANIFEST, manifest.to_json())
    return manifest


def _manifest(connection: Connection, counting: Counting) -> Manifest:
    schema = require_ours(connection)
    with counting("Counting") as progress:
        counted = count_all(connection, progress)
    with counting("Checking the trail") as progress:
        check_trail(connection, progress)
    return Manifest(
        kind=connection.dialect.name,
        schema=schema,
        program=version("meterhouse"),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        rows=counted.rows,
        sums=counted.sums,
        audit_head=counted.audit_head,
    )
