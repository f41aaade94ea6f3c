"""What the counter gives out: new kinds of requests and receipts, intents.

Version 0001 knew two kinds of receipts.  What it stored stays as it was, byte for byte; what it
wrote down in the answers alone (tender, operator, terminal) gets columns.
"""

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
from storage.migrations.rebuild import (
    add_check,
    drop_constraint,
    is_postgresql,
    rebuild_on_sqlite,
    replace_check,
)

_RESOURCES = "('electricity', 'water', 'gas', 'time')"
_KINDS = (
    "('credit', 'free_issue', 'free_basic', 'replacement', 'engineering', 'key_change', "
    "'account_payment', 'reversal', 'refund')"
)
_FREE = "('free_issue', 'free_basic', 'replacement')"
_MONEY = "('credit', 'account_payment', 'reversal', 'refund')"
_REQUEST_CHECKS = {
    "operation": "length(operation) > 0",
    "request_sha256": "length(request_sha256) = 32",
    "outcome": "outcome IN ('done', 'failed')",
    "answered": "(outcome IS NULL) = (response IS NULL)",
}
_RECEIPT_CHECKS = {
    "kind": f"kind IN {_KINDS}",
    "resource": f"resource IN {_RESOURCES}",
    "units": f"units >= 0 AND (kind = 'credit' OR kind IN {_FREE} OR kind = 'reversal' "
    f"OR units = 0) AND (units > 0 OR NOT (kind = 'credit' OR kind IN {_FREE}))",
    "change_minor": "0 <= change_minor AND change_minor <= tendered_minor",
    "paid": f"(kind IN {_MONEY}) = (tendered_minor > 0) "
    f"AND (transaction_id IS NOT NULL OR kind NOT IN {_MONEY}) "
    "AND (transaction_id IS NULL OR kind NOT IN ('engineering', 'key_change'))",
    "tender": "(tender IS NOT NULL) = (tendered_minor > 0)",
    "reversal": "(reversed_receipt_no IS NOT NULL) = (kind IN ('reversal', 'refund'))",
}
_TOKEN_CHECKS = {
    "position": "position > 0",
    "tid": "tid BETWEEN 0 AND 16777215 AND tid - tid / 1440 * 1440 <> 1",
    "token_class": "token_class IN (0, 1, 2) AND subclass BETWEEN 0 AND 15",
    "units": "units >= 0 AND (token_class = 0) = (units > 0)",
    "has_tid": "(tid IS NULL) = (token_class = 1 OR (token_class = 2 "
    "AND subclass IN (3, 4, 8, 9)))",
    "digits": f"length(digits) = 20 AND {digits('digits')}",
}
_UNITS = "tenths of a kWh, a m3 or a minute"
_NO_TID = "NULL on tokens that carry none"
_PAID_BY = (
    "SELECT substr(debit_account, 8) FROM transfers "
    "WHERE transfers.transaction_id = {0}.transaction_id AND position = 1"
)


def make() -> None:
    """Make the tables."""
    _widen_utility()
    _widen_meters()
    if is_postgresql():
        _alter()
    else:
        _rebuild()
    _index_receipts()
    _watch()
    _make_intents()


def _widen_utility() -> None:
    op.execute(
        "ALTER TABLE utility ADD COLUMN language TEXT NOT NULL DEFAULT 'en' "
        "CONSTRAINT ck_utility_language CHECK (length(language) >= 2)"
    )


