"""Collections: rules, cases, plans, deferrals, write-offs, scores, forecasts."""

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
)


def make() -> None:
    """Make the tables."""
    _make_collection_rules()
    _make_collection_passes()
    _make_collection_cases()
    _make_collection_acts()
    _make_instalment_plans()
    _make_instalments()
    _make_deferrals()
    _make_write_offs()
    _make_score_snapshots()
    _make_forecast_models()
    _make_arrears_forecasts()


def _make_collection_rules() -> None:
    name = "collection_rules"
    table(
        name,
        number("version"),
        text("document", comment="JSON"),
        time("set_at"),
        text("set_by"),
        text("reason"),
        primary(name, "version"),
        check(name, "version", "version > 0"),
        check(name, "reason", "length(reason) > 0"),
    )
    triggers.immutable(name, ["version"])


def _make_collection_passes() -> None:
    name = "collection_passes"
    table(
        name,
        text("name", comment="what: 'debts 2026-11-22', 'scores 2026-11'"),
        reference("upto_account_id", comment="looked at, up to this one"),
        time("done_at", null=True),
        primary(name, "name"),
    )
    triggers.no_delete(name, ["name"])


def _make_collection_cases() -> None:
    name = "collection_cases"
    table(
        name,
        *identity(name, "case_id"),
        reference("account_id"),
        text("state"),
        time("opened_at"),
        time("due_since"),
        text("class"),
        number("steps_done"),
        text("last_step", null=True),
        time("last_step_at", null=True),
        time("next_at", null=True),
        time("announced_at", null=True),
        time("disconnect_asked_at", null=True),
        text("held_because", null=True),
        time("closed_at", null=True),
        text("outcome", null=True),
        foreign(name, ["account_id"], "customer_accounts"),
        check(name, "state", "state IN ('open', 'paused', 'closed')"),
        check(name, "class", "class IN ('light', 'medium', 'heavy')"),
        check(name, "steps_done", "steps_done >= 0"),
        check(
            name,
            "last_step",
            "(steps_done = 0) = (last_step IS NULL) "
            "AND (last_step IS NULL) = (last_step_at IS NULL)",
        ),
        check(
            name,
            "closed",
            "(state = 'closed') = (closed_at IS NOT NULL) "
            "AND (closed_at IS NULL) = (outcome IS NULL)",
        ),
        check(name, "outcome", "outcome IN ('paid', 'plan_kept', 'written_off', 'dropped')"),
    )
    op.create_index("ix_collection_cases_account_id", name, ["account_id", "case_id"])
    op.create_index(
        "ix_collection_cases_next_at",
        name,
        ["next_at"],
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.create_index(
        "uq_collection_cases_account",
        name,
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    )
    triggers.no_delete(name, ["case_id"])
    triggers.frozen(
        name, ["case_id", "account_id", "opened_at", "due_since"], after="OLD.state = 'closed'"
    )
    triggers.updated_only_if(
        name,
        "NEW.steps_done BETWEEN OLD.steps_done AND OLD.steps_done + 1",
        "a case goes one step at a time",
    )


def _make_collection_acts() -> None:
    name = "collection_acts"
    table(
        name,
        reference("case_id"),
        number("seq", comment="1, 2, 3, ... of the case"),
        time("at"),
        text("act"),
        text("step", null=True, comment="code; of steps"),
        number("step_no", null=True, comment="1, 2, 3, ... of the case's steps"),
        text("words", comment="why, or what exactly"),
        number("overdue_minor"),
        number("days", comment="since the oldest due date"),
        number("paid_minor"),
        text("actor"),
        primary(name, "case_id", "seq"),
        foreign(name, ["case_id"], "collection_cases"),
        check(
            name,
            "act",
            "act IN ('opened', 'step', 'held', 'part_paid', 'paused', 'resumed', 'reconnect', "
            "'closed')",
        ),
        check(name, "step", "(act = 'step') = (step IS NOT NULL)"),
        check(name, "step_no", "(step IS NULL) = (step_no IS NULL)"),
        check(name, "amounts", "overdue_minor >= 0 AND paid_minor >= 0"),
        clustered=True,
    )
    op.create_index("ix_collection_acts_at", name, ["at"])
    op.create_index(
        "uq_collection_acts_step",
        name,
        ["case_id", "step_no"],
        unique=True,
        sqlite_where=sa.text("step_no IS NOT NULL"),
        postgresql_where=sa.text("step_no IS NOT NULL"),
    )
    triggers.immutable(name, ["case_id", "seq"], ["case_id", "step_no"])


def _make_instalment_plans() -> None:
    name = "instalment_plans"
    table(
        name,
        *identity(name, "plan_id"),
        reference("account_id"),
        text("state"),
        number("amount_minor"),
        text("reason"),
        text("two_because", null=True, comment="why it takes a second person"),
        text("asked_by"),
        time("asked_at"),
        text("approved_by", null=True),
        time("agreed_at", null=True),
        time("ended_at", null=True),
        foreign(name, ["account_id"], "customer_accounts"),
        check(name, "state", "state IN ('asked', 'active', 'kept', 'broken', 'ended', 'refused')"),
        check(name, "amount", "amount_minor > 0"),
        check(name, "reason", "length(reason) > 0"),
        check(name, "two", "approved_by <> asked_by"),
        check(
            name,
            "approved",
            "two_because IS NULL OR state IN ('asked', 'refused') OR approved_by IS NOT NULL",
        ),
        check(name, "agreed", "(agreed_at IS NULL) = (state IN ('asked', 'refused'))"),
        check(name, "ended", "(ended_at IS NULL) = (state IN ('asked', 'active'))"),
    )
    op.create_index("ix_instalment_plans_account_id", name, ["account_id"])
    op.create_index(
        "uq_instalment_plans_account",
        name,
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('asked', 'active')"),
        postgresql_where=sa.text("state IN ('asked', 'active')"),
    )
    triggers.no_delete(name, ["plan_id"])
    triggers.frozen(
        name,
        ["plan_id", "account_id", "amount_minor", "asked_by", "asked_at", "two_because"],
        after="OLD.state IN ('kept', 'broken', 'ended', 'refused')",
    )


def _make_instalments() -> None:
    name = "instalments"
    table(
        name,
        reference("plan_id"),
        number("number", comment="1, 2, 3, ..."),
        number("amount_minor"),
        time("call_at"),
        time("due_at"),
        time("called_at", null=True),
        primary(name, "plan_id", "number"),
        foreign(name, ["plan_id"], "instalment_plans"),
        check(name, "number", "number > 0"),
        check(name, "amount", "amount_minor > 0"),
        check(name, "call", "call_at <= due_at"),
    )
    op.create_index(
        "ix_instalments_call_at",
        name,
        ["call_at"],
        sqlite_where=sa.text("called_at IS NULL"),
        postgresql_where=sa.text("called_at IS NULL"),
    )
    triggers.no_delete(name, ["plan_id", "number"])
    triggers.frozen(
        name,
        ["plan_id", "number", "amount_minor", "call_at", "due_at"],
        after="OLD.called_at IS NOT NULL",
    )


def _make_deferrals() -> None:
    name = "deferrals"
    table(
        name,
        *identity(name, "deferral_id"),
        reference("account_id"),
        text("state"),
        number("amount_minor"),
        time("due_at"),
        text("reason"),
        text("two_because", null=True, comment="why it takes a second person"),
        text("asked_by"),
        time("asked_at"),
        text("approved_by", null=True),
        time("granted_at", null=True),
        foreign(name, ["account_id"], "customer_accounts"),
        check(name, "state", "state IN ('asked', 'granted', 'refused')"),
        check(name, "amount", "amount_minor > 0"),
        check(name, "reason", "length(reason) > 0"),
        check(name, "two", "approved_by <> asked_by"),
        check(
            name, "approved", "two_because IS NULL OR state <> 'granted' OR approved_by IS NOT NULL"
        ),
        check(name, "granted", "(granted_at IS NOT NULL) = (state = 'granted')"),
    )
    op.create_index("ix_deferrals_account_id", name, ["account_id"])
    triggers.no_delete(name, ["deferral_id"])
    triggers.frozen(
        name,
        [
            "deferral_id",
            "account_id",
            "amount_minor",
            "due_at",
            "asked_by",
            "asked_at",
            "two_because",
        ],
        after="OLD.state <> 'asked'",
    )


def _make_write_offs() -> None:
    name = "write_offs"
    table(
        name,
        *identity(name, "write_off_id"),
        reference("account_id"),
        text("state"),
        number("amount_minor"),
        number("recovered_minor"),
        text("reason"),
        text("asked_by"),
        time("asked_at"),
        text("approved_by", null=True),
        time("done_at", null=True),
        foreign(name, ["account_id"], "customer_accounts"),
        check(name, "state", "state IN ('asked', 'done', 'refused')"),
        check(name, "amount", "amount_minor > 0"),
        check(
            name,
            "recovered",
            "recovered_minor >= 0 AND recovered_minor <= amount_minor "
            "AND (recovered_minor = 0 OR state = 'done')",
        ),
        check(name, "reason", "length(reason) > 0"),
        check(name, "two", "approved_by <> asked_by"),
        check(name, "approved", "state <> 'done' OR approved_by IS NOT NULL"),
        check(name, "done", "(done_at IS NOT NULL) = (state = 'done')"),
    )
    op.create_index("ix_write_offs_account_id", name, ["account_id"])
    triggers.no_delete(name, ["write_off_id"])
    triggers.frozen(
        name,
        ["write_off_id", "account_id", "amount_minor", "asked_by", "asked_at"],
        after="OLD.state = 'refused'",
    )
    triggers.updated_only_if(
        name,
        "NEW.recovered_minor >= OLD.recovered_minor "
        "AND (OLD.state <> 'done' OR NEW.state = 'done')",
        "what was recovered stays",
    )


def _make_score_snapshots() -> None:
    name = "score_snapshots"
    table(
        name,
        reference("account_id"),
        text("month", comment="2026-11, of the utility's calendar"),
        number("points"),
        text("band"),
        text("reasons", comment="canonical JSON: what made the points"),
        number("rules_version", comment="0: as delivered"),
        time("made_at"),
        primary(name, "account_id", "month"),
        foreign(name, ["account_id"], "customer_accounts"),
        check(name, "month", "length(month) = 7"),
        check(name, "points", "points BETWEEN 0 AND 1000"),
        clustered=True,
    )
    op.create_index("ix_score_snapshots_month", name, ["month", "band"])
    triggers.immutable(name, ["account_id", "month"])


def _make_forecast_models() -> None:
    name = "forecast_models"
    table(
        name,
        *identity(name, "model_id"),
        text("document", comment="canonical JSON: weights and limits"),
        text("hits", comment="canonical JSON: on months it has not seen"),
        time("trained_at"),
        time("trained_until"),
        text("trained_by"),
    )
    triggers.immutable(name, ["model_id"])


def _make_arrears_forecasts() -> None:
    name = "arrears_forecasts"
    table(
        name,
        reference("account_id"),
        text("due_day", comment="of the utility's calendar"),
        reference("model_id"),
        number("chance_ppm", comment="of being late, in millionths"),
        number("amount_minor", comment="due on that day"),
        time("made_at"),
        number("reminded", comment="1: a reminder was asked for"),
        primary(name, "account_id", "due_day"),
        foreign(name, ["account_id"], "customer_accounts"),
        foreign(name, ["model_id"], "forecast_models"),
        check(name, "chance", "chance_ppm BETWEEN 0 AND 1000000"),
        check(name, "reminded", "reminded IN (0, 1)"),
        clustered=True,
    )
    op.create_index("ix_arrears_forecasts_due_day", name, ["due_day"])
    triggers.no_delete(name, ["account_id", "due_day"])
    triggers.frozen(
        name, ["account_id", "due_day", "model_id", "chance_ppm", "amount_minor", "made_at"]
    )
