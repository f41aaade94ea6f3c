"""Money of customers' accounts through a drawer: payments that a cashier takes, refunds in cash.

The accounts are the office's (`billing`), the drawer is the house's: what goes through it is a
ledger transaction like any other, and counted with the shift's receipts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from storage import ledger
from vending.cash.accounts import moved
from vending.cash.cash_tables import batches, drawer_moves
from vending.cash.drawer import shift_of_sale
from vending.cash.faults import VendorTerminalError
from vending.cash.tables import terminals
from vending.shop.books import Tender

KIND: Final = "drawer.office"
"""The ledger transactions of this subject."""
TENDERS: Final = (Tender.CASH, Tender.CARD)


@dataclass(frozen=True, slots=True)
class DrawerMove:
    """Money that goes into a drawer, or out of it."""

    operator: str
    terminal: str
    tender: Tender
    account: str
    """Of the general ledger, on the other side."""
    amount_minor: int
    """Above zero: into the drawer; below: out of it."""
    subject: str
    """What it is for: ``payment 12``."""


def shift_at(
    connection: Connection, operator: str, terminal: str, tender: Tender = Tender.CASH
) -> int | None:
    """The shift that takes money of accounts; None: the house wants none.

    Raises:
        NoShiftError: cash, no shift is open, and the house wants one.
        VendorTerminalError: the till is a vendor's, whose drawer is not the house's.
    """
    vendor = connection.scalar(select(terminals.c.vendor_id).where(terminals.c.name == terminal))
    if vendor is not None:
        raise VendorTerminalError(
            f"Terminal {terminal} belongs to vendor {vendor}: payments to accounts are taken at "
            "the house's own tills."
        )
    shift_id = shift_of_sale(connection, operator, terminal, tender)
    if shift_id is not None:
        of = connection.scalar(select(batches.c.vendor_id).where(batches.c.batch_id == shift_id))
        if of is not None:
            raise VendorTerminalError(
                f"Shift {shift_id} is of vendor {of}: payments to accounts are taken in the "
                "house's own shifts."
            )
    return shift_id


def put_through_drawer(
    connection: Connection, move: DrawerMove, at: datetime, currency: str
) -> int | None:
    """Move money through the open shift of an operator at a terminal; gives the shift.

    Args:
        connection: in the write transaction of what it is for.
        move: what.
        at: the time.
        currency: of the house.

    Raises:
        NoShiftError, VendorTerminalError: as `shift_at`.
    """
    shift_id = shift_at(connection, move.operator, move.terminal, move.tender)
    transfer = moved(move.tender.account, move.account, move.amount_minor, move.subject)
    transaction_id = ledger.post(connection, KIND, at, currency, [transfer])
    connection.execute(
        insert(drawer_moves),
        {
            "transaction_id": transaction_id,
            "shift_id": shift_id,
            "operator": move.operator,
            "terminal": move.terminal,
            "tender": move.tender.value,
            "subject": move.subject,
        },
    )
    return shift_id


def moves_of_shift(connection: Connection, shift_id: int) -> list[dict[str, Any]]:
    """What went through a shift's drawer for accounts, in order, as plain values."""
    rows = connection.execute(
        select(
            ledger.ledger_transactions.c.posted_at,
            drawer_moves.c.subject,
            drawer_moves.c.tender,
            ledger.transfers.c.debit_account,
            ledger.transfers.c.amount_minor,
        )
        .join(ledger.transfers, ledger.transfers.c.transaction_id == drawer_moves.c.transaction_id)
        .join(
            ledger.ledger_transactions,
            ledger.ledger_transactions.c.transaction_id == drawer_moves.c.transaction_id,
        )
        .where(drawer_moves.c.shift_id == shift_id)
        .order_by(drawer_moves.c.transaction_id)
    )
    return [
        {
            "at": row.posted_at.isoformat(),
            "subject": row.subject,
            "tender": row.tender,
            "amount_minor": row.amount_minor
            * (1 if row.debit_account == Tender(row.tender).account else -1),
        }
        for row in rows
    ]


def tender_of(connection: Connection, subject: str) -> Tender | None:
    """How money for something went through a drawer; None: it did not."""
    found = connection.scalar(
        select(drawer_moves.c.tender).where(drawer_moves.c.subject == subject).limit(1)
    )
    return None if found is None else Tender(found)
