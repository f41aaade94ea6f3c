"""Shifts, batches, deposit slips; then bank statements and commission."""

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
from storage.migrations.house import cash_bank

_OPEN_BATCH = "EXISTS (SELECT 1 FROM batches WHERE batch_id = NEW.{0} AND state {1})"
_LOCK_BATCH = "SELECT 1 FROM batches WHERE batch_id = NEW.{0} FOR SHARE"


def make() -> None:
    """Make the tables."""
    _make_settings()
    _make_batches()
    _make_members()
    _make_counts()
    _make_slips()
    _make_copies()
    _hold_what_is_closed()
    _receipts_belong_to_open_shifts()
    cash_bank.make()


def _make_settings() -> None:
    name = "cash_settings"
    table(
        name,
        number("settings_id"),
        number("shifts_required"),
        primary(name, "settings_id"),
        check(name, "one_row", "settings_id = 1"),
        check(name, "shifts_required", "shifts_required IN (0, 1)"),
    )
    triggers.no_delete(name, ["settings_id"])
    op.execute("INSERT INTO cash_settings (settings_id, shifts_required) VALUES (1, 0)")


def _make_batches() -> None:
    name = "batches"
    posted = ("float_transaction_id", "close_transaction_id")
    table(
        name,
        *identity(name, "batch_id"),
        text("kind"),
        reference("vendor_id", null=True),
        *(text(column) for column in ("site", "terminal", "operator")),
        time("opened_at"),
        number("float_minor"),
        reference("float_transaction_id", null=True),
        text("state"),
        time("counted_at", null=True),
        time("closed_at", null=True),
        text("closed_by", null=True),
        reference("close_transaction_id", null=True),
        sa.Column("report", sa.LargeBinary(), nullable=True, comment="canonical JSON"),
        foreign(name, ["vendor_id"], "vendors"),
        *(
            foreign(name, [column], "ledger_transactions", to=["transaction_id"])
            for column in posted
        ),
        unique(name, "batch_id", "kind"),
        *(unique(name, column) for column in posted),
        check(name, "kind", "kind IN ('shift', 'sales', 'bank')"),
        check(name, "state", "state IN ('open', 'counted', 'closed')"),
        check(name, "drawer", "kind = 'shift' OR (terminal = '' AND float_minor = 0)"),
        check(
            name,
            "float_minor",
            "float_minor >= 0 AND (float_transaction_id IS NULL OR float_minor > 0)",
        ),
        check(
            name,
            "counted",
            "(kind = 'shift' AND state <> 'open') = (counted_at IS NOT NULL) "
            "AND (kind = 'shift' OR state <> 'counted')",
        ),
        check(
            name,
            "closed",
            "(state = 'closed') = (closed_at IS NOT NULL) "
            "AND (state = 'closed') = (closed_by IS NOT NULL) "
            "AND (state = 'closed') = (report IS NOT NULL) "
            "AND (state = 'closed' OR close_transaction_id IS NULL)",
        ),
    )
    op.create_index("ix_batches_state", name, ["state", "kind"])
    open_shift = sa.text("kind = 'shift' AND state = 'open'")
    op.create_index(
        "uq_batches_open_shift",
        name,
        ["operator", "terminal"],
        unique=True,
        sqlite_where=open_shift,
        postgresql_where=open_shift,
    )
    triggers.no_delete(name, ["batch_id"])
    triggers.inserted_only_if(name, "NEW.state = 'open'", "a batch begins open")
    opening = ["kind", "vendor_id", "site", "terminal", "operator", "opened_at", "float_minor"]
    triggers.frozen(
        name,
        ["batch_id", *opening, "float_transaction_id"],
        after="OLD.state = 'closed'",
    )
    triggers.set_once(name, ["counted_at"])
    triggers.forward_only(name, "state", ("open", "counted", "closed"))


def _make_members() -> None:
    name = "batch_members"
    table(
        name,
        reference("child_id"),
        text("child_kind"),
        reference("parent_id"),
        text("parent_kind"),
        time("joined_at"),
        text("joined_by"),
        primary(name, "child_id"),
        *(
            foreign(
                name,
                [f"{side}_id", f"{side}_kind"],
                "batches",
                to=["batch_id", "kind"],
                name=side,
            )
            for side in ("child", "parent")
        ),
        check(
            name,
            "kinds",
            "(child_kind = 'shift' AND parent_kind = 'sales') "
            "OR (child_kind = 'sales' AND parent_kind = 'bank')",
        ),
    )
    op.create_index("ix_batch_members_parent_id", name, ["parent_id"])
    triggers.immutable(name, ["child_id"])
    triggers.guarded(
        name,
        "insert",
        _OPEN_BATCH.format("parent_id", "= 'open'"),
        "the parent is closed",
        name="batch_members_parent",
        lock=_LOCK_BATCH.format("parent_id"),
    )
    vendor = "(SELECT coalesce(vendor_id, 0) FROM batches WHERE batch_id = NEW.{0})"
    triggers.guarded(
        name,
        "insert",
        f"{vendor.format('child_id')} = {vendor.format('parent_id')}",
        "a batch is of one vendor",
        name="batch_members_vendor",
    )


