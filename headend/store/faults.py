"""Faults of the store: one class and one stable code each."""

from __future__ import annotations

from typing import ClassVar

from headend.faults import HeadEndError


class ArchiveExtraMissingError(HeadEndError):
    """Reading or writing the archive needs DuckDB, which is not installed."""

    code: ClassVar[str] = "archive_extra_missing"

    def __init__(self) -> None:
        super().__init__(
            "Older months are kept in an archive of Parquet files, and DuckDB, which reads and "
            "writes them, is not installed. Install it: pip install 'meterhouse[archive]'."
        )


class ArchiveFileError(HeadEndError):
    """A file of the archive is not there, or is not what was written."""

    code: ClassVar[str] = "archive_file"


class ArchiveMismatchError(HeadEndError):
    """What was read back from the archive is not what the database holds; nothing was dropped."""

    code: ClassVar[str] = "archive_mismatch"
