"""What is open of bills, and until when it is to be paid.

Rule: a payment, and every other credit, goes to what was billed first, and to late fees last.  So
what is open up to a bill is what was owed without late fees when it was made, less all credits
since; a credit that takes back an entry behind the bill is that entry's alone.  A payment counts
from when it was paid, as its channel says, and not from when we were told: who has paid in time is
not late because a bank's file was.  What is open *of* a bill is the difference to the bill before
it.  Both only ever fall: a settled bill stays settled, and a payment that bounces is a charge of
the next bill.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from billing.bills.bill import Bill, bill_of
from billing.bills.tables import bill_standings, bills
from billing.ledger.entry import EntryKind, Purse
from billing.ledger.tables import account_entries
from billing.payments.times import paid_at_of

_AT_ONCE: Final = 1_000
"""Payments in one look."""


@dataclass(frozen=True, slots=True)
class Credit:
    """What was paid, or taken back, since a bill."""

    account_id: int
    seq: int
    at: datetime
    """When it was paid, however late the channel has told of it; else when it was posted."""
    amount_minor: int
    reverses_seq: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A bill that is not settled, and how its late fee stands."""

    bill: Bill
    due_at: datetime
    """The bill's.  What collections put off is no longer the bill's: it comes on the next one."""
    late_through: datetime | None
    late_base_minor: int | None
    late_micro: int
    late_minor: int


def standings_of(
    connection: Connection, account_ids: Sequence[int], since: datetime | None = None
) -> dict[int, list[Standing]]:
    """Bills that may be open, by account, in order; accounts without any are left out.

    Args:
        connection: in any transaction.
        account_ids: whose.
        since: those too that were settled after it; None: those that are not settled now.
    """
    is_open: ColumnElement[bool] = bill_standings.c.settled_at.is_(None)
    if since is not None:
        is_open = or_(is_open, bill_standings.c.settled_at > since)
    rows = connection.execute(
        select(
            bills,
            bill_standings.c.due_at.label("now_due_at"),
            bill_standings.c.late_through,
            bill_standings.c.late_base_minor,
            bill_standings.c.late_micro,
            bill_standings.c.late_minor,
        )
        .join(bill_standings, bill_standings.c.bill_id == bills.c.bill_id)
        .where(
            bill_standings.c.account_id.in_(account_ids),
            is_open,
            bill_standings.c.replaced_by.is_(None),
        )
        .order_by(bills.c.account_id, bills.c.seq)
    )
    found: dict[int, list[Standing]] = {}
    for row in rows:
        found.setdefault(row.account_id, []).append(
            Standing(
                bill=bill_of(row),
                due_at=row.now_due_at,
                late_through=row.late_through,
                late_base_minor=row.late_base_minor,
                late_micro=row.late_micro,
                late_minor=row.late_minor,
            )
        )
    return found


def credits_since(
    connection: Connection, standings: Mapping[int, Sequence[Standing]]
) -> dict[int, list[Credit]]:
    """Credits behind the oldest open bill of each account, in order."""
    found: dict[int, list[Credit]] = {account_id: [] for account_id in standings}
    if not standings:
        return found
    oldest = (
        select(bills.c.account_id, func.min(bills.c.through_seq).label("through_seq"))
        .where(bills.c.bill_id.in_([mine[0].bill.bill_id for mine in standings.values()]))
        .group_by(bills.c.account_id)
        .subquery()
    )
    rows = connection.execute(
        select(
            account_entries.c.account_id,
            account_entries.c.seq,
            account_entries.c.posted_at,
            account_entries.c.amount_minor,
            account_entries.c.reverses_seq,
            account_entries.c.kind,
            account_entries.c.source,
        )
        .join(
            oldest,
            and_(
                oldest.c.account_id == account_entries.c.account_id,
                account_entries.c.seq > oldest.c.through_seq,
            ),
        )
        .where(
            account_entries.c.purse == Purse.CURRENT.value,
            account_entries.c.amount_minor > 0,
            account_entries.c.kind != EntryKind.LATE_FEE.value,
        )
        .order_by(account_entries.c.account_id, account_entries.c.seq)
    ).all()
    is_payment = EntryKind.PAYMENT.value
    paid_at = paid_at_of(connection, {row.source for row in rows if row.kind == is_payment})
    for row in rows:
        at = min(row.posted_at, paid_at.get(row.source, row.posted_at))
        credit = Credit(row.account_id, row.seq, at, row.amount_minor, row.reverses_seq)
        found[row.account_id].append(credit)
    return found


def open_of(
    standings: Iterable[Standing], paid: Sequence[Credit], before: datetime | None = None
) -> list[int]:
    """What is open of each bill of an account, late fees not counted.

    Args:
        standings: of one account, in order.
        paid: behind the first of them.
        before: with what was paid before it; None: with everything.
    """
    found, sooner = [], 0
    for each in standings:
        through = each.bill.through_seq
        since = sum(
            credit.amount_minor
            for credit in paid
            if credit.seq > through
            and (credit.reverses_seq is None or credit.reverses_seq <= through)
            and (before is None or credit.at < before)
        )
        owed = -(each.bill.total_minor - each.bill.late_so_far_minor)
        upto = max(sooner, owed - since)
        found.append(upto - sooner)
        sooner = upto
    return found
