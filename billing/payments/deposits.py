"""Which payments a deposit comes from: who takes one of them back takes its part back too."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from billing.payments.payment import PaymentState
from billing.payments.tables import payments


def put_to_deposit(connection: Connection, account_id: int, amount_minor: int) -> None:
    """Keep that money of an account has become its deposit, that of its last payments first.

    What does not come from payments (it was brought in from another system) is not kept.  A payment
    that somebody is taking back in this moment is passed by.

    Args:
        connection: in a write transaction that has locked the account.
        account_id: whose.
        amount_minor: how much went from the current purse to the deposit.
    """
    rows = connection.execute(
        select(payments.c.payment_id, payments.c.amount_minor, payments.c.deposit_minor)
        .where(
            payments.c.account_id == account_id,
            payments.c.state == PaymentState.POSTED.value,
            payments.c.deposit_minor < payments.c.amount_minor,
        )
        .order_by(payments.c.payment_id.desc())
        .with_for_update(key_share=True, skip_locked=True)
    ).all()
    left = amount_minor
    for row in rows:
        part = min(left, row.amount_minor - row.deposit_minor)
        if part <= 0:
            return
        connection.execute(
            update(payments)
            .where(payments.c.payment_id == row.payment_id)
            .values(deposit_minor=row.deposit_minor + part)
        )
        left -= part
