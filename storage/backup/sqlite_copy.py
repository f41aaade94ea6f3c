"""A consistent copy of a SQLite database that is being written to (SQLite's online backup)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Engine

from storage.backup.archive import Counting, Progress
from storage.backup.faults import BackupFileError
from storage.engine import open_engine

_PAGES: Final = 2_000


@contextmanager
def copied(source: Path, beside: Path, counting: Counting) -> Iterator[Path]:
    """A copy of a database as it stands now, for the length of the block.

    It is made in one read transaction: whoever writes meanwhile waits for nothing, and none of it
    is in the copy.

    Args:
        source: the database's file.
        beside: where the copy may lie: as large as the database.
        counting: shows the pages.

    Raises:
        BackupFileError: it cannot be read or written.
    """
    copy = beside.with_name(f"{beside.name}.{os.getpid()}.copy")
    try:
        with counting("Copying") as progress:
            _copy(source, copy, progress)
        yield copy
    except sqlite3.Error as fault:
        raise BackupFileError(f"{source} cannot be copied: {fault}.") from None
    finally:
        for rest in ("", "-wal", "-shm", "-journal"):
            Path(f"{copy}{rest}").unlink(missing_ok=True)


def opened(path: Path) -> Engine:
    """The engine on a file."""
    return open_engine(f"sqlite:///{path}")


def fold(path: Path) -> None:
    """Bring what is in the write-ahead log into the file itself, and close the log."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()


def _copy(source: Path, copy: Path, progress: Progress) -> None:
    copy.unlink(missing_ok=True)
    try:
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as fault:
        raise BackupFileError(f"{copy} cannot be written: {fault.strerror}.") from None
    name = f"file:{quote(bytes(source.absolute()))}?mode=rw"
    with (
        closing(sqlite3.connect(name, uri=True, isolation_level=None)) as reading,
        closing(sqlite3.connect(copy)) as writing,
    ):
        reading.execute("BEGIN")
        # the snapshot begins here; the steps of the backup stay on it
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reading.backup(
            writing,
            pages=_PAGES,
            progress=lambda _status, left, total: progress(total - left, total),
        )
        reading.execute("COMMIT")
    fold(copy)
