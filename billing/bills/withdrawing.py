"""A wrong bill is withdrawn: one person asks, another approves, an adjustment bill replaces it.

The bill itself stays as it was given out.  What was wrong is put right in the ledger first, by
those who own it (a settlement is corrected, a fee taken back); the adjustment bill shows what was
taken back and what holds instead.  The withdrawn bill and those behind it, which have carried its
amount on, bear no late fee: what they bore is given back.  What is owed is due by the adjustment
bill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from billing.bills.bill import Bill
from billing.bills.faults import BillStateError, WithdrawalStateError
from billing.bills.kinds import BillKind
from billing.bills.lines import LATE_FEE_SOURCE
from billing.bills.looking import bill
from billing.bills.making import BillOrder, make_bill
from billing.bills.tables import bill_standings, bill_withdrawals, bills
from billing.faults import BadEntryError
from billing.ledger.books import LATE_FEES
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import lock, post
from billing.office import Office
from billing.person import Right
from storage.audit import record


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A bill that is to be withdrawn, or was."""

    bill_id: int
    number: str
    reason: str
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    adjustment_bill_id: int | None


class WithdrawalDesk:
    """Withdrawals.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def ask(self, bill_id: int, reason: str) -> None:
        """Ask for a bill to be withdrawn.

        Raises:
            NoSuchBillError: there is no such bill.
            BillStateError: it was replaced.
            WithdrawalStateError: somebody has asked already.
            BadEntryError: no reason.
        """
        self._office.require(Right.BILL)
        if not reason.strip():
            raise BadEntryError("Say what is wrong with the bill: the customer will ask.")
        at, who = self._office.now(), self._office.person.name
        with self._office.writing() as connection:
            found = bill(connection, bill_id)
            lock(connection, [found.account_id])
            _require_not_replaced(connection, found)
            if _withdrawal(connection, bill_id) is not None:
                raise WithdrawalStateError(
                    f"Somebody has asked already for bill {found.number} to be withdrawn."
                )
            connection.execute(
                insert(bill_withdrawals),
                {"bill_id": bill_id, "reason": reason, "asked_by": who, "asked_at": at},
            )
            record(
                connection,
                at,
                actor=who,
                action="bill.withdraw.ask",
                subject=found.number,
                reason=reason,
            )

    def approve(self, bill_id: int) -> Bill:
        """Withdraw a bill; gives the adjustment bill.

        Raises:
            NoSuchBillError: there is no such bill.
            WithdrawalStateError: nobody has asked, it is done, or the same person has asked.
            BillStateError: it was replaced.
        """
        self._office.require(Right.APPROVE)
        at, who = self._office.now(), self._office.person.name
        with self._office.writing() as connection:
            found = bill(connection, bill_id)
            lock(connection, [found.account_id])
            asked = _withdrawal(connection, bill_id)
            _require_approvable(asked, found, who)
            _require_not_replaced(connection, found)
            wrong = _carried_on(connection, found)
            _give_back(connection, self._office, wrong)
            order = BillOrder(found.account_id, BillKind.ADJUSTMENT, corrects_bill_id=found.bill_id)
            made = make_bill(connection, self._office, order)
            connection.execute(
                update(bill_standings)
                .where(bill_standings.c.bill_id.in_([row.bill_id for row in wrong]))
                .values(replaced_by=made.bill_id)
            )
            connection.execute(
                update(bill_withdrawals)
                .where(bill_withdrawals.c.bill_id == bill_id)
                .values(approved_by=who, approved_at=at, adjustment_bill_id=made.bill_id)
            )
            record(
                connection,
                at,
                actor=who,
                action="bill.withdraw.approve",
                subject=found.number,
                detail=f"replaced by {made.number}",
            )
        return made

    def list(self, *, open_only: bool = True, limit: int = 100) -> list[Withdrawal]:
        """Withdrawals, the newest first; those that wait for approval, or all."""
        self._office.require(Right.LOOK)
        query = (
            select(bill_withdrawals, bills.c.number)
            .join(bills, bills.c.bill_id == bill_withdrawals.c.bill_id)
            .order_by(bill_withdrawals.c.asked_at.desc())
            .limit(limit)
        )
        if open_only:
            query = query.where(bill_withdrawals.c.approved_by.is_(None))
        with self._office.reading() as connection:
            return [Withdrawal(**row._mapping) for row in connection.execute(query)]


def _withdrawal(connection: Connection, bill_id: int) -> Any:
    return connection.execute(
        select(bill_withdrawals).where(bill_withdrawals.c.bill_id == bill_id)
    ).one_or_none()


def _require_approvable(asked: Any, found: Bill, who: str) -> None:
    if asked is None:
        raise WithdrawalStateError(
            f"Nobody has asked for bill {found.number} to be withdrawn: ask with a reason first."
        )
    if asked.approved_by is not None:
        raise WithdrawalStateError(f"Bill {found.number} was withdrawn already.")
    if asked.asked_by == who:
        raise WithdrawalStateError(
            f"{who} has asked for bill {found.number} to be withdrawn: somebody else approves."
        )


def _require_not_replaced(connection: Connection, found: Bill) -> None:
    by = connection.scalar(
        select(bills.c.number)
        .join(bill_standings, bill_standings.c.replaced_by == bills.c.bill_id)
        .where(bill_standings.c.bill_id == found.bill_id)
    )
    if by is not None:
        raise BillStateError(f"Bill {found.number} was replaced by {by}: withdraw that one.")


def _carried_on(connection: Connection, found: Bill) -> Sequence[Any]:
    """The bill and those behind it, which have it as previous balance."""
    return connection.execute(
        select(
            bill_standings.c.bill_id,
            bill_standings.c.late_minor,
            bills.c.number,
            bills.c.account_id,
        )
        .join(bills, bills.c.bill_id == bill_standings.c.bill_id)
        .where(
            bills.c.account_id == found.account_id,
            bills.c.seq >= found.seq,
            bill_standings.c.replaced_by.is_(None),
        )
        .order_by(bills.c.seq)
    ).all()


def _give_back(connection: Connection, office: Office, wrong: Sequence[Any]) -> None:
    entries = [
        Entry(
            account_id=row.account_id,
            kind=EntryKind.LATE_FEE,
            amount_minor=row.late_minor,
            counter=LATE_FEES,
            source=f"{LATE_FEE_SOURCE} {row.number}",
            words=f"late fee of bill {row.number} given back: it was withdrawn",
        )
        for row in wrong
        if row.late_minor
    ]
    if entries:
        post(connection, office, entries)
