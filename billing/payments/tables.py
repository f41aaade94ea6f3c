"""Payment channels, what came in by them, and what became of it.

===================  =================================================================
`payment_channels`   ways by which money comes in; settings, never secrets
`payments`           one row for each (channel, reference): what was paid, and where it
                     stands now; what was paid never changes, none is deleted
`payment_acts`       what became of a payment, act by act; append-only
===================  =================================================================
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    text,
)

from billing.accounts.tables import customer_accounts
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

payment_channels: Final = table(
    "payment_channels",
    Column("channel", Text, primary_key=True),
    Column("title", Text, nullable=False, comment="as customers know it"),
    Column("adapter", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("stale_h", WholeNumber, comment="alarm when nothing came for so many hours"),
    Column("settings", Text, nullable=False, comment="canonical JSON; no secrets, files' names"),
    Column("added_at", UtcTimestamp, nullable=False),
    CheckConstraint("length(channel) BETWEEN 1 AND 32", name="channel"),
    CheckConstraint("length(title) > 0", name="title"),
    CheckConstraint("adapter IN ('counter', 'file', 'web_hook', 'voucher')", name="adapter"),
    CheckConstraint("state IN ('open', 'closed')", name="state"),
    CheckConstraint("stale_h > 0", name="stale_h"),
)

payments: Final = table(
    "payments",
    Column("payment_id", Identifier, primary_key=True),
    Column("channel", Text, ForeignKey(payment_channels.c.channel), nullable=False),
    Column("reference", Text, nullable=False, comment="the channel's own"),
    Column("purpose", Text, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("given", Text, nullable=False, comment="number of account or meter that was named"),
    Column("paid_at", UtcTimestamp, nullable=False),
    Column("taken_at", UtcTimestamp, nullable=False),
    Column("taken_by", Text, nullable=False),
    Column("taken_where", Text, nullable=False, comment="terminal, shift, host"),
    Column("note_sealed", LargeBinary, comment="payment.note: what the payer wrote"),
    Column("content_sha256", LargeBinary, nullable=False, comment="of all that was given"),
    Column("state", Text, nullable=False),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id)),
    Column("deposit_minor", WholeNumber, nullable=False, comment="of it, put to the deposit"),
    UniqueConstraint("channel", "reference"),
    CheckConstraint("length(reference) BETWEEN 1 AND 140", name="reference"),
    CheckConstraint("purpose IN ('account', 'deposit')", name="purpose"),
    CheckConstraint("amount_minor > 0", name="amount_minor"),
    CheckConstraint("length(content_sha256) = 32", name="content_sha256"),
    CheckConstraint("state IN ('posted', 'suspense', 'undone', 'returned')", name="state"),
    CheckConstraint(
        "(state <> 'posted' OR account_id IS NOT NULL) "
        "AND (state NOT IN ('suspense', 'returned') OR account_id IS NULL)",
        name="account",
    ),
    CheckConstraint(
        "deposit_minor BETWEEN 0 AND amount_minor "
        "AND (account_id IS NOT NULL OR deposit_minor = 0)",
        name="deposit_minor",
    ),
    Index("ix_payments_account_id", "account_id", "paid_at"),
    Index("ix_payments_channel_paid_at", "channel", "paid_at"),
    Index("ix_payments_channel_taken_at", "channel", "taken_at"),
    Index(
        "ix_payments_suspense",
        "payment_id",
        sqlite_where=text("state = 'suspense'"),
        postgresql_where=text("state = 'suspense'"),
    ),
)

payment_acts: Final = table(
    "payment_acts",
    Column("payment_id", Identifier, ForeignKey(payments.c.payment_id), nullable=False),
    Column("seq", WholeNumber, nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("act", Text, nullable=False),
    Column("account_id", Identifier, comment="where it lay afterwards"),
    Column("actor", Text, nullable=False),
    Column("words", Text, nullable=False),
    PrimaryKeyConstraint("payment_id", "seq"),
    CheckConstraint("seq > 0", name="seq"),
    CheckConstraint(
        "act IN ('posted', 'suspended', 'assigned', 'moved', 'undone', 'returned')", name="act"
    ),
    clustered=True,
)
