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
    _make_undos()
    _make_refunds()
    _make_drawer_moves()
    _make_reconciliations()
    _make_voucher_payments()
    _make_asks()


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
    name = "channel_keys"
    table(
        name,
        sa.Column(
            "key_digest", sa.LargeBinary(), nullable=False, comment="scrypt of a shared secret"
        ),
        text("channel"),
        time("since"),
        primary(name, "key_digest"),
        foreign(name, ["channel"], "payment_channels"),
        check(name, "key_digest", "length(key_digest) = 32"),
    )
    triggers.immutable(name, ["key_digest"])
    name = "channel_events"
    table(
        name,
        *identity(name, "event_id"),
        text("channel"),
        time("at"),
        text("kind"),
        text("code", comment="of the fault; empty: none"),
        text("words"),
        foreign(name, ["channel"], "payment_channels"),
        check(name, "kind", "kind IN ('tested', 'failed')"),
    )
    op.create_index("ix_channel_events_channel", name, ["channel", "kind", "event_id"])
    triggers.immutable(name, ["event_id"])


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


def _make_undos() -> None:
    name = "payment_undos"
    table(
        name,
        *identity(name, "undo_id"),
        reference("payment_id"),
        text("why"),
        reference(
            "to_account_id",
            null=True,
            comment="of a payment that was another's; none: into suspense",
        ),
        text("reason"),
        time("asked_at"),
        text("asked_by"),
        text("state"),
        time("decided_at", null=True),
        text("approved_by", null=True, comment="who decided"),
        foreign(name, ["payment_id"], "payments"),
        foreign(name, ["to_account_id"], "customer_accounts", to=["account_id"]),
        check(name, "why", "why IN ('bounced', 'another')"),
        check(name, "to_account_id", "why = 'another' OR to_account_id IS NULL"),
        check(name, "reason", "length(trim(reason)) > 0"),
        check(name, "state", "state IN ('asked', 'done', 'refused')"),
        check(
            name,
            "decided",
            "(state = 'asked') = (decided_at IS NULL) "
            "AND (state = 'asked') = (approved_by IS NULL)",
        ),
        check(name, "two", "state <> 'done' OR approved_by <> asked_by"),
    )
    op.create_index(
        "uq_payment_undos_asked",
        name,
        ["payment_id"],
        unique=True,
        sqlite_where=sa.text("state = 'asked'"),
        postgresql_where=sa.text("state = 'asked'"),
    )
    triggers.no_delete(name, ["undo_id"])
    triggers.frozen(
        name,
        ["undo_id", "payment_id", "why", "to_account_id", "reason", "asked_at", "asked_by"],
        after="OLD.state <> 'asked'",
    )


