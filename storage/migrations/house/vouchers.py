"""Voucher batches and their secrets, proven and not known."""

from __future__ import annotations

import secrets

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
from storage.types import UtcTimestamp

_ACCOUNTS = {
    "tender.voucher": "asset",
    "vouchers.receivable": "asset",
    "vouchers.outstanding": "liability",
    "vouchers.lapsed": "income",
}


def make() -> None:
    """Make the tables."""
    _make_house()
    _make_batches()
    _make_vouchers()
    _make_payments()
    _voucher_sales_have_vouchers()
    _make_tries()
    _open_accounts()


def _make_house() -> None:
    name = "voucher_house"
    made = op.create_table(
        name,
        number("house_id"),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        primary(name, "house_id"),
        check(name, "one_row", "house_id = 1"),
        check(name, "salt", "length(salt) = 16"),
        sqlite_strict=True,
    )
    op.bulk_insert(made, [{"house_id": 1, "salt": secrets.token_bytes(16)}])
    triggers.immutable(name, ["house_id"])


def _make_batches() -> None:
    name = "voucher_batches"
    table(
        name,
        *identity(name, "batch_id"),
        number("face_minor"),
        number("count"),
        sa.Column("expires_at", UtcTimestamp(), nullable=False, comment="not valid from then on"),
        time("made_at"),
        text("made_by"),
        text("state"),
        text("reseller", comment="who sells them; named at activation"),
        reference("transaction_id", null=True),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        unique(name, "transaction_id"),
        check(name, "face_minor", "face_minor > 0"),
        check(name, "count", "count BETWEEN 1 AND 100000"),
        check(name, "state", "state IN ('made', 'active', 'blocked')"),
        check(name, "active", "state <> 'active' OR transaction_id IS NOT NULL"),
    )
    triggers.no_delete(name, ["batch_id"])
    triggers.frozen(name, ["batch_id", "face_minor", "count", "expires_at", "made_at", "made_by"])
    triggers.set_once(name, ["transaction_id"])
    triggers.forward_only(name, "state", ("made", "active", "blocked"))


def _make_vouchers() -> None:
    name = "vouchers"
    table(
        name,
        *identity(name, "voucher_id"),
        reference("batch_id"),
        number("serial", comment="within the batch, from 1"),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        text("blocked", null=True, comment="why it is blocked; NULL when it is not"),
        foreign(name, ["batch_id"], "voucher_batches"),
        unique(name, "batch_id", "serial"),
        unique(name, "proof"),
        check(name, "serial", "serial > 0"),
        check(name, "proof", "length(proof) = 32"),
    )
    triggers.no_delete(name, ["voucher_id"], ["batch_id", "serial"], ["proof"])
    triggers.frozen(name, ["voucher_id", "batch_id", "serial", "proof"])
    triggers.inserted_only_if(
        name,
        "EXISTS (SELECT 1 FROM voucher_batches WHERE batch_id = NEW.batch_id "
        "AND state = 'made' AND NEW.serial <= count)",
        "vouchers are made with their batch",
    )


def _make_payments() -> None:
    name = "voucher_payments"
    table(
        name,
        reference("voucher_id"),
        reference("receipt_no"),
        time("paid_at"),
        primary(name, "voucher_id"),
        foreign(name, ["voucher_id"], "vouchers"),
        foreign(name, ["receipt_no"], "receipts"),
        unique(name, "receipt_no"),
    )
    triggers.immutable(name, ["voucher_id"], ["receipt_no"])
    triggers.inserted_only_if(
        name,
        "EXISTS (SELECT 1 FROM vouchers JOIN voucher_batches "
        "ON voucher_batches.batch_id = vouchers.batch_id "
        "JOIN receipts ON receipts.receipt_no = NEW.receipt_no "
        "WHERE vouchers.voucher_id = NEW.voucher_id AND vouchers.blocked IS NULL "
        "AND voucher_batches.state = 'active' "
        "AND receipts.tendered_minor = voucher_batches.face_minor "
        "AND receipts.tender = 'voucher')",
        "a voucher pays its face value, and only when it is valid",
    )


def _voucher_sales_have_vouchers() -> None:
    triggers.answered_only_if(
        "NEW.operation <> 'redeem' OR NEW.outcome IS NULL OR NEW.outcome <> 'done' OR EXISTS ("
        "SELECT 1 FROM receipts JOIN voucher_payments "
        "ON voucher_payments.receipt_no = receipts.receipt_no "
        "WHERE receipts.client = NEW.client AND receipts.message_id = NEW.message_id)",
        "what a voucher bought needs the voucher",
        name="requests_voucher",
    )
    triggers.refused_insert(
        "receipts",
        "voucher",
        "NEW.tender = 'voucher' AND NOT EXISTS (SELECT 1 FROM requests "
        "WHERE client = NEW.client AND message_id = NEW.message_id AND operation = 'redeem')",
        "what a voucher pays needs the voucher",
    )


def _make_tries() -> None:
    name = "voucher_tries"
    table(
        name,
        *identity(name, "try_id"),
        text("client"),
        text("meter"),
        time("tried_at"),
        text("result", null=True, comment="NULL: not known, counts as wrong"),
        check(name, "result", "result IN ('right', 'wrong')"),
    )
    op.create_index("ix_voucher_tries_meter", name, ["meter", "tried_at"])
    op.create_index("ix_voucher_tries_client", name, ["client", "tried_at"])
    op.create_index("ix_voucher_tries_tried_at", name, ["tried_at"])
    triggers.no_delete(name, ["try_id"])
    triggers.frozen(name, ["try_id", "client", "meter", "tried_at"])
    triggers.set_once(name, ["result"])


def _open_accounts() -> None:
    """In the books that are open already; a new shop opens its own (`vending.shop.books`)."""
    for account, kind in _ACCOUNTS.items():
        op.execute(
            "INSERT INTO accounts (account, currency, kind) "
            f"SELECT '{account}', currency, '{kind}' FROM utility"
        )
