"""Faults of personal fields."""

from __future__ import annotations

from typing import ClassVar

from billing.faults import BillingError


class SealKeyError(BillingError):
    """The key for personal fields is missing, or is none."""

    code: ClassVar[str] = "seal_key"
    is_system: ClassVar[bool] = True


class SealBrokenError(BillingError):
    """A personal field cannot be opened."""

    code: ClassVar[str] = "seal_broken"
    is_system: ClassVar[bool] = True
