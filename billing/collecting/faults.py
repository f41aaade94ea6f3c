"""Faults of collections."""

from __future__ import annotations

from typing import ClassVar

from billing.faults import BillingError


class CollectionRulesError(BillingError):
    """The rules of collection cannot be used as they are written."""

    code: ClassVar[str] = "collection_rules"


class UnknownCaseError(BillingError):
    """There is no collection case of this number."""

    code: ClassVar[str] = "unknown_case"


class CaseStateError(BillingError):
    """The case is not in the state that this act needs."""

    code: ClassVar[str] = "case_state"


class NothingOwedError(BillingError):
    """The account owes nothing that this could be about, or less."""

    code: ClassVar[str] = "nothing_owed"


class PlanError(BillingError):
    """An instalment plan cannot be agreed as it was asked."""

    code: ClassVar[str] = "plan_refused"


class UnknownPlanError(BillingError):
    """There is no instalment plan, deferral or write-off of this number."""

    code: ClassVar[str] = "unknown_plan"


class PlanStateError(BillingError):
    """The plan, deferral or write-off is not in the state that this act needs."""

    code: ClassVar[str] = "plan_state"


class OtherPersonError(BillingError):
    """Who asked for it cannot be its second person too."""

    code: ClassVar[str] = "other_person"


class TooLittleHistoryError(BillingError):
    """There are too few due dates in the books to learn a forecast from."""

    code: ClassVar[str] = "too_little_history"


class NoForecastError(BillingError):
    """No forecast was trained yet."""

    code: ClassVar[str] = "no_forecast"