def _make_counts() -> None:
    name = "batch_counts"
    table(
        name,
        reference("batch_id"),
        number("count_no", comment="1 is the blind one; more are a supervisor's"),
        text("tender"),
        number("counted_minor"),
        time("counted_at"),
        text("counted_by"),
        primary(name, "batch_id", "count_no", "tender"),
        foreign(name, ["batch_id"], "batches"),
        check(name, "count_no", "count_no > 0"),
        check(name, "tender", "length(tender) > 0"),
        check(name, "counted_minor", "counted_minor >= 0"),
    )
    triggers.immutable(name, ["batch_id", "count_no", "tender"])
    name = "count_pieces"
    table(
        name,
        reference("batch_id"),
        number("count_no"),
        text("tender"),
        number("face_minor"),
        number("pieces"),
        primary(name, "batch_id", "count_no", "face_minor"),
        foreign(name, ["batch_id", "count_no", "tender"], "batch_counts", name="count"),
        check(name, "cash", "tender = 'cash'"),
        check(name, "pieces", "face_minor > 0 AND pieces > 0"),
    )
    triggers.immutable(name, ["batch_id", "count_no", "face_minor"])
    name = "batch_differences"
    table(
        name,
        reference("batch_id"),
        text("tender"),
        *(number(column) for column in ("expected_minor", "counted_minor", "difference_minor")),
        text("reason"),
        primary(name, "batch_id", "tender"),
        foreign(name, ["batch_id"], "batches"),
        check(name, "difference_minor", "difference_minor = counted_minor - expected_minor"),
        check(name, "reason", "difference_minor = 0 OR length(trim(reason)) > 0"),
    )
    triggers.immutable(name, ["batch_id", "tender"])


def _make_slips() -> None:
    name = "deposit_slips"
    table(
        name,
        *identity(name, "slip_id"),
        reference("batch_id"),
        *(text(column) for column in ("batch_kind", "bank_account", "number", "tender")),
        number("amount_minor"),
        time("written_at"),
        text("operator"),
        reference("transaction_id"),
        foreign(name, ["batch_id", "batch_kind"], "batches", to=["batch_id", "kind"], name="batch"),
        foreign(name, ["transaction_id"], "ledger_transactions"),
        unique(name, "bank_account", "number"),
        unique(name, "transaction_id"),
        check(name, "batch_kind", "batch_kind = 'bank'"),
        check(name, "number", "length(bank_account) > 0 AND length(number) > 0"),
        check(name, "amount_minor", "length(tender) > 0 AND amount_minor > 0"),
    )
    op.create_index("ix_deposit_slips_batch_id", name, ["batch_id"])
    op.create_index("ix_deposit_slips_amount_minor", name, ["amount_minor"])
    triggers.immutable(name, ["slip_id"], ["bank_account", "number"], ["transaction_id"])


def _make_copies() -> None:
    name = "batch_copies"
    table(
        name,
        reference("batch_id"),
        number("copy_no"),
        time("printed_at"),
        text("operator"),
        primary(name, "batch_id", "copy_no"),
        foreign(name, ["batch_id"], "batches"),
        check(name, "copy_no", "copy_no > 0"),
    )
    triggers.immutable(name, ["batch_id", "copy_no"])
    triggers.inserted_only_if(
        name, _OPEN_BATCH.format("batch_id", "= 'closed'"), "only a closed report is printed"
    )


def _hold_what_is_closed() -> None:
    """Nothing is added to what is closed; nothing closes before what is in it."""
    for inside, states in (
        ("batch_counts", "<> 'closed'"),
        ("batch_differences", "= 'counted'"),
        ("deposit_slips", "= 'open'"),
    ):
        triggers.guarded(
            inside,
            "insert",
            _OPEN_BATCH.format("batch_id", states),
            "the batch is not in the state for it",
            name=f"{inside}_state",
            lock=_LOCK_BATCH.format("batch_id"),
        )
    triggers.guarded(
        "batches",
        "update",
        "NOT EXISTS (SELECT 1 FROM batch_members JOIN batches child "
        "ON child.batch_id = batch_members.child_id "
        "WHERE batch_members.parent_id = NEW.batch_id AND child.state <> 'closed')",
        "a batch does not close before its members",
        name="batches_members",
        only="NEW.state = 'closed'",
    )
    triggers.guarded(
        "batches",
        "update",
        "EXISTS (SELECT 1 FROM batch_counts WHERE batch_id = NEW.batch_id AND tender = 'cash')",
        "a shift is counted first",
        name="batches_blind",
        only="NEW.kind = 'shift' AND NEW.state <> 'open'",
    )
    triggers.guarded(
        "batches",
        "update",
        "EXISTS (SELECT 1 FROM batch_differences "
        "WHERE batch_id = NEW.batch_id AND tender = 'cash')",
        "a closed shift says what was expected",
        name="batches_reckoned",
        only="NEW.kind = 'shift' AND NEW.state = 'closed'",
    )

    triggers.guarded(
        "batches",
        "update",
        "NOT EXISTS (SELECT 1 FROM intents JOIN requests ON requests.client = intents.client "
        "AND requests.message_id = intents.message_id WHERE intents.state = 'open' "
        "AND requests.operator = NEW.operator AND requests.terminal = NEW.terminal)",
        "a shift does not close with an unknown outcome in it",
        name="batches_unknown",
        only="NEW.kind = 'shift' AND NEW.state <> 'open'",
    )


def _receipts_belong_to_open_shifts() -> None:
    """A receipt is in a shift only while that is open; closing waits for it, and it for closing."""
    triggers.guarded(
        "receipts",
        "insert",
        "EXISTS (SELECT 1 FROM batches WHERE batch_id = NEW.shift_id AND kind = 'shift' "
        "AND state = 'open')",
        "the shift is not open",
        name="receipts_shift",
        only="NEW.shift_id IS NOT NULL",
        lock=_LOCK_BATCH.format("shift_id"),
    )
    triggers.guarded(
        "receipts",
        "insert",
        "(SELECT shifts_required FROM cash_settings) = 0",
        "cash is taken in a shift",
        name="receipts_cash_in_a_shift",
        only="NEW.shift_id IS NULL AND NEW.tender = 'cash'",
    )
