"""Faults of payments, channels and refunds.  None of them holds a secret of a channel."""

from __future__ import annotations

from typing import ClassVar

from billing.faults import BillingError


class PaymentConflictError(BillingError):
    """The channel has used this reference before, for another payment."""

    code: ClassVar[str] = "payment_conflict"


class UnknownPaymentError(BillingError):
    """There is no payment of this number."""

    code: ClassVar[str] = "unknown_payment"


class PaymentStateError(BillingError):
    """The payment is not in the state that this act needs."""

    code: ClassVar[str] = "payment_state"


class UnknownChannelError(BillingError):
    """There is no payment channel of this name."""

    code: ClassVar[str] = "unknown_channel"


class ChannelClosedError(BillingError):
    """The channel takes no payments."""

    code: ClassVar[str] = "channel_closed"


class UnknownRefundError(BillingError):
    """There is no refund or correction of this number."""

    code: ClassVar[str] = "unknown_refund"


class RefundStateError(BillingError):
    """The refund is not in the state that this act needs."""

    code: ClassVar[str] = "refund_state"


class RefundTooMuchError(BillingError):
    """More than the account holds cannot be paid out."""

    code: ClassVar[str] = "refund_too_much"


class SecondPersonError(BillingError):
    """Who has asked for this cannot approve it, too."""

    code: ClassVar[str] = "payment_second_person"


class CashDoesNotBounceError(BillingError):
    """Cash that was counted into a drawer is in the house: it can be moved or refunded."""

    code: ClassVar[str] = "cash_does_not_bounce"
