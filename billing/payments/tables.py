"""Payment channels, what came in by them, and what became of it.

===================  =================================================================
`payment_channels`   ways by which money comes in; settings, never secrets
`channel_keys`       whose messages a key has signed: one channel's, for ever; append-only
`channel_events`     tests of channels and their failures; append-only
`payments`           one row for each (channel, reference): what was paid, and where it
                     stands now; what was paid never changes, none is deleted
`payment_acts`       what became of a payment, act by act; append-only
`payment_undos`      payments that bounced or were another's: asked by one, decided by another
`reconciliations`    provider's statements held against payments
`reconciled_differences`  what differs, until a person has decided
`self_service_asks`  what customers have asked, for its limits; swept
`refunds`            money that goes back, and corrections of accounts: asked by one person,
                     approved by another, paid out by a day
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

channel_keys: Final = table(
    "channel_keys",
    Column("key_digest", LargeBinary, primary_key=True, comment="scrypt of a shared secret"),
    Column("channel", Text, ForeignKey(payment_channels.c.channel), nullable=False),
    Column("since", UtcTimestamp, nullable=False),
    CheckConstraint("length(key_digest) = 32", name="key_digest"),
)

channel_events: Final = table(
    "channel_events",
    Column("event_id", Identifier, primary_key=True),
    Column("channel", Text, ForeignKey(payment_channels.c.channel), nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("kind", Text, nullable=False),
    Column("code", Text, nullable=False, comment="of the fault; empty: none"),
    Column("words", Text, nullable=False),
    CheckConstraint("kind IN ('tested', 'failed')", name="kind"),
    Index("ix_channel_events_channel", "channel", "kind", "event_id"),
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

payment_undos: Final = table(
    "payment_undos",
    Column("undo_id", Identifier, primary_key=True),
    Column("payment_id", Identifier, ForeignKey(payments.c.payment_id), nullable=False),
    Column("why", Text, nullable=False),
    Column(
        "to_account_id",
        Identifier,
        ForeignKey(customer_accounts.c.account_id),
        comment="of a payment that was another's; none: into suspense",
    ),
    Column("reason", Text, nullable=False),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_at", UtcTimestamp),
    Column("approved_by", Text, comment="who decided"),
    CheckConstraint("why IN ('bounced', 'another')", name="why"),
    CheckConstraint("why = 'another' OR to_account_id IS NULL", name="to_account_id"),
    CheckConstraint("length(trim(reason)) > 0", name="reason"),
    CheckConstraint("state IN ('asked', 'done', 'refused')", name="state"),
    CheckConstraint(
        "(state = 'asked') = (decided_at IS NULL) AND (state = 'asked') = (approved_by IS NULL)",
        name="decided",
    ),
    CheckConstraint("state <> 'done' OR approved_by <> asked_by", name="two"),
    Index(
        "uq_payment_undos_asked",
        "payment_id",
        unique=True,
        sqlite_where=text("state = 'asked'"),
        postgresql_where=text("state = 'asked'"),
    ),
)

refunds: Final = table(
    "refunds",
    Column("refund_id", Identifier, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id)),
    Column(
        "payment_id",
        Identifier,
        ForeignKey(payments.c.payment_id),
        comment="of money that is sent back from suspense",
    ),
    Column("amount_minor", WholeNumber, nullable=False, comment="correction: may be below zero"),
    Column(
        "channel",
        Text,
        ForeignKey(payment_channels.c.channel),
        comment="by which it is paid out",
    ),
    Column("cause", Text, nullable=False, comment="counted by month"),
    Column("reason", Text, nullable=False),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("due_at", UtcTimestamp, nullable=False),
    Column("state", Text, nullable=False),
    Column("entered_at", UtcTimestamp),
    Column("decided_at", UtcTimestamp),
    Column("approved_by", Text, comment="who decided"),
    Column("paid_at", UtcTimestamp),
    Column("paid_by", Text),
    Column("paid_reference", Text, comment="of the channel that paid it out"),
    Column("routed_by", Text, comment="who last sent it another way; none: as it was asked"),
    UniqueConstraint("channel", "paid_reference"),
    UniqueConstraint("payment_id"),
    CheckConstraint("kind IN ('payout', 'correction')", name="kind"),
    CheckConstraint(
        "amount_minor <> 0 AND (kind = 'correction' OR amount_minor > 0)", name="amount_minor"
    ),
    CheckConstraint("(kind = 'payout') = (channel IS NOT NULL)", name="channel"),
    CheckConstraint("(account_id IS NULL) = (payment_id IS NOT NULL)", name="of"),
    CheckConstraint("payment_id IS NULL OR kind = 'payout'", name="payment_id"),
    CheckConstraint(
        "cause IN ('wrong_reading', 'wrong_tariff', 'paid_twice', 'wrong_account', 'closing', "
        "'goodwill', 'other')",
        name="cause",
    ),
    CheckConstraint("length(trim(reason)) > 0", name="reason"),
    CheckConstraint(
        "state IN ('asked', 'approved', 'refused', 'paid', 'failed', 'done')", name="state"
    ),
    CheckConstraint(
        "(state = 'asked') = (decided_at IS NULL) AND (state = 'asked') = (approved_by IS NULL)",
        name="decided",
    ),
    CheckConstraint(
        "state IN ('asked', 'refused') OR (approved_by <> asked_by "
        "AND (routed_by IS NULL OR approved_by <> routed_by))",
        name="two",
    ),
    CheckConstraint("routed_by IS NULL OR kind = 'payout'", name="routed_by"),
    CheckConstraint(
        "state NOT IN ('approved', 'paid', 'failed', 'done') OR entered_at IS NOT NULL",
        name="entered",
    ),
    CheckConstraint(
        "(state = 'paid') = (paid_at IS NOT NULL) AND (state = 'paid') = (paid_by IS NOT NULL) "
        "AND (state = 'paid') = (paid_reference IS NOT NULL)",
        name="paid",
    ),
    CheckConstraint("state <> 'done' OR kind = 'correction'", name="done"),
    Index("ix_refunds_account_id", "account_id"),
    Index("ix_refunds_asked_at", "asked_at"),
    Index(
        "ix_refunds_waiting",
        "due_at",
        sqlite_where=text("state IN ('asked', 'approved')"),
        postgresql_where=text("state IN ('asked', 'approved')"),
    ),
)

reconciliations: Final = table(
    "reconciliations",
    Column("reconciliation_id", Identifier, primary_key=True),
    Column("channel", Text, ForeignKey(payment_channels.c.channel), nullable=False),
    Column("first_day", Text, nullable=False, comment="YYYY-MM-DD"),
    Column("last_day", Text, nullable=False, comment="YYYY-MM-DD"),
    Column("file_name", Text, nullable=False),
    Column("file_sha256", LargeBinary, nullable=False),
    Column("made_at", UtcTimestamp, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("lines", WholeNumber, nullable=False),
    Column("bad_lines", WholeNumber, nullable=False),
    Column("matched", WholeNumber, nullable=False),
    Column("matched_minor", WholeNumber, nullable=False),
    Column("state", Text, nullable=False),
    Column("reviewed_at", UtcTimestamp),
    Column("reviewed_by", Text),
    UniqueConstraint("channel", "file_sha256"),
    CheckConstraint("length(first_day) = 10 AND length(last_day) = 10", name="days"),
    CheckConstraint("first_day <= last_day", name="span"),
    CheckConstraint("state IN ('open', 'reviewed')", name="state"),
    CheckConstraint(
        "(state = 'reviewed') = (reviewed_at IS NOT NULL) "
        "AND (state = 'reviewed') = (reviewed_by IS NOT NULL)",
        name="reviewed",
    ),
)

reconciled_differences: Final = table(
    "reconciled_differences",
    Column(
        "reconciliation_id",
        Identifier,
        ForeignKey(reconciliations.c.reconciliation_id),
        nullable=False,
    ),
    Column("position", WholeNumber, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("day", Text, nullable=False, comment="YYYY-MM-DD"),
    Column("theirs_minor", WholeNumber),
    Column("ours_minor", WholeNumber),
    Column("given", Text, nullable=False, comment="number of account or meter that was named"),
    Column("payment_id", Identifier, ForeignKey(payments.c.payment_id)),
    Column("state", Text, nullable=False),
    Column("decided_at", UtcTimestamp),
    Column("decided_by", Text),
    Column("words", Text, nullable=False),
    PrimaryKeyConstraint("reconciliation_id", "position"),
    CheckConstraint("position > 0", name="position"),
    CheckConstraint("kind IN ('missing_here', 'missing_there', 'different')", name="kind"),
    CheckConstraint(
        "(kind = 'missing_there') = (theirs_minor IS NULL) "
        "AND (kind = 'missing_here') = (ours_minor IS NULL)",
        name="amounts",
    ),
    CheckConstraint("state IN ('open', 'taken', 'settled')", name="state"),
    CheckConstraint("state <> 'taken' OR payment_id IS NOT NULL", name="taken"),
    CheckConstraint(
        "(state = 'open') = (decided_at IS NULL) AND (state = 'open') = (decided_by IS NULL)",
        name="decided",
    ),
    clustered=True,
)

self_service_asks: Final = table(
    "self_service_asks",
    Column("ask_id", Identifier, primary_key=True),
    Column("sender_digest", LargeBinary, nullable=False),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id)),
    Column("at", UtcTimestamp, nullable=False),
    Column("what", Text, nullable=False),
    Column("result", Text, nullable=False),
    CheckConstraint("length(sender_digest) = 32", name="sender_digest"),
    CheckConstraint("result IN ('proven', 'unproven', 'wrong', 'unknown')", name="result"),
    Index("ix_self_service_asks_sender", "sender_digest", "at"),
    Index("ix_self_service_asks_account_id", "account_id", "at"),
    Index("ix_self_service_asks_at", "at"),
)