def _make_refunds() -> None:
    name = "refunds"
    table(
        name,
        *identity(name, "refund_id"),
        text("kind"),
        reference("account_id", null=True),
        reference("payment_id", null=True, comment="of money that is sent back from suspense"),
        number("amount_minor", comment="correction: may be below zero"),
        text("channel", null=True, comment="by which it is paid out"),
        text("cause", comment="counted by month"),
        text("reason"),
        time("asked_at"),
        text("asked_by"),
        time("due_at"),
        text("state"),
        time("entered_at", null=True),
        time("decided_at", null=True),
        text("approved_by", null=True, comment="who decided"),
        time("paid_at", null=True),
        text("paid_by", null=True),
        text("paid_reference", null=True, comment="of the channel that paid it out"),
        text("routed_by", null=True, comment="who last sent it another way; none: as it was asked"),
        foreign(name, ["account_id"], "customer_accounts"),
        foreign(name, ["payment_id"], "payments"),
        foreign(name, ["channel"], "payment_channels"),
        unique(name, "channel", "paid_reference"),
        unique(name, "payment_id"),
        check(name, "kind", "kind IN ('payout', 'correction')"),
        check(
            name,
            "amount_minor",
            "amount_minor <> 0 AND (kind = 'correction' OR amount_minor > 0)",
        ),
        check(name, "channel", "(kind = 'payout') = (channel IS NOT NULL)"),
        check(name, "of", "(account_id IS NULL) = (payment_id IS NOT NULL)"),
        check(name, "payment_id", "payment_id IS NULL OR kind = 'payout'"),
        check(
            name,
            "cause",
            "cause IN ('wrong_reading', 'wrong_tariff', 'paid_twice', 'wrong_account', 'closing', "
            "'goodwill', 'other')",
        ),
        check(name, "reason", "length(trim(reason)) > 0"),
        check(name, "state", "state IN ('asked', 'approved', 'refused', 'paid', 'failed', 'done')"),
        check(
            name,
            "decided",
            "(state = 'asked') = (decided_at IS NULL) "
            "AND (state = 'asked') = (approved_by IS NULL)",
        ),
        check(
            name,
            "two",
            "state IN ('asked', 'refused') OR (approved_by <> asked_by "
            "AND (routed_by IS NULL OR approved_by <> routed_by))",
        ),
        check(name, "routed_by", "routed_by IS NULL OR kind = 'payout'"),
        check(
            name,
            "entered",
            "state NOT IN ('approved', 'paid', 'failed', 'done') OR entered_at IS NOT NULL",
        ),
        check(
            name,
            "paid",
            "(state = 'paid') = (paid_at IS NOT NULL) AND (state = 'paid') = (paid_by IS NOT NULL) "
            "AND (state = 'paid') = (paid_reference IS NOT NULL)",
        ),
        check(name, "done", "state <> 'done' OR kind = 'correction'"),
    )
    op.create_index("ix_refunds_account_id", name, ["account_id"])
    op.create_index("ix_refunds_asked_at", name, ["asked_at"])
    op.create_index(
        "ix_refunds_waiting",
        name,
        ["due_at"],
        sqlite_where=sa.text("state IN ('asked', 'approved')"),
        postgresql_where=sa.text("state IN ('asked', 'approved')"),
    )
    triggers.no_delete(name, ["refund_id"], ["channel", "paid_reference"], ["payment_id"])
    triggers.frozen(
        name,
        [
            "refund_id",
            "kind",
            "account_id",
            "payment_id",
            "amount_minor",
            "cause",
            "reason",
            "asked_at",
            "asked_by",
        ],
        after="OLD.state IN ('refused', 'paid', 'failed', 'done')",
    )
    triggers.updated_only_if(
        name,
        "(OLD.state = NEW.state OR (OLD.state = 'asked' AND NEW.state IN ('approved', 'refused', "
        "'done')) OR (OLD.state = 'approved' AND (NEW.state IN ('paid', 'failed') "
        "OR (NEW.state = 'asked' AND NEW.channel <> OLD.channel)))) "
        "AND (coalesce(NEW.channel, '') = coalesce(OLD.channel, '') "
        "OR (NEW.state = 'asked' AND NEW.routed_by IS NOT NULL))",
        "a state never goes back, and another way is approved anew",
    )


def _make_drawer_moves() -> None:
    name = "drawer_moves"
    table(
        name,
        reference("transaction_id"),
        reference("shift_id", null=True),
        text("operator"),
        text("terminal"),
        text("tender"),
        text("subject", comment="what it is for: 'payment 12'"),
        primary(name, "transaction_id"),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        foreign(name, ["shift_id"], "batches", to=["batch_id"]),
        check(name, "tender", "tender IN ('cash', 'card')"),
        check(name, "subject", "length(subject) > 0"),
    )
    op.create_index("ix_drawer_moves_shift_id", name, ["shift_id"])
    op.create_index("ix_drawer_moves_subject", name, ["subject"])
    triggers.immutable(name, ["transaction_id"])
    triggers.guarded(
        name,
        "insert",
        "EXISTS (SELECT 1 FROM batches WHERE batch_id = NEW.shift_id AND kind = 'shift' "
        "AND state = 'open')",
        "the shift is not open",
        name="drawer_moves_shift",
        only="NEW.shift_id IS NOT NULL",
        lock="SELECT 1 FROM batches WHERE batch_id = NEW.shift_id FOR SHARE",
    )
    triggers.guarded(
        name,
        "insert",
        "(SELECT shifts_required FROM cash_settings) = 0",
        "cash is taken in a shift",
        name="drawer_moves_in_a_shift",
        only="NEW.shift_id IS NULL AND NEW.tender = 'cash'",
    )


