"""Collections: what is done about debts, and what was agreed about them.

======================  ======================================================================
`collection_rules`      the rules, version by version; append-only
`collection_passes`     how far a look at all accounts has come: the day's, the month's
`collection_cases`      a debt that is being collected; an account has one at a time
`collection_acts`       what was done in a case, append-only; each step of a case once
`instalment_plans`      debts that are paid in parts; a second person above a limit
`instalments`           its parts
`deferrals`             due dates that were put off
`write_offs`            debts that were given up, with approval, and what came in all the same
`score_snapshots`       the credit score of an account, month by month; append-only
`forecast_models`       what predicts arrears: its weights, and how it did on later months
`arrears_forecasts`     what was predicted for a due date, and whether a reminder went out
======================  ======================================================================
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
    text,
)

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

_ACCOUNT: Final = "customer_accounts.account_id"

collection_rules: Final = table(
    "collection_rules",
    Column("version", WholeNumber, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False, comment="JSON"),
    Column("set_at", UtcTimestamp, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint("length(reason) > 0", name="reason"),
)

collection_passes: Final = table(
    "collection_passes",
    Column("name", Text, primary_key=True, comment="what: 'debts 2026-11-22', 'scores 2026-11'"),
    Column("upto_account_id", Identifier, nullable=False, comment="looked at, up to this one"),
    Column("done_at", UtcTimestamp),
)

collection_cases: Final = table(
    "collection_cases",
    Column("case_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(_ACCOUNT), nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", UtcTimestamp, nullable=False),
    Column("due_since", UtcTimestamp, nullable=False),
    Column("class", Text, nullable=False, key="debt_class"),
    Column("steps_done", WholeNumber, nullable=False),
    Column("last_step", Text),
    Column("last_step_at", UtcTimestamp),
    Column("next_at", UtcTimestamp),
    Column("announced_at", UtcTimestamp),
    Column("disconnect_asked_at", UtcTimestamp),
    Column("held_because", Text),
    Column("closed_at", UtcTimestamp),
    Column("outcome", Text),
    CheckConstraint("state IN ('open', 'paused', 'closed')", name="state"),
    CheckConstraint("class IN ('light', 'medium', 'heavy')", name="class"),
    CheckConstraint("steps_done >= 0", name="steps_done"),
    CheckConstraint(
        "(steps_done = 0) = (last_step IS NULL) AND (last_step IS NULL) = (last_step_at IS NULL)",
        name="last_step",
    ),
    CheckConstraint(
        "(state = 'closed') = (closed_at IS NOT NULL) AND (closed_at IS NULL) = (outcome IS NULL)",
        name="closed",
    ),
    CheckConstraint("outcome IN ('paid', 'plan_kept', 'written_off', 'dropped')", name="outcome"),
    Index(
        "uq_collection_cases_account",
        "account_id",
        unique=True,
        sqlite_where=text("state <> 'closed'"),
        postgresql_where=text("state <> 'closed'"),
    ),
    Index("ix_collection_cases_account_id", "account_id", "case_id"),
    Index(
        "ix_collection_cases_next_at",
        "next_at",
        sqlite_where=text("state <> 'closed'"),
        postgresql_where=text("state <> 'closed'"),
    ),
)

collection_acts: Final = table(
    "collection_acts",
    Column("case_id", Identifier, ForeignKey(collection_cases.c.case_id), nullable=False),
    Column("seq", WholeNumber, nullable=False, comment="1, 2, 3, ... of the case"),
    Column("at", UtcTimestamp, nullable=False),
    Column("act", Text, nullable=False),
    Column("step", Text, comment="code; of steps"),
    Column("step_no", WholeNumber, comment="1, 2, 3, ... of the case's steps"),
    Column("words", Text, nullable=False, comment="why, or what exactly"),
    Column("overdue_minor", WholeNumber, nullable=False),
    Column("days", WholeNumber, nullable=False, comment="since the oldest due date"),
    Column("paid_minor", WholeNumber, nullable=False),
    Column("actor", Text, nullable=False),
    PrimaryKeyConstraint("case_id", "seq"),
    CheckConstraint(
        "act IN ('opened', 'step', 'held', 'part_paid', 'paused', 'resumed', 'reconnect', "
        "'closed')",
        name="act",
    ),
    CheckConstraint("(act = 'step') = (step IS NOT NULL)", name="step"),
    CheckConstraint("(step IS NULL) = (step_no IS NULL)", name="step_no"),
    CheckConstraint("overdue_minor >= 0 AND paid_minor >= 0", name="amounts"),
    Index(
        "uq_collection_acts_step",
        "case_id",
        "step_no",
        unique=True,
        sqlite_where=text("step_no IS NOT NULL"),
        postgresql_where=text("step_no IS NOT NULL"),
    ),
    Index("ix_collection_acts_at", "at"),
    clustered=True,
)

instalment_plans: Final = table(
    "instalment_plans",
    Column("plan_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(_ACCOUNT), nullable=False),
    Column("state", Text, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("reason", Text, nullable=False),
    Column("two_because", Text, comment="why it takes a second person"),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("approved_by", Text),
    Column("agreed_at", UtcTimestamp),
    Column("ended_at", UtcTimestamp),
    CheckConstraint(
        "state IN ('asked', 'active', 'kept', 'broken', 'ended', 'refused')", name="state"
    ),
    CheckConstraint("amount_minor > 0", name="amount"),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("approved_by <> asked_by", name="two"),
    CheckConstraint(
        "two_because IS NULL OR state IN ('asked', 'refused') OR approved_by IS NOT NULL",
        name="approved",
    ),
    CheckConstraint("(agreed_at IS NULL) = (state IN ('asked', 'refused'))", name="agreed"),
    CheckConstraint("(ended_at IS NULL) = (state IN ('asked', 'active'))", name="ended"),
    Index(
        "uq_instalment_plans_account",
        "account_id",
        unique=True,
        sqlite_where=text("state IN ('asked', 'active')"),
        postgresql_where=text("state IN ('asked', 'active')"),
    ),
    Index("ix_instalment_plans_account_id", "account_id"),
)

instalments: Final = table(
    "instalments",
    Column("plan_id", Identifier, ForeignKey(instalment_plans.c.plan_id), nullable=False),
    Column("number", WholeNumber, nullable=False, comment="1, 2, 3, ..."),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("call_at", UtcTimestamp, nullable=False),
    Column("due_at", UtcTimestamp, nullable=False),
    Column("called_at", UtcTimestamp),
    PrimaryKeyConstraint("plan_id", "number"),
    CheckConstraint("number > 0", name="number"),
    CheckConstraint("amount_minor > 0", name="amount"),
    CheckConstraint("call_at <= due_at", name="call"),
    Index(
        "ix_instalments_call_at",
        "call_at",
        sqlite_where=text("called_at IS NULL"),
        postgresql_where=text("called_at IS NULL"),
    ),
)

deferrals: Final = table(
    "deferrals",
    Column("deferral_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(_ACCOUNT), nullable=False),
    Column("state", Text, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("due_at", UtcTimestamp, nullable=False),
    Column("reason", Text, nullable=False),
    Column("two_because", Text, comment="why it takes a second person"),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("approved_by", Text),
    Column("granted_at", UtcTimestamp),
    CheckConstraint("state IN ('asked', 'granted', 'refused')", name="state"),
    CheckConstraint("amount_minor > 0", name="amount"),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("approved_by <> asked_by", name="two"),
    CheckConstraint(
        "two_because IS NULL OR state <> 'granted' OR approved_by IS NOT NULL", name="approved"
    ),
    CheckConstraint("(granted_at IS NOT NULL) = (state = 'granted')", name="granted"),
    Index("ix_deferrals_account_id", "account_id"),
)

write_offs: Final = table(
    "write_offs",
    Column("write_off_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(_ACCOUNT), nullable=False),
    Column("state", Text, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("recovered_minor", WholeNumber, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("approved_by", Text),
    Column("done_at", UtcTimestamp),
    CheckConstraint("state IN ('asked', 'done', 'refused')", name="state"),
    CheckConstraint("amount_minor > 0", name="amount"),
    CheckConstraint(
        "recovered_minor >= 0 AND recovered_minor <= amount_minor "
        "AND (recovered_minor = 0 OR state = 'done')",
        name="recovered",
    ),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("approved_by <> asked_by", name="two"),
    CheckConstraint("state <> 'done' OR approved_by IS NOT NULL", name="approved"),
    CheckConstraint("(done_at IS NOT NULL) = (state = 'done')", name="done"),
    Index("ix_write_offs_account_id", "account_id"),
)

score_snapshots: Final = table(
    "score_snapshots",
    Column("account_id", Identifier, ForeignKey(_ACCOUNT), nullable=False),
    Column("month", Text, nullable=False, comment="2026-11, of the utility's calendar"),
    Column("points", WholeNumber, nullable=False),
    Column("band", Text, nullable=False),
    Column("reasons", Text, nullable=False, comment="canonical JSON: what made the points"),
    Column("rules_version", WholeNumber, nullable=False, comment="0: as delivered"),
    Column("made_at", UtcTimestamp, nullable=False),
    PrimaryKeyConstraint("account_id", "month"),
    CheckConstraint("length(month) = 7", name="month"),
    CheckConstraint("points BETWEEN 0 AND 1000", name="points"),
    Index("ix_score_snapshots_month", "month", "band"),
    clustered=True,
)

forecast_models: Final = table(
    "forecast_models",
    Column("model_id", Identifier, primary_key=True),
    Column("document", Text, nullable=False, comment="canonical JSON: weights and limits"),
    Column("hits", Text, nullable=False, comment="canonical JSON: on months it has not seen"),
    Column("trained_at", UtcTimestamp, nullable=False),
    Column("trained_until", UtcTimestamp, nullable=False),
    Column("trained_by", Text, nullable=False),
)

arrears_forecasts: Final = table(
    "arrears_forecasts",
    Column("account_id", Identifier, ForeignKey(_ACCOUNT), nullable=False),
    Column("due_day", Text, nullable=False, comment="of the utility's calendar"),
    Column("model_id", Identifier, ForeignKey(forecast_models.c.model_id), nullable=False),
    Column("chance_ppm", WholeNumber, nullable=False, comment="of being late, in millionths"),
    Column("amount_minor", WholeNumber, nullable=False, comment="due on that day"),
    Column("made_at", UtcTimestamp, nullable=False),
    Column("reminded", WholeNumber, nullable=False, comment="1: a reminder was asked for"),
    PrimaryKeyConstraint("account_id", "due_day"),
    CheckConstraint("chance_ppm BETWEEN 0 AND 1000000", name="chance"),
    CheckConstraint("reminded IN (0, 1)", name="reminded"),
    Index("ix_arrears_forecasts_due_day", "due_day"),
    clustered=True,
)
