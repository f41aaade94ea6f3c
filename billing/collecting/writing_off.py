"""Write a debt off, with a second person's approval; take back what comes in all the same.

What is written off stands against `books.WRITTEN_OFF` and the account owes it no more; when the
account comes into credit later, the sweep recovers what it can from that, and the books with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from billing.collecting.cases import Outcome, close_case, running_cases
from billing.collecting.requests import Requests, require_reason
from billing.collecting.standings import overdue_of
from billing.collecting.tables import write_offs
from billing.ledger.books import WRITTEN_OFF
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import balance, lock, post
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.person import Right

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

    @property
    def number(self) -> int:
        """Its own."""
        return self.write_off_id

    @property
    def two_because(self) -> None:
        """It is above no limit: it always takes two people."""
        return

    @property
    def detail(self) -> str:
        """What the audit trail says of it."""
        return str(self.amount_minor)


_WRITE_OFFS: Final[Requests[WriteOff]] = Requests(
    name="write-off",
    action="write_off",
    done="written off",
    table=write_offs,
    read=lambda _, rows: [WriteOff(**row._mapping) for row in rows],
)


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
        require_reason(reason, "it is given up")
        with self.office.writing() as connection:
            lock(connection, [account_id])
            wanted = -balance(connection, account_id) if amount_minor is None else amount_minor
            amount = _WRITE_OFFS.amount(connection, self.office, account_id, wanted)
            number = _WRITE_OFFS.add(
                connection, self.office, account_id, amount, reason, recovered_minor=0
            )
            found = _WRITE_OFFS.find(connection, number)
            _WRITE_OFFS.record(connection, self.office, "ask", found, found.reason)
            return found

    def approve(self, write_off_id: int) -> WriteOff:
        """Be the second person: the debt is given up.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            OtherPersonError: who asked approves.
            NothingOwedError: so much is not owed any more.
            RightMissingError: the person may not approve.
        """
        return _WRITE_OFFS.approve(self.office, write_off_id, _give_up)

    def refuse(self, write_off_id: int, why: str) -> WriteOff:
        """Refuse one that waits; nothing was moved.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            RightMissingError: the person may not collect.
        """
        return _WRITE_OFFS.refuse(self.office, write_off_id, why)

    def list(self, *, state: str | None = None, limit: int = 100) -> list[WriteOff]:
        """Write-offs, the newest first."""
        return _WRITE_OFFS.listed(self.office, state, limit)


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
    credit = balance(connection, account_id)
    for found in _WRITE_OFFS.read(connection, there):
        amount = min(credit, found.amount_minor - found.recovered_minor)
        if amount <= 0:
            continue
        credit -= amount
        recovered = {"recovered_minor": found.recovered_minor + amount}
        _WRITE_OFFS.change(connection, found.write_off_id, recovered)
        words = f"recovered of write-off {found.write_off_id}"
        post(connection, office, [_entry(found, -amount, words)])


def _give_up(connection: Connection, office: Office, found: WriteOff, who: str) -> None:
    at = office.now()
    done = {"state": "done", "approved_by": who, "done_at": at}
    _WRITE_OFFS.change(connection, found.write_off_id, done)
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
