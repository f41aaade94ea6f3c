"""The ledger accounts of drawers and of the bank, and how money walks through them.

Sales put money into ``tender.cash``, ``tender.card`` ... (`vending.shop.books`).  From there:

==========================  ========================  ========================
act                         debit                     credit
==========================  ========================  ========================
float given to a drawer     ``tender.cash``           ``cash.float``
float given back            ``cash.float``            ``tender.cash``
counted more than expected  ``tender.<tender>``       ``cash.over_short``
counted less than expected  ``cash.over_short``       ``tender.<tender>``
deposit slip                ``bank.in_transit``       ``tender.<tender>``
bank statement, money in    ``bank``                  ``bank.unallocated``
bank statement, money out   ``bank.unallocated``      ``bank``
a deposit arrived           ``bank.unallocated``      ``bank.in_transit``
a customer's transfer       ``bank.unallocated``      ``tender.bank``
a vendor tops up            ``tender.<tender>``       ``vendor.<number>``
a vendor's transfer         ``bank.unallocated``      ``vendor.<number>``
commission                  ``commission``            ``vendor.<number>``
==========================  ========================  ========================

So ``bank`` stands where the bank says it stands, and ``bank.unallocated`` holds what nobody has
put to a purpose yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from storage import ledger
from storage.engine import insert_if_new
from storage.ledger import AccountKind, Transfer

FLOAT: Final = "cash.float"
OVER_SHORT: Final = "cash.over_short"
IN_TRANSIT: Final = "bank.in_transit"
BANK: Final = "bank"
UNALLOCATED: Final = "bank.unallocated"
COMMISSION: Final = "commission"
TENDER_PREFIX: Final = "tender."
VENDOR_PREFIX: Final = "vendor."

_KINDS: Final = {
    FLOAT: AccountKind.LIABILITY,
    OVER_SHORT: AccountKind.INCOME,
    IN_TRANSIT: AccountKind.ASSET,
    BANK: AccountKind.ASSET,
    UNALLOCATED: AccountKind.LIABILITY,
    COMMISSION: AccountKind.INCOME,
}


def tender_account(tender: str) -> str:
    """The account in which money of a tender is."""
    return TENDER_PREFIX + tender


def vendor_account(vendor_id: int) -> str:
    """What the house owes a vendor: money paid in and commission, less what was sold."""
    return f"{VENDOR_PREFIX}{vendor_id}"


def post(
    connection: Connection, kind: str, posted_at: datetime, currency: str, moves: Sequence[Transfer]
) -> int:
    """Post one transaction; opens accounts of this subject that are used for the first time."""
    used = {side for move in moves for side in (move.debit, move.credit)}
    for account in sorted(used):
        kind_of = (
            AccountKind.LIABILITY if account.startswith(VENDOR_PREFIX) else _KINDS.get(account)
        )
        if kind_of is not None:
            row = {"account": account, "currency": currency, "kind": kind_of.value}
            insert_if_new(connection, ledger.accounts, row)
    return ledger.post(connection, kind, posted_at, currency, moves)


def moved(debit: str, credit: str, amount_minor: int, purpose: str) -> Transfer:
    """A transfer of an amount that may be below zero: then it goes the other way."""
    if amount_minor < 0:
        return Transfer(credit, debit, -amount_minor, purpose)
    return Transfer(debit, credit, amount_minor, purpose)
