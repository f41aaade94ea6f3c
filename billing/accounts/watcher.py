"""What happens to accounts when money moves: they become active; what comes too late goes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import Connection, exists, select

from billing.accounts.opening import activate_if_paid
from billing.accounts.rules import refund_due
from billing.accounts.tables import agreements, closings, customer_accounts
from billing.accounts.values import ClosingState
from billing.faults import BillingError
from billing.ledger.entry import Posted
from billing.ledger.posting import balance
from billing.office import Office
from billing.payments.refunds import refund_to_pay

_AT_ONCE: Final = 500
_log = structlog.get_logger(__name__)


class DepositWatcher:
    """Makes accounts active in the transaction of their payment (a `BalanceWatcher`)."""

    def moved(self, connection: Connection, office: Office, posted: Sequence[Posted]) -> None:
        """Money came to accounts; look at those that are checked and signed for."""
        ids = sorted({each.entry.account_id for each in posted if each.entry.amount_minor > 0})
        for place in range(0, len(ids), _AT_ONCE):
            for account_id in waiting(connection, ids[place : place + _AT_ONCE]):
                activate_if_paid(connection, office, account_id)


class ClosedWatcher:
    """Asks for the refund of what a closed account has been given (a `BalanceWatcher`).

    Payments to it wait in suspense, but a reading, or a bill, that is put right after the end is
    the former customer's money.
    """

    def moved(self, connection: Connection, office: Office, posted: Sequence[Posted]) -> None:
        """Look at those accounts that were given something and are closed."""
        ids = sorted({each.entry.account_id for each in posted if each.entry.amount_minor > 0})
        for place in range(0, len(ids), _AT_ONCE):
            closed = connection.execute(
                select(closings.c.account_id, closings.c.refund_channel, closings.c.asked_by)
                .where(
                    closings.c.account_id.in_(ids[place : place + _AT_ONCE]),
                    closings.c.state == ClosingState.CLOSED.value,
                )
                .order_by(closings.c.account_id)
            )
            for account_id, channel, asked_by in closed.all():
                _give_back(connection, office, account_id, channel, asked_by)


def _give_back(
    connection: Connection, office: Office, account_id: int, channel: str, asked_by: str
) -> None:
    left = balance(connection, account_id)
    if left <= 0:
        return
    why = "put right after the account was closed"
    try:
        refund_to_pay(
            connection,
            office,
            account_id,
            left,
            channel,
            why,
            due_at=refund_due(connection, office),
            asked_by=asked_by,
        )
    except BillingError as fault:  # its channel takes no part any more; nothing was written
        if fault.is_system:
            raise
        _log.warning("account.late_refund_failed", account_id=account_id, code=fault.code)


def waiting(connection: Connection, account_ids: Sequence[int]) -> list[int]:
    """Those of some accounts that are signed for and not active yet."""
    query = select(customer_accounts.c.account_id).where(
        customer_accounts.c.state == "checked",
        exists().where(agreements.c.account_id == customer_accounts.c.account_id),
    )
    if account_ids is not None:
        query = query.where(customer_accounts.c.account_id.in_(account_ids))
    return list(connection.scalars(query.order_by(customer_accounts.c.account_id).limit(_AT_ONCE)))
