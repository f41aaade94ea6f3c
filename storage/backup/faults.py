"""Faults of backups: one class and one stable code each."""

from __future__ import annotations

from typing import ClassVar

from storage.errors import StorageError


class BackupFileError(StorageError):
    """The backup's file cannot be written or read, or is no backup."""

    code: ClassVar[str] = "backup_file"


class BackupBrokenError(StorageError):
    """What is in the file, or in the database, is not what was written."""

    code: ClassVar[str] = "backup_broken"


class BackupToolError(StorageError):
    """PostgreSQL's pg_dump or pg_restore is missing, too old, or has failed."""

    code: ClassVar[str] = "backup_tool"
