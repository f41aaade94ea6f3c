"""Faults of the prepay loop: one class and one stable code each."""

from __future__ import annotations

from typing import ClassVar

from billing.faults import BillingError


class PrepaidError(BillingError):
    """Any fault of the prepay loop."""

    code: ClassVar[str] = "prepaid"


class NotPrepaidError(PrepaidError):
    """The account is not prepaid: it has no limits and no days left."""

    code: ClassVar[str] = "not_prepaid"


class NoHeadEndError(PrepaidError):
    """The office has no head-end: it cannot switch anything."""

    code: ClassVar[str] = "no_head_end"
    is_system: ClassVar[bool] = True


class PrepaidPolicyError(PrepaidError):
    """A value that the policy of the prepay loop cannot have; nothing was changed."""

    code: ClassVar[str] = "prepaid_policy"


class NotHeldError(PrepaidError):
    """Nobody waits for a person at this account."""

    code: ClassVar[str] = "not_held"


class NoCutError(PrepaidError):
    """The supply of this account was not switched off by the office."""

    code: ClassVar[str] = "no_cut"


class EmergencyCreditError(PrepaidError):
    """Emergency credit that cannot be asked, approved, given or taken back as it stands."""

    code: ClassVar[str] = "emergency_credit"


class EmergencyCreditLimitError(PrepaidError):
    """More for each account than the policy allows in one emergency."""

    code: ClassVar[str] = "emergency_credit_limit"
