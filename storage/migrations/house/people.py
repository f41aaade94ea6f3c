"""Operators, roles, API keys, two-person acts, the audit chain."""

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
from storage.migrations.house import audit

_ROLE_RULE = (
    "role IN ('clerk', 'kiosk', 'engineer', 'supervisor', 'accountant', 'key_custodian', "
    "'auditor', 'administrator')"
)


def make() -> None:
    """Make the tables."""
    _make_operators()
    _make_sign_ins()
    _make_api_keys()
    _make_approvals()
    audit.make()


def _make_operators() -> None:
    name = "operators"
    table(
        name,
        *identity(name, "operator_id"),
        text("name"),
        text("folded", comment="the name without case"),
        text("password_hash", comment="Argon2id, with its parameters"),
        time("password_set_at"),
        reference("vendor_id", null=True),
        time("added_at"),
        time("disabled_at", null=True),
        foreign(name, ["vendor_id"], "vendors"),
        unique(name, "name"),
        unique(name, "folded"),
        check(name, "name", "length(name) > 0 AND name NOT LIKE '%:%'"),
        check(name, "folded", "length(folded) > 0"),
        check(name, "password_hash", "password_hash LIKE '$argon2id$%'"),
    )
    triggers.no_delete(name, ["operator_id"], ["name"], ["folded"])
    triggers.frozen(name, ["operator_id", "name", "folded", "added_at"])
    name = "operator_roles"
    table(
        name,
        reference("operator_id"),
        text("role"),
        number("held", comment="1: has it; 0: had it"),
        primary(name, "operator_id", "role"),
        foreign(name, ["operator_id"], "operators"),
        check(name, "role", _ROLE_RULE),
        check(name, "held", "held IN (0, 1)"),
    )
    triggers.no_delete(name, ["operator_id", "role"])
    triggers.frozen(name, ["operator_id", "role"])
    another = (
        "EXISTS (SELECT 1 FROM operators JOIN operator_roles "
        "ON operators.operator_id = operator_roles.operator_id "
        "WHERE role = 'administrator' AND held = 1 AND disabled_at IS NULL "
        "AND operators.operator_id <> NEW.operator_id)"
    )
    message = "one administrator must stay"
    triggers.updated_only_if(
        "operators", f"NEW.disabled_at IS NULL OR OLD.disabled_at IS NOT NULL OR {another}", message
    )
    triggers.updated_only_if(
        "operator_roles", f"NEW.role <> 'administrator' OR NEW.held = 1 OR {another}", message
    )
    name = "password_tries"
    table(
        name,
        sa.Column("name_sha256", sa.LargeBinary(), nullable=False),
        number("failed"),
        time("next_try_at"),
        primary(name, "name_sha256"),
        check(name, "name_sha256", "length(name_sha256) = 32"),
        check(name, "failed", "failed > 0"),
    )
    op.create_index("ix_password_tries_next_try_at", name, ["next_try_at"])


def _make_sign_ins() -> None:
    name = "sign_ins"
    table(
        name,
        *identity(name, "sign_in_id"),
        reference("operator_id"),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        time("signed_in_at"),
        time("expires_at"),
        time("signed_out_at", null=True),
        foreign(name, ["operator_id"], "operators"),
        unique(name, "token_sha256"),
        check(name, "token_sha256", "length(token_sha256) = 32"),
        check(name, "expires_at", "expires_at > signed_in_at"),
    )
    op.create_index("ix_sign_ins_operator_id", name, ["operator_id"])
    triggers.no_delete(name, ["sign_in_id"], ["token_sha256"])
    fixed = ["sign_in_id", "operator_id", "token_sha256", "signed_in_at", "expires_at"]
    triggers.frozen(name, fixed)
    triggers.set_once(name, ["signed_out_at"])


def _make_api_keys() -> None:
    name = "api_keys"
    table(
        name,
        *identity(name, "api_key_id"),
        text("prefix", comment="what lists show of it"),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        text("client", comment="the only client that its requests may name"),
        reference("vendor_id", null=True),
        text("terminal", null=True),
        time("added_at"),
        text("added_by"),
        time("expires_at", null=True),
        time("revoked_at", null=True),
        foreign(name, ["vendor_id"], "vendors"),
        foreign(name, ["terminal"], "terminals", to=["name"]),
        unique(name, "prefix"),
        unique(name, "secret_sha256"),
        check(name, "prefix", "length(prefix) = 8"),
        check(name, "secret_sha256", "length(secret_sha256) = 32"),
        check(name, "client", "length(client) > 0"),
        check(name, "expires_at", "expires_at > added_at"),
    )
    triggers.no_delete(name, ["api_key_id"], ["prefix"], ["secret_sha256"])
    fixed = ["api_key_id", "prefix", "secret_sha256", "client", "vendor_id", "terminal"]
    triggers.frozen(name, [*fixed, "added_at", "added_by", "expires_at"])
    triggers.set_once(name, ["revoked_at"])
    name = "api_key_roles"
    table(
        name,
        reference("api_key_id"),
        text("role"),
        primary(name, "api_key_id", "role"),
        foreign(name, ["api_key_id"], "api_keys"),
        check(name, "role", _ROLE_RULE),
    )
    triggers.immutable(name, ["api_key_id", "role"])


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
