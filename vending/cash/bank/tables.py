"""The tables of bank statements and of what vendors are paid and owed.

=======================  ============================================================
`bank_imports`           one for each file (unique digest); immutable
`bank_entries`           bookings, each once (account, key); immutable
`bank_proposals`         what a booking may be for, with score and reason; immutable
`bank_reviews`           what a person decided.  One live review for a booking (partial
                         unique index); a deposit slip arrives once; waiting → done, failed,
                         rejected or withdrawn, then it never changes (trigger)
`vendor_top_ups`         money that a vendor paid in, once for each reference; immutable
`commission_rates`       dated versions; immutable
`commission_settlements` one ledger transaction each; immutable
`commission_lines`       what one receipt earned: once (primary key); immutable
=======================  ============================================================

A request of the client ``bank`` is refused unless a waiting review names its message id
(trigger): nothing is vended before somebody has looked.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

from storage.ledger import ledger_transactions
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber
from vending.cash.cash_tables import deposit_slips
from vending.cash.tables import vendors
from vending.shop.tables import receipts

_TRANSACTION: Final = ledger_transactions.c.transaction_id

bank_imports: Final = table(
    "bank_imports",
    Column("import_id", Identifier, primary_key=True),
    Column("sha256", Text, nullable=False, comment="of the format and the file"),
    Column("file_name", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("imported_at", UtcTimestamp, nullable=False),
    Column("operator", Text, nullable=False),
    Column("read_lines", WholeNumber, nullable=False),
    Column("bad_lines", WholeNumber, nullable=False),
    Column("transaction_id", Identifier, ForeignKey(_TRANSACTION)),
    UniqueConstraint("sha256"),
    UniqueConstraint("transaction_id"),
    CheckConstraint("length(sha256) = 64", name="sha256"),
)

bank_entries: Final = table(
    "bank_entries",
    Column("entry_id", Identifier, primary_key=True),
    Column("import_id", Identifier, ForeignKey(bank_imports.c.import_id), nullable=False),
    Column("account", Text, nullable=False),
    Column("entry_key", Text, nullable=False, comment="known again by it"),
    Column("content_sha256", Text, nullable=False),
    Column("booked_on", Text, nullable=False, comment="YYYY-MM-DD"),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("reference", Text, nullable=False),
    Column("counterparty", Text, nullable=False),
    Column("counterparty_account", Text, nullable=False),
    Column("remittance", Text, nullable=False),
    UniqueConstraint("account", "entry_key"),
    CheckConstraint("length(account) > 0 AND length(entry_key) > 0", name="account"),
    CheckConstraint("length(booked_on) = 10", name="booked_on"),
    CheckConstraint("amount_minor <> 0", name="amount_minor"),
    Index("ix_bank_entries_import_id", "import_id"),
    Index("ix_bank_entries_counterparty_account", "counterparty_account"),
)

_TARGETS: Final = (
    "(kind = 'deposit') = (slip_id IS NOT NULL) AND (kind = 'vendor') = (vendor_id IS NOT NULL) "
    "AND (kind = 'meter') = (meter IS NOT NULL)"
)

bank_proposals: Final = table(
    "bank_proposals",
    Column("entry_id", Identifier, ForeignKey(bank_entries.c.entry_id)),
    Column("position", WholeNumber),
    Column("kind", Text, nullable=False),
    Column("slip_id", Identifier, ForeignKey(deposit_slips.c.slip_id)),
    Column("vendor_id", Identifier, ForeignKey(vendors.c.vendor_id)),
    Column("meter", Text),
    Column("score", WholeNumber, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("entry_id", "position"),
    CheckConstraint("kind IN ('deposit', 'vendor', 'meter')", name="kind"),
    CheckConstraint(_TARGETS, name="target"),
    CheckConstraint("score BETWEEN 1 AND 100", name="score"),
)

bank_reviews: Final = table(
    "bank_reviews",
    Column("entry_id", Identifier, ForeignKey(bank_entries.c.entry_id)),
    Column("attempt", WholeNumber),
    Column("kind", Text, nullable=False),
    Column("slip_id", Identifier, ForeignKey(deposit_slips.c.slip_id)),
    Column("vendor_id", Identifier, ForeignKey(vendors.c.vendor_id)),
    Column("meter", Text),
    Column("message_id", Text, comment="of the request that vends it"),
    Column("note", Text, nullable=False),
    Column("reviewed_by", Text, nullable=False),
    Column("reviewed_at", UtcTimestamp, nullable=False),
    Column("state", Text, nullable=False),
    Column("settled_at", UtcTimestamp),
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no)),
    Column("transaction_id", Identifier, ForeignKey(_TRANSACTION)),
    Column("fault", Text, comment="code of the refusal"),
    PrimaryKeyConstraint("entry_id", "attempt"),
    UniqueConstraint("message_id"),
    UniqueConstraint("receipt_no"),
    UniqueConstraint("transaction_id"),
    CheckConstraint(
        "(kind = 'meter') = (message_id IS NOT NULL) "
        "AND message_id = 'entry-' || entry_id || '-' || attempt",
        name="message_id",
    ),
    CheckConstraint("attempt > 0", name="attempt"),
    CheckConstraint("kind IN ('deposit', 'vendor', 'meter', 'rejected')", name="kind"),
    CheckConstraint(_TARGETS, name="target"),
    CheckConstraint("length(trim(reviewed_by)) > 0", name="reviewed_by"),
    CheckConstraint(
        "state IN ('waiting', 'done', 'failed', 'rejected', 'withdrawn') "
        "AND (kind = 'rejected') = (state = 'rejected')",
        name="state",
    ),
    CheckConstraint(
        "(state = 'waiting') = (settled_at IS NULL) "
        "AND (state = 'done') = (transaction_id IS NOT NULL) "
        "AND (state = 'done' AND kind = 'meter') = (receipt_no IS NOT NULL) "
        "AND (state = 'failed') = (fault IS NOT NULL)",
        name="settled",
    ),
)
_LIVE: Final = bank_reviews.c.state.in_(["waiting", "done"])
Index(
    "uq_bank_reviews_live",
    bank_reviews.c.entry_id,
    unique=True,
    sqlite_where=_LIVE,
    postgresql_where=_LIVE,
)
_ARRIVED: Final = bank_reviews.c.slip_id.is_not(None) & _LIVE
Index(
    "uq_bank_reviews_slip",
    bank_reviews.c.slip_id,
    unique=True,
    sqlite_where=_ARRIVED,
    postgresql_where=_ARRIVED,
)

vendor_top_ups: Final = table(
    "vendor_top_ups",
    Column("top_up_id", Identifier, primary_key=True),
    Column("vendor_id", Identifier, ForeignKey(vendors.c.vendor_id), nullable=False),
    Column("reference", Text, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("source", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("made_at", UtcTimestamp, nullable=False),
    Column("operator", Text, nullable=False),
    Column("transaction_id", Identifier, ForeignKey(_TRANSACTION), nullable=False),
    UniqueConstraint("vendor_id", "reference"),
    UniqueConstraint("transaction_id"),
    CheckConstraint("length(reference) > 0", name="reference"),
    CheckConstraint("amount_minor > 0", name="amount_minor"),
)

commission_rates: Final = table(
    "commission_rates",
    Column("rate_id", Identifier, primary_key=True),
    Column("vendor_id", Identifier, ForeignKey(vendors.c.vendor_id), nullable=False),
    Column("valid_from", UtcTimestamp, nullable=False),
    Column("basis_points", WholeNumber, nullable=False),
    Column("fixed_minor", WholeNumber, nullable=False),
    Column("set_at", UtcTimestamp, nullable=False),
    Column("set_by", Text, nullable=False),
    UniqueConstraint("rate_id", "vendor_id"),
    CheckConstraint("basis_points BETWEEN 0 AND 10000", name="basis_points"),
    CheckConstraint("fixed_minor >= 0", name="fixed_minor"),
    Index("ix_commission_rates_vendor_id", "vendor_id", "valid_from"),
)

commission_settlements: Final = table(
    "commission_settlements",
    Column("settlement_id", Identifier, primary_key=True),
    Column("vendor_id", Identifier, ForeignKey(vendors.c.vendor_id), nullable=False),
    Column("settled_at", UtcTimestamp, nullable=False),
    Column("operator", Text, nullable=False),
    Column("transaction_id", Identifier, ForeignKey(_TRANSACTION)),
    UniqueConstraint("settlement_id", "vendor_id"),
    UniqueConstraint("transaction_id"),
    Index("ix_commission_settlements_vendor_id", "vendor_id"),
)

commission_lines: Final = table(
    "commission_lines",
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no), primary_key=True),
    Column("settlement_id", Identifier, nullable=False),
    Column("vendor_id", Identifier, nullable=False),
    Column("rate_id", Identifier, comment="NULL when no rate was valid"),
    Column("base_minor", WholeNumber, nullable=False),
    Column("commission_minor", WholeNumber, nullable=False),
    ForeignKeyConstraint(
        ["settlement_id", "vendor_id"],
        [commission_settlements.c.settlement_id, commission_settlements.c.vendor_id],
        name="fk_commission_lines_settlement",
    ),
    ForeignKeyConstraint(
        ["rate_id", "vendor_id"],
        [commission_rates.c.rate_id, commission_rates.c.vendor_id],
        name="fk_commission_lines_rate",
    ),
    CheckConstraint("rate_id IS NOT NULL OR commission_minor = 0", name="rate"),
    Index("ix_commission_lines_settlement_id", "settlement_id"),
)
