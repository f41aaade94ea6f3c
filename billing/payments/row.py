"""Payments as they stand in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from billing.accounts.tables import customer_accounts
from billing.payments.faults import UnknownPaymentError
from billing.payments.payment import PaymentState, Purpose
from billing.payments.tables import payments


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """A payment; nothing of it is personal."""

    payment_id: int
    channel: str
    reference: str
    purpose: Purpose
    amount_minor: int
    given: str
    """The number that the payer has named."""
    paid_at: datetime
    taken_at: datetime
    taken_by: str
    taken_where: str
    state: PaymentState
    account_id: int | None
    number: str
    """Of the account; empty where none has it."""
    deposit_minor: int

    @property
    def source(self) -> str:
        """As entries name it."""
        return f"payment {self.payment_id}"


def shown() -> Select[Any]:
    """Payments with their accounts' numbers."""
    wanted = [each for each in payments.c if each.name not in ("note_sealed", "content_sha256")]
    return select(*wanted, customer_accounts.c.number).outerjoin(
        customer_accounts, customer_accounts.c.account_id == payments.c.account_id
    )


def find_payment(connection: Connection, payment_id: int) -> PaymentRow:
    """A payment.

    Raises:
        UnknownPaymentError: there is none of this number.
    """
    row = connection.execute(shown().where(payments.c.payment_id == payment_id)).one_or_none()
    if row is None:
        raise UnknownPaymentError(
            f"There is no payment {payment_id}; `meterhouse payment list` shows them."
        )
    return payment_of(row)


def lock_payment(connection: Connection, payment_id: int) -> PaymentRow:
    """A payment that nobody else moves until the transaction ends.

    Raises:
        UnknownPaymentError: there is none of this number.
    """
    connection.execute(
        select(payments.c.payment_id)
        .where(payments.c.payment_id == payment_id)
        .with_for_update(key_share=True)
    )
    return find_payment(connection, payment_id)


def payment_of(row: Any) -> PaymentRow:
    """A payment from its row."""
    return PaymentRow(
        payment_id=row.payment_id,
        channel=row.channel,
        reference=row.reference,
        purpose=Purpose(row.purpose),
        amount_minor=row.amount_minor,
        given=row.given,
        paid_at=row.paid_at,
        taken_at=row.taken_at,
        taken_by=row.taken_by,
        taken_where=row.taken_where,
        state=PaymentState(row.state),
        account_id=row.account_id,
        number=row.number or "",
        deposit_minor=row.deposit_minor,
    )
