"""Money that a vendor pays in: once for each reference, in the ledger and in the credit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from vending.cash import accounts
from vending.cash.accounts import moved, vendor_account
from vending.cash.bank.tables import vendor_top_ups
from vending.cash.credit import credit_vendor
from vending.cash.faults import TopUpConflictError
from vending.cash.vendor_rows import require_vendor


@dataclass(frozen=True, slots=True)
class TopUp:
    """A payment of a vendor."""

    top_up_id: int
    vendor_id: int
    reference: str
    """The payer's or the bank's; with the vendor it is there once."""
    amount_minor: int
    source: str
    """A tender, or ``transfer``: a booking of the bank."""
    note: str
    made_at: datetime
    operator: str
    transaction_id: int


def top_up_once(
    connection: Connection,
    currency: str,
    *,
    vendor_id: int,
    reference: str,
    amount_minor: int,
    source: str,
    debit: str,
    note: str,
    now: datetime,
    operator: str,
) -> TopUp:
    """Credit a payment; the same one again is the same one.

    Raises:
        TopUpConflictError: the reference stands for another amount or source.
        UnknownVendorError: no such vendor.
    """
    # the vendor's row is locked: of two equal payments the second sees the first
    require_vendor(connection, vendor_id, lock=True)
    there = _find(connection, vendor_id, reference)
    if there is not None:
        if (there.amount_minor, there.source) != (amount_minor, source):
            raise TopUpConflictError(
                f"Reference {reference} of vendor {vendor_id} was used before, for another "
                "top-up; nothing was done now."
            )
        return there
    move = moved(debit, vendor_account(vendor_id), amount_minor, f"top-up by {source}")
    connection.execute(
        insert(vendor_top_ups),
        {
            "vendor_id": vendor_id,
            "reference": reference,
            "amount_minor": amount_minor,
            "source": source,
            "note": note,
            "made_at": now,
            "operator": operator,
            "transaction_id": accounts.post(connection, "vendor.top_up", now, currency, [move]),
        },
    )
    add_credit(connection, vendor_id, amount_minor)
    made = _find(connection, vendor_id, reference)
    assert made is not None
    return made


def top_up_from_bank(
    connection: Connection,
    currency: str,
    vendor_id: int,
    entry_id: int,
    amount_minor: int,
    now: datetime,
    operator: str,
) -> int:
    """Credit a booking of the bank; gives the ledger transaction."""
    made = top_up_once(
        connection,
        currency,
        vendor_id=vendor_id,
        reference=f"bank booking {entry_id}",
        amount_minor=amount_minor,
        source="transfer",
        debit=accounts.UNALLOCATED,
        note="",
        now=now,
        operator=operator,
    )
    return made.transaction_id


def add_credit(connection: Connection, vendor_id: int, amount_minor: int) -> None:
    """Let a vendor sell for more, or for less.

    Raises:
        VendorCreditExhaustedError: less than nothing would be left; nothing was changed.
    """
    if amount_minor:
        credit_vendor(connection, vendor_id, amount_minor)


def _find(connection: Connection, vendor_id: int, reference: str) -> TopUp | None:
    row = connection.execute(
        select(vendor_top_ups).where(
            vendor_top_ups.c.vendor_id == vendor_id, vendor_top_ups.c.reference == reference
        )
    ).one_or_none()
    return None if row is None else TopUp(**row._mapping)
