"""The bills of a day: every account whose bill day has come gets its bill, once.

An account that ends gets a final one, and another one for what is put right after that.

The run has no state of its own that could be lost: what says that an account is billed is its bill
(one per account and period, held by the database).  So a run that was killed goes on where it was
when it is started again, and several may run at once: each takes accounts that nobody else has
locked, a batch in a transaction.

An account whose service points are not settled up to the bill day waits some days for them
(`wait_days`); so the service points of a large customer that are read on neighbouring days come
on one collective bill, with one due date.  Behind those days it is billed with what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, exists, func, select

from billing.accounts.looking import agreement_at, supplies_of_many
from billing.accounts.tables import agreements, closings, customer_accounts
from billing.bills.kinds import BillKind
from billing.bills.making import BillOrder, make_bills
from billing.bills.tables import bills
from billing.ledger.entry import EntryKind, Purse
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.person import Right
from billing.settlement.looking import settled_until

WAIT_DAYS: Final = 5
"""For settlements, behind the bill day."""
_AT_ONCE: Final = 50
"""Accounts in one transaction: half a second, on SQLite a sale waits for it."""
_MONTH: Final = timedelta(days=31)
_HAVE_THEIR_OWN_PAPER: Final = (EntryKind.PAYMENT.value, EntryKind.REFUND.value)


@dataclass(frozen=True, slots=True)
class RunSums:
    """What a run has done."""

    made: int = 0
    waiting: int = 0
    """Accounts that wait for their settlements."""
    empty: int = 0
    """Accounts with nothing to bill."""
    to_pay_minor: int = 0


@dataclass(frozen=True, slots=True)
class _Period:
    """A month's bills: of agreements with these bill days."""

    name: str
    first_day: int
    last_day: int


def run(
    office: Office,
    day: date | None = None,
    *,
    wait_days: int = WAIT_DAYS,
    progress: Callable[[int], None] | None = None,
) -> RunSums:
    """Make all bills that are due, and the final ones of accounts that are being closed.

    Args:
        office: the office.
        day: of whose bill days; None: today.  Bill days that were missed before are made up for.
        wait_days: how long an account waits for its settlements.
        progress: is told how many accounts were looked at.

    Raises:
        RightMissingError: see `Office.require`.
    """
    office.require(Right.BILL)
    sums, looked_at = RunSums(), 0
    for period in _periods(day or office.today()):
        for part in _batches(office, period, wait_days):
            looked_at += part.made + part.waiting + part.empty
            sums = _with(sums, part)
            if progress is not None:
                progress(looked_at)
    return _with(_with(sums, _final_bills(office)), _late_bills(office))


def sweep(office: Office) -> int:
    """Make the bills that are due today; gives how many."""
    return run(office).made


def count_due(office: Office, day: date | None = None) -> int:
    """How many accounts have a bill day that is not billed, for a progress bar."""
    with office.reading() as connection:
        return sum(
            connection.scalar(select(func.count()).select_from(_due(office, period).subquery()))
            or 0
            for period in _periods(day or office.today())
        )


def period_of(connection: Connection, office: Office, account_id: int) -> str | None:
    """The period that an account's next regular bill is for; None: it is between bill days.

    Raises:
        NoAgreementError: no agreement is in force.
    """
    bill_day = agreement_at(connection, account_id, office.now()).bill_day
    period = next(
        each for each in _periods(office.today()) if each.first_day <= bill_day <= each.last_day
    )
    known = connection.scalar(
        select(bills.c.bill_id).where(
            bills.c.account_id == account_id, bills.c.period == period.name
        )
    )
    return None if known is not None else period.name


def _periods(day: date) -> tuple[_Period, _Period]:
    """This month's bill days that have come, and the month before's that come later."""
    before = day.replace(day=1) - timedelta(days=1)
    return (
        _Period(f"{before:%Y-%m}", min(day.day, 28) + 1, 28),
        _Period(f"{day:%Y-%m}", 1, min(day.day, 28)),
    )


def _with(sums: RunSums, more: RunSums) -> RunSums:
    return RunSums(
        sums.made + more.made,
        sums.waiting + more.waiting,
        sums.empty + more.empty,
        sums.to_pay_minor + more.to_pay_minor,
    )


def _final_bills(office: Office) -> RunSums:
    """The final bills of accounts whose final settlement is made."""
    sums = RunSums()
    while True:
        with office.writing() as connection:
            account_ids = connection.scalars(
                select(customer_accounts.c.account_id)
                .join(closings, closings.c.account_id == customer_accounts.c.account_id)
                .where(
                    closings.c.settled_at.is_not(None),
                    closings.c.state != "withdrawn",
                    ~exists().where(
                        bills.c.account_id == closings.c.account_id,
                        bills.c.kind == BillKind.FINAL.value,
                        bills.c.made_at >= closings.c.settled_at,
                    ),
                )
                .order_by(customer_accounts.c.account_id)
                .limit(_AT_ONCE)
                .with_for_update(of=customer_accounts, key_share=True, skip_locked=True)
            ).all()
            done = connection.scalars(
                select(bills.c.account_id)
                .join(closings, closings.c.account_id == bills.c.account_id)
                .where(
                    bills.c.account_id.in_(account_ids),
                    closings.c.state != "withdrawn",
                    bills.c.kind == BillKind.FINAL.value,
                    bills.c.made_at >= closings.c.settled_at,
                )
            ).all()
            orders = [BillOrder(each, BillKind.FINAL) for each in account_ids if each not in done]
            made = make_bills(connection, office, orders) if orders else []
        if not made:
            return sums
        to_pay = sum(each.to_pay_minor for each in made)
        sums = _with(sums, RunSums(made=len(made), to_pay_minor=to_pay))


