"""Bills, late fees, single fees, withdrawals, texts, delivery, print batches."""

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

_CLASSES = "('residential', 'commercial', 'industrial', 'public')"
_FIXED = (
    "bill_id account_id seq number kind period since made_at made_by due_at currency after_seq "
    "through_seq deposit_seq deposit_minor plan_seq plan_minor opening_minor payments_minor "
    "energy_minor adjustments_minor late_fee_minor fees_minor deposit_moved_minor "
    "instalments_minor total_minor late_so_far_minor corrects_bill_id document"
)


def make() -> None:
    """Make the tables."""
    _make_bills()
    _make_standings()
    _make_late_fees()
    _make_fees()
    _make_withdrawals()
    _make_texts()
    _make_delivery()
    _make_print_batches()
    _make_sweeps()


def _make_bills() -> None:
    name = "bills"
    table(
        name,
        *identity(name, "bill_id"),
        reference("account_id"),
        number("seq", comment="1, 2, 3, ... of the account"),
        text("number", comment="account-seq"),
        text("kind"),
        text("period", null=True, comment="of a bill day's bill: 2026-11"),
        # when the bill before it was made
        time("since"),
        time("made_at"),
        text("made_by"),
        time("due_at"),
        text("currency"),
        number("after_seq", comment="last entry of the bill before it"),
        number("through_seq", comment="last entry that is on it"),
        number("deposit_seq"),
        number("deposit_minor", comment="held"),
        number("plan_seq"),
        number("plan_minor", comment="not due yet, by a plan"),
        number("opening_minor", comment="previous balance"),
        number("payments_minor"),
        number("energy_minor"),
        number("adjustments_minor"),
        number("late_fee_minor"),
        number("fees_minor"),
        number("deposit_moved_minor"),
        number("instalments_minor"),
        number("total_minor", comment="below zero: to be paid"),
        number("late_so_far_minor", comment="all late fees, this one's too"),
        reference("corrects_bill_id", null=True),
        text("document", comment="canonical JSON: lines, readings, use"),
        sa.Column("addressee_sealed", sa.LargeBinary(), nullable=False, comment="bill.addressee"),
        foreign(name, ["account_id"], "customer_accounts"),
        foreign(name, ["corrects_bill_id"], "bills", to=["bill_id"]),
        unique(name, "number"),
        unique(name, "account_id", "seq"),
        check(name, "seq", "seq > 0"),
        check(
            name,
            "kind",
            "kind IN ('regular', 'collective', 'non_metering', 'adjustment', 'instalment', "
            "'final')",
        ),
        check(name, "period", "period IS NULL OR kind IN ('regular', 'collective')"),
        check(name, "corrects", "(corrects_bill_id IS NOT NULL) = (kind = 'adjustment')"),
        check(name, "times", "since <= made_at AND made_at < due_at"),
        check(name, "entries", "after_seq >= 0 AND through_seq >= after_seq"),
        check(name, "plan", "plan_minor <= 0"),
        check(
            name,
            "total",
            "opening_minor + payments_minor + energy_minor + adjustments_minor + late_fee_minor "
            "+ fees_minor + deposit_moved_minor + instalments_minor = total_minor",
        ),
    )
    op.create_index("uq_bills_period", name, ["account_id", "period"], unique=True)
    op.create_index("ix_bills_made_at", name, ["made_at"])
    triggers.frozen(name, _FIXED.split())
    triggers.no_delete(name, ["bill_id"], ["number"], ["account_id", "seq"])
    _make_rules_of_bills(name)


