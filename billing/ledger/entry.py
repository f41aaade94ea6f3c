"""What is posted to a customer's account, and what was.  Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

AMOUNT_MAX: Final = 10**15
"""Of one entry, in minor units: some thousands of them fit into a balance."""


class Purse(StrEnum):
    """Where money of an account lies."""

    CURRENT = "current"
    """What is used and paid; above zero is the customer's money, below zero is owed."""
    DEPOSIT = "deposit"
    """Held as a security until the account is closed."""
    PLAN = "plan"
    """What is owed by an instalment plan and not due yet; zero or below."""


class EntryKind(StrEnum):
    """What an entry is for."""

    PAYMENT = "payment"
    PAYMENT_UNDONE = "payment_undone"
    """A payment that bounced or was another's."""
    REFUND = "refund"
    ENERGY = "energy"
    """Consumption as settled, fixed fees and taxes with it."""
    ENERGY_REVERSED = "energy_reversed"
    FEE = "fee"
    """Connection, reconnection and other single fees."""
    LATE_FEE = "late_fee"
    ADJUSTMENT = "adjustment"
    DEPOSIT = "deposit"
    """Between the current purse and the deposit."""
    PLAN = "plan"
    """Between the current purse and the instalment plan."""
    EMERGENCY_CREDIT = "emergency_credit"
    WRITE_OFF = "write_off"


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement of an account's purse, to be posted."""

    account_id: int
    kind: EntryKind
    amount_minor: int
    """Above zero: for the customer; below: against."""
    counter: str
    """The account of the general books on the other side (`books`)."""
    source: str
    """What it comes from, as ``word number``: ``payment 12``, ``settlement 99``."""
    words: str
    """For the customer, one line; no personal data."""
    purse: Purse = Purse.CURRENT
    due_at: datetime | None = None
    """Of what is against the customer: until when it is to be paid; None: at once."""
    reverses_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """An entry as it stands in the ledger."""

    entry: Entry
    seq: int
    posted_at: datetime
    balance_minor: int
    """Of its purse, after it."""

    @property
    def before_minor(self) -> int:
        """The purse's balance before it."""
        return self.balance_minor - self.entry.amount_minor
