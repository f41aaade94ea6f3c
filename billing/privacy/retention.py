"""Personal fields of customers who left long ago are erased; numbers, entries and amounts stay.

A customer counts as gone when their last account has ended; the years are those of
`account_rules`.  Every sealed column of a table with an ``account_id`` is emptied with the
account, in whatever room it is.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select, update

from billing.accounts.rules import rules
from billing.accounts.tables import contacts, customer_accounts, customers
from billing.office import Office
from billing.privacy.fields import SealedColumn, sealed_columns
from storage import audit

_SWEEP_MAX: Final = 200


def erase_due(office: Office) -> int:
    """Erase what nobody has a use for any more, each customer in a transaction; how many."""
    with office.reading() as connection:
        gone = _gone(connection, _years_before(office, rules(connection).keep_years))
    return sum(_erase(office, customer_id) for customer_id in gone)


def _gone(connection: Connection, before: datetime) -> list[int]:
    """Customers all of whose accounts ended before a moment."""
    return list(
        connection.scalars(
            select(customers.c.customer_id)
            .join(customer_accounts, customer_accounts.c.customer_id == customers.c.customer_id)
            .where(customers.c.erased_at.is_(None))
            .group_by(customers.c.customer_id)
            .having(
                func.count() == func.count(customer_accounts.c.closed_at),
                func.max(customer_accounts.c.closed_at) < before,
            )
            .order_by(customers.c.customer_id)
            .limit(_SWEEP_MAX)
        )
    )


def _erase(office: Office, customer_id: int) -> bool:
    with office.writing() as connection:
        row = connection.execute(
            select(customers).where(customers.c.customer_id == customer_id).with_for_update()
        ).one()
        accounts = connection.execute(
            select(customer_accounts.c.account_id, customer_accounts.c.number).where(
                customer_accounts.c.customer_id == customer_id
            )
        ).all()
        if row.erased_at is not None:
            return False
        ids = [each.account_id for each in accounts]
        connection.execute(
            update(contacts)
            .where(contacts.c.account_id.in_(ids), contacts.c.until.is_(None))
            .values(until=office.now())
        )
        for column in sealed_columns():
            if column.table is customers:
                which: Any = customers.c.customer_id == customer_id
            elif "account_id" in column.table.c:
                which = column.table.c.account_id.in_(ids)
            else:
                continue
            connection.execute(
                update(column.table)
                .where(which, column.column.is_not(None))
                .values(_emptied(office, column))
            )
        connection.execute(
            update(customers)
            .where(customers.c.customer_id == customer_id)
            .values(erased_at=office.now())
        )
        for each in accounts:
            audit.record(
                connection,
                office.now(),
                actor=office.person.name,
                action="personal.erase",
                subject=each.number,
                detail="kept for as long as the rules say",
            )
        return True


def _emptied(office: Office, column: SealedColumn) -> dict[Any, bytes | None]:
    """NULL where a column may be empty, else the empty text."""
    values: dict[Any, bytes | None] = {column.column: None}
    if not column.column.nullable:
        values[column.column] = office.seal.seal(column.field, "")
    if column.digest is not None:
        values[column.digest] = (
            None if column.digest.nullable else office.seal.digest(column.field, "")
        )
    return values


def _years_before(office: Office, years: int) -> datetime:
    today = office.today()
    day = date(today.year - years, today.month, min(today.day, 28))
    return office.day_start(day)
