"""Faults of settlement: one class and one stable code each."""

from __future__ import annotations

from typing import ClassVar

from billing.faults import BillingError


class NotSettledError(BillingError):
    """A span cannot be settled now; the message says what it waits for and what to do."""

    code: ClassVar[str] = "not_settled"


class NoSuchSettlementError(BillingError):
    """There is no settlement of this number."""

    code: ClassVar[str] = "no_such_settlement"


class NothingToCorrectError(BillingError):
    """The readings are still those that the settlement rests on."""

    code: ClassVar[str] = "nothing_to_correct"


class NoSuchReviewError(BillingError):
    """There is no review item of this number."""

    code: ClassVar[str] = "no_such_review"


class ReviewDecidedError(BillingError):
    """Somebody has decided about it already."""

    code: ClassVar[str] = "review_decided"


class NoSuchCheckError(BillingError):
    """No check has this name."""

    code: ClassVar[str] = "no_such_settlement_check"


class NoSuchReportError(BillingError):
    """There is no settlement report of this number."""

    code: ClassVar[str] = "no_such_settlement_report"


class ReportDecidedError(BillingError):
    """The report is final, or was refused."""

    code: ClassVar[str] = "settlement_report_decided"


class SameReviewerError(BillingError):
    """Whoever asked for a report cannot review it."""

    code: ClassVar[str] = "settlement_same_person"
