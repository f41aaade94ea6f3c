"""Tariffs, charges, debts, carried change."""

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

_RESOURCES = "('electricity', 'water', 'gas', 'time')"
_SAME_CHARGE = ["meter_id", "charge", "month", "turn"]
_ACCOUNTS = {
    "fees": "income",
    "rounding": "income",
    "carried": "liability",
    "debts": "asset",
    "debts.brought_in": "liability",
}


def make() -> None:
    """Make the tables."""
    _make_tariffs()
    _make_assignments()
    _make_debts()
    _make_debt_payments()
    _make_charges()
    _make_carried_change()
    _widen_meters()
    _open_accounts()


def _make_tariffs() -> None:
    name = "tariffs"
    table(
        name,
        *identity(name, "tariff_id"),
        text("name"),
        text("resource"),
        time("added_at"),
        unique(name, "name"),
        check(name, "name", "length(name) > 0"),
        check(name, "resource", f"resource IN {_RESOURCES}"),
    )
    triggers.immutable(name, ["tariff_id"], ["name"])
    name = "tariff_versions"
    table(
        name,
        *identity(name, "version_id"),
        reference("tariff_id"),
        number("version", comment="1, 2, ... of the tariff"),
        time("valid_from"),
        text("definition", comment="JSON"),
        time("added_at"),
        text("added_by"),
        foreign(name, ["tariff_id"], "tariffs"),
        unique(name, "tariff_id", "version"),
        unique(name, "tariff_id", "valid_from"),
        check(name, "version", "version > 0"),
    )
    triggers.immutable(name, ["version_id"], ["tariff_id", "version"], ["tariff_id", "valid_from"])
    triggers.guarded(
        name,
        "insert",
        "NEW.version = 1 + (SELECT count(*) FROM tariff_versions "
        "WHERE tariff_id = NEW.tariff_id) AND NOT EXISTS (SELECT 1 FROM tariff_versions "
        "WHERE tariff_id = NEW.tariff_id AND valid_from >= NEW.valid_from)",
        "a version begins after the one before it",
        name="tariff_versions_follow",
        lock="SELECT 1 FROM tariffs WHERE tariff_id = NEW.tariff_id FOR UPDATE",
    )


def _make_assignments() -> None:
    name = "tariff_assignments"
    table(
        name,
        *identity(name, "assignment_id"),
        reference("meter_id"),
        reference("tariff_id", null=True),
        time("assigned_at"),
        text("assigned_by"),
        foreign(name, ["meter_id"], "meters"),
        foreign(name, ["tariff_id"], "tariffs"),
    )
    op.create_index("ix_tariff_assignments_meter_id", name, ["meter_id"])
    triggers.immutable(name, ["assignment_id"])
    known = "EXISTS (SELECT 1 FROM tariffs WHERE tariff_id = NEW.tariff_id)"
    for event in ("insert", "update"):
        triggers.guarded(
            "meters",
            event,
            known,
            "there is no such tariff",
            name=f"meters_tariff_{event}",
            only="NEW.tariff_id IS NOT NULL",
        )
    triggers.guarded(
        "receipts",
        "insert",
        "EXISTS (SELECT 1 FROM tariff_versions WHERE version_id = NEW.tariff_version_id)",
        "there is no such version of a tariff",
        name="receipts_tariff_version",
        only="NEW.tariff_version_id IS NOT NULL",
    )


def _make_debts() -> None:
    name = "debts"
    table(
        name,
        *identity(name, "debt_id"),
        reference("meter_id"),
        text("name"),
        number("principal_minor"),
        text("scheme"),
        number("rate_bp", null=True),
        number("fixed_minor", null=True),
        text("share_of"),
        time("opened_at"),
        text("opened_by"),
        text("reason"),
        reference("transaction_id"),
        foreign(name, ["meter_id"], "meters"),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        unique(name, "transaction_id"),
        check(name, "name", "length(name) > 0"),
        check(name, "principal_minor", "principal_minor > 0"),
        check(name, "scheme", "scheme IN ('percent', 'fixed', 'lesser', 'all', 'block')"),
        check(name, "share_of", "share_of IN ('tendered', 'rest')"),
        check(
            name,
            "rate_bp",
            "(scheme IN ('percent', 'lesser')) = (rate_bp IS NOT NULL) "
            "AND (rate_bp IS NULL OR rate_bp BETWEEN 1 AND 10000)",
        ),
        check(
            name,
            "fixed_minor",
            "(scheme IN ('fixed', 'lesser')) = (fixed_minor IS NOT NULL) "
            "AND (fixed_minor IS NULL OR fixed_minor > 0)",
        ),
    )
    op.create_index("ix_debts_meter_id", name, ["meter_id"])
    triggers.immutable(name, ["debt_id"], ["transaction_id"])


