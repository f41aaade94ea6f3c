"""Bills and what goes with them.

==================  ===========================================================================
`bills`             what was billed; never changes (the addressee may be sealed anew)
`bill_standings`    due date, late fee so far, and whether a bill is settled or was replaced
`late_fee_rules`    rate, cap and grace by class, since a day
`late_fee_days`     what was charged for which day of which bill: each day once
`account_fees`      single fees; `account_fees_back` those that were taken back
`bill_withdrawals`  asked by one person, approved by another
`bill_texts`        information beside the figures, by class and language
`bill_ways`         how bills of a class are delivered
`bill_deliveries`   what was handed to the outbox
`bill_sweeps`       when a sweep last went through all accounts
`print_batches`     numbered runs of paper, `print_batch_bills` what is in them
==================  ===========================================================================

An account's bills are a chain: each begins behind the last entry of the one before it, with that
one's total, and ends at an entry of the ledger whose balance is its own total (trigger).  So every
entry stands on exactly one bill, and what a bill says agrees with the ledger.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    text,
)

from billing.accounts.tables import customer_accounts
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

_CLASSES: Final = "('residential', 'commercial', 'industrial', 'public')"

bills: Final = table(
    "bills",
    Column("bill_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id), nullable=False),
    Column("seq", WholeNumber, nullable=False, comment="1, 2, 3, ... of the account"),
    Column("number", Text, nullable=False, unique=True, comment="account-seq"),
    Column("kind", Text, nullable=False),
    Column("period", Text, comment="of a bill day's bill: 2026-11"),
    # when the bill before it was made
    Column("since", UtcTimestamp, nullable=False),
    Column("made_at", UtcTimestamp, nullable=False),
    Column("made_by", Text, nullable=False),
    # when the due day is over
    Column("due_at", UtcTimestamp, nullable=False),
    Column("currency", Text, nullable=False),
    Column("after_seq", WholeNumber, nullable=False, comment="last entry of the bill before it"),
    Column("through_seq", WholeNumber, nullable=False, comment="last entry that is on it"),
    Column("deposit_seq", WholeNumber, nullable=False),
    Column("deposit_minor", WholeNumber, nullable=False, comment="held"),
    Column("plan_seq", WholeNumber, nullable=False),
    Column("plan_minor", WholeNumber, nullable=False, comment="not due yet, by a plan"),
    Column("opening_minor", WholeNumber, nullable=False, comment="previous balance"),
    Column("payments_minor", WholeNumber, nullable=False),
    Column("energy_minor", WholeNumber, nullable=False),
    Column("adjustments_minor", WholeNumber, nullable=False),
    Column("late_fee_minor", WholeNumber, nullable=False),
    Column("fees_minor", WholeNumber, nullable=False),
    Column("deposit_moved_minor", WholeNumber, nullable=False),
    Column("instalments_minor", WholeNumber, nullable=False),
    Column("total_minor", WholeNumber, nullable=False, comment="below zero: to be paid"),
    Column(
        "late_so_far_minor", WholeNumber, nullable=False, comment="all late fees, this one's too"
    ),
    Column("corrects_bill_id", Identifier, ForeignKey("bills.bill_id")),
    Column("document", Text, nullable=False, comment="canonical JSON: lines, readings, use"),
    Column("addressee_sealed", LargeBinary, nullable=False, comment="bill.addressee"),
    UniqueConstraint("account_id", "seq"),
    CheckConstraint("seq > 0", name="seq"),
    CheckConstraint(
        "kind IN ('regular', 'collective', 'non_metering', 'adjustment', 'instalment', 'final')",
        name="kind",
    ),
    CheckConstraint("period IS NULL OR kind IN ('regular', 'collective')", name="period"),
    CheckConstraint("(corrects_bill_id IS NOT NULL) = (kind = 'adjustment')", name="corrects"),
    CheckConstraint("since <= made_at AND made_at < due_at", name="times"),
    CheckConstraint("after_seq >= 0 AND through_seq >= after_seq", name="entries"),
    CheckConstraint("plan_minor <= 0", name="plan"),
    CheckConstraint(
        "opening_minor + payments_minor + energy_minor + adjustments_minor + late_fee_minor "
        "+ fees_minor + deposit_moved_minor + instalments_minor = total_minor",
        name="total",
    ),
    Index("uq_bills_period", "account_id", "period", unique=True),
    Index("ix_bills_made_at", "made_at"),
)

bill_standings: Final = table(
    "bill_standings",
    Column("bill_id", Identifier, ForeignKey(bills.c.bill_id), nullable=False),
    Column("account_id", Identifier, nullable=False),
    # the bill's
    Column("due_at", UtcTimestamp, nullable=False),
    # nothing of it is open any more
    Column("settled_at", UtcTimestamp),
    Column("replaced_by", Identifier, ForeignKey(bills.c.bill_id), comment="an adjustment bill"),
    # late fees are charged up to here
    Column("late_through", UtcTimestamp),
    Column("late_base_minor", WholeNumber, comment="what was open on the first late day"),
    Column("late_micro", WholeNumber, nullable=False, comment="exact, uncapped: 10^-6 minor"),
    Column("late_minor", WholeNumber, nullable=False, comment="charged so far"),
    PrimaryKeyConstraint("bill_id"),
    CheckConstraint("late_minor >= 0 AND late_micro >= 0", name="late_minor"),
    CheckConstraint("late_base_minor > 0", name="late_base_minor"),
    Index(
        "ix_bill_standings_open",
        "account_id",
        "due_at",
        sqlite_where=text("settled_at IS NULL AND replaced_by IS NULL"),
        postgresql_where=text("settled_at IS NULL AND replaced_by IS NULL"),
    ),
)

late_fee_rules: Final = table(
    "late_fee_rules",
    Column("class", Text, nullable=False, key="customer_class"),
    Column("since", Text, nullable=False, comment="2026-10-01, the utility's day"),
    Column("per_day_ppm", WholeNumber, nullable=False, comment="1000: 0.1 % a day"),
    Column("cap_bp", WholeNumber, nullable=False, comment="of what was overdue; 10000: 100 %"),
    Column("grace_days", WholeNumber, nullable=False, comment="free days behind the due day"),
    Column("from_minor", WholeNumber, nullable=False, comment="less than this bears none"),
    Column("set_by", Text, nullable=False),
    Column("set_at", UtcTimestamp, nullable=False),
    PrimaryKeyConstraint("customer_class", "since"),
    CheckConstraint(f"class IN {_CLASSES}", name="class"),
    CheckConstraint("length(since) = 10", name="since"),
    CheckConstraint("per_day_ppm BETWEEN 0 AND 100000", name="per_day_ppm"),
    CheckConstraint("cap_bp BETWEEN 0 AND 100000", name="cap_bp"),
    CheckConstraint("grace_days BETWEEN 0 AND 366", name="grace_days"),
    CheckConstraint("from_minor >= 0", name="from_minor"),
)

late_fee_days: Final = table(
    "late_fee_days",
    Column("bill_id", Identifier, ForeignKey(bills.c.bill_id), nullable=False),
    Column("day", Text, nullable=False, comment="2026-11-21, the utility's day"),
    Column("account_id", Identifier, nullable=False),
    Column("open_minor", WholeNumber, nullable=False, comment="at the end of the day"),
    Column("per_day_ppm", WholeNumber, nullable=False),
    Column("exact_micro", WholeNumber, nullable=False, comment="all days so far, uncapped"),
    Column("amount_minor", WholeNumber, nullable=False, comment="of this day; 0: not a cent yet"),
    Column("entry_seq", WholeNumber, comment="of the current purse"),
    PrimaryKeyConstraint("bill_id", "day"),
    CheckConstraint("length(day) = 10", name="day"),
    CheckConstraint("open_minor > 0", name="open_minor"),
    CheckConstraint("amount_minor >= 0", name="amount_minor"),
    CheckConstraint("(entry_seq IS NOT NULL) = (amount_minor > 0)", name="entry_seq"),
    clustered=True,
)

account_fees: Final = table(
    "account_fees",
    Column("fee_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id), nullable=False),
    Column("code", Text, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("words", Text, nullable=False, comment="for the customer; may be empty"),
    Column("once", Text, nullable=False, unique=True, comment="the caller's: charged once"),
    Column("entry_seq", WholeNumber, nullable=False, comment="of the current purse"),
    Column("charged_by", Text, nullable=False),
    Column("charged_at", UtcTimestamp, nullable=False),
    CheckConstraint(
        "code IN ('connection', 'reconnection', 'visit', 'meter_test', 'copy', 'other')",
        name="code",
    ),
    CheckConstraint("amount_minor > 0", name="amount_minor"),
    CheckConstraint("length(once) > 0", name="once"),
    Index("ix_account_fees_account_id", "account_id"),
)

account_fees_back: Final = table(
    "account_fees_back",
    Column("fee_id", Identifier, ForeignKey(account_fees.c.fee_id), nullable=False),
    Column("entry_seq", WholeNumber, nullable=False),
    Column("reason", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("approved_at", UtcTimestamp, nullable=False),
    PrimaryKeyConstraint("fee_id"),
    CheckConstraint("length(reason) > 0", name="reason"),
)

bill_withdrawals: Final = table(
    "bill_withdrawals",
    Column("bill_id", Identifier, ForeignKey(bills.c.bill_id), nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", UtcTimestamp),
    Column("adjustment_bill_id", Identifier, ForeignKey(bills.c.bill_id)),
    PrimaryKeyConstraint("bill_id"),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("approved_by <> asked_by", name="two_persons"),
    CheckConstraint(
        "(approved_by IS NULL) = (approved_at IS NULL) "
        "AND (approved_by IS NULL) = (adjustment_bill_id IS NULL)",
        name="approved",
    ),
)

bill_texts: Final = table(
    "bill_texts",
    Column("text_id", Identifier, primary_key=True),
    Column("class", Text, key="customer_class", comment="none: every class"),
    Column("language", Text, nullable=False),
    Column("since", Text, nullable=False, comment="first day"),
    Column("until", Text, nullable=False, comment="last day"),
    Column("words", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", UtcTimestamp, nullable=False),
    CheckConstraint(f"class IN {_CLASSES}", name="class"),
    CheckConstraint("length(words) BETWEEN 1 AND 2000", name="words"),
    CheckConstraint("length(since) = 10 AND length(until) = 10 AND since <= until", name="days"),
)

bill_ways: Final = table(
    "bill_ways",
    Column("class", Text, nullable=False, key="customer_class"),
    Column("notice", WholeNumber, nullable=False, comment="1: e-mail and SMS, by the outbox"),
    Column("paper", WholeNumber, nullable=False, comment="1: a letter to whoever has an address"),
    Column("set_by", Text, nullable=False),
    Column("set_at", UtcTimestamp, nullable=False),
    PrimaryKeyConstraint("customer_class"),
    CheckConstraint(f"class IN {_CLASSES}", name="class"),
    CheckConstraint("notice IN (0, 1) AND paper IN (0, 1)", name="ways"),
)

bill_deliveries: Final = table(
    "bill_deliveries",
    Column("bill_id", Identifier, ForeignKey(bills.c.bill_id), nullable=False),
    Column("way", Text, nullable=False),
    Column("handed_at", UtcTimestamp, nullable=False),
    Column("notice_id", Identifier, comment="of the outbox; none: nobody is to be told"),
    # a letter lies in a print batch
    Column("printed_at", UtcTimestamp),
    PrimaryKeyConstraint("bill_id", "way"),
    CheckConstraint("way IN ('notice', 'paper')", name="way"),
    CheckConstraint("printed_at IS NULL OR way = 'paper'", name="printed_at"),
    Index(
        "ix_bill_deliveries_to_print",
        "bill_id",
        sqlite_where=text("way = 'paper' AND printed_at IS NULL"),
        postgresql_where=text("way = 'paper' AND printed_at IS NULL"),
    ),
)

print_batches: Final = table(
    "print_batches",
    Column("batch_id", Identifier, primary_key=True),
    Column("made_at", UtcTimestamp, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("letters", WholeNumber, nullable=False),
    Column("pages", WholeNumber, nullable=False),
    Column("pdf_sha256", LargeBinary, nullable=False),
    CheckConstraint("letters > 0 AND pages >= letters", name="pages"),
    CheckConstraint("length(pdf_sha256) = 32", name="pdf_sha256"),
)

print_batch_bills: Final = table(
    "print_batch_bills",
    Column("batch_id", Identifier, ForeignKey(print_batches.c.batch_id), nullable=False),
    Column("place", WholeNumber, nullable=False, comment="1, 2, 3, ... in order of post codes"),
    Column("bill_id", Identifier, ForeignKey(bills.c.bill_id), nullable=False),
    Column("recipient", WholeNumber, nullable=False, comment="of the bill's addressees, from 0"),
    Column("language", Text, nullable=False),
    Column("first_page", WholeNumber, nullable=False),
    Column("pages", WholeNumber, nullable=False),
    PrimaryKeyConstraint("batch_id", "place"),
    UniqueConstraint("bill_id", "recipient"),
    CheckConstraint("place > 0 AND pages > 0 AND first_page > 0", name="place"),
    CheckConstraint("recipient >= 0", name="recipient"),
)

bill_sweeps: Final = table(
    "bill_sweeps",
    Column("name", Text, nullable=False),
    Column("done_at", UtcTimestamp, nullable=False),
    PrimaryKeyConstraint("name"),
)
