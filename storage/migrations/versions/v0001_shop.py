"""The shop, the ledger under it and the audit trail beside it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations import triggers
from storage.migrations.columns import (
    check,
    digits,
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

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make everything."""
    _make_ledger()
    _make_seller()
    _make_meters()
    _make_sales()
    _make_key_changes()
    _make_audit()


def _make_ledger() -> None:
    name = "accounts"
    table(
        name,
        text("account"),
        text("currency"),
        text("kind"),
        primary(name, "account", "currency"),
        check(name, "kind", "kind IN ('asset', 'liability', 'income')"),
        check(name, "currency", "length(currency) = 3"),
    )
    triggers.immutable(name, ["account", "currency"])
    name = "ledger_transactions"
    table(name, *identity(name, "transaction_id"), time("posted_at"), text("kind"))
    op.create_index("ix_ledger_transactions_posted_at", name, ["posted_at"])
    triggers.immutable(name, ["transaction_id"])
    name = "transfers"
    account = ["account", "currency"]
    table(
        name,
        reference("transaction_id"),
        number("position"),
        text("debit_account"),
        text("credit_account"),
        text("currency"),
        number("amount_minor"),
        text("purpose"),
        primary(name, "transaction_id", "position"),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        foreign(name, ["debit_account", "currency"], "accounts", to=account),
        foreign(name, ["credit_account", "currency"], "accounts", to=account),
        check(name, "amount_minor", "amount_minor > 0"),
        check(name, "two_sides", "debit_account <> credit_account"),
    )
    triggers.immutable(name, ["transaction_id", "position"])


def _make_seller() -> None:
    name = "utility"
    table(
        name,
        number("utility_id"),
        *(text(column) for column in ("name", "address", "tax_number", "vendor", "currency")),
        number("minor_digits"),
        text("zone"),
        number("minimum_minor"),
        number("maximum_minor"),
        primary(name, "utility_id"),
        check(name, "one_row", "utility_id = 1"),
        check(name, "currency", "length(currency) = 3"),
        check(name, "minor_digits", "minor_digits BETWEEN 0 AND 4"),
        check(name, "limits", "0 < minimum_minor AND minimum_minor <= maximum_minor"),
    )
    triggers.no_delete(name, ["utility_id"])
    triggers.frozen(name, ["currency", "minor_digits"])
    name = "prices"
    table(
        name,
        *identity(name, "price_id"),
        time("set_at"),
        number("per_kwh"),
        number("tax_bp"),
        check(name, "per_kwh", "per_kwh > 0"),
        check(name, "tax_bp", "tax_bp BETWEEN 0 AND 10000"),
    )
    triggers.immutable(name, ["price_id"])


def _make_meters() -> None:
    name = "meters"
    table(
        name,
        *identity(name, "meter_id"),
        text("number"),
        number("algorithm"),
        text("customer"),
        text("location"),
        text("blocked", null=True, comment="why sales are blocked; NULL when they are not"),
        time("added_at"),
        unique(name, "number"),
        check(name, "number", f"length(number) IN (11, 13) AND {digits('number')}"),
        check(name, "algorithm", "algorithm IN (7, 11)"),
    )
    triggers.no_delete(name, ["meter_id"], ["number"])
    triggers.frozen(name, ["meter_id", "number", "algorithm", "added_at"])
    name = "meter_keys"
    key = ["sgc", "krn", "key_type", "tariff_index", "base_year", "ken"]
    table(
        name,
        *identity(name, "meter_key_id"),
        reference("meter_id"),
        text("sgc"),
        number("krn"),
        number("key_type"),
        text("tariff_index"),
        number("base_year"),
        number("ken"),
        text("state"),
        foreign(name, ["meter_id"], "meters"),
        unique(name, "meter_id", *key, name="uq_meter_keys_attributes"),
        unique(name, "meter_key_id", "meter_id", "base_year", name="uq_meter_keys_tokens"),
        check(name, "sgc", f"length(sgc) = 6 AND {digits('sgc')}"),
        check(name, "krn", "krn BETWEEN 1 AND 9"),
        check(name, "key_type", "key_type BETWEEN 0 AND 3"),
        check(name, "tariff_index", f"length(tariff_index) = 2 AND {digits('tariff_index')}"),
        check(name, "base_year", "base_year IN (1993, 2014, 2035)"),
        check(name, "ken", "ken BETWEEN 0 AND 255"),
        check(name, "state", "state IN ('waiting', 'in_use', 'replaced')"),
    )
    in_use = sa.text("state = 'in_use'")
    op.create_index(
        "uq_meter_keys_in_use",
        name,
        ["meter_id"],
        unique=True,
        sqlite_where=in_use,
        postgresql_where=in_use,
    )
    triggers.no_delete(name, ["meter_key_id"], ["meter_id", *key])
    triggers.frozen(name, ["meter_key_id", "meter_id", *key])
    # in_use and replaced alternate: a meter may return to a key that it had
    triggers.never_back(name, "state", "waiting")


