"""Settlements, and what goes with them.

=========================  ===================================================================
`settlements`              what a supply used in a span, and what it costs; append-only
`settlement_runs`          one pass over all accounts of a cycle
`settlement_parts`         its accounts in pieces: each settled in one transaction
`settlement_waits`         supplies whose next span cannot be settled yet, and why
`settlement_reviews`       what a check has flagged; open until a person decides
`settlement_policy`        the utility's own acts of checks, where they differ from the defaults
`supply_capacities`        what a supply has contracted, for tariffs that charge it
`settlement_marks`         how far corrections were followed, and what was reported: `marks`
`settlement_reports`       the monthly report; reviewed by a second person before it is final
`settlement_report_lines`  its lines, one for each area
=========================  ===================================================================

A supply's settlements are a chain without gaps: each begins where the one before it ended, so
that no interval can be settled twice (trigger).  A correction is a reversing settlement and a new
one of the same span, never an edit; each is reversed once and replaced once (unique indexes).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    text,
)

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

settlements: Final = table(
    "settlements",
    Column("supply_id", Identifier, ForeignKey("supplies.supply_id"), nullable=False),
    Column("seq", WholeNumber, nullable=False, comment="1, 2, 3, ... of the supply"),
    Column("account_id", Identifier, nullable=False, comment="the supply's, at that time"),
    Column("since", UtcTimestamp, nullable=False),
    Column("until", UtcTimestamp, nullable=False),
    Column("sign", WholeNumber, nullable=False, comment="1; -1: takes another one back"),
    Column("reverses_seq", WholeNumber, comment="of the same supply"),
    Column("replaces_seq", WholeNumber, comment="of the same supply: settles its span anew"),
    Column("energy_wh", WholeNumber, nullable=False, comment="total; below zero when reversing"),
    Column("amount_minor", WholeNumber, nullable=False, comment="below zero when reversing"),
    Column("tax_minor", WholeNumber, nullable=False),
    Column("lines", Text, nullable=False, comment="canonical JSON: explained to the line"),
    Column("readings", Text, nullable=False, comment="canonical JSON: what it rests on"),
    Column("carried", Text, nullable=False, comment="fraction of a minor unit, a decimal"),
    Column("settled_at", UtcTimestamp, nullable=False),
    Column("settled_by", Text, nullable=False),
    Column("reason", Text, comment="of a correction"),
    PrimaryKeyConstraint("supply_id", "seq"),
    CheckConstraint("seq > 0", name="seq"),
    CheckConstraint("until > since", name="span"),
    CheckConstraint("sign IN (1, -1)", name="sign"),
    CheckConstraint("(sign = -1) = (reverses_seq IS NOT NULL)", name="reverses"),
    CheckConstraint("reverses_seq < seq AND replaces_seq < seq", name="earlier"),
    CheckConstraint(
        "(reverses_seq IS NULL AND replaces_seq IS NULL) OR reason IS NOT NULL", name="reason"
    ),
    Index("ix_settlements_account_until", "account_id", "until"),
    Index(
        "uq_settlements_reverses",
        "supply_id",
        "reverses_seq",
        unique=True,
        sqlite_where=text("reverses_seq IS NOT NULL"),
        postgresql_where=text("reverses_seq IS NOT NULL"),
    ),
    Index(
        "uq_settlements_replaces",
        "supply_id",
        "replaces_seq",
        unique=True,
        sqlite_where=text("replaces_seq IS NOT NULL"),
        postgresql_where=text("replaces_seq IS NOT NULL"),
    ),
    Index(
        "ix_settlements_corrected",
        "settled_at",
        sqlite_where=text("reason IS NOT NULL"),
        postgresql_where=text("reason IS NOT NULL"),
    ),  # not clustered: a row is a kilobyte, and its tree would have no more than four to a page
)

settlement_runs: Final = table(
    "settlement_runs",
    Column("run_id", Identifier, primary_key=True),
    Column("cycle", Text, nullable=False),
    Column("until", UtcTimestamp, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", UtcTimestamp, nullable=False),
    Column("started_by", Text, nullable=False),
    Column("ended_at", UtcTimestamp),
    CheckConstraint("cycle IN ('hourly', 'daily', 'monthly')", name="cycle"),
    CheckConstraint("state IN ('open', 'done')", name="state"),
    CheckConstraint("(ended_at IS NOT NULL) = (state = 'done')", name="ended"),
    Index(
        "uq_settlement_runs_open",
        "cycle",
        "until",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
    Index("ix_settlement_runs_cycle_until", "cycle", "until"),
)

settlement_parts: Final = table(
    "settlement_parts",
    Column("run_id", Identifier, ForeignKey(settlement_runs.c.run_id), nullable=False),
    Column("part", WholeNumber, nullable=False),
    Column("first_account", Identifier, nullable=False),
    Column("last_account", Identifier, nullable=False),
    Column("accounts", WholeNumber, nullable=False, comment="how many"),
    Column("state", Text, nullable=False),
    Column("settled", WholeNumber, nullable=False, comment="spans"),
    Column("waiting", WholeNumber, nullable=False, comment="supplies"),
    Column("energy_wh", WholeNumber, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("done_at", UtcTimestamp),
    PrimaryKeyConstraint("run_id", "part"),
    CheckConstraint("state IN ('open', 'done')", name="state"),
    CheckConstraint("last_account >= first_account AND accounts > 0", name="accounts"),
    CheckConstraint("(done_at IS NOT NULL) = (state = 'done')", name="done"),
)

settlement_waits: Final = table(
    "settlement_waits",
    Column(
        "supply_id",
        Identifier,
        ForeignKey("supplies.supply_id"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("account_id", Identifier, nullable=False),
    Column("since", UtcTimestamp, nullable=False),
    Column("until", UtcTimestamp, nullable=False),
    Column("why", Text, nullable=False, comment="a code"),
    Column("words", Text, nullable=False),
    Column("first_at", UtcTimestamp, nullable=False),
    Column("seen_at", UtcTimestamp, nullable=False),
    CheckConstraint("until > since", name="span"),
    CheckConstraint("length(why) > 0 AND length(words) > 0", name="words"),
    Index("ix_settlement_waits_seen_at", "seen_at"),
)

settlement_reviews: Final = table(
    "settlement_reviews",
    Column("review_id", Identifier, primary_key=True),
    Column("supply_id", Identifier, ForeignKey("supplies.supply_id"), nullable=False),
    Column("account_id", Identifier, nullable=False),
    Column("since", UtcTimestamp, nullable=False),
    Column("until", UtcTimestamp, nullable=False),
    Column("check_name", Text, nullable=False),
    Column("cause", Text, nullable=False, comment="for the monthly summary"),
    Column("reason", Text, nullable=False, comment="in words"),
    Column("figures", Text, nullable=False, comment="what it was judged by; canonical JSON"),
    Column("holds", WholeNumber, nullable=False, comment="1: the span is not settled meanwhile"),
    Column("state", Text, nullable=False),
    Column("found_at", UtcTimestamp, nullable=False),
    Column("decided_at", UtcTimestamp),
    Column("decided_by", Text),
    Column("words", Text, comment="of the decision"),
    Column("energy", Text, comment="estimated: Wh by register; canonical JSON"),
    CheckConstraint("until > since", name="span"),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("holds IN (0, 1)", name="holds"),
    CheckConstraint(
        "state IN ('open', 'released', 'estimated', 'corrected', 'passed')", name="state"
    ),
    CheckConstraint(
        "(state = 'open') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL) "
        "AND (decided_at IS NULL) = (words IS NULL)",
        name="decided",
    ),
    CheckConstraint("(energy IS NOT NULL) = (state = 'estimated')", name="energy"),
    Index(
        "uq_settlement_reviews_open",
        "supply_id",
        "since",
        "until",
        "check_name",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
    Index("ix_settlement_reviews_supply_since", "supply_id", "since"),
    Index("ix_settlement_reviews_state", "state", "review_id"),
    Index("ix_settlement_reviews_found_at", "found_at"),
)

settlement_policy: Final = table(
    "settlement_policy",
    Column("check_name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("set_at", UtcTimestamp, nullable=False),
    Column("set_by", Text, nullable=False),
    PrimaryKeyConstraint("check_name", "kind"),
    CheckConstraint("kind IN ('prepaid', 'daily', 'monthly')", name="kind"),
    CheckConstraint("act IN ('hold', 'flag', 'pass')", name="act"),
)

supply_capacities: Final = table(
    "supply_capacities",
    Column("supply_id", Identifier, ForeignKey("supplies.supply_id"), nullable=False),
    Column("since", UtcTimestamp, nullable=False),
    Column("capacity", WholeNumber, nullable=False, comment="W, or VA where the tariff has kVA"),
    Column("set_by", Text, nullable=False),
    PrimaryKeyConstraint("supply_id", "since"),
    CheckConstraint("capacity >= 0", name="capacity"),
)

settlement_marks: Final = table(
    "settlement_marks",
    Column("name", Text, primary_key=True),
    Column("value", WholeNumber, nullable=False),
)

settlement_reports: Final = table(
    "settlement_reports",
    Column("report_id", Identifier, primary_key=True),
    Column("month", Text, nullable=False, comment="YYYY-MM of the utility's zone"),
    Column("state", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("approved_by", Text),
    Column("decided_at", UtcTimestamp),
    Column("words", Text, comment="of the review"),
    CheckConstraint("length(month) = 7", name="month"),
    CheckConstraint("state IN ('draft', 'final', 'refused')", name="state"),
    CheckConstraint("(state = 'draft') = (decided_at IS NULL)", name="decided"),
    CheckConstraint(
        "(decided_at IS NULL) = (approved_by IS NULL) AND (decided_at IS NULL) = (words IS NULL)",
        name="decision",
    ),
    CheckConstraint("state <> 'final' OR approved_by <> asked_by", name="two_persons"),
    Index(
        "uq_settlement_reports_month",
        "month",
        unique=True,
        sqlite_where=text("state <> 'refused'"),
        postgresql_where=text("state <> 'refused'"),
    ),
)

settlement_report_lines: Final = table(
    "settlement_report_lines",
    Column("report_id", Identifier, ForeignKey(settlement_reports.c.report_id), nullable=False),
    Column("line", WholeNumber, nullable=False),
    Column("area", Text, nullable=False, comment="name of the place; empty: none"),
    Column("accounts", WholeNumber, nullable=False),
    Column("supplies", WholeNumber, nullable=False),
    Column("waiting", WholeNumber, nullable=False, comment="supplies not settled to the end"),
    Column("energy_wh", WholeNumber, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False, comment="settled, tax with it"),
    Column("tax_minor", WholeNumber, nullable=False),
    Column("corrected_minor", WholeNumber, nullable=False, comment="part of it: of earlier months"),
    Column("paid_minor", WholeNumber, nullable=False),
    Column("outstanding_minor", WholeNumber, nullable=False, comment="owed at the month's end"),
    PrimaryKeyConstraint("report_id", "line"),
    UniqueConstraint("report_id", "area"),
    CheckConstraint("line > 0", name="line"),
    CheckConstraint("outstanding_minor >= 0", name="outstanding"),
)
