"""How the rest of the office asks for a message; `outbox` takes it from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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
class Notice:
    """One thing that an account's people are to be told."""

    event: Event
    account_id: int
    once: str
    """Unique: the same thing is told once, however often it is asked for."""
    about: Mapping[str, str | int]
    """What the template names: amounts in minor units end in ``_minor``, moments are ISO 8601 in
    UTC and end in ``_at``, days are ISO 8601; no personal data: the outbox knows the names."""
    bill_id: int | None = None
    """A bill to attach."""
