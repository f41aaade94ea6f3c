"""Whom bills are for, and which service points they are about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from billing.accounts.looking import accounts_of, contacts_of_many, names_of, opened
from billing.accounts.tables import supplies
from billing.bills.bill import Addressee, Recipient
from billing.office import Office
from headend.registry.tables import service_points


def addressees_of(
    connection: Connection, office: Office, account_ids: Sequence[int], at: datetime
) -> dict[int, Addressee]:
    """Whom the bills of some accounts are for; all accounts are in it.

    Those who get a letter are the people who get bills and have an address for letters.  Where
    there is none, a letter goes to the customer at the first service point with an address.

    Args:
        connection: in any transaction.
        office: has the key of personal fields.
        account_ids: whose bills.
        at: addresses of service points that were on the account then, or later left it.
    """
    names = names_of(connection, office, account_ids)
    people = contacts_of_many(connection, office, account_ids, bills=True)
    languages = {
        each.account_id: each.language or office.language
        for each in accounts_of(connection, account_ids).values()
    }
    addresses = _addresses(connection, office, account_ids, at)
    found = {}
    for account_id in account_ids:
        mine = addresses.get(account_id, {})
        recipients = [
            Recipient(each.name, each.post, each.language or languages[account_id])
            for each in people[account_id]
            if each.post
        ]
        if not recipients and mine:
            first = next(iter(mine.values()))
            recipients = [Recipient(names[account_id], first, languages[account_id])]
        found[account_id] = Addressee(names[account_id], mine, tuple(recipients))
    return found


def points_of(connection: Connection, account_ids: Sequence[int]) -> dict[int, str]:
    """Names of service points by supply, of all supplies that the accounts ever had."""
    rows = connection.execute(
        select(supplies.c.supply_id, service_points.c.name)
        .join(service_points, service_points.c.point_id == supplies.c.point_id)
        .where(supplies.c.account_id.in_(account_ids))
    )
    return {row.supply_id: row.name for row in rows}


def _addresses(
    connection: Connection, office: Office, account_ids: Sequence[int], at: datetime
) -> dict[int, dict[int, str]]:
    rows = connection.execute(
        select(supplies.c.account_id, supplies.c.supply_id, supplies.c.address_sealed)
        .where(
            supplies.c.account_id.in_(account_ids),
            supplies.c.address_sealed.is_not(None),
            supplies.c.since <= at,
        )
        .order_by(supplies.c.supply_id)
    )
    found: dict[int, dict[int, str]] = {}
    for account_id, supply_id, sealed in rows:
        text = opened(office, "supply.address", sealed)
        if text:
            found.setdefault(account_id, {})[supply_id] = text
    return found
