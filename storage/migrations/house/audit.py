"""The audit trail as a hash chain; the lines of version 0001 are chained as they stand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.audit_chain import GENESIS, line_sha256, text_bytes, time_bytes
from storage.migrations import triggers
from storage.migrations.columns import check, primary, table, text, time
from storage.types import Identifier, UtcTimestamp

_BATCH = 1_000


def make() -> None:
    """Make the table anew, with every line that there was."""
    op.execute("CREATE TABLE old_audit_lines AS SELECT * FROM audit_lines")
    op.execute("DROP TABLE audit_lines")  # its triggers, too
    if op.get_bind().dialect.name == "postgresql":
        for event in ("update", "delete", "truncate"):
            op.execute(f"DROP FUNCTION audit_lines_{event}()")
    _make_table()
    _chain_old_lines()
    op.execute("DROP TABLE old_audit_lines")
    triggers.immutable("audit_lines", ["audit_id"])
    genesis = f"x'{GENESIS.hex()}'"
    if op.get_bind().dialect.name == "postgresql":
        genesis = f"'\\x{GENESIS.hex()}'::bytea"
    triggers.inserted_only_if(
        "audit_lines",
        "NEW.audit_id = coalesce((SELECT max(audit_id) FROM audit_lines), 0) + 1 "
        "AND NEW.previous_sha256 = coalesce((SELECT line_sha256 FROM audit_lines "
        f"WHERE audit_id = NEW.audit_id - 1), {genesis})",
        "a line follows the one before it",
    )


def _make_table() -> None:
    name = "audit_lines"
    table(
        name,
        sa.Column("audit_id", Identifier, nullable=False, autoincrement=False),
        time("at"),
        *(text(column) for column in ("actor", "action", "subject", "detail", "reason")),
        text("from_where", comment="host/terminal/process"),
        sa.Column("previous_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("line_sha256", sa.LargeBinary(), nullable=False),
        primary(name, "audit_id"),
        check(name, "audit_id", "audit_id > 0"),
        check(name, "previous_sha256", "length(previous_sha256) = 32"),
        check(name, "line_sha256", "length(line_sha256) = 32"),
    )
    op.create_index("ix_audit_lines_action", name, ["action", "audit_id"])


def _chain_old_lines() -> None:
    connection = op.get_bind()
    texts = ("actor", "action", "subject", "detail")
    old = sa.table(
        "old_audit_lines",
        sa.column("audit_id", Identifier),
        sa.column("at", UtcTimestamp()),
        *(sa.column(name, sa.Text()) for name in texts),
    )
    new = sa.table(
        "audit_lines",
        sa.column("audit_id", Identifier),
        sa.column("at", UtcTimestamp()),
        *(sa.column(name, sa.Text()) for name in (*texts, "reason", "from_where")),
        sa.column("previous_sha256", sa.LargeBinary()),
        sa.column("line_sha256", sa.LargeBinary()),
    )
    last, number, previous = 0, 0, GENESIS
    while True:
        lines = connection.execute(
            sa.select(old).where(old.c.audit_id > last).order_by(old.c.audit_id).limit(_BATCH)
        ).all()
        if not lines:
            return
        rows = []
        for line in lines:
            number += 1
            kept = {name: getattr(line, name) for name in texts} | {"reason": "", "from_where": ""}
            fields = [time_bytes(line.at), *(text_bytes(value) for value in kept.values())]
            row = {"audit_id": number, "at": line.at, "previous_sha256": previous, **kept}
            previous = row["line_sha256"] = line_sha256(number, fields, previous)
            rows.append(row)
        connection.execute(sa.insert(new), rows)
        last = lines[-1].audit_id
