"""How the rest of the office asks for a message; `outbox` takes it from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Event(StrEnum):
    """What a customer is told of; each has a template in each language."""

    PAYMENT_RECEIVED = "payment_received"
    LOW_BALANCE = "low_balance"
    DAYS_LEFT = "days_left"
    DISCONNECT_NOTICE = "disconnect_notice"
    """With time and reason, ahead of time."""
    DISCONNECTED = "disconnected"
    RECONNECTED = "reconnected"
    BILL = "bill"
    REMINDER = "reminder"
    SECOND_REMINDER = "second_reminder"
    FORMAL_NOTICE = "formal_notice"
    EARLY_REMINDER = "early_reminder"
    """Before the due date, where the forecast says so."""
    PLAN_AGREED = "plan_agreed"
    PLAN_BROKEN = "plan_broken"
    EMERGENCY_CREDIT = "emergency_credit"
    UNUSUAL_USE = "unusual_use"
    READING_DAY_MOVED = "reading_day_moved"
    ACCOUNT_CLOSED = "account_closed"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Fields:
    """What `Notice.about` names for an event."""

    needed: frozenset[str]
    """Without them there is no message."""
    known: frozenset[str]
    """Sentences with one of these are left out when it is not given."""


def _fields(needed: str, known: str = "") -> Fields:
    return Fields(frozenset(needed.split()), frozenset(known.split()))


_OWED: Final = _fields("owed_minor", "due_on pay_by_on days_late late_fee_minor bill_number")
FIELDS: Final[Mapping[Event, Fields]] = {
    Event.PAYMENT_RECEIVED: _fields("amount_minor", "balance_minor paid_at reference"),
    Event.LOW_BALANCE: _fields("balance_minor", "warn_minor pay_minor days_left disconnect_at"),
    Event.DAYS_LEFT: _fields("days_left", "balance_minor per_day_minor runs_out_on"),
    Event.DISCONNECT_NOTICE: _fields("disconnect_at reason", "pay_minor"),
    Event.DISCONNECTED: _fields("", "reason pay_minor disconnected_at"),
    Event.RECONNECTED: _fields("", "balance_minor reconnected_at"),
    Event.BILL: _fields(
        "bill_number total_minor", "due_on period_since_on period_until_on energy_wh marketing"
    ),
    Event.REMINDER: _OWED,
    Event.SECOND_REMINDER: _OWED,
    Event.FORMAL_NOTICE: _OWED,
    Event.EARLY_REMINDER: _fields("owed_minor due_on", "bill_number"),
    Event.PLAN_AGREED: _fields("parts part_minor first_due_on", "total_minor"),
    Event.PLAN_BROKEN: _fields("owed_minor", "missed_on pay_by_on"),
    Event.EMERGENCY_CREDIT: _fields("amount_minor", "balance_minor until_on reason"),
    Event.UNUSUAL_USE: _fields("", "day_on used_wh usual_wh"),
    Event.READING_DAY_MOVED: _fields("new_day", "old_day from_on"),
    Event.ACCOUNT_CLOSED: _fields("", "closed_on refund_minor owed_minor"),
    Event.REFUND: _fields("amount_minor", "by_on refund_channel"),
}
"""``reason`` is a word of the languages' section ``[reason]`` (``arrears``, ``no_credit``,
``plan_broken``, ``disaster``), or words that stand as they are."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that an account's people are to be told."""

    event: Event
    account_id: int
    once: str
    """Unique: the same thing is told once, however often it is asked for."""
    about: Mapping[str, str | int]
    """What the template names (`FIELDS`): amounts in minor units end in ``_minor``, moments are
    ISO 8601 in UTC and end in ``_at``, days are ISO 8601 and end in ``_on``, energies in Wh in
    ``_wh``; no personal data: the outbox knows the names."""
    bill_id: int | None = None
    """A bill to attach."""
