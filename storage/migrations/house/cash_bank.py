"""Bank statements, their reviews, top-ups of vendors, commission."""

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

_TARGETS = (
    "(kind = 'deposit') = (slip_id IS NOT NULL) AND (kind = 'vendor') = (vendor_id IS NOT NULL) "
    "AND (kind = 'meter') = (meter IS NOT NULL)"
)


def make() -> None:
    """Make the tables."""
    _make_entries()
    _make_proposals()
    _make_reviews()
    _nothing_is_vended_before_a_review()
    _make_top_ups()
    _make_commission()


def _make_entries() -> None:
    name = "bank_imports"
    table(
        name,
        *identity(name, "import_id"),
        text("sha256", comment="of the format and the file"),
        text("file_name"),
        text("format"),
        time("imported_at"),
        text("operator"),
        number("read_lines"),
        number("bad_lines"),
        reference("transaction_id", null=True),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        unique(name, "sha256"),
        unique(name, "transaction_id"),
        check(name, "sha256", "length(sha256) = 64"),
    )
    triggers.immutable(name, ["import_id"], ["sha256"], ["transaction_id"])
    name = "bank_entries"
    table(
        name,
        *identity(name, "entry_id"),
        reference("import_id"),
        text("account"),
        text("entry_key", comment="known again by it"),
        text("content_sha256"),
        text("booked_on", comment="YYYY-MM-DD"),
        number("amount_minor"),
        *(
            text(column)
            for column in ("reference", "counterparty", "counterparty_account", "remittance")
        ),
        foreign(name, ["import_id"], "bank_imports"),
        unique(name, "account", "entry_key"),
        check(name, "account", "length(account) > 0 AND length(entry_key) > 0"),
        check(name, "booked_on", "length(booked_on) = 10"),
        check(name, "amount_minor", "amount_minor <> 0"),
    )
    op.create_index("ix_bank_entries_import_id", name, ["import_id"])
    op.create_index("ix_bank_entries_counterparty_account", name, ["counterparty_account"])
    triggers.immutable(name, ["entry_id"], ["account", "entry_key"])


def _targets(name: str) -> list[sa.schema.SchemaItem]:
    return [
        foreign(name, ["entry_id"], "bank_entries"),
        foreign(name, ["slip_id"], "deposit_slips"),
        foreign(name, ["vendor_id"], "vendors"),
        check(name, "target", _TARGETS),
    ]


def _make_proposals() -> None:
    name = "bank_proposals"
    table(
        name,
        reference("entry_id"),
        number("position"),
        text("kind"),
        reference("slip_id", null=True),
        reference("vendor_id", null=True),
        text("meter", null=True),
        number("score"),
        text("reason"),
        primary(name, "entry_id", "position"),
        *_targets(name),
        check(name, "kind", "kind IN ('deposit', 'vendor', 'meter')"),
        check(name, "score", "score BETWEEN 1 AND 100"),
    )
    triggers.immutable(name, ["entry_id", "position"])


def _make_reviews() -> None:
    name = "bank_reviews"
    table(
        name,
        reference("entry_id"),
        number("attempt"),
        text("kind"),
        reference("slip_id", null=True),
        reference("vendor_id", null=True),
        text("meter", null=True),
        text("message_id", null=True, comment="of the request that vends it"),
        text("note"),
        text("reviewed_by"),
        time("reviewed_at"),
        text("state"),
        time("settled_at", null=True),
        reference("receipt_no", null=True),
        reference("transaction_id", null=True),
        text("fault", null=True, comment="code of the refusal"),
        primary(name, "entry_id", "attempt"),
        *_targets(name),
        foreign(name, ["receipt_no"], "receipts"),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        unique(name, "message_id"),
        unique(name, "receipt_no"),
        unique(name, "transaction_id"),
        check(
            name,
            "message_id",
            "(kind = 'meter') = (message_id IS NOT NULL) "
            "AND message_id = 'entry-' || entry_id || '-' || attempt",
        ),
        check(name, "attempt", "attempt > 0"),
        check(name, "kind", "kind IN ('deposit', 'vendor', 'meter', 'rejected')"),
        check(name, "reviewed_by", "length(trim(reviewed_by)) > 0"),
        check(
            name,
            "state",
            "state IN ('waiting', 'done', 'failed', 'rejected', 'withdrawn') "
            "AND (kind = 'rejected') = (state = 'rejected')",
        ),
        check(
            name,
            "settled",
            "(state = 'waiting') = (settled_at IS NULL) "
            "AND (state = 'done') = (transaction_id IS NOT NULL) "
            "AND (state = 'done' AND kind = 'meter') = (receipt_no IS NOT NULL) "
            "AND (state = 'failed') = (fault IS NOT NULL)",
        ),
    )
    for index, column, rows in (
        ("uq_bank_reviews_live", "entry_id", "state IN ('waiting', 'done')"),
        ("uq_bank_reviews_slip", "slip_id", "slip_id IS NOT NULL AND state IN ('waiting', 'done')"),
    ):
        op.create_index(
            index,
            name,
            [column],
            unique=True,
            sqlite_where=sa.text(rows),
            postgresql_where=sa.text(rows),
        )
    triggers.no_delete(name, ["entry_id", "attempt"])
    target = ["kind", "slip_id", "vendor_id", "meter", "note", "reviewed_by", "reviewed_at"]
    triggers.frozen(
        name, ["entry_id", "attempt", "message_id", *target], after="OLD.state <> 'waiting'"
    )
    triggers.guarded(
        name,
        "insert",
        "NEW.state IN ('waiting', 'rejected') AND (NEW.state = 'rejected' OR EXISTS "
        "(SELECT 1 FROM bank_entries WHERE entry_id = NEW.entry_id AND amount_minor > 0))",
        "a review begins with what came in",
        name="bank_reviews_begin",
    )
    asked = "EXISTS (SELECT 1 FROM requests WHERE client = 'bank' AND message_id = NEW.message_id"
    triggers.guarded(
        name,
        "update",
        f"NEW.kind <> 'meter' OR (NEW.state = 'withdrawn' AND NOT {asked})) "
        "OR (NEW.state = 'done' AND EXISTS (SELECT 1 FROM receipts WHERE receipt_no = "
        "NEW.receipt_no AND client = 'bank' AND message_id = NEW.message_id)) "
        f"OR (NEW.state = 'failed' AND {asked} AND outcome = 'failed'))",
        "what was vended says how it ended",
        name="bank_reviews_end",
    )


