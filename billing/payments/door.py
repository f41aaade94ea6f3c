"""The one door for money that comes in: each payment once, by (channel, reference).

Whoever asks again, after a cut line or a kill, finds the payment that is there.  Money for an
account that nobody knows, or that is closed, is taken all the same and kept in suspense
(`billing.payments.suspense`): it is in the house, whatever the payer has mistyped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from billing.accounts.tables import agreements, customer_accounts
from billing.bills.late_fees_back import Paid, late_fees_back
from billing.ledger.books import BETWEEN, received
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import balance, lock, post
from billing.office import Office
from billing.payments.acts import Act, keep_act
from billing.payments.channels import SUSPENSE, Channel, channel_for_money
from billing.payments.faults import PaymentConflictError
from billing.payments.payee import account_of_number, takes_money
from billing.payments.payment import Payment, PaymentState, Purpose, Taken
from billing.payments.tables import payments
from billing.payments.telling import tell_received
from storage import ledger
from storage.ledger import Transfer


def take(connection: Connection, office: Office, payment: Payment) -> Taken:
    """Take a payment, once.

    The account is credited, watchers are told (a reconnect may follow), all in the caller's
    transaction: answer the channel after it is committed, not before.

    Args:
        connection: in a write transaction.
        office: the office; its person has taken the money.
        payment: what the channel says.

    Raises:
        PaymentConflictError: the reference was used for another payment.
        BadEntryError: no payment at all.
        UnknownChannelError, ChannelClosedError: no such channel, or it takes none.
        UnknownAccountError: there is no account of this id (a wrong *number* is suspense).
    """
    payment.require_sound()
    known = _known(connection, payment)
    if known is not None:
        return known
    channel = channel_for_money(connection, office, payment.channel)
    account_id = _payee(connection, payment)
    at = office.now()
    to_deposit = _to_deposit(connection, account_id, payment, at)
    payment_id = _insert(connection, office, payment, account_id, to_deposit, at)
    if payment_id is None:
        known = _known(connection, payment)
        assert known is not None, "the insert gave way to a row"
        return known
    if account_id is None:
        return _suspend(connection, office, payment, payment_id)
    credit = Credit(payment_id, account_id, payment.amount_minor, to_deposit)
    return _credit(connection, office, credit, channel, payment.paid_at or at)


@dataclass(frozen=True, slots=True)
class Credit:
    """What a payment brings to an account."""

    payment_id: int
    account_id: int
    amount_minor: int
    deposit_minor: int

    @property
    def source(self) -> str:
        """As entries name it."""
        return f"payment {self.payment_id}"


def credit_entries(credit: Credit, channel: Channel, *, counter: str = "") -> list[Entry]:
    """The entries that bring a payment to its account.

    Args:
        credit: what, to whom.
        channel: by which it came.
        counter: where the money is taken from, when it is not the channel.
    """
    words = f"Payment, {channel.title}"
    paid = Entry(
        credit.account_id,
        EntryKind.PAYMENT,
        credit.amount_minor,
        counter or received(channel.name),
        credit.source,
        words,
    )
    return [paid, *_between(credit, credit.deposit_minor, "Deposit paid")]


def arrival_entries(
    connection: Connection,
    office: Office,
    credit: Credit,
    channel: Channel,
    paid_at: datetime,
    *,
    counter: str = "",
) -> list[Entry]:
    """`credit_entries`, and the late fees that it turns out to have been paid before.

    Args:
        connection: in a write transaction that has locked the account.
        office: the office.
        credit: what, to whom.
        channel: by which it came.
        paid_at: as the channel says.
        counter: where the money is taken from, when it is not the channel.
    """
    paid = Paid(credit.account_id, credit.amount_minor, paid_at)
    entries = credit_entries(credit, channel, counter=counter)
    return [*entries, *late_fees_back(connection, office, paid)]


def deposit_entries_back(credit: Credit, amount_minor: int) -> list[Entry]:
    """The entries that take from the deposit what a payment had put there."""
    return _between(credit, -amount_minor, "Deposit taken back")


def deposit_due(connection: Connection, account_id: int, at: datetime) -> int:
    """What the agreement asks as a deposit and is not held yet; nothing of who leaves.

    Args:
        connection: in a write transaction that has locked the account, for who acts on it.
        account_id: whose.
        at: by which version of the agreement.
    """
    asked = connection.scalar(
        select(agreements.c.deposit_minor)
        .join(customer_accounts, customer_accounts.c.account_id == agreements.c.account_id)
        .where(
            agreements.c.account_id == account_id,
            customer_accounts.c.state.not_in(("closing", "closed")),
        )
        .order_by((agreements.c.since <= at).desc(), agreements.c.version.desc())
        .limit(1)
    )
    return max((asked or 0) - balance(connection, account_id, Purse.DEPOSIT), 0)


def _suspend(connection: Connection, office: Office, payment: Payment, payment_id: int) -> Taken:
    move = Transfer(received(payment.channel), SUSPENSE, payment.amount_minor, "suspense")
    ledger.post(connection, "payment.suspense", office.now(), office.currency.code, [move])
    keep_act(connection, office, payment_id, Act.SUSPENDED, None)
    return Taken(payment_id, True, 0, None, PaymentState.SUSPENSE)


def _credit(
    connection: Connection, office: Office, credit: Credit, channel: Channel, paid_at: datetime
) -> Taken:
    post(connection, office, arrival_entries(connection, office, credit, channel, paid_at))
    keep_act(connection, office, credit.payment_id, Act.POSTED, credit.account_id)
    now = balance(connection, credit.account_id)  # watchers may have moved some to the deposit
    tell_received(
        connection,
        office,
        credit.account_id,
        payment_id=credit.payment_id,
        amount_minor=credit.amount_minor,
        balance_minor=now,
        paid_at=paid_at,
    )
    return Taken(credit.payment_id, True, now, credit.account_id, PaymentState.POSTED)


def _payee(connection: Connection, payment: Payment) -> int | None:
    account_id = payment.account_id
    if account_id is None:
        account_id = account_of_number(connection, payment.number)
    if account_id is None:
        return None
    lock(connection, [account_id])  # it is not closed while we look
    return account_id if takes_money(connection, account_id) else None


def _to_deposit(
    connection: Connection, account_id: int | None, payment: Payment, at: datetime
) -> int:
    if account_id is None or payment.purpose is not Purpose.DEPOSIT:
        return 0
    return min(payment.amount_minor, deposit_due(connection, account_id, at))


def _known(connection: Connection, payment: Payment) -> Taken | None:
    row = connection.execute(
        select(
            payments.c.payment_id,
            payments.c.account_id,
            payments.c.state,
            payments.c.content_sha256,
        ).where(payments.c.channel == payment.channel, payments.c.reference == payment.reference)
    ).one_or_none()
    if row is None:
        return None
    if bytes(row.content_sha256) != payment.content_sha256:
        raise PaymentConflictError(
            f"The channel {payment.channel} has used the reference {payment.reference} before, "
            f"for payment {row.payment_id}, which is another one. Nothing was taken: ask the "
            "channel what it means."
        )
    now = 0 if row.account_id is None else balance(connection, row.account_id)
    return Taken(row.payment_id, False, now, row.account_id, PaymentState(row.state))


def _insert(
    connection: Connection,
    office: Office,
    payment: Payment,
    account_id: int | None,
    to_deposit: int,
    at: datetime,
) -> int | None:
    """Write the payment down; None: somebody else has, a moment ago."""
    state = PaymentState.SUSPENSE if account_id is None else PaymentState.POSTED
    note = office.seal.seal("payment.note", payment.note) if payment.note else None
    row = {
        "channel": payment.channel,
        "reference": payment.reference,
        "purpose": payment.purpose.value,
        "amount_minor": payment.amount_minor,
        "given": payment.number,
        "paid_at": payment.paid_at or at,
        "taken_at": at,
        "taken_by": office.person.name,
        "taken_where": payment.where,
        "note_sealed": note,
        "content_sha256": payment.content_sha256,
        "state": state.value,
        "account_id": account_id,
        "deposit_minor": to_deposit,
    }
    if connection.dialect.name == "sqlite":  # the write transaction is alone
        statement: Any = insert(payments)
    else:  # waits for whoever is inserting the same reference
        statement = postgresql_insert(payments).on_conflict_do_nothing()
    found = connection.execute(statement.returning(payments.c.payment_id), row).first()
    return None if found is None else int(found[0])


def _between(credit: Credit, amount_minor: int, words: str) -> list[Entry]:
    """From the current purse to the deposit; below zero: back."""
    return [
        Entry(
            credit.account_id,
            EntryKind.DEPOSIT,
            sign * amount_minor,
            BETWEEN,
            credit.source,
            words,
            purse,
        )
        for sign, purse in ((-1, Purse.CURRENT), (1, Purse.DEPOSIT))
        if amount_minor
    ]
