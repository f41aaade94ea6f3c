"""The tables of shifts and batches.  Their invariants are held by the database itself.

===================  ================================================================
`cash_settings`      one row: whether cash may be taken outside of a shift
`batches`            shifts, sales batches, bank batches.  One open shift for an operator
                     at a terminal (partial unique index).  open → counted → closed,
                     never back; a closed one never changes (trigger)
`batch_members`      shift in sales batch, sales batch in bank batch, of one vendor; each
                     in one parent at most, and only while the parent is open.  A parent
                     does not close before its members (trigger)
`batch_counts`       what was counted, before anybody was told what to expect; immutable
`count_pieces`       the notes and coins of a count of cash; immutable
`batch_differences`  expected, counted, why they differ; immutable
`deposit_slips`      money on its way to the bank, each with its ledger entry; immutable
`batch_copies`       numbered copies of closed reports; immutable
`drawer_moves`       money of customers' accounts that went through a drawer, each with its
                     ledger entry and, where there was one, its open shift; immutable
===================  ================================================================

A receipt names the shift that it was made in; it can do so only while that shift is open, and
both ways wait for each other (trigger on `receipts`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

from storage.ledger import ledger_transactions
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

cash_settings: Final = table(
    "cash_settings",
    Column("settings_id", WholeNumber, primary_key=True, autoincrement=False),
    Column("shifts_required", WholeNumber, nullable=False),
    CheckConstraint("settings_id = 1", name="one_row"),
    CheckConstraint("shifts_required IN (0, 1)", name="shifts_required"),
)

batches: Final = table(
    "batches",
    Column("batch_id", Identifier, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("vendor_id", Identifier, ForeignKey("vendors.vendor_id")),
    Column("site", Text, nullable=False),
    Column("terminal", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("opened_at", UtcTimestamp, nullable=False),
    Column("float_minor", WholeNumber, nullable=False),
    Column("float_transaction_id", Identifier, ForeignKey(ledger_transactions.c.transaction_id)),
    Column("state", Text, nullable=False),
    Column("counted_at", UtcTimestamp),
    Column("closed_at", UtcTimestamp),
    Column("closed_by", Text),
    Column("close_transaction_id", Identifier, ForeignKey(ledger_transactions.c.transaction_id)),
    Column("report", LargeBinary, comment="canonical JSON"),
    UniqueConstraint("batch_id", "kind"),
    UniqueConstraint("float_transaction_id"),
    UniqueConstraint("close_transaction_id"),
    CheckConstraint("kind IN ('shift', 'sales', 'bank')", name="kind"),
    CheckConstraint("state IN ('open', 'counted', 'closed')", name="state"),
    CheckConstraint("kind = 'shift' OR (terminal = '' AND float_minor = 0)", name="drawer"),
    CheckConstraint(
        "float_minor >= 0 AND (float_transaction_id IS NULL OR float_minor > 0)",
        name="float_minor",
    ),
    CheckConstraint(
        "(kind = 'shift' AND state <> 'open') = (counted_at IS NOT NULL) "
        "AND (kind = 'shift' OR state <> 'counted')",
        name="counted",
    ),
    CheckConstraint(
        "(state = 'closed') = (closed_at IS NOT NULL) "
        "AND (state = 'closed') = (closed_by IS NOT NULL) "
        "AND (state = 'closed') = (report IS NOT NULL) "
        "AND (state = 'closed' OR close_transaction_id IS NULL)",
        name="closed",
    ),
    Index("ix_batches_state", "state", "kind"),
)
_OPEN_SHIFT: Final = (batches.c.kind == "shift") & (batches.c.state == "open")
Index(
    "uq_batches_open_shift",
    batches.c.operator,
    batches.c.terminal,
    unique=True,
    sqlite_where=_OPEN_SHIFT,
    postgresql_where=_OPEN_SHIFT,
)

batch_members: Final = table(
    "batch_members",
    Column("child_id", Identifier, primary_key=True, autoincrement=False),
    Column("child_kind", Text, nullable=False),
    Column("parent_id", Identifier, nullable=False),
    Column("parent_kind", Text, nullable=False),
    Column("joined_at", UtcTimestamp, nullable=False),
    Column("joined_by", Text, nullable=False),
    ForeignKeyConstraint(
        ["child_id", "child_kind"],
        [batches.c.batch_id, batches.c.kind],
        name="fk_batch_members_child",
    ),
    ForeignKeyConstraint(
        ["parent_id", "parent_kind"],
        [batches.c.batch_id, batches.c.kind],
        name="fk_batch_members_parent",
    ),
    CheckConstraint(
        "(child_kind = 'shift' AND parent_kind = 'sales') "
        "OR (child_kind = 'sales' AND parent_kind = 'bank')",
        name="kinds",
    ),
    Index("ix_batch_members_parent_id", "parent_id"),
)

batch_counts: Final = table(
    "batch_counts",
    Column("batch_id", Identifier, ForeignKey(batches.c.batch_id)),
    Column("count_no", WholeNumber, comment="1 is the blind one; more are a supervisor's"),
    Column("tender", Text),
    Column("counted_minor", WholeNumber, nullable=False),
    Column("counted_at", UtcTimestamp, nullable=False),
    Column("counted_by", Text, nullable=False),
    PrimaryKeyConstraint("batch_id", "count_no", "tender"),
    CheckConstraint("count_no > 0", name="count_no"),
    CheckConstraint("length(tender) > 0", name="tender"),
    CheckConstraint("counted_minor >= 0", name="counted_minor"),
)

count_pieces: Final = table(
    "count_pieces",
    Column("batch_id", Identifier),
    Column("count_no", WholeNumber),
    Column("tender", Text, nullable=False),
    Column("face_minor", WholeNumber),
    Column("pieces", WholeNumber, nullable=False),
    PrimaryKeyConstraint("batch_id", "count_no", "face_minor"),
    ForeignKeyConstraint(
        ["batch_id", "count_no", "tender"],
        [batch_counts.c.batch_id, batch_counts.c.count_no, batch_counts.c.tender],
        name="fk_count_pieces_count",
    ),
    CheckConstraint("tender = 'cash'", name="cash"),
    CheckConstraint("face_minor > 0 AND pieces > 0", name="pieces"),
)

batch_differences: Final = table(
    "batch_differences",
    Column("batch_id", Identifier, ForeignKey(batches.c.batch_id)),
    Column("tender", Text),
    Column("expected_minor", WholeNumber, nullable=False),
    Column("counted_minor", WholeNumber, nullable=False),
    Column("difference_minor", WholeNumber, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("batch_id", "tender"),
    CheckConstraint("difference_minor = counted_minor - expected_minor", name="difference_minor"),
    CheckConstraint("difference_minor = 0 OR length(trim(reason)) > 0", name="reason"),
)

deposit_slips: Final = table(
    "deposit_slips",
    Column("slip_id", Identifier, primary_key=True),
    Column("batch_id", Identifier, nullable=False),
    Column("batch_kind", Text, nullable=False),
    Column("bank_account", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("tender", Text, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("written_at", UtcTimestamp, nullable=False),
    Column("operator", Text, nullable=False),
    Column(
        "transaction_id",
        Identifier,
        ForeignKey(ledger_transactions.c.transaction_id),
        nullable=False,
    ),
    ForeignKeyConstraint(
        ["batch_id", "batch_kind"],
        [batches.c.batch_id, batches.c.kind],
        name="fk_deposit_slips_batch",
    ),
    UniqueConstraint("bank_account", "number"),
    UniqueConstraint("transaction_id"),
    CheckConstraint("batch_kind = 'bank'", name="batch_kind"),
    CheckConstraint("length(bank_account) > 0 AND length(number) > 0", name="number"),
    CheckConstraint("length(tender) > 0 AND amount_minor > 0", name="amount_minor"),
    Index("ix_deposit_slips_batch_id", "batch_id"),
    Index("ix_deposit_slips_amount_minor", "amount_minor"),
)

batch_copies: Final = table(
    "batch_copies",
    Column("batch_id", Identifier, ForeignKey(batches.c.batch_id)),
    Column("copy_no", WholeNumber),
    Column("printed_at", UtcTimestamp, nullable=False),
    Column("operator", Text, nullable=False),
    PrimaryKeyConstraint("batch_id", "copy_no"),
    CheckConstraint("copy_no > 0", name="copy_no"),
)

drawer_moves: Final = table(
    "drawer_moves",
    Column(
        "transaction_id",
        Identifier,
        ForeignKey(ledger_transactions.c.transaction_id),
        primary_key=True,
        autoincrement=False,
    ),
    Column("shift_id", Identifier, ForeignKey(batches.c.batch_id)),
    Column("operator", Text, nullable=False),
    Column("terminal", Text, nullable=False),
    Column("tender", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="what it is for: 'payment 12'"),
    CheckConstraint("tender IN ('cash', 'card')", name="tender"),
    CheckConstraint("length(subject) > 0", name="subject"),
    Index("ix_drawer_moves_shift_id", "shift_id"),
    Index("ix_drawer_moves_subject", "subject"),
)