def _make_rules_of_bills(name: str) -> None:
    triggers.refused_insert(
        name,
        "chain",
        "NOT ((NEW.seq = 1 AND NEW.after_seq = 0 AND NEW.opening_minor = 0 "
        "AND NEW.late_so_far_minor = NEW.late_fee_minor) OR EXISTS "
        "(SELECT 1 FROM bills b WHERE b.account_id = NEW.account_id AND b.seq = NEW.seq - 1 "
        "AND b.through_seq = NEW.after_seq AND b.total_minor = NEW.opening_minor "
        "AND b.deposit_seq <= NEW.deposit_seq AND b.plan_seq <= NEW.plan_seq "
        "AND b.late_so_far_minor = NEW.late_so_far_minor - NEW.late_fee_minor))",
        "a bill begins where the one before it ended",
    )
    ends = (
        ("current", "through_seq", "total_minor"),
        ("deposit", "deposit_seq", "deposit_minor"),
        ("plan", "plan_seq", "plan_minor"),
    )
    agrees = " AND ".join(
        f"((NEW.{seq} = 0 AND NEW.{balance} = 0) OR EXISTS (SELECT 1 FROM account_entries e "
        f"WHERE e.account_id = NEW.account_id AND e.purse = '{purse}' AND e.seq = NEW.{seq} "
        f"AND e.balance_minor = NEW.{balance}))"
        for purse, seq, balance in ends
    )
    triggers.refused_insert(name, "ledger", f"NOT ({agrees})", "a bill says what the ledger says")
    triggers.refused_insert(
        name,
        "late_fee",
        "NEW.late_fee_minor <> (SELECT coalesce(sum(e.amount_minor), 0) FROM account_entries e "
        "WHERE e.account_id = NEW.account_id AND e.purse = 'current' AND e.kind = 'late_fee' "
        "AND e.seq > NEW.after_seq AND e.seq <= NEW.through_seq)",
        "a bill has the late fees of its entries",
    )
    triggers.refused_insert(
        name,
        "lines",
        f"NEW.total_minor - NEW.opening_minor <> ({_sum_of_lines()})",
        "the lines of a bill add up to its total",
    )


def _sum_of_lines() -> str:
    if op.get_bind().dialect.name == "postgresql":
        return (
            "SELECT coalesce(sum((line->>'amount_minor')::bigint), 0) "
            "FROM jsonb_array_elements(NEW.document::jsonb->'lines') line"
        )
    return (
        "SELECT coalesce(sum(json_extract(value, '$.amount_minor')), 0) "
        "FROM json_each(NEW.document, '$.lines')"
    )


