"""Debts, days and payments for tests of collections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from sqlalchemy import select

from billing.collecting.cases import Act, Case, acts_of, case_of, select_cases
from billing.collecting.sweeping import sweep
from billing.collecting.tables import collection_cases
from billing.collecting.watcher import CollectionWatcher
from billing.ledger.books import REVENUE, ensure_account, received
from billing.ledger.entry import Entry, EntryKind, Posted
from billing.ledger.posting import post
from billing.notices.tables import notices
from billing.office import Office
from storage.ledger import AccountKind
from tests.billing.made import make_account, make_supply
from tests.shop.conftest import Clock

MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
"""Ten in the morning there."""
_numbers = count(1)


def watched(office: Office) -> Office:
    """The office with collections watching."""
    with office.writing() as connection:
        ensure_account(connection, received("test"), AccountKind.ASSET, office.currency.code)
    return replace(office, watchers=(CollectionWatcher(),))


def make_customer(
    office: Office, *, customer_class: str = "residential", mode: str = "postpaid"
) -> int:
    """An account with a meter."""
    with office.writing() as connection:
        account_id = make_account(connection, office, customer_class=customer_class, mode=mode)
        make_supply(connection, office, account_id, url="tcp://192.0.2.1:4001")
    return account_id


def owe(
    office: Office, account_id: int, amount_minor: int, due_at: datetime | None = None
) -> Posted:
    """Energy that is to be paid; None: now."""
    entry = Entry(
        account_id,
        EntryKind.ENERGY,
        -amount_minor,
        REVENUE,
        f"settlement {next(_numbers)}",
        "energy",
        due_at=due_at,
    )
    with office.writing() as connection:
        return post(connection, office, [entry])[0]


def pay(office: Office, account_id: int, amount_minor: int) -> Posted:
    """Money from the customer."""
    entry = Entry(
        account_id,
        EntryKind.PAYMENT,
        amount_minor,
        received("test"),
        f"payment {next(_numbers)}",
        "a payment",
    )
    with office.writing() as connection:
        return post(connection, office, [entry])[0]


def days(office: Office, clock: Clock, many: int) -> Iterator[int]:
    """Sweep now, then on each of the following days; gives the number of the day."""
    for day in range(many):
        sweep(office)
        yield day
        clock.advance(days=1)


def run_days(office: Office, clock: Clock, many: int) -> None:
    """Let days pass, with a sweep on each."""
    for _ in days(office, clock, many):
        pass


def cases_of(office: Office, account_id: int) -> list[Case]:
    """All cases of an account, in order."""
    with office.reading() as connection:
        rows = connection.execute(
            select_cases()
            .where(collection_cases.c.account_id == account_id)
            .order_by(collection_cases.c.case_id)
        )
        return [case_of(row) for row in rows]


def acts_in(office: Office, case_id: int) -> list[Act]:
    """What was done in a case."""
    with office.reading() as connection:
        return acts_of(connection, case_id)


def steps_taken(office: Office, account_id: int, since: datetime) -> list[tuple[str, int]]:
    """Steps of all cases of an account, and how many days after a moment."""
    return [
        (act.step, (act.at - since) // timedelta(days=1))
        for case in cases_of(office, account_id)
        for act in acts_in(office, case.case_id)
        if act.step is not None
    ]


def told(office: Office, account_id: int) -> list[str]:
    """Events of the notices that were asked for, in order."""
    with office.reading() as connection:
        return list(
            connection.scalars(
                select(notices.c.event)
                .where(notices.c.account_id == account_id)
                .order_by(notices.c.notice_id)
            )
        )
