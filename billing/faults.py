"""Faults of the office: one class and one stable code each; a room's own are beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from storage import errors as storage_errors


class BillingError(Exception):
    """Any fault of the office; its message says what to do."""

    code: ClassVar[str] = "billing_error"
    is_system: ClassVar[bool] = False
    """Whether the installation is at fault, rather than what was asked."""


class RightMissingError(BillingError):
    """The person has not the right for this."""

    code: ClassVar[str] = "right_missing"


class BadEntryError(BillingError):
    """A value cannot be what it is given for; nothing was changed."""

    code: ClassVar[str] = "bad_entry"


class UnknownAccountError(BillingError):
    """There is no account of this number."""

    code: ClassVar[str] = "unknown_account"


class OfficeUnavailableError(BillingError):
    """The database gave no answer; nothing was written (but see `office_unsure`)."""

    code: ClassVar[str] = "office_unavailable"
    is_system: ClassVar[bool] = True


class OfficeUnsureError(OfficeUnavailableError):
    """The database was lost while it committed: written or not, only a look at it will tell."""

    code: ClassVar[str] = "office_unsure"


class OfficeRefusedError(BillingError):
    """A rule of the database refused it; nothing was written."""

    code: ClassVar[str] = "office_refused"


@contextmanager
def storage_faults() -> Iterator[None]:
    """Faults of the storage room as faults of the office."""
    try:
        yield
    except (storage_errors.InvariantError, storage_errors.ValueRefusedError) as fault:
        raise OfficeRefusedError(str(fault)) from None
    except storage_errors.CommitUnknownError as fault:
        raise OfficeUnsureError(str(fault)) from None
    except storage_errors.StorageError as fault:
        raise OfficeUnavailableError(str(fault)) from None
