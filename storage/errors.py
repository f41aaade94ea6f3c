"""What can go wrong with the database: one class and one stable code each.

Messages name the database by its URL without the password.
"""

from __future__ import annotations

from typing import ClassVar


class StorageError(Exception):
    """Any fault of the storage room."""

    code: ClassVar[str] = "storage_error"


class DatabaseUrlError(StorageError):
    """The database's URL cannot be read, or names a kind of database that we do not use."""

    code: ClassVar[str] = "database_url"


class DatabaseMissingError(StorageError):
    """There is no such database, or it holds nothing of ours."""

    code: ClassVar[str] = "database_missing"


class DatabaseExistsError(StorageError):
    """A database that was to be made is there already."""

    code: ClassVar[str] = "database_exists"


class DatabaseVersionError(StorageError):
    """The schema is older or newer than this program."""

    code: ClassVar[str] = "database_version"


class DatabaseUnavailableError(StorageError):
    """The database does not answer, or another process held it for too long.

    Nothing was written.
    """

    code: ClassVar[str] = "database_unavailable"


class InvariantError(StorageError):
    """The database refused to break one of its rules.  Nothing was written."""

    code: ClassVar[str] = "database_invariant"


class ValueRefusedError(StorageError):
    """A value fits no column: a time without a zone, a fraction, a number of over 64 bits, a
    character that the database cannot hold.  Nothing was written.
    """

    code: ClassVar[str] = "database_value"

    def __init__(
        self, message: str = "A value fits no column of the database; nothing was written."
    ) -> None:
        super().__init__(message)


class CommitUnknownError(StorageError):
    """The connection broke while committing: written or not, only asking again will tell."""

    code: ClassVar[str] = "commit_unknown"