def _make_sales() -> None:
    name = "requests"
    table(
        name,
        text("client"),
        text("message_id"),
        text("operation"),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        time("received_at"),
        text("outcome", null=True),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        primary(name, "client", "message_id"),
        check(name, "operation", "operation IN ('vend', 'key_change')"),
        check(name, "request_sha256", "length(request_sha256) = 32"),
        check(name, "outcome", "outcome IN ('done', 'failed')"),
        check(name, "answered", "(outcome IS NULL) = (response IS NULL)"),
    )
    triggers.no_delete(name, ["client", "message_id"])
    triggers.frozen(
        name,
        ["client", "message_id", "operation", "request_sha256", "received_at"],
        after="OLD.outcome IS NOT NULL",
    )
    name = "receipts"
    table(
        name,
        *identity(name, "receipt_no"),
        text("client"),
        text("message_id"),
        text("kind"),
        reference("meter_id"),
        time("issued_at"),
        number("tendered_minor"),
        number("change_minor"),
        number("units", comment="tenths of a kWh"),
        reference("transaction_id", null=True),
        foreign(name, ["meter_id"], "meters"),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        foreign(name, ["client", "message_id"], "requests"),
        unique(name, "transaction_id"),
        unique(name, "client", "message_id"),
        check(name, "kind", "kind IN ('credit', 'key_change')"),
        check(name, "units", "units >= 0 AND (kind = 'credit') = (units > 0)"),
        check(name, "change_minor", "0 <= change_minor AND change_minor <= tendered_minor"),
        check(
            name,
            "paid",
            "(kind = 'credit') = (tendered_minor > 0) "
            "AND (kind = 'credit') = (transaction_id IS NOT NULL)",
        ),
    )
    op.create_index("ix_receipts_of_meter", name, ["meter_id", "receipt_no"])
    op.create_index("ix_receipts_issued_at", name, ["issued_at"])
    triggers.immutable(name, ["receipt_no"], ["client", "message_id"], ["transaction_id"])
    name = "tokens"
    table(
        name,
        reference("receipt_no"),
        number("position", comment="entry order, from 1"),
        reference("meter_id"),
        reference("meter_key_id", comment="the key it is encrypted under"),
        number("base_year"),
        number("token_class"),
        number("subclass"),
        number("tid", null=True, comment="NULL on key change tokens, which carry none"),
        number("units", comment="tenths of a kWh"),
        text("digits"),
        primary(name, "receipt_no", "position"),
        foreign(name, ["receipt_no"], "receipts"),
        foreign(name, ["meter_key_id", "meter_id", "base_year"], "meter_keys", name="meter_key"),
        unique(name, "meter_key_id", "tid"),
        unique(name, "meter_id", "base_year", "tid"),
        check(name, "position", "position > 0"),
        check(name, "tid", "tid BETWEEN 0 AND 16777215 AND tid - tid / 1440 * 1440 <> 1"),
        check(name, "token_class", "token_class IN (0, 2) AND subclass BETWEEN 0 AND 15"),
        check(name, "units", "units >= 0 AND (token_class = 0) = (units > 0)"),
        check(name, "has_tid", "(tid IS NULL) = (token_class = 2 AND subclass IN (3, 4, 8, 9))"),
        check(name, "digits", f"length(digits) = 20 AND {digits('digits')}"),
    )
    triggers.immutable(
        name,
        ["receipt_no", "position"],
        ["meter_key_id", "tid"],
        ["meter_id", "base_year", "tid"],
    )
    triggers.growing_tid()
    _close_what_is_answered()
    name = "reprints"
    table(
        name,
        reference("receipt_no"),
        number("copy_no"),
        time("printed_at"),
        text("operator"),
        primary(name, "receipt_no", "copy_no"),
        foreign(name, ["receipt_no"], "receipts"),
        check(name, "copy_no", "copy_no > 0"),
    )
    triggers.immutable(name, ["receipt_no", "copy_no"])


