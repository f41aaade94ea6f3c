"""Faults of bills: one class and one stable code each."""

from __future__ import annotations

from typing import ClassVar

from billing.faults import BillingError


class NoSuchBillError(BillingError):
    """There is no bill of this number."""

    code: ClassVar[str] = "no_such_bill"


class NothingToBillError(BillingError):
    """Nothing was posted since the last bill, or it is of another kind than was asked for."""

    code: ClassVar[str] = "nothing_to_bill"


class EnergyUnbilledError(BillingError):
    """A bill without energy was asked for, and energy is among what is to be billed."""

    code: ClassVar[str] = "energy_unbilled"


class BillStateError(BillingError):
    """The bill is at another stage than this needs."""

    code: ClassVar[str] = "bill_state"


class WithdrawalStateError(BillingError):
    """The withdrawal is at another stage than this needs, or the same person asks and approves."""

    code: ClassVar[str] = "withdrawal_state"


class NoSuchFeeError(BillingError):
    """There is no fee of this number, or it was taken back."""

    code: ClassVar[str] = "no_such_fee"


class NoSuchBatchError(BillingError):
    """There is no print batch of this number."""

    code: ClassVar[str] = "no_such_print_batch"


class BillTextsError(BillingError):
    """A file of texts for bills is broken, or there is none in this language."""

    code: ClassVar[str] = "bill_texts"
    is_system: ClassVar[bool] = True
