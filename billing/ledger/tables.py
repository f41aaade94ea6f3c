"""Entries of customers' accounts.

Each entry has two sides, the customer's and that of one account of the general books, and one
amount, so that everything balances by construction.  An account has purses; each purse is a chain
of entries without gaps in which every entry carries the balance after it, and the database refuses
(trigger) an entry that does not continue its chain: the balance is always the sum of the entries.
Entries are never changed or deleted; a correction is another entry.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Text,
)

from storage.ledger import accounts
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

account_entries: Final = table(
    "account_entries",
    Column("account_id", Identifier, ForeignKey("customer_accounts.account_id"), nullable=False),
    Column("purse", Text, nullable=False),
    Column("seq", WholeNumber, nullable=False, comment="1, 2, 3, ... in its purse"),
    Column("posted_at", UtcTimestamp, nullable=False),
    Column("kind", Text, nullable=False),
    Column("counter", Text, nullable=False, comment="the other side"),
    Column("currency", Text, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False, comment="above zero: for the customer"),
    Column("balance_minor", WholeNumber, nullable=False, comment="after it"),
    Column("source", Text, nullable=False, comment="what it comes from: 'payment 12'"),
    Column("words", Text, nullable=False, comment="for the customer"),
    Column("due_at", UtcTimestamp),
    Column("reverses_seq", WholeNumber, comment="of the same purse"),
    PrimaryKeyConstraint("account_id", "purse", "seq"),
    ForeignKeyConstraint(["counter", "currency"], [accounts.c.account, accounts.c.currency]),
    CheckConstraint("purse IN ('current', 'deposit', 'plan')", name="purse"),
    CheckConstraint("seq > 0", name="seq"),
    CheckConstraint("amount_minor <> 0", name="amount_minor"),
    CheckConstraint("length(source) > 0 AND length(kind) > 0", name="source"),
    CheckConstraint("due_at IS NULL OR amount_minor < 0", name="due_at"),
    CheckConstraint("reverses_seq < seq", name="reverses"),
    Index("ix_account_entries_posted_at", "posted_at"),
    clustered=True,
)