def _make_debt_payments() -> None:
    name = "debt_payments"
    table(
        name,
        *identity(name, "payment_id"),
        reference("debt_id"),
        text("kind"),
        number("amount_minor", comment="below zero: given back"),
        time("paid_at"),
        reference("receipt_no", null=True),
        reference(
            "transaction_id",
            null=True,
            comment="of a write-off; a payment is posted with its receipt",
        ),
        text("reason"),
        foreign(name, ["debt_id"], "debts"),
        foreign(name, ["receipt_no"], "receipts"),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        unique(name, "transaction_id"),
        unique(name, "receipt_no", "debt_id"),
        check(name, "kind", "kind IN ('payment', 'reversal', 'write_off')"),
        check(
            name,
            "amount_minor",
            "amount_minor <> 0 AND (kind = 'reversal') = (amount_minor < 0)",
        ),
        check(
            name,
            "booked",
            "(kind = 'write_off') = (receipt_no IS NULL) "
            "AND (kind = 'write_off') = (transaction_id IS NOT NULL)",
        ),
    )
    op.create_index("ix_debt_payments_debt_id", name, ["debt_id"])
    triggers.immutable(name, ["payment_id"], ["transaction_id"], ["receipt_no", "debt_id"])
    paid = (
        "(SELECT coalesce(sum(amount_minor), 0) FROM debt_payments "
        "WHERE debt_id = NEW.debt_id) + NEW.amount_minor"
    )
    triggers.guarded(
        name,
        "insert",
        f"{paid} BETWEEN 0 AND (SELECT principal_minor FROM debts WHERE debt_id = NEW.debt_id)",
        "what is left of a debt lies between nothing and all of it",
        name="debt_payments_left",
        lock="SELECT 1 FROM debts WHERE debt_id = NEW.debt_id FOR NO KEY UPDATE",
    )


def _make_charges() -> None:
    name = "charges_paid"
    table(
        name,
        reference("meter_id"),
        text("charge"),
        text("month"),
        number("turn", comment="how often it was given back before"),
        reference("receipt_no"),
        number("amount_minor", comment="before tax"),
        primary(name, *_SAME_CHARGE),
        foreign(name, ["meter_id"], "meters"),
        foreign(name, ["receipt_no"], "receipts"),
        check(name, "month", "length(month) = 7"),
        check(name, "turn", "turn >= 0"),
        check(name, "amount_minor", "amount_minor > 0"),
    )
    op.create_index("ix_charges_paid_receipt_no", name, ["receipt_no"])
    triggers.immutable(name, _SAME_CHARGE)
    name = "charge_reversals"
    table(
        name,
        reference("meter_id"),
        text("charge"),
        text("month"),
        number("turn"),
        reference("receipt_no"),
        primary(name, *_SAME_CHARGE),
        foreign(name, _SAME_CHARGE, "charges_paid", name="paid"),
        foreign(name, ["receipt_no"], "receipts"),
    )
    triggers.immutable(name, _SAME_CHARGE)
    triggers.guarded(
        "charges_paid",
        "insert",
        "NEW.turn = (SELECT count(*) FROM charge_reversals WHERE meter_id = NEW.meter_id "
        "AND charge = NEW.charge AND month = NEW.month)",
        "a month of a charge is paid once",
        name="charges_paid_once",
    )


def _make_carried_change() -> None:
    name = "carried_change"
    table(
        name,
        *identity(name, "move_id"),
        reference("meter_id"),
        reference("receipt_no"),
        number("amount_minor", comment="below zero: used"),
        foreign(name, ["meter_id"], "meters"),
        foreign(name, ["receipt_no"], "receipts"),
        check(name, "amount_minor", "amount_minor <> 0"),
    )
    op.create_index("ix_carried_change_meter_id", name, ["meter_id"])
    op.create_index("ix_carried_change_receipt_no", name, ["receipt_no"])
    triggers.immutable(name, ["move_id"])
    triggers.guarded(
        name,
        "insert",
        "(SELECT coalesce(sum(amount_minor), 0) FROM carried_change "
        "WHERE meter_id = NEW.meter_id) + NEW.amount_minor >= 0",
        "no more is used than was kept",
        name="carried_change_kept",
    )


def _widen_meters() -> None:
    kind = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    op.execute(
        f"ALTER TABLE meters ADD COLUMN has_dues {kind} NOT NULL DEFAULT 0 "
        "CONSTRAINT ck_meters_has_dues CHECK (has_dues IN (0, 1))"
    )


def _open_accounts() -> None:
    """In the books of a shop that is there already; a new one opens its own."""
    for account, kind in _ACCOUNTS.items():
        op.execute(
            sa.text(
                "INSERT INTO accounts (account, currency, kind) "
                "SELECT :account, currency, :kind FROM utility"
            ).bindparams(account=account, kind=kind)
        )
