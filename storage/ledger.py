"""The ledger: immutable transfers from one account to another.

Each transfer has a debit and a credit account and one amount, so that every transaction is
balanced by construction; there is nothing to add up and nothing that could be left over.
Amounts are whole minor units above zero.  The database refuses to change or delete a row
(trigger), to add a transfer to a transaction that a receipt names (trigger), and a transfer
between accounts of different currencies (the currency is part of both foreign keys).  A
correction is another transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Text,
    func,
    insert,
    select,
    union_all,
)

from storage.prepared import InsertRows, NextId, Prepared
from storage.schema import table
from storage.span import within
from storage.types import Identifier, UtcTimestamp, WholeNumber


class AccountKind(StrEnum):
    """What an account's balance means; decides on which side it grows."""

    ASSET = "asset"
    """Grows by debits: cash in a drawer, card payments on their way."""
    LIABILITY = "liability"
    """Grows by credits: tax to be paid, change owed."""
    INCOME = "income"
    """Grows by credits: energy sold."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """``amount_minor`` moves: the debit account receives it, the credit account gives it."""

    debit: str
    credit: str
    amount_minor: int
    purpose: str


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """What an account stands at: positive on the side on which its kind grows."""

    account: str
    kind: AccountKind
    debits_minor: int
    credits_minor: int

    @property
    def balance_minor(self) -> int:
        """In minor units."""
        difference = self.debits_minor - self.credits_minor
        return difference if self.kind is AccountKind.ASSET else -difference


accounts: Final = table(
    "accounts",
    Column("account", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("kind", Text, nullable=False),
    PrimaryKeyConstraint("account", "currency"),
    CheckConstraint("kind IN ('asset', 'liability', 'income')", name="kind"),
    CheckConstraint("length(currency) = 3", name="currency"),
)

ledger_transactions: Final = table(
    "ledger_transactions",
    Column("transaction_id", Identifier, primary_key=True),
    Column("posted_at", UtcTimestamp, nullable=False, index=True),
    Column("kind", Text, nullable=False),
)

transfers: Final = table(
    "transfers",
    Column("transaction_id", Identifier, ForeignKey(ledger_transactions.c.transaction_id)),
    Column("position", WholeNumber),
    Column("debit_account", Text, nullable=False),
    Column("credit_account", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("purpose", Text, nullable=False),
    PrimaryKeyConstraint("transaction_id", "position"),
    ForeignKeyConstraint(["debit_account", "currency"], [accounts.c.account, accounts.c.currency]),
    ForeignKeyConstraint(["credit_account", "currency"], [accounts.c.account, accounts.c.currency]),
    CheckConstraint("amount_minor > 0", name="amount_minor"),
    CheckConstraint("debit_account <> credit_account", name="two_sides"),
    clustered=True,
)

_NEW_TRANSACTION: Final = Prepared(
    insert(ledger_transactions).returning(ledger_transactions.c.transaction_id),
    ["posted_at", "kind"],
)
_NUMBERED_TRANSACTION: Final = Prepared(insert(ledger_transactions))
NEXT_TRANSACTION: Final = NextId("ledger_transactions", "transaction_id")
_NEW_TRANSFERS: Final = InsertRows(transfers)


def open_account(connection: Connection, account: str, kind: AccountKind, currency: str) -> None:
    """Add an account to the books."""
    connection.execute(
        insert(accounts), {"account": account, "kind": kind.value, "currency": currency}
    )


def post(
    connection: Connection, kind: str, posted_at: datetime, currency: str, moves: Sequence[Transfer]
) -> int:
    """Write one transaction's transfers; gives the transaction's id.

    The database refuses (IntegrityError) unknown accounts, other currencies and amounts that
    are not above zero.
    """
    made = {"posted_at": posted_at, "kind": kind}
    transaction_id = NEXT_TRANSACTION.take(connection)
    if transaction_id is None:
        transaction_id = int(_NEW_TRANSACTION.scalar(connection, made))
    else:
        _NUMBERED_TRANSACTION.run_by_the_end(connection, {"transaction_id": transaction_id, **made})
    _NEW_TRANSFERS.run_by_the_end(
        connection,
        [
            {
                "transaction_id": transaction_id,
                "position": position,
                "debit_account": move.debit,
                "credit_account": move.credit,
                "currency": currency,
                "amount_minor": move.amount_minor,
                "purpose": move.purpose,
            }
            for position, move in enumerate(moves, 1)
        ],
    )
    return transaction_id


def balances(
    connection: Connection,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[AccountBalance, ...]:
    """Debits and credits of every account, by account name.

    Args:
        connection: in any transaction.
        since: only transactions posted at or after it.
        until: only transactions posted before it.
    """
    sides = [
        select(
            account.label("account"),
            (transfers.c.amount_minor * is_debit).label("debit"),
            (transfers.c.amount_minor * (1 - is_debit)).label("credit"),
        )
        .join(ledger_transactions)
        .where(*within(ledger_transactions.c.posted_at, since, until))
        for account, is_debit in ((transfers.c.debit_account, 1), (transfers.c.credit_account, 0))
    ]
    moved = union_all(*sides).subquery()
    rows = connection.execute(
        select(
            accounts.c.account,
            accounts.c.kind,
            func.coalesce(func.sum(moved.c.debit), 0),
            func.coalesce(func.sum(moved.c.credit), 0),
        )
        .outerjoin(moved, moved.c.account == accounts.c.account)
        .group_by(accounts.c.account, accounts.c.kind)
        .order_by(accounts.c.account)
    )
    return tuple(
        AccountBalance(account, AccountKind(kind), int(debits), int(credits_))
        for account, kind, debits, credits_ in rows
    )
