"""Jobs, turns of lines, owners of modems, workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations import triggers
from storage.migrations.columns import (
    check,
    foreign,
    number,
    primary,
    reference,
    table,
    text,
    time,
    unique,
)


def make() -> None:
    """Make the tables."""
    _make_jobs()
    _make_turns()
    _make_workers()


def _make_jobs() -> None:
    name = "jobs"
    table(
        name,
        text("key"),
        text("kind"),
        reference("line"),
        number("urgency"),
        text("payload", comment="identifiers, canonical JSON"),
        text("state"),
        time("queued_at"),
        number("begun", comment="how often; fences earlier ones off"),
        number("lost", comment="how often its worker died"),
        time("begun_at", null=True),
        time("ended_at", null=True),
        text("worker", null=True),
        text("fault", null=True, comment="code of the fault that ended it"),
        primary(name, "key"),
        check(name, "key", "length(key) > 0 AND length(kind) > 0"),
        check(name, "urgency", "urgency BETWEEN 1 AND 9"),
        check(name, "state", "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')"),
        check(name, "worker", "state <> 'running' OR worker IS NOT NULL"),
        check(name, "ended", "(state IN ('waiting', 'running')) = (ended_at IS NULL)"),
        check(name, "fault", "(state = 'failed') = (fault IS NOT NULL)"),
        check(name, "counts", "begun >= 0 AND lost >= 0 AND lost <= begun"),
    )
    _index_while("uq_jobs_running", name, ["line"], "state = 'running'", unique=True)
    _index_while("ix_jobs_waiting", name, ["line", "urgency", "key"], "state = 'waiting'")
    _index_while("ix_jobs_ended", name, ["ended_at"], "ended_at IS NOT NULL")
    triggers.frozen(
        name,
        ["key", "kind", "line", "urgency", "payload", "queued_at"],
        after="OLD.ended_at IS NOT NULL",
    )


def _make_turns() -> None:
    name = "line_turns"
    table(
        name,
        sa.Column("line", reference("line").type, nullable=False, autoincrement=False),
        text("turn", comment="the workflow's id"),
        text("queue"),
        number("urgency", comment="of the job that it was made for"),
        text("worker", null=True, comment="who has begun it"),
        time("handed_at"),
        primary(name, "line"),
        unique(name, "turn"),
    )
    name = "line_owners"
    table(
        name,
        sa.Column("link_id", reference("link_id").type, nullable=False, autoincrement=False),
        text("worker"),
        time("since"),
        primary(name, "link_id"),
        foreign(name, ["link_id"], "links"),
    )
    op.create_index("ix_line_owners_worker", name, ["worker"])


def _make_workers() -> None:
    name = "workers"
    table(
        name,
        text("name"),
        time("since"),
        time("seen_at"),
        number("process"),
        primary(name, "name"),
        check(name, "name", "length(name) > 0"),
    )
    name = "unknown_callers"
    table(
        name,
        text("caller"),
        number("calls"),
        time("first_at"),
        time("last_at"),
        text("remote", comment="where the last call came from"),
        primary(name, "caller"),
        check(name, "caller", "length(caller) > 0 AND calls > 0"),
    )


def _index_while(
    name: str, table: str, columns: list[str], condition: str, *, unique: bool = False
) -> None:
    """An index of the rows for which a condition holds."""
    op.create_index(
        name,
        table,
        columns,
        unique=unique,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