def _late_bills(office: Office) -> RunSums:
    """Another final bill for accounts to which something was posted after they were closed.

    But for money: the payment that ends an account has its receipt, and the refund its message.
    """
    sums = RunSums()
    while True:
        with office.writing() as connection:
            account_ids = connection.scalars(
                _with_late_entries()
                .order_by(customer_accounts.c.account_id)
                .limit(_AT_ONCE)
                .with_for_update(of=customer_accounts, key_share=True, skip_locked=True)
            ).all()
            # Seen again under the lock: whoever held it may have made the bill meanwhile.
            still: Sequence[int] = connection.scalars(
                _with_late_entries().where(customer_accounts.c.account_id.in_(account_ids))
            ).all()
            made = make_bills(
                connection, office, [BillOrder(each, BillKind.FINAL) for each in still]
            )
        if not made:
            return sums
        sums = _with(sums, RunSums(len(made), to_pay_minor=sum(each.to_pay_minor for each in made)))


def _with_late_entries() -> Select[Any]:
    billed = (
        select(bills.c.through_seq)
        .where(bills.c.account_id == customer_accounts.c.account_id)
        .order_by(bills.c.seq.desc())
        .limit(1)
        .correlate(customer_accounts)
        .scalar_subquery()
    )
    return select(customer_accounts.c.account_id).where(
        customer_accounts.c.state == "closed",
        exists().where(
            account_entries.c.account_id == customer_accounts.c.account_id,
            account_entries.c.purse == Purse.CURRENT.value,
            account_entries.c.seq > billed,
            account_entries.c.kind.not_in(_HAVE_THEIR_OWN_PAPER),
        ),
    )


def _batches(office: Office, period: _Period, wait_days: int) -> Iterator[RunSums]:
    last = 0
    while True:
        with office.writing() as connection:
            rows = connection.execute(
                _due(office, period)
                .where(customer_accounts.c.account_id > last)
                .order_by(customer_accounts.c.account_id)
                .limit(_AT_ONCE)
                .with_for_update(of=customer_accounts, key_share=True, skip_locked=True)
            ).all()
            if not rows:
                return
            last = rows[-1].account_id
            sums = _make(connection, office, period, rows, wait_days)
        yield sums


def _make(
    connection: Connection,
    office: Office,
    period: _Period,
    rows: Sequence[Row[Any]],
    wait_days: int,
) -> RunSums:
    cuts = {
        row.account_id: cut
        for row in rows
        if row.opened_at < (cut := _cut(office, period, row.bill_day))
    }
    # Seen again under the lock: whoever held it may have made the bill meanwhile.
    billed = connection.scalars(
        select(bills.c.account_id).where(
            bills.c.account_id.in_(cuts), bills.c.period == period.name
        )
    )
    for account_id in billed.all():
        del cuts[account_id]
    points = _points(connection, cuts)
    settled = settled_until(connection, [each for mine in points.values() for each in mine])
    orders, waiting = [], 0
    for account_id, cut in cuts.items():
        mine = points[account_id]
        is_behind = any(
            supply_id not in settled or settled[supply_id] < end for supply_id, end in mine.items()
        )
        if is_behind and office.now() < cut + timedelta(days=wait_days):
            waiting += 1
            continue
        kind = BillKind.COLLECTIVE if len(mine) > 1 else BillKind.REGULAR
        day = cut.astimezone(office.zone).date()
        orders.append(BillOrder(account_id, kind, period.name, bill_day=day))
    made = make_bills(connection, office, orders)
    return RunSums(
        len(made), waiting, len(orders) - len(made), sum(each.to_pay_minor for each in made)
    )


def _points(connection: Connection, cuts: Mapping[int, datetime]) -> dict[int, dict[int, datetime]]:
    """Supplies that are on each account's bill, and until when each is to be settled."""
    found: dict[int, dict[int, datetime]] = {}
    for account_id, mine in supplies_of_many(connection, list(cuts)).items():
        cut = cuts[account_id]
        found[account_id] = {
            each.supply_id: cut if each.until is None else min(cut, each.until)
            for each in mine
            if each.since < cut and (each.until is None or each.until > cut - _MONTH)
        }
    return found


def _cut(office: Office, period: _Period, bill_day: int) -> datetime:
    return office.day_start(date.fromisoformat(f"{period.name}-{bill_day:02d}"))


def _due(office: Office, period: _Period) -> Select[tuple[int, datetime, int]]:
    """Accounts whose agreement has a bill day in the period, and which have no bill of it."""
    newer = agreements.alias("newer")
    now = office.now()
    return (
        select(
            customer_accounts.c.account_id,
            customer_accounts.c.opened_at,
            agreements.c.bill_day,
        )
        .join(agreements, agreements.c.account_id == customer_accounts.c.account_id)
        .where(
            customer_accounts.c.state.in_(("active", "closing")),
            agreements.c.since <= now,
            agreements.c.bill_day.between(period.first_day, period.last_day),
            ~exists().where(
                newer.c.account_id == agreements.c.account_id,
                newer.c.version > agreements.c.version,
                newer.c.since <= now,
            ),
            ~exists().where(
                bills.c.account_id == customer_accounts.c.account_id,
                bills.c.period == period.name,
            ),
        )
    )
