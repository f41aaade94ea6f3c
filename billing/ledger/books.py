"""The accounts of the general books on the other side of customers' entries.

They stand in `storage.ledger.accounts` beside those of the shop.  Customers' accounts together
are one more account, the control account, whose balance is the sum of all purses.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from storage.ledger import AccountKind, accounts, open_account

REVENUE: Final = "billing.energy"
"""Energy and fixed fees of settlements, before tax."""
TAX: Final = "billing.tax"
FEES: Final = "billing.fees"
LATE_FEES: Final = "billing.late_fees"
RECEIVED: Final = "billing.received"
"""What channels have taken in; one account each below it: `received`."""
REFUNDED: Final = "billing.refunds"
"""What is to be paid out to customers."""
ADJUSTMENTS: Final = "billing.adjustments"
WRITTEN_OFF: Final = "billing.written_off"
EMERGENCY: Final = "billing.emergency_credit"
BETWEEN: Final = "billing.between_purses"
"""Passed through on the way from one purse to another: always zero."""
BROUGHT_IN: Final = "billing.brought_in"
"""Balances of accounts that come from another system."""

_KINDS: Final = {
    REVENUE: AccountKind.INCOME,
    TAX: AccountKind.LIABILITY,
    FEES: AccountKind.INCOME,
    LATE_FEES: AccountKind.INCOME,
    REFUNDED: AccountKind.LIABILITY,
    ADJUSTMENTS: AccountKind.INCOME,
    WRITTEN_OFF: AccountKind.ASSET,
    EMERGENCY: AccountKind.ASSET,
    BETWEEN: AccountKind.ASSET,
    BROUGHT_IN: AccountKind.ASSET,
}


def received(channel: str) -> str:
    """Where the money of a payment channel lies until it is in the bank."""
    return f"{RECEIVED}.{channel}"


def open_books(connection: Connection, currency: str) -> None:
    """Open the accounts that are missing; in a write transaction."""
    for account, kind in _KINDS.items():
        ensure_account(connection, account, kind, currency)


def are_open(connection: Connection, currency: str) -> bool:
    """Whether no account of the books is missing."""
    there = connection.scalars(
        select(accounts.c.account).where(
            accounts.c.account.in_(_KINDS), accounts.c.currency == currency
        )
    )
    return set(there) == set(_KINDS)


def ensure_account(connection: Connection, account: str, kind: AccountKind, currency: str) -> None:
    """Open an account of the general books unless it is there."""
    there = connection.scalar(
        select(accounts.c.account).where(
            accounts.c.account == account, accounts.c.currency == currency
        )
    )
    if there is None:
        open_account(connection, account, kind, currency)
