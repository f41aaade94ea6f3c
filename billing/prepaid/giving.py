"""Emergency credit is given: to all of a place, page by page, to each account once.

How far it has come stands with the credit and is committed with each page, so that it goes on
wherever it was interrupted.  The database gives no account twice (primary key) and nothing that
nobody has approved (trigger).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, exists, func, insert, select, update

from billing.accounts.tables import customer_accounts, supplies
from billing.ledger.books import EMERGENCY
from billing.ledger.entry import Entry, EntryKind, Posted
from billing.ledger.posting import lock, post
from billing.notices.outbox import queue_notices
from billing.office import Office
from billing.prepaid.tables import emergency_credits, emergency_credits_given
from billing.prepaid.telling import emergency_credit
from headend.registry.places import places_below
from headend.registry.tables import service_points

_AT_ONCE: Final = 200
"""Accounts in one transaction."""
_PAGES: Final = 10
"""Pages in one sweep; the next one goes on."""


def give_approved(office: Office) -> int:
    """Go on with what is approved and not given to everybody yet; gives how many accounts."""
    with office.reading() as connection:
        waiting = connection.scalars(
            select(emergency_credits.c.emergency_id).where(
                emergency_credits.c.approved_at.is_not(None),
                emergency_credits.c.given_at.is_(None),
            )
        ).all()
    return sum(give(office, each, pages=_PAGES) for each in waiting)


def give(
    office: Office,
    emergency_id: int,
    *,
    pages: int | None = None,
    tell: Callable[[int], None] = lambda _count: None,
) -> int:
    """Give to everybody who has none of it yet; gives how many accounts that were.

    Args:
        office: the office.
        emergency_id: of an approved credit.
        pages: at most so many transactions; None: all.
        tell: called with the count after each.
    """
    given = done = 0
    while pages is None or done < pages:
        with office.writing() as connection:
            page = _give_page(connection, office, emergency_id)
        if page is None:
            break
        given += page
        done += 1
        tell(given)
    return given


def accounts_in(place_ids: Sequence[int] | None) -> Any:
    """An SQL condition: active prepaid accounts, with a service point in one of these places."""
    wanted = (customer_accounts.c.state == "active") & (customer_accounts.c.mode == "prepaid")
    if place_ids is None:
        return wanted
    return wanted & exists().where(
        supplies.c.account_id == customer_accounts.c.account_id,
        supplies.c.until.is_(None),
        service_points.c.point_id == supplies.c.point_id,
        service_points.c.place_id.in_(place_ids),
    )


def how_many(connection: Connection, place_id: int | None) -> int:
    """How many accounts credit for a place is for, as things are."""
    places = None if place_id is None else places_below(connection, place_id)
    found = connection.scalar(
        select(func.count()).select_from(customer_accounts).where(accounts_in(places))
    )
    return int(found or 0)


def _give_page(connection: Connection, office: Office, emergency_id: int) -> int | None:
    """One page; None: everybody has it."""
    row = connection.execute(
        select(emergency_credits)
        .where(emergency_credits.c.emergency_id == emergency_id)
        .with_for_update()
    ).one()
    if row.approved_at is None or row.given_at is not None:
        return None
    places = None if row.place_id is None else places_below(connection, row.place_id)
    ids = connection.scalars(
        select(customer_accounts.c.account_id)
        .where(customer_accounts.c.account_id > row.after_account_id, accounts_in(places))
        .order_by(customer_accounts.c.account_id)
        .limit(_AT_ONCE)
    ).all()
    at = office.now()
    if not ids:
        connection.execute(
            update(emergency_credits)
            .where(emergency_credits.c.emergency_id == emergency_id)
            .values(given_at=at)
        )
        return None
    lock(connection, ids)
    connection.execute(
        insert(emergency_credits_given),
        [
            {
                "emergency_id": emergency_id,
                "account_id": each,
                "amount_minor": row.each_minor,
                "recovered_minor": 0,
                "given_at": at,
            }
            for each in ids
        ],
    )
    posted = post(connection, office, [_entry(row, each) for each in ids])
    _tell(connection, office, row, posted)
    connection.execute(
        update(emergency_credits)
        .where(emergency_credits.c.emergency_id == emergency_id)
        .values(after_account_id=ids[-1])
    )
    return len(ids)


def _entry(row: Any, account_id: int) -> Entry:
    return Entry(
        account_id=account_id,
        kind=EntryKind.EMERGENCY_CREDIT,
        amount_minor=row.each_minor,
        counter=EMERGENCY,
        source=f"emergency {row.emergency_id}",
        words="Emergency credit, to be paid back from later payments",
    )


def _tell(connection: Connection, office: Office, row: Any, posted: Sequence[Posted]) -> None:
    queue_notices(
        connection,
        office,
        [
            emergency_credit(
                each.entry.account_id,
                row.emergency_id,
                each.entry.amount_minor,
                each.balance_minor,
                row.reason,
            )
            for each in posted
        ],
    )
