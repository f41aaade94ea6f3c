"""The shop, the ledger under it and the audit trail beside it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations import triggers
from storage.types import Identifier, UtcTimestamp, WholeNumber

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


def _table(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(name, *items, sqlite_strict=True)


def _text(name: str, *, null: bool = False, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null, comment=comment)


def _number(name: str, *, null: bool = False, comment: str | None = None) -> sa.Column[int]:
    return sa.Column(name, WholeNumber(), nullable=null, comment=comment)


def _time(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, UtcTimestamp(), nullable=null)


def _reference(name: str, *, null: bool = False, comment: str | None = None) -> sa.Column[int]:
    return sa.Column(name, Identifier, nullable=null, comment=comment)


def _identity(table: str, column: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column(column, Identifier, nullable=False, autoincrement=True),
        _primary(table, column),
    )


def _primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _unique(table: str, *columns: str, name: str | None = None) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=name or f"uq_{table}_{'_'.join(columns)}")


def _check(table: str, name: str, rule: str) -> sa.CheckConstraint:
    # op.f: the name is whole already
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}"))


def _digits(column: str) -> str:
    """An SQL condition that both databases understand: nothing but 0-9."""
    return f"ltrim({column}, '0123456789') = ''"


def _foreign(
    table: str, columns: list[str], target: str, *, to: list[str] | None = None, name: str = ""
) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        columns,
        [f"{target}.{column}" for column in to or columns],
        name=f"fk_{table}_{name or '_'.join(columns)}",
    )


def _make_ledger() -> None:
    name = "accounts"
    _table(
        name,
        _text("account"),
        _text("currency"),
        _text("kind"),
        _primary(name, "account", "currency"),
        _check(name, "kind", "kind IN ('asset', 'liability', 'income')"),
        _check(name, "currency", "length(currency) = 3"),
    )
    triggers.immutable(name, ["account", "currency"])
    name = "ledger_transactions"
    _table(name, *_identity(name, "transaction_id"), _time("posted_at"), _text("kind"))
    op.create_index("ix_ledger_transactions_posted_at", name, ["posted_at"])
    triggers.immutable(name, ["transaction_id"])
    name = "transfers"
    account = ["account", "currency"]
    _table(
        name,
        _reference("transaction_id"),
        _number("position"),
        _text("debit_account"),
        _text("credit_account"),
        _text("currency"),
        _number("amount_minor"),
        _text("purpose"),
        _primary(name, "transaction_id", "position"),
        _foreign(name, ["transaction_id"], "ledger_transactions"),
        _foreign(name, ["debit_account", "currency"], "accounts", to=account),
        _foreign(name, ["credit_account", "currency"], "accounts", to=account),
        _check(name, "amount_minor", "amount_minor > 0"),
        _check(name, "two_sides", "debit_account <> credit_account"),
    )
    triggers.immutable(name, ["transaction_id", "position"])


def _make_seller() -> None:
    name = "utility"
    _table(
        name,
        _number("utility_id"),
        *(_text(column) for column in ("name", "address", "tax_number", "vendor", "currency")),
        _number("minor_digits"),
        _text("zone"),
        _number("minimum_minor"),
        _number("maximum_minor"),
        _primary(name, "utility_id"),
        _check(name, "one_row", "utility_id = 1"),
        _check(name, "currency", "length(currency) = 3"),
        _check(name, "minor_digits", "minor_digits BETWEEN 0 AND 4"),
        _check(name, "limits", "0 < minimum_minor AND minimum_minor <= maximum_minor"),
    )
    triggers.no_delete(name, ["utility_id"])
    triggers.frozen(name, ["currency", "minor_digits"])
    name = "prices"
    _table(
        name,
        *_identity(name, "price_id"),
        _time("set_at"),
        _number("per_kwh"),
        _number("tax_bp"),
        _check(name, "per_kwh", "per_kwh > 0"),
        _check(name, "tax_bp", "tax_bp BETWEEN 0 AND 10000"),
    )
    triggers.immutable(name, ["price_id"])


def _make_meters() -> None:
    name = "meters"
    _table(
        name,
        *_identity(name, "meter_id"),
        _text("number"),
        _number("algorithm"),
        _text("customer"),
        _text("location"),
        _text("blocked", null=True, comment="why sales are blocked; NULL when they are not"),
        _time("added_at"),
        _unique(name, "number"),
        _check(name, "number", f"length(number) IN (11, 13) AND {_digits('number')}"),
        _check(name, "algorithm", "algorithm IN (7, 11)"),
    )
    triggers.no_delete(name, ["meter_id"], ["number"])
    triggers.frozen(name, ["meter_id", "number", "algorithm", "added_at"])
    name = "meter_keys"
    key = ["sgc", "krn", "key_type", "tariff_index", "base_year", "ken"]
    _table(
        name,
        *_identity(name, "meter_key_id"),
        _reference("meter_id"),
        _text("sgc"),
        _number("krn"),
        _number("key_type"),
        _text("tariff_index"),
        _number("base_year"),
        _number("ken"),
        _text("state"),
        _foreign(name, ["meter_id"], "meters"),
        _unique(name, "meter_id", *key, name="uq_meter_keys_attributes"),
        _unique(name, "meter_key_id", "meter_id", "base_year", name="uq_meter_keys_tokens"),
        _check(name, "sgc", f"length(sgc) = 6 AND {_digits('sgc')}"),
        _check(name, "krn", "krn BETWEEN 1 AND 9"),
        _check(name, "key_type", "key_type BETWEEN 0 AND 3"),
        _check(name, "tariff_index", f"length(tariff_index) = 2 AND {_digits('tariff_index')}"),
        _check(name, "base_year", "base_year IN (1993, 2014, 2035)"),
        _check(name, "ken", "ken BETWEEN 0 AND 255"),
        _check(name, "state", "state IN ('waiting', 'in_use', 'replaced')"),
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
    _table(
        name,
        _text("client"),
        _text("message_id"),
        _text("operation"),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        _time("received_at"),
        _text("outcome", null=True),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        _primary(name, "client", "message_id"),
        _check(name, "operation", "operation IN ('vend', 'key_change')"),
        _check(name, "request_sha256", "length(request_sha256) = 32"),
        _check(name, "outcome", "outcome IN ('done', 'failed')"),
        _check(name, "answered", "(outcome IS NULL) = (response IS NULL)"),
    )
    triggers.no_delete(name, ["client", "message_id"])
    triggers.frozen(
        name,
        ["client", "message_id", "operation", "request_sha256", "received_at"],
        after="OLD.outcome IS NOT NULL",
    )
    name = "receipts"
    _table(
        name,
        *_identity(name, "receipt_no"),
        _text("client"),
        _text("message_id"),
        _text("kind"),
        _reference("meter_id"),
        _time("issued_at"),
        _number("tendered_minor"),
        _number("change_minor"),
        _number("units", comment="tenths of a kWh"),
        _reference("transaction_id", null=True),
        _foreign(name, ["meter_id"], "meters"),
        _foreign(name, ["transaction_id"], "ledger_transactions"),
        _foreign(name, ["client", "message_id"], "requests"),
        _unique(name, "transaction_id"),
        _unique(name, "client", "message_id"),
        _check(name, "kind", "kind IN ('credit', 'key_change')"),
        _check(name, "units", "units >= 0 AND (kind = 'credit') = (units > 0)"),
        _check(name, "change_minor", "0 <= change_minor AND change_minor <= tendered_minor"),
        _check(
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
    _table(
        name,
        _reference("receipt_no"),
        _number("position", comment="entry order, from 1"),
        _reference("meter_id"),
        _reference("meter_key_id", comment="the key it is encrypted under"),
        _number("base_year"),
        _number("token_class"),
        _number("subclass"),
        _number("tid", null=True, comment="NULL on key change tokens, which carry none"),
        _number("units", comment="tenths of a kWh"),
        _text("digits"),
        _primary(name, "receipt_no", "position"),
        _foreign(name, ["receipt_no"], "receipts"),
        _foreign(name, ["meter_key_id", "meter_id", "base_year"], "meter_keys", name="meter_key"),
        _unique(name, "meter_key_id", "tid"),
        _unique(name, "meter_id", "base_year", "tid"),
        _check(name, "position", "position > 0"),
        _check(name, "tid", "tid BETWEEN 0 AND 16777215 AND tid - tid / 1440 * 1440 <> 1"),
        _check(name, "token_class", "token_class IN (0, 2) AND subclass BETWEEN 0 AND 15"),
        _check(name, "units", "units >= 0 AND (token_class = 0) = (units > 0)"),
        _check(name, "has_tid", "(tid IS NULL) = (token_class = 2 AND subclass IN (3, 4, 8, 9))"),
        _check(name, "digits", f"length(digits) = 20 AND {_digits('digits')}"),
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
    _table(
        name,
        _reference("receipt_no"),
        _number("copy_no"),
        _time("printed_at"),
        _text("operator"),
        _primary(name, "receipt_no", "copy_no"),
        _foreign(name, ["receipt_no"], "receipts"),
        _check(name, "copy_no", "copy_no > 0"),
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
    _table(
        name,
        *_identity(name, "key_change_id"),
        _reference("meter_id"),
        *(_reference(key) for key in keys),
        _text("state"),
        _text("reason"),
        _time("requested_at"),
        _time("issued_at", null=True),
        _reference("receipt_no", null=True),
        _foreign(name, ["meter_id"], "meters"),
        *(_foreign(name, [key], "meter_keys", to=["meter_key_id"]) for key in keys),
        _foreign(name, ["receipt_no"], "receipts"),
        _unique(name, "receipt_no"),
        _check(name, "another_key", "from_key_id <> to_key_id"),
        _check(name, "state", "state IN ('pending', 'issued', 'confirmed')"),
        _check(
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
    _table(
        name,
        *_identity(name, "audit_id"),
        _time("at"),
        *(_text(column) for column in ("actor", "action", "subject", "detail")),
    )
    triggers.immutable(name, ["audit_id"])
