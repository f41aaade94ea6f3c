"""Whose account a number is that a payer has named: the account's own, or a meter's on it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from billing.accounts.tables import customer_accounts, supplies
from billing.ledger.posting import balance
from headend.registry.tables import end_devices, installations

_ENDED: Final = ("closed", "rejected")


def account_of_number(connection: Connection, given: str) -> int | None:
    """The account of an account's or meter's number; None: there is none, or not one alone."""
    number = plain_number(given)
    if not number:
        return None
    account_id = connection.scalar(
        select(customer_accounts.c.account_id).where(customer_accounts.c.number == number)
    )
    if account_id is not None:
        return int(account_id)
    found = connection.scalars(
        select(supplies.c.account_id)
        .join(installations, installations.c.point_id == supplies.c.point_id)
        .join(end_devices, end_devices.c.device_id == installations.c.device_id)
        .where(
            end_devices.c.number == number,
            installations.c.until.is_(None),
            supplies.c.until.is_(None),
        )
        .limit(2)
    ).all()
    return int(found[0]) if len(found) == 1 else None


def takes_money(connection: Connection, account_id: int) -> bool:
    """Whether payments are posted to an account: it has not ended, or owes something after its end.

    Who pays more than that gets the rest back (`billing.accounts.watcher.ClosedWatcher`).
    """
    state = connection.scalar(
        select(customer_accounts.c.state).where(customer_accounts.c.account_id == account_id)
    )
    if state in _ENDED:
        return balance(connection, account_id) < 0
    return state is not None


def plain_number(given: str) -> str:
    """A number as it is stored: without the spaces and hyphens of paper."""
    return "".join(letter for letter in given if letter not in " -\t")
