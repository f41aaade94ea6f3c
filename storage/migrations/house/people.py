"""Operators, roles, API keys, two-person acts, the audit chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations import triggers
from storage.migrations.columns import check, identity, table, text, time


def make() -> None:
    """Make the tables."""
    _make_approvals()


def _make_approvals() -> None:
    name = "approvals"
    asked = ["act", "subject", "essence", "essence_sha256", "reason", "requested_by"]
    times = ["requested_at", "expires_at"]
    table(
        name,
        *identity(name, "approval_id"),
        text("act"),
        text("subject"),
        text("essence", comment="what is asked, as canonical JSON"),
        sa.Column("essence_sha256", sa.LargeBinary(), nullable=False),
        text("reason"),
        text("requested_by"),
        time("requested_at"),
        time("expires_at"),
        text("decision", null=True),
        text("decided_by", null=True),
        time("decided_at", null=True),
        text("used_by", null=True),
        time("used_at", null=True),
        check(name, "essence_sha256", "length(essence_sha256) = 32"),
        check(name, "asked", "requested_by <> '' AND reason <> ''"),
        check(name, "expires_at", "expires_at > requested_at"),
        check(name, "decision", "decision IN ('approved', 'refused')"),
        check(
            name,
            "decided",
            "(decision IS NULL) = (decided_by IS NULL) "
            "AND (decision IS NULL) = (decided_at IS NULL)",
        ),
        check(name, "two_people", "decision <> 'approved' OR decided_by <> requested_by"),
        check(name, "used", "(used_by IS NULL) = (used_at IS NULL)"),
        check(
            name,
            "used_in_time",
            "used_at IS NULL OR (coalesce(decision, '') = 'approved' AND used_at < expires_at)",
        ),
    )
    op.create_index("ix_approvals_essence_sha256", name, ["essence_sha256"])
    triggers.no_delete(name, ["approval_id"])
    triggers.frozen(name, ["approval_id", *asked, *times])
    triggers.set_once(name, ["decision", "decided_by", "decided_at", "used_by", "used_at"])
