"""Payment channels and payments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations import triggers
from storage.migrations.columns import (
    check,
    foreign,
    identity,
    number,
    primary,
    reference,
    table,
    text,
    time,
    unique,
)


def make() -> None:
    """Make the tables."""
    _make_channels()
    _make_payments()


def _make_channels() -> None:
    name = "payment_channels"
    table(
        name,
        text("channel"),
        text("title", comment="as customers know it"),
        text("adapter"),
        text("state"),
        number("stale_h", null=True, comment="alarm when nothing came for so many hours"),
        text("settings", comment="canonical JSON; no secrets, files' names"),
        time("added_at"),
        primary(name, "channel"),
        check(name, "channel", "length(channel) BETWEEN 1 AND 32"),
        check(name, "title", "length(title) > 0"),
        check(name, "adapter", "adapter IN ('counter', 'file', 'web_hook', 'voucher')"),
        check(name, "state", "state IN ('open', 'closed')"),
        check(name, "stale_h", "stale_h > 0"),
    )
    triggers.no_delete(name, ["channel"])
    triggers.frozen(name, ["channel", "added_at"])


def _make_payments() -> None:
    name = "payments"
    table(
        name,
        *identity(name, "payment_id"),
        text("channel"),
        text("reference", comment="the channel's own"),
        text("purpose"),
        number("amount_minor"),
        text("given", comment="number of account or meter that was named"),
        time("paid_at"),
        time("taken_at"),
        text("taken_by"),
        text("taken_where", comment="terminal, shift, host"),
        sa.Column(
            "note_sealed",
            sa.LargeBinary(),
            nullable=True,
            comment="payment.note: what the payer wrote",
        ),
        sa.Column(
            "content_sha256", sa.LargeBinary(), nullable=False, comment="of all that was given"
        ),
        text("state"),
        reference("account_id", null=True),
        number("deposit_minor", comment="of it, put to the deposit"),
        foreign(name, ["channel"], "payment_channels"),
        foreign(name, ["account_id"], "customer_accounts"),
        unique(name, "channel", "reference"),
        check(name, "reference", "length(reference) BETWEEN 1 AND 140"),
        check(name, "purpose", "purpose IN ('account', 'deposit')"),
        check(name, "amount_minor", "amount_minor > 0"),
        check(name, "content_sha256", "length(content_sha256) = 32"),
        check(name, "state", "state IN ('posted', 'suspense', 'undone', 'returned')"),
        check(
            name,
            "account",
            "(state <> 'posted' OR account_id IS NOT NULL) "
            "AND (state NOT IN ('suspense', 'returned') OR account_id IS NULL)",
        ),
        check(
            name,
            "deposit_minor",
            "deposit_minor BETWEEN 0 AND amount_minor "
            "AND (account_id IS NOT NULL OR deposit_minor = 0)",
        ),
    )
    op.create_index("ix_payments_account_id", name, ["account_id", "paid_at"])
    op.create_index("ix_payments_channel_paid_at", name, ["channel", "paid_at"])
    op.create_index("ix_payments_channel_taken_at", name, ["channel", "taken_at"])
    op.create_index(
        "ix_payments_suspense",
        name,
        ["payment_id"],
        sqlite_where=sa.text("state = 'suspense'"),
        postgresql_where=sa.text("state = 'suspense'"),
    )
    triggers.no_delete(name, ["payment_id"], ["channel", "reference"])
    triggers.frozen(
        name,
        [
            "payment_id",
            "channel",
            "reference",
            "purpose",
            "amount_minor",
            "given",
            "paid_at",
            "taken_at",
            "taken_by",
            "taken_where",
            "content_sha256",
        ],
    )
    triggers.updated_only_if(
        name,
        "(OLD.state = NEW.state AND (OLD.state NOT IN ('undone', 'returned') "
        "OR coalesce(OLD.account_id, 0) = coalesce(NEW.account_id, 0))) "
        "OR (OLD.state = 'suspense' AND NEW.state IN ('posted', 'returned', 'undone')) "
        "OR (OLD.state = 'posted' AND NEW.state IN ('suspense', 'undone'))",
        "what was undone or sent back stays so",
    )
    name = "payment_acts"
    table(
        name,
        reference("payment_id"),
        number("seq"),
        time("at"),
        text("act"),
        reference("account_id", null=True, comment="where it lay afterwards"),
        text("actor"),
        text("words"),
        primary(name, "payment_id", "seq"),
        foreign(name, ["payment_id"], "payments"),
        check(name, "seq", "seq > 0"),
        check(
            name,
            "act",
            "act IN ('posted', 'suspended', 'assigned', 'moved', 'undone', 'returned')",
        ),
        clustered=True,
    )
    triggers.immutable(name, ["payment_id", "seq"])
