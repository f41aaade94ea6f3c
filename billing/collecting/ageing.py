"""What is owed, item by item, and how old it is.

Rule: payments settle what was due first.  So what an account still owes (its balance below zero)
is always the part of its debits that was due last, and the order in which payments and
corrections came in does not matter.  A debit without a due date was due when it was posted.

An entry and the first one that reverses it wholly are left out together: a payment that bounced
brings back what it had paid, as old as that was.  A reversal of a reversal counts as an entry of
its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, case, func, or_, select
from sqlalchemy.sql import ColumnElement

from billing.accounts.tables import customer_accounts
from billing.ledger.entry import EntryKind, Purse
from billing.ledger.tables import account_entries
from billing.office import Office

_AT_ONCE: Final = 500
"""Accounts in one look."""
_THERE: Final = account_entries.c
_SHOWN: Final = "account_id seq kind source words posted_at due amount_minor".split()


@dataclass(frozen=True, slots=True)
class OpenItem:
    """A debit of the current purse that is not paid, or not wholly."""

    account_id: int
    seq: int
    kind: EntryKind
    source: str
    words: str
    posted_at: datetime
    due_at: datetime
    """When it was posted, where the entry names no other time."""
    amount_minor: int
    """Of the debit; above zero."""
    open_minor: int
    """What is left of it; above zero, at most the amount."""


@dataclass(frozen=True, slots=True)
class AgeClass:
    """Debts between two ages."""

    name: str
    days_min: int
    """Whole days of the utility's calendar since the due date."""
    days_max: int | None
    """None: any older one."""


AGE_CLASSES: Final = (
    AgeClass("0-30", 0, 30),
    AgeClass("31-60", 31, 60),
    AgeClass("61-90", 61, 90),
    AgeClass("91-180", 91, 180),
    AgeClass(">180", 181, None),
)
"""The usual ones; each begins where the one before it ends."""


@dataclass(frozen=True, slots=True)
class AgeingRow:
    """What an account owes, by age."""

    account_id: int
    number: str
    customer_class: str
    not_due_minor: int
    by_age_minor: tuple[int, ...]
    """As many as there are classes of age."""
    oldest_due_at: datetime
    """Of what is open, due or not."""

    @property
    def overdue_minor(self) -> int:
        """What is open and due."""
        return sum(self.by_age_minor)

    @property
    def owed_minor(self) -> int:
        """What is open: the balance, turned round."""
        return self.not_due_minor + self.overdue_minor


def open_items(
    connection: Connection, account_id: int, at: datetime | None = None
) -> list[OpenItem]:
    """What an account owes, the oldest due first; nothing when its balance is not below zero.

    Args:
        connection: in any transaction.
        account_id: whose.
        at: with what was posted until then; None: with everything.
    """
    return open_items_of(connection, [account_id], at).get(account_id, [])


def open_items_of(
    connection: Connection, account_ids: Sequence[int], at: datetime | None = None
) -> dict[int, list[OpenItem]]:
    """`open_items` of many accounts; those that owe nothing are left out."""
    found: dict[int, list[OpenItem]] = {}
    for place in range(0, len(account_ids), _AT_ONCE):
        chosen = _open(account_ids[place : place + _AT_ONCE], at)
        order = chosen.order_by("account_id", "due", "seq")
        for row in connection.execute(order):
            found.setdefault(row.account_id, []).append(_item(row))
    return found


def ageing(
    connection: Connection,
    office: Office,
    at: datetime,
    classes: Sequence[AgeClass] = AGE_CLASSES,
) -> Iterator[AgeingRow]:
    """Who owes how much since when, in the order of the accounts' ids, a part at a time.

    Args:
        connection: in a read transaction, which stays open while this is read.
        office: gives the calendar.
        at: with what was posted until then, and how old it was then.
        classes: of age, from 0 days on without gaps.
    """
    marks = class_marks(office, at, classes)
    for owing in _owing(connection, at):
        sums = _open(list(owing), at).subquery()
        columns = [
            func.sum(case((rule, sums.c.open_minor), else_=0)).label(f"sum_{place}")
            for place, rule in enumerate(_rules(sums.c.due, marks))
        ]
        rows = connection.execute(
            select(sums.c.account_id, func.min(sums.c.due).label("oldest"), *columns)
            .group_by(sums.c.account_id)
            .order_by(sums.c.account_id)
        )
        for row in rows:
            amounts = [int(row._mapping[f"sum_{place}"]) for place in range(len(marks) + 1)]
            number, customer_class = owing[row.account_id]
            yield AgeingRow(
                row.account_id,
                number,
                customer_class,
                amounts[0],
                tuple(amounts[1:]),
                row.oldest,
            )


def class_marks(
    office: Office, at: datetime, classes: Sequence[AgeClass] = AGE_CLASSES
) -> list[tuple[datetime | None, datetime]]:
    """For each class of age: due after which moment (None: ever), and until which one, included."""
    today = at.astimezone(office.zone).date()
    marks: list[tuple[datetime | None, datetime]] = []
    upto = at
    for each in classes:
        since = None
        if each.days_max is not None:
            since = office.day_start(today - timedelta(days=each.days_max))
        marks.append((since, upto))
        upto = since or upto
    return marks


