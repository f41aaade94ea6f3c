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
