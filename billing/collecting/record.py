"""How an account has paid: what was due when, and when it was paid.

Told as it happened: a payment settles what was due first of what stood there then, and what is
left of it settles what comes later.  An entry that was reversed wholly is left out with its
reversal, so that a payment that bounced has paid nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Final

from sqlalchemy import Connection, select

from billing.collecting.ageing import open_items_of
from billing.ledger.entry import EntryKind, Purse
from billing.ledger.tables import account_entries
from billing.payments.times import paid_at_of

_AT_ONCE: Final = 200
"""Accounts in one look: some hundred entries each."""


@dataclass(frozen=True, slots=True)
class Movement:
    """An entry, as far as it matters here."""

    seq: int
    kind: str
    at: datetime
    """When it was posted; of a payment, when it was paid."""
    due_at: datetime
    amount_minor: int
    reverses_seq: int | None


@dataclass(frozen=True, slots=True)
class Due:
    """Something that was to be paid."""

    due_at: datetime
    amount_minor: int
    known_at: datetime
    """When it was posted."""
    paid_at: datetime | None
    """When nothing of it was left; None: not yet."""


@dataclass(frozen=True, slots=True)
class MonthRecord:
    """What was due in a month of the utility's calendar, and how it was paid."""

    month: date
    """Its first day."""
    due_minor: int
    days_late: int
    """The most days between a due date and its payment, or today where it is not paid; 0: in
    time."""
    paid: bool


@dataclass(frozen=True, slots=True)
class History:
    """What is known of how an account has paid, since a moment."""

    dues: tuple[Due, ...]
    """In the order of due dates."""
    bounced: int
    """Payments that were undone."""


def histories(
    connection: Connection,
    account_ids: Sequence[int],
    since: datetime,
    at: datetime,
) -> Iterator[tuple[int, History]]:
    """How accounts have paid, one after another.

    Args:
        connection: in any transaction.
        account_ids: whose, any number.
        since: what was open then, and what was posted after it.
        at: as it was known then.
    """
    for place in range(0, len(account_ids), _AT_ONCE):
        part = account_ids[place : place + _AT_ONCE]
        movements = _movements(connection, part, since, at)
        opening = open_items_of(connection, part, since)
        for account_id in part:
            mine = movements.get(account_id, [])
            open_then = [
                (each.due_at, each.open_minor, each.posted_at)
                for each in opening.get(account_id, [])
            ]
            before = _before(mine)
            yield account_id, history_of(mine, open_then, before)


def history_of(
    movements: Sequence[tuple[Movement, int]],
    opening: Iterable[tuple[datetime, int, datetime]] = (),
    credit_minor: int = 0,
) -> History:
    """How one account has paid.

    Args:
        movements: entries in order, each with the balance after it (which is not looked at).
        opening: what was open before: due date, amount, when it was posted.
        credit_minor: what was in credit before.
    """
    gone = _reversed([each for each, _ in movements])
    open_dues: list[tuple[datetime, int, int, int, datetime]] = []
    found: list[Due] = []
    credit = credit_minor
    for place, (due_at, amount, known_at) in enumerate(opening):
        heapq.heappush(open_dues, (due_at, place, amount, amount, known_at))
    bounced = 0
    for each, _ in movements:
        bounced += each.kind == EntryKind.PAYMENT_UNDONE
        if each.seq in gone:
            continue
        if each.amount_minor < 0:
            amount = -each.amount_minor
            heapq.heappush(open_dues, (each.due_at, each.seq, amount, amount, each.at))
        else:
            credit += each.amount_minor
        credit = _pour(open_dues, credit, each.at, found)
    found += [Due(due_at, amount, known, None) for due_at, _, _, amount, known in open_dues]
    return History(tuple(sorted(found, key=lambda due: due.due_at)), bounced)


def months_of(
    history: History, zone: tzinfo, at: datetime, grace_days: int = 0
) -> Mapping[date, MonthRecord]:
    """The record by months of due dates, of what was due by ``at``.

    Args:
        history: of an account.
        zone: the utility's.
        at: the moment at which it is looked at; later payments are not known.
        grace_days: so many days after the due date are not late.
    """
    months: dict[date, MonthRecord] = {}
    today = at.astimezone(zone).date()
    for due in history.dues:
        if due.due_at > at or due.known_at > at:
            continue
        due_on = (due.due_at - datetime.resolution).astimezone(zone).date()
        paid = due.paid_at is not None and due.paid_at <= at
        paid_on = due.paid_at.astimezone(zone).date() if due.paid_at and paid else today
        late = (paid_on - due_on).days
        late = late if late > grace_days else 0
        month = due_on.replace(day=1)
        before = months.get(month, MonthRecord(month, 0, 0, True))
        months[month] = MonthRecord(
            month,
            before.due_minor + due.amount_minor,
            max(before.days_late, late),
            before.paid and (paid or late == 0),
        )
    return dict(sorted(months.items()))


def _pour(
    open_dues: list[tuple[datetime, int, int, int, datetime]],
    credit: int,
    at: datetime,
    found: list[Due],
) -> int:
    """Pay what was due first, as far as the money goes; what is left of the money."""
    while credit and open_dues:
        due_at, seq, left, amount, known_at = heapq.heappop(open_dues)
        used = min(credit, left)
        credit -= used
        if used == left:
            found.append(Due(due_at, amount, known_at, at))
        else:
            heapq.heappush(open_dues, (due_at, seq, left - used, amount, known_at))
    return credit


def _reversed(movements: Sequence[Movement]) -> set[int]:
    """Entries that are left out: those that were reversed wholly, and what reversed them."""
    by_seq = {each.seq: each for each in movements}
    gone: set[int] = set()
    for each in movements:
        there = by_seq.get(each.reverses_seq or 0)
        if (
            there is not None
            and there.seq not in gone
            and there.reverses_seq is None
            and there.amount_minor == -each.amount_minor
        ):
            gone |= {there.seq, each.seq}
    return gone


def _before(movements: Sequence[tuple[Movement, int]]) -> int:
    """What was in credit before the first of them."""
    if not movements:
        return 0
    first, balance = movements[0]
    return max(0, balance - first.amount_minor)


def _movements(
    connection: Connection, account_ids: Sequence[int], since: datetime, at: datetime
) -> dict[int, list[tuple[Movement, int]]]:
    there = account_entries.c
    rows = connection.execute(
        select(
            there.account_id,
            there.seq,
            there.kind,
            there.posted_at,
            there.due_at,
            there.amount_minor,
            there.reverses_seq,
            there.balance_minor,
            there.source,
        )
        .where(
            there.account_id.in_(account_ids),
            there.purse == Purse.CURRENT.value,
            there.posted_at > since,
            there.posted_at <= at,
        )
        .order_by(there.account_id, there.seq)
    ).all()
    is_payment = EntryKind.PAYMENT.value
    paid_at = paid_at_of(connection, {row.source for row in rows if row.kind == is_payment})
    found: dict[int, list[tuple[Movement, int]]] = {}
    for row in rows:
        movement = Movement(
            row.seq,
            row.kind,
            min(row.posted_at, paid_at.get(row.source, row.posted_at)),
            row.due_at or row.posted_at,
            row.amount_minor,
            row.reverses_seq,
        )
        found.setdefault(row.account_id, []).append((movement, row.balance_minor))
    return found
