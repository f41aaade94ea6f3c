"""Rules for all accounts: within which time money is given back, how long names are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select

from billing.accounts.rows import record
from billing.accounts.tables import account_rules
from billing.accounts.values import AccountRules
from billing.faults import BadEntryError
from billing.office import Office


def rules(connection: Connection) -> AccountRules:
    """The rules as they are; the defaults until somebody has set any."""
    row = connection.execute(
        select(account_rules.c.refund_days, account_rules.c.keep_years)
        .order_by(account_rules.c.rules_id.desc())
        .limit(1)
    ).one_or_none()
    return AccountRules() if row is None else AccountRules(row.refund_days, row.keep_years)


def refund_due(connection: Connection, office: Office) -> datetime:
    """Until when the money of an account that ends is to be given back, if it is asked for now."""
    return office.now() + timedelta(days=rules(connection).refund_days)


def set_rules(connection: Connection, office: Office, new: AccountRules) -> None:
    """Set the rules; the old ones stay in their table.

    Raises:
        BadEntryError: one of them is out of its range.
    """
    if not 1 <= new.refund_days <= 366:
        raise BadEntryError("What is left is given back within 1 to 366 days.")
    if not 1 <= new.keep_years <= 100:
        raise BadEntryError("Personal fields are kept for 1 to 100 years.")
    connection.execute(
        insert(account_rules).values(
            refund_days=new.refund_days,
            keep_years=new.keep_years,
            set_at=office.now(),
            set_by=office.person.name,
        )
    )
    detail = f"refund within {new.refund_days} days, keep {new.keep_years} years"
    record(connection, office, "account.rules", "accounts", detail=detail)