def age_days(office: Office, due_at: datetime, at: datetime) -> int:
    """Whole days of the utility's calendar from a due date on; below zero: due later."""
    return (at.astimezone(office.zone).date() - due_day(office, due_at)).days


def due_day(office: Office, due_at: datetime) -> date:
    """The last day on which something may be paid in time: what is due at a midnight was to be
    paid on the day before.
    """
    return (due_at - timedelta.resolution).astimezone(office.zone).date()


def _rules(
    due: ColumnElement[Any], marks: Sequence[tuple[datetime | None, datetime]]
) -> list[ColumnElement[bool]]:
    """Conditions: not due yet, then each class."""
    at = marks[0][1]
    rules: list[ColumnElement[bool]] = [due > at]
    for since, upto in marks:
        below = due <= upto
        rules.append(below if since is None else and_(below, due > since))
    return rules


def _owing(connection: Connection, at: datetime) -> Iterator[dict[int, tuple[str, str]]]:
    """Accounts whose balance was below zero: number and class by id, a part at a time."""
    balance = (
        select(_THERE.balance_minor)
        .where(
            _THERE.account_id == customer_accounts.c.account_id,
            _THERE.purse == Purse.CURRENT.value,
            _THERE.posted_at <= at,
        )
        .order_by(_THERE.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    last = 0
    while True:
        rows = connection.execute(
            select(
                customer_accounts.c.account_id,
                customer_accounts.c.number,
                customer_accounts.c.customer_class,
            )
            .where(customer_accounts.c.account_id > last, balance < 0)
            .order_by(customer_accounts.c.account_id)
            .limit(_AT_ONCE)
        ).all()
        if not rows:
            return
        last = rows[-1].account_id
        yield {row.account_id: (row.number, row.customer_class) for row in rows}


def _open(account_ids: Sequence[int], at: datetime | None) -> Select[Any]:
    """Debits that are open: the last due ones that together make what is owed."""
    mine = _posted(_THERE, account_ids, at)
    pairs = _pairs(account_ids, at)
    owed = (
        select(_THERE.account_id, (-func.sum(_THERE.amount_minor)).label("owed_minor"))
        .where(mine)
        .group_by(_THERE.account_id)
        .having(func.sum(_THERE.amount_minor) < 0)
        .subquery()
    )
    due = func.coalesce(_THERE.due_at, _THERE.posted_at, type_=_THERE.posted_at.type)
    debits = (
        select(
            *(_THERE[name] for name in ("account_id", "seq", "kind", "source", "words")),
            _THERE.posted_at,
            due.label("due"),
            (-_THERE.amount_minor).label("amount_minor"),
            func.sum(-_THERE.amount_minor)
            .over(partition_by=_THERE.account_id, order_by=(due.desc(), _THERE.seq.desc()))
            .label("with_later_minor"),
        )
        .outerjoin(
            pairs,
            and_(
                pairs.c.account_id == _THERE.account_id,
                or_(pairs.c.reverses_seq == _THERE.seq, pairs.c.by_seq == _THERE.seq),
            ),
        )
        .where(mine, _THERE.amount_minor < 0, pairs.c.account_id.is_(None))
        .subquery()
    )
    left = owed.c.owed_minor - debits.c.with_later_minor + debits.c.amount_minor
    open_minor = case((left < debits.c.amount_minor, left), else_=debits.c.amount_minor)
    return (
        select(*(debits.c[name] for name in _SHOWN), open_minor.label("open_minor"))
        .join(owed, owed.c.account_id == debits.c.account_id)
        .where(left > 0)
    )


def _pairs(account_ids: Sequence[int], at: datetime | None) -> Any:
    """Entries and the first one that reverses each of them wholly."""
    back, there = account_entries.alias("back"), account_entries.alias("there")
    return (
        select(back.c.account_id, back.c.reverses_seq, func.min(back.c.seq).label("by_seq"))
        .join(
            there,
            and_(
                there.c.account_id == back.c.account_id,
                there.c.purse == back.c.purse,
                there.c.seq == back.c.reverses_seq,
                there.c.amount_minor == -back.c.amount_minor,
                there.c.reverses_seq.is_(None),
            ),
        )
        .where(_posted(back.c, account_ids, at), back.c.reverses_seq.is_not(None))
        .group_by(back.c.account_id, back.c.reverses_seq)
        .subquery()
    )


def _posted(there: Any, account_ids: Sequence[int], at: datetime | None) -> ColumnElement[bool]:
    """The entries of the accounts' current purses until a moment."""
    mine = and_(there.account_id.in_(account_ids), there.purse == Purse.CURRENT.value)
    return mine if at is None else and_(mine, there.posted_at <= at)


def _item(row: Any) -> OpenItem:
    return OpenItem(
        account_id=row.account_id,
        seq=row.seq,
        kind=EntryKind(row.kind),
        source=row.source,
        words=row.words,
        posted_at=row.posted_at,
        due_at=row.due,
        amount_minor=int(row.amount_minor),
        open_minor=int(row.open_minor),
    )
