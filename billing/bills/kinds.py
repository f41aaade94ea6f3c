"""Kinds of bills, and the groups that their lines stand in (specs/utility.md 18, 19)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from billing.ledger.entry import EntryKind


class BillKind(StrEnum):
    """Why a bill is made."""

    REGULAR = "regular"
    """On the bill day of the agreement, one service point."""
    COLLECTIVE = "collective"
    """The same for several service points, read on days that are near each other."""
    NON_METERING = "non_metering"
    """Fees only."""
    ADJUSTMENT = "adjustment"
    """After a bill was withdrawn: takes its place, with a due date of its own."""
    INSTALMENT = "instalment"
    """An instalment of a plan has come due."""
    FINAL = "final"
    """The account is closed."""


class Group(StrEnum):
    """What a line is about; a bill has a sum for each."""

    PAYMENTS = "payments"
    """Paid, bounced, paid back."""
    ENERGY = "energy"
    ADJUSTMENTS = "adjustments"
    """Corrected settlements (what was taken back, what replaces it) and other adjustments."""
    LATE_FEE = "late_fee"
    FEES = "fees"
    DEPOSIT = "deposit"
    """Moved to or from the deposit."""
    INSTALMENTS = "instalments"
    """Moved to a plan when it was agreed, and back as instalments come due."""


GROUP_OF: Final[Mapping[EntryKind, Group]] = {
    EntryKind.PAYMENT: Group.PAYMENTS,
    EntryKind.PAYMENT_UNDONE: Group.PAYMENTS,
    EntryKind.REFUND: Group.PAYMENTS,
    EntryKind.ENERGY: Group.ENERGY,
    EntryKind.ENERGY_REVERSED: Group.ADJUSTMENTS,
    EntryKind.FEE: Group.FEES,
    EntryKind.LATE_FEE: Group.LATE_FEE,
    EntryKind.ADJUSTMENT: Group.ADJUSTMENTS,
    EntryKind.DEPOSIT: Group.DEPOSIT,
    EntryKind.PLAN: Group.INSTALMENTS,
    EntryKind.EMERGENCY_CREDIT: Group.ADJUSTMENTS,
    EntryKind.WRITE_OFF: Group.ADJUSTMENTS,
}
"""Where an entry of the current purse stands; a corrected settlement is an adjustment too."""