def _make_standings() -> None:
    name = "bill_standings"
    table(
        name,
        reference("bill_id"),
        reference("account_id"),
        # the bill's
        time("due_at"),
        # nothing of it is open any more
        time("settled_at", null=True),
        reference("replaced_by", null=True, comment="an adjustment bill"),
        # late fees are charged up to here
        time("late_through", null=True),
        number("late_base_minor", null=True, comment="what was open on the first late day"),
        number("late_micro", comment="exact, uncapped: 10^-6 minor"),
        number("late_minor", comment="charged so far"),
        primary(name, "bill_id"),
        foreign(name, ["bill_id"], "bills"),
        foreign(name, ["replaced_by"], "bills", to=["bill_id"]),
        check(name, "late_minor", "late_minor >= 0 AND late_micro >= 0"),
        check(name, "late_base_minor", "late_base_minor > 0"),
    )
    still_open = sa.text("settled_at IS NULL AND replaced_by IS NULL")
    op.create_index(
        "ix_bill_standings_open",
        name,
        ["account_id", "due_at"],
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    triggers.no_delete(name, ["bill_id"])
    triggers.frozen(name, ["bill_id", "account_id", "due_at"])
    triggers.set_once(name, ["settled_at", "replaced_by"])
    # a payment that was made before the late days lowers what they rest on
    triggers.updated_only_if(
        name,
        "OLD.late_base_minor IS NULL OR NEW.late_base_minor IS NULL "
        "OR NEW.late_base_minor <= OLD.late_base_minor",
        "what late fees rest on never grows",
    )


def _make_late_fees() -> None:
    name = "late_fee_rules"
    table(
        name,
        text("class"),
        text("since", comment="2026-10-01, the utility's day"),
        number("per_day_ppm", comment="1000: 0.1 % a day"),
        number("cap_bp", comment="of what was overdue; 10000: 100 %"),
        number("grace_days", comment="free days behind the due day"),
        number("from_minor", comment="less than this bears none"),
        text("set_by"),
        time("set_at"),
        primary(name, "class", "since"),
        check(name, "class", f"class IN {_CLASSES}"),
        check(name, "since", "length(since) = 10"),
        check(name, "per_day_ppm", "per_day_ppm BETWEEN 0 AND 100000"),
        check(name, "cap_bp", "cap_bp BETWEEN 0 AND 100000"),
        check(name, "grace_days", "grace_days BETWEEN 0 AND 366"),
        check(name, "from_minor", "from_minor >= 0"),
    )
    triggers.immutable(name, ["class", "since"])
    name = "late_fee_days"
    table(
        name,
        reference("bill_id"),
        text("day", comment="2026-11-21, the utility's day"),
        reference("account_id"),
        number("open_minor", comment="at the end of the day"),
        number("per_day_ppm"),
        number("exact_micro", comment="all days so far, uncapped"),
        number("amount_minor", comment="of this day; 0: not a cent yet"),
        number("entry_seq", null=True, comment="of the current purse"),
        primary(name, "bill_id", "day"),
        foreign(name, ["bill_id"], "bills"),
        check(name, "day", "length(day) = 10"),
        check(name, "open_minor", "open_minor > 0"),
        check(name, "amount_minor", "amount_minor >= 0"),
        check(name, "entry_seq", "(entry_seq IS NOT NULL) = (amount_minor > 0)"),
        clustered=True,
    )
    triggers.immutable(name, ["bill_id", "day"])
    triggers.inserted_only_if(
        name,
        "NEW.amount_minor = 0 OR EXISTS (SELECT 1 FROM account_entries e "
        "WHERE e.account_id = NEW.account_id AND e.purse = 'current' AND e.seq = NEW.entry_seq "
        "AND e.kind = 'late_fee' AND e.amount_minor = -NEW.amount_minor)",
        "a late fee is what the ledger says",
    )


def _make_fees() -> None:
    name = "account_fees"
    table(
        name,
        *identity(name, "fee_id"),
        reference("account_id"),
        text("code"),
        number("amount_minor"),
        text("words", comment="for the customer; may be empty"),
        text("once", comment="the caller's: charged once"),
        number("entry_seq", comment="of the current purse"),
        text("charged_by"),
        time("charged_at"),
        foreign(name, ["account_id"], "customer_accounts"),
        unique(name, "once"),
        check(
            name,
            "code",
            "code IN ('connection', 'reconnection', 'visit', 'meter_test', 'copy', 'other')",
        ),
        check(name, "amount_minor", "amount_minor > 0"),
        check(name, "once", "length(once) > 0"),
    )
    op.create_index("ix_account_fees_account_id", name, ["account_id"])
    triggers.immutable(name, ["fee_id"], ["once"])
    name = "account_fees_back"
    table(
        name,
        reference("fee_id"),
        number("entry_seq"),
        text("reason"),
        text("approved_by"),
        time("approved_at"),
        primary(name, "fee_id"),
        foreign(name, ["fee_id"], "account_fees"),
        check(name, "reason", "length(reason) > 0"),
    )
    triggers.immutable(name, ["fee_id"])
    triggers.inserted_only_if(
        name,
        "EXISTS (SELECT 1 FROM account_fees f WHERE f.fee_id = NEW.fee_id "
        "AND f.charged_by <> NEW.approved_by)",
        "somebody else than who charged it takes a fee back",
    )


def _make_withdrawals() -> None:
    name = "bill_withdrawals"
    table(
        name,
        reference("bill_id"),
        text("reason"),
        text("asked_by"),
        time("asked_at"),
        text("approved_by", null=True),
        time("approved_at", null=True),
        reference("adjustment_bill_id", null=True),
        primary(name, "bill_id"),
        foreign(name, ["bill_id"], "bills"),
        foreign(name, ["adjustment_bill_id"], "bills", to=["bill_id"]),
        check(name, "reason", "length(reason) > 0"),
        check(name, "two_persons", "approved_by <> asked_by"),
        check(
            name,
            "approved",
            "(approved_by IS NULL) = (approved_at IS NULL) "
            "AND (approved_by IS NULL) = (adjustment_bill_id IS NULL)",
        ),
    )
    triggers.no_delete(name, ["bill_id"])
    triggers.frozen(
        name, ["bill_id", "reason", "asked_by", "asked_at"], after="OLD.approved_by IS NOT NULL"
    )


def _make_texts() -> None:
    name = "bill_texts"
    table(
        name,
        *identity(name, "text_id"),
        text("class", null=True, comment="none: every class"),
        text("language"),
        text("since", comment="first day"),
        text("until", comment="last day"),
        text("words"),
        text("set_by"),
        time("set_at"),
        check(name, "class", f"class IN {_CLASSES}"),
        check(name, "words", "length(words) BETWEEN 1 AND 2000"),
        check(name, "days", "length(since) = 10 AND length(until) = 10 AND since <= until"),
    )
    triggers.no_delete(name, ["text_id"])
    triggers.frozen(name, "text_id class language since words set_by set_at".split())


def _make_delivery() -> None:
    name = "bill_ways"
    table(
        name,
        text("class"),
        number("notice", comment="1: e-mail and SMS, by the outbox"),
        number("paper", comment="1: a letter to whoever has an address"),
        text("set_by"),
        time("set_at"),
        primary(name, "class"),
        check(name, "class", f"class IN {_CLASSES}"),
        check(name, "ways", "notice IN (0, 1) AND paper IN (0, 1)"),
    )
    name = "bill_deliveries"
    table(
        name,
        reference("bill_id"),
        text("way"),
        time("handed_at"),
        reference("notice_id", null=True, comment="of the outbox; none: nobody is to be told"),
        # a letter lies in a print batch
        time("printed_at", null=True),
        primary(name, "bill_id", "way"),
        foreign(name, ["bill_id"], "bills"),
        check(name, "way", "way IN ('notice', 'paper')"),
        check(name, "printed_at", "printed_at IS NULL OR way = 'paper'"),
    )
    to_print = sa.text("way = 'paper' AND printed_at IS NULL")
    op.create_index(
        "ix_bill_deliveries_to_print",
        name,
        ["bill_id"],
        sqlite_where=to_print,
        postgresql_where=to_print,
    )
    triggers.no_delete(name, ["bill_id", "way"])
    triggers.frozen(name, ["bill_id", "way", "handed_at"])
    triggers.set_once(name, ["printed_at"])


def _make_print_batches() -> None:
    name = "print_batches"
    table(
        name,
        *identity(name, "batch_id"),
        time("made_at"),
        text("made_by"),
        number("letters"),
        number("pages"),
        sa.Column("pdf_sha256", sa.LargeBinary(), nullable=False),
        check(name, "pages", "letters > 0 AND pages >= letters"),
        check(name, "pdf_sha256", "length(pdf_sha256) = 32"),
    )
    triggers.immutable(name, ["batch_id"])
    name = "print_batch_bills"
    table(
        name,
        reference("batch_id"),
        number("place", comment="1, 2, 3, ... in order of post codes"),
        reference("bill_id"),
        number("recipient", comment="of the bill's addressees, from 0"),
        text("language"),
        number("first_page"),
        number("pages"),
        primary(name, "batch_id", "place"),
        foreign(name, ["batch_id"], "print_batches"),
        foreign(name, ["bill_id"], "bills"),
        unique(name, "bill_id", "recipient"),
        check(name, "place", "place > 0 AND pages > 0 AND first_page > 0"),
        check(name, "recipient", "recipient >= 0"),
    )
    triggers.immutable(name, ["batch_id", "place"], ["bill_id", "recipient"])


def _make_sweeps() -> None:
    table("bill_sweeps", text("name"), time("done_at"), primary("bill_sweeps", "name"))
