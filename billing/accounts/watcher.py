"""Accounts that wait for their deposit become active when it is paid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, exists, select

from billing.accounts.opening import activate_if_paid
from billing.accounts.tables import agreements, customer_accounts
from billing.ledger.entry import Posted
from billing.office import Office

_AT_ONCE: Final = 500


class DepositWatcher:
    """Makes accounts active in the transaction of their payment (a `BalanceWatcher`)."""

    def moved(self, connection: Connection, office: Office, posted: Sequence[Posted]) -> None:
        """Money came to accounts; look at those that are checked and signed for."""
        ids = sorted({each.entry.account_id for each in posted if each.entry.amount_minor > 0})
        for place in range(0, len(ids), _AT_ONCE):
            for account_id in waiting(connection, ids[place : place + _AT_ONCE]):
                activate_if_paid(connection, office, account_id)


def waiting(connection: Connection, account_ids: Sequence[int]) -> list[int]:
    """Those of some accounts that are signed for and not active yet."""
    query = select(customer_accounts.c.account_id).where(
        customer_accounts.c.state == "checked",
        exists().where(agreements.c.account_id == customer_accounts.c.account_id),
    )
    if account_ids is not None:
        query = query.where(customer_accounts.c.account_id.in_(account_ids))
    return list(connection.scalars(query.order_by(customer_accounts.c.account_id).limit(_AT_ONCE)))
