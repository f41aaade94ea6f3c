"""What tenders' accounts got and gave otherwise than by receipts: floats, deposits, top-ups."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, or_, select

from storage.ledger import ledger_transactions, transfers
from storage.span import within
from vending.cash.accounts import TENDER_PREFIX, VENDOR_PREFIX

KINDS: Final = (
    "shift.float",
    "shift.close",
    "deposit",
    "bank.settled",
    "vendor.top_up",
    "vendor.commission",
    "drawer.office",
    "voucher.office",
)
"""The ledger transactions of this subject that touch a tender's account."""


def moved_otherwise(connection: Connection, since: datetime | None, until: datetime | None) -> int:
    """By how much all tenders' and vendors' accounts together changed without a receipt, in minor
    units."""
    sums = [
        connection.scalar(
            select(func.coalesce(func.sum(transfers.c.amount_minor), 0))
            .join(ledger_transactions)
            .where(
                ledger_transactions.c.kind.in_(KINDS),
                or_(account.startswith(TENDER_PREFIX), account.startswith(VENDOR_PREFIX)),
                *within(ledger_transactions.c.posted_at, since, until),
            )
        )
        for account in (transfers.c.debit_account, transfers.c.credit_account)
    ]
    return int(sums[0] or 0) - int(sums[1] or 0)
