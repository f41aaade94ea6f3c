"""Tariffs of the office and their versions."""

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
    table,
    text,
    time,
    unique,
)


def make() -> None:
    """Make the tables."""
    name = "rates"
    table(
        name,
        text("code"),
        time("added_at"),
        primary(name, "code"),
        check(name, "code", "length(code) > 0"),
    )
    triggers.immutable(name, ["code"])
    _make_versions()


def _make_versions() -> None:
    name = "rate_versions"
    table(
        name,
        *identity(name, "version_id"),
        text("code"),
        number("version", comment="1, 2, 3, ... of the tariff"),
        time("since"),
        text("definition", comment="canonical JSON"),
        time("asked_at"),
        text("asked_by"),
        time("approved_at", null=True),
        text("approved_by", null=True),
        time("withdrawn_at", null=True),
        text("withdrawn_by", null=True),
        text("reason", null=True, comment="of the withdrawal"),
        foreign(name, ["code"], "rates"),
        unique(name, "code", "version"),
        check(name, "version", "version > 0"),
        check(name, "approved", "(approved_at IS NULL) = (approved_by IS NULL)"),
        check(name, "two_persons", "approved_by <> asked_by"),
        check(
            name,
            "withdrawn",
            "(withdrawn_at IS NULL) = (withdrawn_by IS NULL) "
            "AND (withdrawn_at IS NULL) = (reason IS NULL)",
        ),
        check(name, "withdrawn_before", "withdrawn_at < since OR approved_at IS NULL"),
    )
    op.create_index(
        "uq_rate_versions_since",
        name,
        ["code", "since"],
        unique=True,
        sqlite_where=sa.text("withdrawn_at IS NULL"),
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    triggers.no_delete(name, ["version_id"], ["code", "version"])
    triggers.frozen(
        name,
        ["version_id", "code", "version", "since", "definition", "asked_at", "asked_by"],
        after="OLD.withdrawn_at IS NOT NULL",
    )
    triggers.set_once(name, ["approved_at", "approved_by"])
    triggers.guarded(
        name,
        "insert",
        "NEW.approved_at IS NULL AND NEW.withdrawn_at IS NULL",
        "a version is proposed first",
        name="rate_versions_proposed",
    )
    # What is settled stays: a version that nobody could know of begins after its approval, unless
    # no supply is priced by the tariff yet.
    triggers.guarded(
        name,
        "update",
        "NEW.since >= NEW.approved_at OR NOT EXISTS "
        "(SELECT 1 FROM supply_tariffs s WHERE s.tariff = NEW.code)",
        "a version begins after it is approved",
        name="rate_versions_ahead",
        only="OLD.approved_at IS NULL AND NEW.approved_at IS NOT NULL",
    )
