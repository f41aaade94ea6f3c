"""A voucher pays onto a customer's account of the office, instead of for a token.

The accounts are the office's (`billing`): it posts the money in the same transaction, so that
neither the PIN nor the money is lost.  Tries are counted as for a redemption at a meter: begin one
(`tries.begin_try`), commit, then look.

====================  =====================  ================================
act                   debit                  credit
====================  =====================  ================================
paid onto an account  ``tender.voucher``     the office's account of receipt
====================  =====================  ================================
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from storage import ledger
from storage.ledger import Transfer
from vending.shop.books import Tender
from vending.vouchers.redeem import Voucher
from vending.vouchers.tables import voucher_account_payments, vouchers

KIND: Final = "voucher.office"
"""The ledger transactions of this subject."""


@dataclass(frozen=True, slots=True)
class PaidOnto:
    """What a voucher has paid for."""

    batch_id: int
    serial: int
    subject: str
    """``payment 12``."""


def paid_onto(connection: Connection, proof: bytes) -> PaidOnto | None:
    """What the voucher of this proof has paid onto an account; None: nothing, or a token."""
    row = connection.execute(
        select(vouchers.c.batch_id, vouchers.c.serial, voucher_account_payments.c.subject)
        .join(
            voucher_account_payments, voucher_account_payments.c.voucher_id == vouchers.c.voucher_id
        )
        .where(vouchers.c.proof == proof)
    ).one_or_none()
    return None if row is None else PaidOnto(row.batch_id, row.serial, row.subject)


def pay_onto_account(
    connection: Connection,
    voucher: Voucher,
    *,
    subject: str,
    account: str,
    at: datetime,
    currency: str,
) -> None:
    """The voucher has paid; the database lets it pay once, for a token or onto an account.

    Args:
        connection: the write transaction in which `valid_voucher` has locked it.
        voucher: which.
        subject: what it paid for: ``payment 12``.
        account: of the general ledger, that gets the money.
        at: when.
        currency: of the house.
    """
    connection.execute(
        insert(voucher_account_payments),
        {"voucher_id": voucher.voucher_id, "subject": subject, "paid_at": at},
    )
    move = Transfer(Tender.VOUCHER.account, account, voucher.face_minor, subject)
    ledger.post(connection, KIND, at, currency, [move])
