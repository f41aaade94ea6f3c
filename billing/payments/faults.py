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


class ChannelSettingsError(BillingError):
    """The settings of a channel lack something, or hold what cannot be."""

    code: ClassVar[str] = "channel_settings"


class ChannelKeyError(BillingError):
    """The file with a channel's key is missing, readable by others, or holds no key."""

    code: ClassVar[str] = "channel_key"
    is_system: ClassVar[bool] = True


class ChannelDownError(BillingError):
    """The channel was tested and does not work."""

    code: ClassVar[str] = "channel_down"
    is_system: ClassVar[bool] = True


class HookSignatureError(BillingError):
    """What was posted is not signed by the provider: anybody may have posted it."""

    code: ClassVar[str] = "hook_signature"


class HookTimeError(HookSignatureError):
    """The provider has signed what was posted, but too far from now by our clock."""

    code: ClassVar[str] = "hook_time"


class HookMessageError(BillingError):
    """What the provider has signed is no payment that can be understood."""

    code: ClassVar[str] = "hook_message"


class StatementError(BillingError):
    """The channel has no statements, or the file is none of its."""

    code: ClassVar[str] = "payment_statement"


class UnknownReconciliationError(BillingError):
    """There is no reconciliation, or no difference in it, of this number."""

    code: ClassVar[str] = "unknown_reconciliation"


class ReconciliationStateError(BillingError):
    """The difference was decided before, or the reconciliation still has open ones."""

    code: ClassVar[str] = "reconciliation_state"


class NotProvenError(BillingError):
    """Who asks has not proven that the account is theirs."""

    code: ClassVar[str] = "not_proven"


class TooManyAsksError(BillingError):
    """Too much was asked by this sender, or about this account."""

    code: ClassVar[str] = "too_many_asks"