def _nothing_is_vended_before_a_review() -> None:
    triggers.guarded(
        "requests",
        "insert",
        "EXISTS (SELECT 1 FROM bank_reviews WHERE message_id = NEW.message_id "
        "AND state = 'waiting')",
        "nothing is vended for the bank before a review",
        name="requests_of_the_bank",
        only="NEW.client = 'bank'",
        lock="SELECT 1 FROM bank_reviews WHERE message_id = NEW.message_id FOR SHARE",
    )


def _make_top_ups() -> None:
    name = "vendor_top_ups"
    table(
        name,
        *identity(name, "top_up_id"),
        reference("vendor_id"),
        text("reference"),
        number("amount_minor"),
        text("source"),
        text("note"),
        time("made_at"),
        text("operator"),
        reference("transaction_id"),
        foreign(name, ["vendor_id"], "vendors"),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        unique(name, "vendor_id", "reference"),
        unique(name, "transaction_id"),
        check(name, "reference", "length(reference) > 0"),
        check(name, "amount_minor", "amount_minor > 0"),
    )
    triggers.immutable(name, ["top_up_id"], ["vendor_id", "reference"], ["transaction_id"])


def _make_commission() -> None:
    name = "commission_rates"
    table(
        name,
        *identity(name, "rate_id"),
        reference("vendor_id"),
        time("valid_from"),
        number("basis_points"),
        number("fixed_minor"),
        time("set_at"),
        text("set_by"),
        foreign(name, ["vendor_id"], "vendors"),
        unique(name, "rate_id", "vendor_id"),
        check(name, "basis_points", "basis_points BETWEEN 0 AND 10000"),
        check(name, "fixed_minor", "fixed_minor >= 0"),
    )
    op.create_index("ix_commission_rates_vendor_id", name, ["vendor_id", "valid_from"])
    triggers.immutable(name, ["rate_id"])
    name = "commission_settlements"
    table(
        name,
        *identity(name, "settlement_id"),
        reference("vendor_id"),
        time("settled_at"),
        text("operator"),
        reference("transaction_id", null=True),
        foreign(name, ["vendor_id"], "vendors"),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        unique(name, "settlement_id", "vendor_id"),
        unique(name, "transaction_id"),
    )
    op.create_index("ix_commission_settlements_vendor_id", name, ["vendor_id"])
    triggers.immutable(name, ["settlement_id"], ["transaction_id"])
    name = "commission_lines"
    table(
        name,
        reference("receipt_no"),
        reference("settlement_id"),
        reference("vendor_id"),
        reference("rate_id", null=True, comment="NULL when no rate was valid"),
        number("base_minor"),
        number("commission_minor"),
        primary(name, "receipt_no"),
        foreign(name, ["receipt_no"], "receipts"),
        foreign(
            name,
            ["settlement_id", "vendor_id"],
            "commission_settlements",
            to=["settlement_id", "vendor_id"],
            name="settlement",
        ),
        foreign(
            name,
            ["rate_id", "vendor_id"],
            "commission_rates",
            to=["rate_id", "vendor_id"],
            name="rate",
        ),
        check(name, "rate", "rate_id IS NOT NULL OR commission_minor = 0"),
    )
    op.create_index("ix_commission_lines_settlement_id", name, ["settlement_id"])
    triggers.immutable(name, ["receipt_no"])