def _make_reconciliations() -> None:
    name = "reconciliations"
    table(
        name,
        *identity(name, "reconciliation_id"),
        text("channel"),
        text("first_day", comment="YYYY-MM-DD"),
        text("last_day", comment="YYYY-MM-DD"),
        text("file_name"),
        sa.Column("file_sha256", sa.LargeBinary(), nullable=False),
        time("made_at"),
        text("made_by"),
        number("lines"),
        number("bad_lines"),
        number("matched"),
        number("matched_minor"),
        text("state"),
        time("reviewed_at", null=True),
        text("reviewed_by", null=True),
        foreign(name, ["channel"], "payment_channels"),
        unique(name, "channel", "file_sha256"),
        check(name, "days", "length(first_day) = 10 AND length(last_day) = 10"),
        check(name, "span", "first_day <= last_day"),
        check(name, "state", "state IN ('open', 'reviewed')"),
        check(
            name,
            "reviewed",
            "(state = 'reviewed') = (reviewed_at IS NOT NULL) "
            "AND (state = 'reviewed') = (reviewed_by IS NOT NULL)",
        ),
    )
    triggers.no_delete(name, ["reconciliation_id"], ["channel", "file_sha256"])
    triggers.frozen(
        name,
        ["reconciliation_id", "channel", "first_day", "last_day", "file_sha256", "lines"],
        after="OLD.state = 'reviewed'",
    )
    name = "reconciled_differences"
    table(
        name,
        reference("reconciliation_id"),
        number("position"),
        text("kind"),
        text("reference"),
        text("day", comment="YYYY-MM-DD"),
        number("theirs_minor", null=True),
        number("ours_minor", null=True),
        text("given", comment="number of account or meter that was named"),
        reference("payment_id", null=True),
        text("state"),
        time("decided_at", null=True),
        text("decided_by", null=True),
        text("words"),
        primary(name, "reconciliation_id", "position"),
        foreign(name, ["reconciliation_id"], "reconciliations"),
        foreign(name, ["payment_id"], "payments"),
        check(name, "position", "position > 0"),
        check(name, "kind", "kind IN ('missing_here', 'missing_there', 'different')"),
        check(
            name,
            "amounts",
            "(kind = 'missing_there') = (theirs_minor IS NULL) "
            "AND (kind = 'missing_here') = (ours_minor IS NULL)",
        ),
        check(name, "state", "state IN ('open', 'taken', 'settled')"),
        check(name, "taken", "state <> 'taken' OR payment_id IS NOT NULL"),
        check(
            name,
            "decided",
            "(state = 'open') = (decided_at IS NULL) AND (state = 'open') = (decided_by IS NULL)",
        ),
        clustered=True,
    )
    triggers.no_delete(name, ["reconciliation_id", "position"])
    triggers.frozen(
        name,
        ["reconciliation_id", "position", "kind", "reference", "theirs_minor", "ours_minor"],
        after="OLD.state <> 'open'",
    )


def _make_voucher_payments() -> None:
    name = "voucher_account_payments"
    table(
        name,
        reference("voucher_id"),
        text("subject", comment="'payment 12' of the office"),
        time("paid_at"),
        primary(name, "voucher_id"),
        foreign(name, ["voucher_id"], "vouchers"),
        unique(name, "subject"),
        check(name, "subject", "length(subject) > 0"),
    )
    triggers.immutable(name, ["voucher_id"], ["subject"])
    triggers.inserted_only_if(
        name,
        "EXISTS (SELECT 1 FROM vouchers JOIN voucher_batches "
        "ON voucher_batches.batch_id = vouchers.batch_id "
        "WHERE vouchers.voucher_id = NEW.voucher_id AND vouchers.blocked IS NULL "
        "AND voucher_batches.state = 'active') AND NOT EXISTS (SELECT 1 FROM voucher_payments "
        "WHERE voucher_payments.voucher_id = NEW.voucher_id)",
        "a voucher pays once, and only when it is valid",
    )
    triggers.refused_insert(
        "voucher_payments",
        "account",
        "EXISTS (SELECT 1 FROM voucher_account_payments "
        "WHERE voucher_account_payments.voucher_id = NEW.voucher_id)",
        "a voucher pays once",
    )


def _make_asks() -> None:
    name = "self_service_asks"
    table(
        name,
        *identity(name, "ask_id"),
        sa.Column("sender_digest", sa.LargeBinary(), nullable=False),
        reference("account_id", null=True),
        time("at"),
        text("what"),
        text("result"),
        foreign(name, ["account_id"], "customer_accounts"),
        check(name, "sender_digest", "length(sender_digest) = 32"),
        check(name, "result", "result IN ('proven', 'unproven', 'wrong', 'unknown')"),
    )
    op.create_index("ix_self_service_asks_sender", name, ["sender_digest", "at"])
    op.create_index("ix_self_service_asks_account_id", name, ["account_id", "at"])
    op.create_index("ix_self_service_asks_at", name, ["at"])