def _close_what_is_answered() -> None:
    """Rows of a sale come in one order: request, transfers, receipt, tokens, answer."""
    triggers.inserted_only_if(
        "requests", "NEW.outcome IS NULL", "a request is stored before it is answered"
    )
    triggers.inserted_only_if(
        "transfers",
        "NOT EXISTS (SELECT 1 FROM receipts WHERE transaction_id = NEW.transaction_id)",
        "a transfer is made with its transaction, before the receipt",
    )
    unanswered = (
        "EXISTS (SELECT 1 FROM requests WHERE client = {0}.client "
        "AND message_id = {0}.message_id AND outcome IS NULL)"
    )
    triggers.inserted_only_if(
        "receipts", unanswered.format("NEW"), "a receipt is made with its answer"
    )
    triggers.inserted_only_if(
        "tokens",
        "EXISTS (SELECT 1 FROM receipts WHERE receipt_no = NEW.receipt_no "
        f"AND {unanswered.format('receipts')})",
        "a token is made with its receipt",
    )
    triggers.updated_only_if(
        "requests",
        "NEW.outcome IS NULL OR (NEW.outcome = 'done') = EXISTS (SELECT 1 FROM receipts "
        "WHERE client = NEW.client AND message_id = NEW.message_id)",
        "done means a receipt, failed means none",
    )


def _make_key_changes() -> None:
    name = "key_changes"
    keys = ("from_key_id", "to_key_id")
    table(
        name,
        *identity(name, "key_change_id"),
        reference("meter_id"),
        *(reference(key) for key in keys),
        text("state"),
        text("reason"),
        time("requested_at"),
        time("issued_at", null=True),
        reference("receipt_no", null=True),
        foreign(name, ["meter_id"], "meters"),
        *(foreign(name, [key], "meter_keys", to=["meter_key_id"]) for key in keys),
        foreign(name, ["receipt_no"], "receipts"),
        unique(name, "receipt_no"),
        check(name, "another_key", "from_key_id <> to_key_id"),
        check(name, "state", "state IN ('pending', 'issued', 'confirmed')"),
        check(
            name,
            "issued",
            "(state = 'pending') = (receipt_no IS NULL) "
            "AND (receipt_no IS NULL) = (issued_at IS NULL)",
        ),
    )
    op.create_index("ix_key_changes_meter_id", name, ["meter_id"])
    triggers.no_delete(name, ["key_change_id"], ["receipt_no"])
    triggers.frozen(name, ["key_change_id", "meter_id", *keys, "reason", "requested_at"])
    triggers.set_once(name, ["issued_at", "receipt_no"])
    triggers.forward_only(name, "state", ("pending", "issued", "confirmed"))


def _make_audit() -> None:
    name = "audit_lines"
    table(
        name,
        *identity(name, "audit_id"),
        time("at"),
        *(text(column) for column in ("actor", "action", "subject", "detail")),
    )
    triggers.immutable(name, ["audit_id"])
