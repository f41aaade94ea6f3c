"""Single fees: connection, reconnection, a visit.  Charged once, on the next bill.

A fee is taken back by somebody else than who charged it; both stay on the account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from billing.bills.faults import NoSuchFeeError
from billing.bills.tables import account_fees, account_fees_back
from billing.faults import BadEntryError
from billing.ledger.books import FEES
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import last_entries, lock, post
from billing.office import Office
from billing.person import Right
from storage.audit import record

CODES: Final = ("connection", "reconnection", "visit", "meter_test", "copy", "other")


@dataclass(frozen=True, slots=True)
class Fee:
    """A fee that is to be charged."""

    account_id: int
    code: str
    """One of `CODES`."""
    amount_minor: int
    once: str
    """The caller's: the same fee is charged once, however often it is asked for."""
    words: str = ""
    """For the customer; empty: the code's name in their language says it."""


@dataclass(frozen=True, slots=True)
class ChargedFee:
    """A fee of an account."""

    fee_id: int
    account_id: int
    code: str
    amount_minor: int
    words: str
    charged_by: str
    charged_at: datetime
    taken_back_by: str | None
    reason: str | None


def charge_fee(connection: Connection, office: Office, fee: Fee) -> int:
    """Charge a fee; gives its number, the same when it was charged before.

    Args:
        connection: in a write transaction.
        office: the office.
        fee: what is charged.

    Raises:
        BadEntryError: no such kind of fee, or no amount; another fee has the same ``once``.
        UnknownAccountError: there is no such account.
    """
    if fee.code not in CODES or fee.amount_minor <= 0 or not fee.once:
        raise BadEntryError(f"A fee is one of {', '.join(CODES)}, and more than nothing.")
    lock(connection, [fee.account_id])
    known = connection.execute(
        select(account_fees).where(account_fees.c.once == fee.once)
    ).one_or_none()
    if known is not None:
        if (known.account_id, known.code, known.amount_minor) != (
            fee.account_id,
            fee.code,
            fee.amount_minor,
        ):
            raise BadEntryError(f"Another fee was charged as {fee.once!r}.")
        return int(known.fee_id)
    at, who = office.now(), office.person.name
    seq = last_entries(connection, [fee.account_id]).get((fee.account_id, Purse.CURRENT), (0, 0))[0]
    row = {
        "account_id": fee.account_id,
        "code": fee.code,
        "amount_minor": fee.amount_minor,
        "words": fee.words,
        "once": fee.once,
        "entry_seq": seq + 1,
        "charged_by": who,
        "charged_at": at,
    }
    fee_id: int = connection.execute(
        insert(account_fees).values(row).returning(account_fees.c.fee_id)
    ).scalar_one()
    words = fee.words or f"{fee.code.replace('_', ' ')} fee"
    source = f"fee {fee_id}"
    entry = Entry(fee.account_id, EntryKind.FEE, -fee.amount_minor, FEES, source, words)
    posted = post(connection, office, [entry])
    assert posted[0].seq == seq + 1, "the account is locked"
    record(
        connection,
        at,
        actor=who,
        action="fee.charge",
        subject=str(fee_id),
        detail=f"{fee.code} {office.currency.text(fee.amount_minor)}",
    )
    return fee_id


class FeeDesk:
    """The fees of an office.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def charge(self, fee: Fee) -> int:
        """Charge a fee; see `charge_fee`."""
        self._office.require(Right.BILL)
        with self._office.writing() as connection:
            return charge_fee(connection, self._office, fee)

    def take_back(self, fee_id: int, reason: str) -> None:
        """Take a fee back: by somebody else than who charged it.

        Raises:
            NoSuchFeeError: there is none, or it was taken back already.
            BadEntryError: no reason, or the person has charged it.
        """
        self._office.require(Right.APPROVE)
        at, who = self._office.now(), self._office.person.name
        if not reason.strip():
            raise BadEntryError("Say why the fee is taken back: an auditor will ask.")
        with self._office.writing() as connection:
            row = connection.execute(
                select(account_fees).where(account_fees.c.fee_id == fee_id)
            ).one_or_none()
            if row is None:
                raise NoSuchFeeError(f"There is no fee {fee_id}.")
            if row.charged_by == who:
                raise BadEntryError(f"{who} has charged fee {fee_id}: somebody else takes it back.")
            lock(connection, [row.account_id])
            known = connection.execute(
                select(account_fees_back.c.fee_id).where(account_fees_back.c.fee_id == fee_id)
            ).one_or_none()
            if known is not None:
                raise NoSuchFeeError(f"Fee {fee_id} was taken back already.")
            entry = Entry(
                row.account_id,
                EntryKind.FEE,
                row.amount_minor,
                FEES,
                f"fee {fee_id}",
                f"{row.code.replace('_', ' ')} fee taken back",
                reverses_seq=row.entry_seq,
            )
            posted = post(connection, self._office, [entry])
            connection.execute(
                insert(account_fees_back),
                {
                    "fee_id": fee_id,
                    "entry_seq": posted[0].seq,
                    "reason": reason,
                    "approved_by": who,
                    "approved_at": at,
                },
            )
            record(
                connection,
                at,
                actor=who,
                action="fee.take_back",
                subject=str(fee_id),
                reason=reason,
            )

    def list(self, account_id: int) -> list[ChargedFee]:
        """The fees of an account, the newest first."""
        self._office.require(Right.LOOK)
        with self._office.reading() as connection:
            rows = connection.execute(
                select(account_fees, account_fees_back.c.approved_by, account_fees_back.c.reason)
                .outerjoin(account_fees_back, account_fees_back.c.fee_id == account_fees.c.fee_id)
                .where(account_fees.c.account_id == account_id)
                .order_by(account_fees.c.fee_id.desc())
            )
            return [
                ChargedFee(
                    row.fee_id,
                    row.account_id,
                    row.code,
                    row.amount_minor,
                    row.words,
                    row.charged_by,
                    row.charged_at,
                    row.approved_by,
                    row.reason,
                )
                for row in rows
            ]