def _widen_meters() -> None:
    rules = {
        "resource": f"resource IN {_RESOURCES}",
        "limits": "minimum_minor > 0 AND maximum_minor > 0 AND minimum_minor <= maximum_minor",
    }
    for column in (
        "resource TEXT NOT NULL DEFAULT 'electricity'",
        "tariff_id {number}",
        "minimum_minor {number}",
        "maximum_minor {number}",
        "service_point TEXT NOT NULL DEFAULT ''",
    ):
        rule = ""
        name = {"resource": "resource", "maximum_minor": "limits"}.get(column.split()[0])
        if name is not None:
            rule = f" CONSTRAINT ck_meters_{name} CHECK ({rules[name]})"
        kind = "BIGINT" if is_postgresql() else "INTEGER"
        op.execute(f"ALTER TABLE meters ADD COLUMN {column.format(number=kind)}{rule}")
    at_point = sa.text("service_point <> ''")
    op.create_index(
        "ix_meters_service_point",
        "meters",
        ["service_point"],
        sqlite_where=at_point,
        postgresql_where=at_point,
    )


# --- SQLite: made anew ----------------------------------------------------------------------


def _rebuild() -> None:
    """Children before parents, so that little refers to what is dropped."""
    rebuild_on_sqlite(
        "tokens",
        _make_tokens,
        {
            column: f"old.{column}"
            for column in (
                "receipt_no",
                "position",
                "meter_id",
                "meter_key_id",
                "base_year",
                "token_class",
                "subclass",
                "tid",
                "units",
                "digits",
            )
        },
    )
    rebuild_on_sqlite(
        "receipts",
        _make_receipts,
        {
            **{
                column: f"old.{column}"
                for column in (
                    "receipt_no",
                    "client",
                    "message_id",
                    "kind",
                    "meter_id",
                    "issued_at",
                    "tendered_minor",
                    "change_minor",
                    "units",
                    "transaction_id",
                )
            },
            "tender": f"({_PAID_BY.format('old')})",
            "operator": "json_extract(CAST(asked.response AS TEXT), '$.receipt.seller.operator')",
            "terminal": "json_extract(CAST(asked.response AS TEXT), '$.receipt.seller.terminal')",
        },
        source="JOIN requests AS asked USING (client, message_id)",
    )
    rebuild_on_sqlite(
        "requests",
        _make_requests,
        {
            **{
                column: f"old.{column}"
                for column in (
                    "client",
                    "message_id",
                    "operation",
                    "request_sha256",
                    "received_at",
                    "outcome",
                    "response",
                )
            },
            "operator": "coalesce(made.operator, '')",
            "terminal": "coalesce(made.terminal, '')",
        },
        source="LEFT JOIN receipts AS made USING (client, message_id)",
    )
    columns = ("position", "debit_account", "credit_account", "currency", "amount_minor", "purpose")
    rebuild_on_sqlite(
        "transfers",
        _make_transfers,
        {column: f"old.{column}" for column in ("transaction_id", *columns)},
    )


def _make_transfers() -> None:
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
        clustered=True,
    )


def _make_requests() -> None:
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
        text("operator", default=""),
        text("terminal", default=""),
        primary(name, "client", "message_id"),
        *(check(name, *rule) for rule in _REQUEST_CHECKS.items()),
    )


def _make_receipts() -> None:
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
        number("units", comment=_UNITS),
        reference("transaction_id", null=True),
        text("tender", null=True, comment="NULL when nothing was paid"),
        text("resource", default="electricity"),
        text("operator", default=""),
        text("terminal", default=""),
        reference("vendor_id", null=True),
        reference("shift_id", null=True),
        reference("reversed_receipt_no", null=True),
        reference("tariff_version_id", null=True),
        foreign(name, ["meter_id"], "meters"),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        foreign(name, ["client", "message_id"], "requests"),
        foreign(name, ["vendor_id"], "vendors"),
        foreign(name, ["reversed_receipt_no"], "receipts", to=["receipt_no"]),
        unique(name, "transaction_id"),
        unique(name, "client", "message_id"),
        *(check(name, *rule) for rule in _RECEIPT_CHECKS.items()),
    )


