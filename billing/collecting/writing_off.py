"""Write a debt off, with a second person's approval; take back what comes in all the same.

What is written off stands against `books.WRITTEN_OFF` and the account owes it no more; when the
account comes into credit later, the sweep recovers what it can from that, and the books with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from billing.collecting.cases import Outcome, close_case, running_cases
from billing.collecting.faults import (
    NothingOwedError,
    OtherPersonError,
    PlanStateError,
    UnknownPlanError,
)
from billing.collecting.standings import overdue_of
from billing.collecting.tables import write_offs
from billing.faults import BadEntryError
from billing.ledger.books import WRITTEN_OFF
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import balances, lock, post
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.person import Right
from storage import audit

_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class WriteOff:
    """A debt that was given up."""

    write_off_id: int
    account_id: int
    state: str
    """``asked``, ``done``, ``refused``."""
    amount_minor: int
    recovered_minor: int
    reason: str
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class WriteOffDesk:
    """Ask for write-offs, approve them."""

    office: Office

    def ask(self, account_id: int, *, reason: str, amount_minor: int | None = None) -> WriteOff:
        """Ask that a debt, or an amount of it, is given up; nothing is moved yet.

        Raises:
            NothingOwedError: so much is not owed.
            BadEntryError: no reason.
            RightMissingError: the person may not collect.
        """
        self.office.require(Right.COLLECT)
        if not reason.strip():
            raise BadEntryError("Say why it is given up: an auditor will ask.")
        with self.office.writing() as connection:
            lock(connection, [account_id])
            amount = _amount(connection, self.office, account_id, amount_minor)
            number: int = connection.execute(
                insert(write_offs)
                .values(
                    account_id=account_id,
                    state="asked",
                    amount_minor=amount,
                    recovered_minor=0,
                    reason=reason.strip(),
                    asked_by=self.office.person.name,
                    asked_at=self.office.now(),
                )
                .returning(write_offs.c.write_off_id)
            ).scalar_one()
            found = write_off_of(connection, number)
            _record(connection, self.office, "write_off.ask", found, found.reason)
            return found

    def approve(self, write_off_id: int) -> WriteOff:
        """Be the second person: the debt is given up.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            OtherPersonError: who asked approves.
            NothingOwedError: so much is not owed any more.
            RightMissingError: the person may not approve.
        """
        self.office.require(Right.APPROVE)
        with self.office.writing() as connection:
            found = _asked(connection, write_off_id)
            who = self.office.person.name
            if not who or who == found.asked_by:
                raise OtherPersonError(
                    f"Write-off {write_off_id} takes a second person: "
                    f"{found.asked_by or 'nobody'} asked for it and cannot approve it too."
                )
            _amount(connection, self.office, found.account_id, found.amount_minor)
            _give_up(connection, self.office, found, who)
            found = write_off_of(connection, write_off_id)
            _record(connection, self.office, "write_off.approve", found, found.reason)
            return found

    def refuse(self, write_off_id: int, why: str) -> WriteOff:
        """Refuse one that waits; nothing was moved.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            RightMissingError: the person may not collect.
        """
        self.office.require(Right.COLLECT)
        with self.office.writing() as connection:
            found = _asked(connection, write_off_id)
            _change(connection, write_off_id, state="refused")
            _record(connection, self.office, "write_off.refuse", found, why)
            return write_off_of(connection, write_off_id)

    def list(self, *, state: str | None = None, limit: int = 100) -> list[WriteOff]:
        """Write-offs, the newest first."""
        self.office.require(Right.LOOK)
        query = select(write_offs).order_by(write_offs.c.write_off_id.desc()).limit(limit)
        if state is not None:
            query = query.where(write_offs.c.state == state)
        with self.office.reading() as connection:
            return [_write_off(row) for row in connection.execute(query)]


def write_off_of(connection: Connection, write_off_id: int) -> WriteOff:
    """A write-off by its number.

    Raises:
        UnknownPlanError: there is none.
    """
    row = connection.execute(
        select(write_offs).where(write_offs.c.write_off_id == write_off_id)
    ).one_or_none()
    if row is None:
        raise UnknownPlanError(f"There is no write-off {write_off_id}.")
    return _write_off(row)


def recover_written_off(office: Office) -> int:
    """Take what was written off from accounts that are in credit again; how many accounts."""
    with office.reading() as connection:
        account_ids = connection.scalars(_in_credit().limit(_AT_ONCE)).all()
    for account_id in account_ids:
        with office.writing() as connection:
            lock(connection, [account_id])
            _recover(connection, office, account_id)
    return len(account_ids)


def _in_credit() -> Any:
    balance = (
        select(account_entries.c.balance_minor)
        .where(
            account_entries.c.account_id == write_offs.c.account_id,
            account_entries.c.purse == Purse.CURRENT.value,
        )
        .order_by(account_entries.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(write_offs.c.account_id)
        .where(
            write_offs.c.state == "done",
            write_offs.c.recovered_minor < write_offs.c.amount_minor,
            balance > 0,
        )
        .order_by(write_offs.c.account_id)
        .distinct()
    )


def _recover(connection: Connection, office: Office, account_id: int) -> None:
    there = connection.execute(
        select(write_offs)
        .where(write_offs.c.account_id == account_id, write_offs.c.state == "done")
        .order_by(write_offs.c.write_off_id)
    ).all()
    credit = balances(connection, [account_id])[account_id]
    for found in (_write_off(row) for row in there):
        amount = min(credit, found.amount_minor - found.recovered_minor)
        if amount <= 0:
            continue
        credit -= amount
        recovered = found.recovered_minor + amount
        _change(connection, found.write_off_id, recovered_minor=recovered)
        words = f"recovered of write-off {found.write_off_id}"
        post(connection, office, [_entry(found, -amount, words)])


def _give_up(connection: Connection, office: Office, found: WriteOff, who: str) -> None:
    at = office.now()
    _change(connection, found.write_off_id, state="done", approved_by=who, done_at=at)
    overdue = overdue_of(connection, [found.account_id], at)[found.account_id]
    case = running_cases(connection, [found.account_id]).get(found.account_id)
    if case is not None and overdue.minor <= found.amount_minor:
        # before the posting, so that the case does not end as paid
        words = f"Write-off {found.write_off_id}: {found.reason}"
        close_case(connection, office, case, Outcome.WRITTEN_OFF, words)
    words = f"write-off {found.write_off_id}"
    post(connection, office, [_entry(found, found.amount_minor, words)])


def _entry(found: WriteOff, amount_minor: int, words: str) -> Entry:
    source = f"write-off {found.write_off_id}"
    kind = EntryKind.WRITE_OFF
    return Entry(found.account_id, kind, amount_minor, WRITTEN_OFF, source, words)


def _amount(
    connection: Connection, office: Office, account_id: int, amount_minor: int | None
) -> int:
    owed = -balances(connection, [account_id])[account_id]
    amount = owed if amount_minor is None else amount_minor
    if amount <= 0 or amount > owed:
        raise NothingOwedError(
            f"The account owes {office.currency.text(max(owed, 0))}: no more can be written off."
        )
    return amount


def _asked(connection: Connection, write_off_id: int) -> WriteOff:
    lock(connection, [write_off_of(connection, write_off_id).account_id])
    found = write_off_of(connection, write_off_id)
    if found.state != "asked":
        raise PlanStateError(f"Write-off {write_off_id} is {found.state}: it waits for nobody.")
    return found


def _change(connection: Connection, write_off_id: int, **values: object) -> None:
    connection.execute(
        update(write_offs).where(write_offs.c.write_off_id == write_off_id).values(**values)
    )


def _write_off(row: Any) -> WriteOff:
    return WriteOff(**row._mapping)


def _record(
    connection: Connection, office: Office, action: str, found: WriteOff, reason: str
) -> None:
    audit.record(
        connection,
        office.now(),
        actor=office.person.name,
        action=action,
        subject=str(found.write_off_id),
        detail=f"account {found.account_id}, {found.amount_minor}",
        reason=reason,
    )
