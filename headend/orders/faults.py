"""Faults of orders: one class and one stable code each."""

from __future__ import annotations

from typing import ClassVar

from headend.faults import HeadEndError


class OrderError(HeadEndError):
    """Any refusal of an order; nothing was sent, nothing was queued."""

    code: ClassVar[str] = "order"


class OrderFormatError(OrderError):
    """What the order says cannot be said so, or not to this meter."""

    code: ClassVar[str] = "order_format"


class OrderIdTakenError(OrderError):
    """The client has used this message id for another order."""

    code: ClassVar[str] = "order_id_taken"


class OrderWaitingError(OrderError):
    """The same order waits for this meter already."""

    code: ClassVar[str] = "order_waiting"


class UnknownOrderError(OrderError):
    """No order of this number."""

    code: ClassVar[str] = "unknown_order"


class OrderStateError(OrderError):
    """The order is not in a state in which this can be done."""

    code: ClassVar[str] = "order_state"


class KeepPowerError(OrderError):
    """A keep-power order covers the point: its supply is not cut, whatever the reason."""

    code: ClassVar[str] = "keep_power"


class OutsideWindowError(OrderError):
    """Supply is not cut at this time of the day, or on this day."""

    code: ClassVar[str] = "outside_window"


class DisconnectsSuspendedError(OrderError):
    """An emergency stop is in force."""

    code: ClassVar[str] = "disconnects_suspended"


class SecondPersonError(OrderError):
    """Who orders cannot approve, nor lift alone what one has asked to lift."""

    code: ClassVar[str] = "second_person"


class NotReachableError(OrderError):
    """The meter has no line, or is not in use."""

    code: ClassVar[str] = "not_reachable"


class CredentialsError(OrderError):
    """The file of meter passwords is missing, open to others, or cannot be read."""

    code: ClassVar[str] = "credentials"


class PurchaseModuleError(OrderError):
    """The plug-in that makes the MACs for money meters is not there, or does not open."""

    code: ClassVar[str] = "purchase_module"


class TokenGoneError(OrderError):
    """The token that was to be delivered is not there any more, or was taken back."""

    code: ClassVar[str] = "token_gone"


class UnknownProtectionError(OrderError):
    """No keep-power order, holiday or stop of this number."""

    code: ClassVar[str] = "unknown_protection"
