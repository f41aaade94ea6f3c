"""Faults of the head-end: one class and one stable code each; a room's own are beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from storage import errors as storage_errors


class HeadEndError(Exception):
    """Any fault of the head-end; its message says what to do."""

    code: ClassVar[str] = "head_end_error"
    is_system: ClassVar[bool] = False
    """Whether the installation is at fault, rather than what was asked."""


class NotAllowedError(HeadEndError):
    """The person has not the right for this."""

    code: ClassVar[str] = "not_allowed"


class NotRegisteredError(HeadEndError):
    """No link, meter, place or point of this name."""

    code: ClassVar[str] = "not_registered"


class AlreadyRegisteredError(HeadEndError):
    """The name, number or address is taken."""

    code: ClassVar[str] = "already_registered"


class EntryError(HeadEndError):
    """A value cannot be what it is given for; nothing was changed."""

    code: ClassVar[str] = "entry"


class StoreUnavailableError(HeadEndError):
    """The database gave no answer, or refused; nothing was written (but see `store_unsure`)."""

    code: ClassVar[str] = "store_unavailable"
    is_system: ClassVar[bool] = True


class StoreUnsureError(StoreUnavailableError):
    """The database was lost while it committed: written or not, only a look at it will tell."""

    code: ClassVar[str] = "store_unsure"


class StoreRefusedError(HeadEndError):
    """A rule of the database refused it; nothing was written."""

    code: ClassVar[str] = "store_refused"


@contextmanager
def storage_faults() -> Iterator[None]:
    """Faults of the storage room as faults of the head-end."""
    try:
        yield
    except (storage_errors.InvariantError, storage_errors.ValueRefusedError) as fault:
        raise StoreRefusedError(str(fault)) from None
    except storage_errors.CommitUnknownError as fault:
        raise StoreUnsureError(str(fault)) from None
    except storage_errors.StorageError as fault:
        raise StoreUnavailableError(str(fault)) from None