def _make_tokens() -> None:
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
        number("tid", null=True, comment=_NO_TID),
        number("units", comment=_UNITS),
        text("digits"),
        primary(name, "receipt_no", "position"),
        foreign(name, ["receipt_no"], "receipts"),
        foreign(name, ["meter_key_id", "meter_id", "base_year"], "meter_keys", name="meter_key"),
        unique(name, "meter_id", "base_year", "tid"),
        *(check(name, *rule) for rule in _TOKEN_CHECKS.items()),
        clustered=True,
    )


# --- PostgreSQL: altered --------------------------------------------------------------------


def _alter() -> None:
    for name in ("transfers", "requests", "receipts", "tokens"):
        # They refuse changes of old rows; `_watch` makes them anew.
        _drop_triggers(name)
    _alter_requests()
    _alter_receipts()
    _alter_tokens()


def _drop_triggers(name: str) -> None:
    rows = op.get_bind().execute(
        sa.text(
            "SELECT tgname, proname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid "
            "WHERE tgrelid = CAST(:name AS regclass) AND NOT tgisinternal"
        ),
        {"name": name},
    )
    for trigger, function in rows.all():
        op.execute(f"DROP TRIGGER {trigger} ON {name}")
        op.execute(f"DROP FUNCTION {function}()")


def _alter_requests() -> None:
    op.add_column("requests", text("operator", default=""))
    op.add_column("requests", text("terminal", default=""))
    replace_check("requests", "operation", _REQUEST_CHECKS["operation"])
    op.execute(
        "UPDATE requests SET operator = seller ->> 'operator', terminal = seller ->> 'terminal' "
        "FROM (SELECT client AS asking, message_id AS id, "
        "convert_from(response, 'UTF8')::jsonb #> '{receipt,seller}' AS seller "
        "FROM requests WHERE outcome = 'done') AS answered "
        "WHERE client = asking AND message_id = id"
    )


def _alter_receipts() -> None:
    name = "receipts"
    for column in (
        text("tender", null=True, comment="NULL when nothing was paid"),
        text("resource", default="electricity"),
        text("operator", default=""),
        text("terminal", default=""),
        reference("vendor_id", null=True),
        reference("shift_id", null=True),
        reference("reversed_receipt_no", null=True),
        reference("tariff_version_id", null=True),
    ):
        op.add_column(name, column)
    op.execute(
        f"UPDATE receipts SET tender = ({_PAID_BY.format('receipts')}), "
        "operator = requests.operator, terminal = requests.terminal FROM requests "
        "WHERE requests.client = receipts.client AND requests.message_id = receipts.message_id"
    )
    for check_name, rule in _RECEIPT_CHECKS.items():
        if check_name in ("kind", "units", "change_minor", "paid"):
            replace_check(name, check_name, rule)
        else:
            add_check(name, check_name, rule)
    op.create_foreign_key("fk_receipts_vendor_id", name, "vendors", ["vendor_id"], ["vendor_id"])
    op.create_foreign_key(
        "fk_receipts_reversed_receipt_no", name, name, ["reversed_receipt_no"], ["receipt_no"]
    )
    op.drop_index("ix_receipts_of_meter", name)
    op.drop_index("ix_receipts_issued_at", name)


def _alter_tokens() -> None:
    # a key belongs to one meter and base date (foreign key): the other unique key says more
    drop_constraint("tokens", "uq_tokens_meter_key_id_tid")
    for name in ("token_class", "has_tid"):
        replace_check("tokens", name, _TOKEN_CHECKS[name])
    for column, comment in (
        ("receipts.units", _UNITS),
        ("tokens.units", _UNITS),
        ("tokens.tid", _NO_TID),
    ):
        op.execute(f"COMMENT ON COLUMN {column} IS '{comment}'")


# --- on both --------------------------------------------------------------------------------


