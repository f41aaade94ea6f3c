"""Faults of tariffs: one class and one stable code each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from billing.faults import BillingError


class RateDocumentError(BillingError):
    """A tariff's document cannot be read, or makes no sense; every fault of it is told.

    Args:
        faults: each with its place in the document and what to do.
    """

    code: ClassVar[str] = "rate_document"

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class UsageRefusedError(BillingError):
    """A consumption cannot be priced as it is given."""

    code: ClassVar[str] = "rate_usage"


class UnknownRateError(BillingError):
    """There is no tariff of this code, or no such version of it."""

    code: ClassVar[str] = "unknown_rate"


class NoRateValidError(BillingError):
    """No approved version of the tariff is valid at this time."""

    code: ClassVar[str] = "no_rate_valid"


class RateValidityError(BillingError):
    """A version cannot begin on this day."""

    code: ClassVar[str] = "rate_validity"


class RateStateError(BillingError):
    """The version is approved or withdrawn already, or has begun."""

    code: ClassVar[str] = "rate_state"


class SameApproverError(BillingError):
    """Whoever asked for a version cannot approve it."""

    code: ClassVar[str] = "rate_same_person"
