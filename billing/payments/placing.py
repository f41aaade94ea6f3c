"""Where a payment lies: out of suspense, back to who paid it, away from an account.

======================  =============================  ================================
act                     the account                    the general books
======================  =============================  ================================
into suspense at once   –                              channel to ``billing.suspense``
assigned                more                           ``billing.suspense`` less
sent back               –                              suspense to ``billing.refunds``
bounced                 less                           the channel's money less
bounced, in suspense    –                              suspense to channel
bounced, card           less                           what cards have brought less
another's               less; the other's more         (through the channel's money)
another's, not known    less                           ``billing.suspense`` more
======================  =============================  ================================

The caller has locked the payment's row.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from billing.faults import UnknownAccountError
from billing.ledger.books import REFUNDED, received
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import balance, lock, post
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.payments.acts import Act
from billing.payments.channels import SUSPENSE, find_channel
from billing.payments.door import (
    Credit,
    arrival_entries,
    deposit_due,
    deposit_entries_back,
)
from billing.payments.payee import account_of_number, takes_money
from billing.payments.payment import PaymentState, Purpose
from billing.payments.refund import Asked, Cause, RefundKind, add_refund
from billing.payments.row import PaymentRow
from billing.payments.tables import payments
from billing.payments.telling import tell_received
from storage import ledger
from storage.ledger import Transfer
from vending.cash.office_moves import tender_of


def assign(connection: Connection, office: Office, payment: PaymentRow, number: str) -> None:
    """Put a payment from suspense on an account.

    Raises:
        UnknownAccountError: no open account has this number, nor a meter of this number.
    """
    account_id = account_of_number(connection, number)
    if account_id is not None:
        lock(connection, [account_id])
    if account_id is None or not takes_money(connection, account_id):
        raise UnknownAccountError(f"There is no open account for the number {number}.")
    credit = _credit(connection, office, payment, account_id)
    channel = find_channel(connection, payment.channel)
    _set(connection, payment, PaymentState.POSTED, account_id, credit.deposit_minor)
    entries = arrival_entries(
        connection, office, credit, channel, payment.paid_at, counter=SUSPENSE
    )
    post(connection, office, entries)
    _tell(connection, office, payment, account_id)


def send_back(connection: Connection, office: Office, payment: PaymentRow, reason: str) -> int:
    """Have a payment in suspense paid back by its channel; gives the refund's number."""
    _move(connection, office, payment, SUSPENSE, REFUNDED, "sent back")
    _set(connection, payment, PaymentState.RETURNED, None, 0)
    asked = Asked(
        RefundKind.PAYOUT,
        payment.amount_minor,
        Cause.WRONG_ACCOUNT,
        reason,
        payment_id=payment.payment_id,
        channel=payment.channel,
        is_entered=True,
    )
    return add_refund(connection, office, asked)


def take_away(
    connection: Connection,
    office: Office,
    payment: PaymentRow,
    *,
    bounced: bool,
    to_account: int | None,
) -> Act:
    """Reverse a payment; it goes nowhere, to another account, or into suspense."""
    if payment.account_id is None:
        _move(connection, office, payment, SUSPENSE, _lies_in(connection, payment), "bounced")
        _set(connection, payment, PaymentState.UNDONE, None, 0)
        return Act.UNDONE
    ids = {payment.account_id, *([to_account] if to_account is not None else [])}
    lock(connection, ids)
    if to_account is not None and not takes_money(connection, to_account):
        raise UnknownAccountError(
            "The account that it belongs to is closed: name none, then send "
            "the money back from suspense."
        )
    counter = SUSPENSE if to_account is None else received(payment.channel)
    if bounced:
        counter = _lies_in(connection, payment)
    entries = _reversal(connection, payment, counter)
    if bounced:
        _set(connection, payment, PaymentState.UNDONE, payment.account_id, 0)
        post(connection, office, entries)
        return Act.UNDONE
    if to_account is None:
        _set(connection, payment, PaymentState.SUSPENSE, None, 0)
        post(connection, office, entries)
        return Act.SUSPENDED
    credit = _credit(connection, office, payment, to_account)
    _set(connection, payment, PaymentState.POSTED, to_account, credit.deposit_minor)
    channel = find_channel(connection, payment.channel)
    entries += arrival_entries(connection, office, credit, channel, payment.paid_at)
    post(connection, office, entries)
    _tell(connection, office, payment, to_account)
    return Act.MOVED


def _lies_in(connection: Connection, payment: PaymentRow) -> str:
    """Where a payment's money is: with its channel, or with what the counter has passed on."""
    tender = tender_of(connection, payment.source)
    return received(payment.channel) if tender is None else tender.account


def _credit(connection: Connection, office: Office, payment: PaymentRow, account_id: int) -> Credit:
    to_deposit = 0
    if payment.purpose is Purpose.DEPOSIT:
        due = deposit_due(connection, account_id, office.now())
        to_deposit = min(payment.amount_minor, due)
    return Credit(payment.payment_id, account_id, payment.amount_minor, to_deposit)


def _tell(connection: Connection, office: Office, payment: PaymentRow, account_id: int) -> None:
    tell_received(
        connection,
        office,
        account_id,
        payment_id=payment.payment_id,
        amount_minor=payment.amount_minor,
        balance_minor=balance(connection, account_id),
        paid_at=payment.paid_at,
    )


def _reversal(connection: Connection, payment: PaymentRow, counter: str) -> list[Entry]:
    account_id = payment.account_id
    assert account_id is not None, "it lies on an account"
    seq = connection.scalar(
        select(account_entries.c.seq)
        .where(
            account_entries.c.account_id == account_id,
            account_entries.c.purse == Purse.CURRENT.value,
            account_entries.c.source == payment.source,
            account_entries.c.kind == EntryKind.PAYMENT.value,
        )
        .order_by(account_entries.c.seq.desc())
        .limit(1)
    )
    credit = Credit(payment.payment_id, account_id, payment.amount_minor, payment.deposit_minor)
    held = balance(connection, account_id, Purse.DEPOSIT)
    back = deposit_entries_back(credit, min(payment.deposit_minor, max(held, 0)))
    undone = Entry(
        account_id,
        EntryKind.PAYMENT_UNDONE,
        -payment.amount_minor,
        counter,
        payment.source,
        "Payment taken back",
        reverses_seq=seq,
    )
    return [*back, undone]


def _move(
    connection: Connection, office: Office, payment: PaymentRow, debit: str, credit: str, why: str
) -> None:
    move = Transfer(debit, credit, payment.amount_minor, f"{why}: {payment.source}")
    ledger.post(connection, "payment.suspense", office.now(), office.currency.code, [move])


def _set(
    connection: Connection,
    payment: PaymentRow,
    state: PaymentState,
    account_id: int | None,
    deposit_minor: int,
) -> None:
    values: dict[str, Any] = {
        "state": state.value,
        "account_id": account_id,
        "deposit_minor": deposit_minor,
    }
    connection.execute(
        update(payments).where(payments.c.payment_id == payment.payment_id).values(**values)
    )