def _index_receipts() -> None:
    op.create_index("ix_receipts_of_meter", "receipts", ["meter_id", "issued_at"])
    op.create_index("ix_receipts_issued_at", "receipts", ["issued_at"])
    for name, columns, unique_key in (
        ("uq_receipts_reversed", ["reversed_receipt_no"], True),
        ("ix_receipts_of_shift", ["shift_id"], False),
        ("ix_receipts_of_vendor", ["vendor_id", "issued_at"], False),
    ):
        there = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(
            name,
            "receipts",
            columns,
            unique=unique_key,
            sqlite_where=there,
            postgresql_where=there,
        )


def _watch() -> None:
    """The triggers of version 0001 again, and those of the new columns."""
    triggers.no_delete("requests", ["client", "message_id"])
    triggers.frozen(
        "requests",
        [
            "client",
            "message_id",
            "operation",
            "request_sha256",
            "received_at",
            "operator",
            "terminal",
        ],
        after="OLD.outcome IS NOT NULL",
    )
    triggers.immutable("receipts", ["receipt_no"], ["client", "message_id"], ["transaction_id"])
    triggers.immutable("transfers", ["transaction_id", "position"])
    triggers.immutable("tokens", ["receipt_no", "position"], ["meter_id", "base_year", "tid"])
    triggers.growing_tid()
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
    triggers.refused_insert(
        "receipts",
        "undoes",
        "NEW.reversed_receipt_no IS NOT NULL AND NOT EXISTS (SELECT 1 FROM receipts AS sold "
        "WHERE sold.receipt_no = NEW.reversed_receipt_no AND sold.meter_id = NEW.meter_id "
        "AND sold.kind IN ('credit', 'account_payment') "
        "AND NEW.tendered_minor <= sold.tendered_minor AND NEW.units <= sold.units)",
        "a reversal undoes a sale of the same meter, and no more than it",
    )


def _make_intents() -> None:
    name = "intents"
    table(
        name,
        text("client"),
        text("message_id"),
        reference("meter_id"),
        number("base_year", null=True, comment="NULL when nothing with a TID is ordered"),
        number("tid", null=True),
        reference("vendor_id", null=True),
        number("bucket", null=True, comment="of the vendor's credit"),
        number("reserved_minor", default=0, comment="of the vendor's credit; 0 without one"),
        sa.Column("essence", sa.LargeBinary(), nullable=False, comment="what is asked, JSON"),
        sa.Column("orders", sa.LargeBinary(), nullable=False, comment="to the module, JSON"),
        text("state"),
        time("made_at"),
        time("settled_at", null=True),
        primary(name, "client", "message_id"),
        foreign(name, ["client", "message_id"], "requests"),
        foreign(name, ["meter_id"], "meters"),
        unique(name, "meter_id", "base_year", "tid"),
        check(name, "tid", _TOKEN_CHECKS["tid"]),
        check(name, "has_tid", "(tid IS NULL) = (base_year IS NULL)"),
        check(name, "state", "state IN ('open', 'done', 'void')"),
        check(name, "settled", "(state = 'open') = (settled_at IS NULL)"),
        check(
            name,
            "reserved_minor",
            "reserved_minor >= 0 AND (reserved_minor > 0) = (bucket IS NOT NULL) "
            "AND (bucket IS NULL OR vendor_id IS NOT NULL)",
        ),
    )
    is_open = sa.text("state = 'open'")
    op.create_index(
        "uq_intents_open",
        name,
        ["meter_id"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    triggers.no_delete(name, ["client", "message_id"], ["meter_id", "base_year", "tid"])
    triggers.frozen(
        name,
        ["client", "message_id", "meter_id", "vendor_id", "essence", "made_at"],
        after="OLD.state <> 'open'",
    )
    triggers.set_once(name, ["base_year", "tid", "bucket"])
    triggers.updated_only_if(
        name,
        "NEW.state = 'open' OR (NEW.state = 'done') = EXISTS (SELECT 1 FROM receipts "
        "WHERE client = NEW.client AND message_id = NEW.message_id)",
        "done means a receipt, void means none",
    )
