"""Faults of accounts: one class and one stable code each."""

from __future__ import annotations

from typing import ClassVar

from billing.faults import BillingError


class AccountNumberError(BillingError):
    """It cannot be an account number."""

    code: ClassVar[str] = "account_number"


class AccountStateError(BillingError):
    """The account is at another stage than this needs."""

    code: ClassVar[str] = "account_state"


class NoAgreementError(BillingError):
    """No agreement was in force then."""

    code: ClassVar[str] = "no_agreement"


class SameIdentityError(BillingError):
    """Somebody with this identity is a customer already."""

    code: ClassVar[str] = "same_identity"


class PointTakenError(BillingError):
    """The service point is on another account, or there is none of this name."""

    code: ClassVar[str] = "point_taken"


class SecondLookError(BillingError):
    """Who asked for it cannot approve it too."""

    code: ClassVar[str] = "second_look"


class NoSuchChangeError(BillingError):
    """There is no such change, supply or contact on this account."""

    code: ClassVar[str] = "no_such_change"


class ChangeStateError(BillingError):
    """The change was decided already, or cannot be made."""

    code: ClassVar[str] = "change_state"


class SettledSinceError(BillingError):
    """Later days are settled already: this cannot begin or end before them."""

    code: ClassVar[str] = "settled_since"


class ClosingStateError(BillingError):
    """The closing of the account has come too far for this, or not far enough."""

    code: ClassVar[str] = "closing_state"
