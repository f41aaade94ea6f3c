"""Look at bills: what collections, the web and people ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, func, select

from billing.bills.bill import (
    Addressee,
    Bill,
    Document,
    addressee_of,
    bill_of,
    document_of,
)
from billing.bills.due import credits_since, open_of, standings_of
from billing.bills.faults import NoSuchBillError
from billing.bills.tables import bill_standings, bills
from billing.ledger.entry import EntryKind
from billing.ledger.posting import balances
from billing.ledger.tables import account_entries
from billing.office import Office


@dataclass(frozen=True, slots=True)
class OpenBill:
    """A bill that is not paid, or not wholly."""

    bill: Bill
    due_at: datetime
    """When its due day is over."""
    open_minor: int
    """What is left of what it has charged, late fees not counted; above zero."""
    late_minor: int
    """Late fees that its lateness has cost so far."""

    def is_overdue(self, at: datetime) -> bool:
        """Whether its due day is over."""
        return self.due_at <= at


@dataclass(frozen=True, slots=True)
class Due:
    """What an account has to pay by its bills: one amount, one date."""

    account_id: int
    bill_id: int
    """The newest bill; it carries what the ones before it have left."""
    number: str
    due_at: datetime
    """When the due day of the newest bill is over."""
    amount_minor: int
    """All that was billed and is open, late fees too; above zero."""
    overdue_since: datetime | None
    """When the oldest open bill was due; None: nothing is overdue."""
    overdue_minor: int
    """The part of it whose due day is over, late fees not counted."""


def bill(connection: Connection, bill_id: int) -> Bill:
    """A bill by its id.

    Raises:
        NoSuchBillError: there is none.
    """
    row = connection.execute(select(bills).where(bills.c.bill_id == bill_id)).one_or_none()
    if row is None:
        raise NoSuchBillError(f"There is no bill with the id {bill_id}.")
    return bill_of(row)


def bill_by_number(connection: Connection, number: str) -> Bill:
    """A bill by its number, as it stands on it.

    Raises:
        NoSuchBillError: there is none.
    """
    row = connection.execute(
        select(bills).where(bills.c.number == number.replace(" ", ""))
    ).one_or_none()
    if row is None:
        raise NoSuchBillError(
            f"There is no bill {number}. `meterhouse bill list --account NUMBER` shows them."
        )
    return bill_of(row)


def bills_of(connection: Connection, account_id: int, *, limit: int = 100) -> list[Bill]:
    """An account's bills, the newest first."""
    rows = connection.execute(
        select(bills)
        .where(bills.c.account_id == account_id)
        .order_by(bills.c.seq.desc())
        .limit(limit)
    )
    return [bill_of(row) for row in rows]


def newest_bills(connection: Connection, *, limit: int = 100) -> list[Bill]:
    """The newest bills of all accounts."""
    rows = connection.execute(select(bills).order_by(bills.c.bill_id.desc()).limit(limit))
    return [bill_of(row) for row in rows]


def document(connection: Connection, bill_id: int) -> Document:
    """What is on a bill.

    Raises:
        NoSuchBillError: there is none.
    """
    stored = connection.scalar(select(bills.c.document).where(bills.c.bill_id == bill_id))
    if stored is None:
        raise NoSuchBillError(f"There is no bill with the id {bill_id}.")
    return document_of(stored)


def addressee(connection: Connection, office: Office, bill_id: int) -> Addressee:
    """Whom a bill is for, in clear: for the paper itself.

    Raises:
        NoSuchBillError: there is none.
    """
    sealed = connection.scalar(select(bills.c.addressee_sealed).where(bills.c.bill_id == bill_id))
    if sealed is None:
        raise NoSuchBillError(f"There is no bill with the id {bill_id}.")
    return addressee_of(office.seal.open("bill.addressee", bytes(sealed)))


def open_bills(
    connection: Connection, account_id: int, at: datetime | None = None
) -> list[OpenBill]:
    """An account's bills that are not paid, the oldest first.

    Args:
        connection: in any transaction.
        account_id: whose.
        at: with what was posted before it; None: with everything.
    """
    return open_bills_of(connection, [account_id], at).get(account_id, [])


def open_bills_of(
    connection: Connection, account_ids: Sequence[int], at: datetime | None = None
) -> dict[int, list[OpenBill]]:
    """`open_bills` of many accounts; those without any are left out."""
    standings = standings_of(connection, account_ids)
    paid = credits_since(connection, standings)
    found: dict[int, list[OpenBill]] = {}
    for account_id, mine in standings.items():
        left = open_of(mine, paid[account_id], at)
        found_open = [
            OpenBill(each.bill, each.due_at, open_minor, each.late_minor)
            for each, open_minor in zip(mine, left, strict=True)
            if open_minor
        ]
        if found_open:
            found[account_id] = found_open
    return found


def due_of(connection: Connection, account_id: int, at: datetime) -> Due | None:
    """What an account has to pay by its bills, and until when; None: nothing.

    Args:
        connection: in any transaction.
        account_id: whose.
        at: now; what is overdue then.
    """
    return dues_of(connection, [account_id], at).get(account_id)


def dues_of(connection: Connection, account_ids: Sequence[int], at: datetime) -> dict[int, Due]:
    """`due_of` of many accounts; those that have nothing to pay are left out."""
    opened = open_bills_of(connection, account_ids)
    late = _late_unpaid(connection, list(opened))
    found = {}
    for account_id, mine in opened.items():
        newest = mine[-1]
        overdue = [each for each in mine if each.is_overdue(at)]
        found[account_id] = Due(
            account_id=account_id,
            bill_id=newest.bill.bill_id,
            number=newest.bill.number,
            due_at=newest.due_at,
            amount_minor=sum(each.open_minor for each in mine) + late[account_id],
            overdue_since=min((each.due_at for each in overdue), default=None),
            overdue_minor=sum(each.open_minor for each in overdue),
        )
    return found


def replaced_by(connection: Connection, bill_id: int) -> str | None:
    """The number of the adjustment bill that took a bill's place."""
    return connection.scalar(
        select(bills.c.number)
        .join(bill_standings, bill_standings.c.replaced_by == bills.c.bill_id)
        .where(bill_standings.c.bill_id == bill_id)
    )


def _late_unpaid(connection: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Late fees on bills that are not paid: they are paid last."""
    if not account_ids:
        return {}
    posted = connection.execute(_late_sums(account_ids))
    late = {row.account_id: int(row.late_minor) for row in posted}
    found = {}
    for account_id, balance in balances(connection, account_ids).items():
        owed = max(0, -balance)
        without = max(0, -(balance - late.get(account_id, 0)))
        found[account_id] = max(0, owed - without)
    return found


def _late_sums(account_ids: Sequence[int]) -> Select[tuple[int, int]]:
    return (
        select(
            account_entries.c.account_id,
            func.sum(account_entries.c.amount_minor).label("late_minor"),
        )
        .where(
            account_entries.c.account_id.in_(account_ids),
            account_entries.c.purse == "current",
            account_entries.c.kind == EntryKind.LATE_FEE.value,
        )
        .group_by(account_entries.c.account_id)
    )
