"""The audit trail: who did what, when, from where and why.  Append-only, held by triggers.

Subjects are ids (a receipt's number, a meter's number), never names, keys or tokens.

Each line carries the hash of the line before it (`storage.audit_chain`), and lines have numbers
without gaps, so that a line that was changed, taken out or moved is found.  The database refuses
a line that is not the next one (trigger).  What no chain can show by itself is that its end was
cut off, or that all of it was made anew: keep the head's hash somewhere else (`head`).

Lines are appended at the very end of their transaction: on PostgreSQL appending takes an
advisory lock until the commit, and as the last lock of every transaction it cannot be part of
a deadlock.  A sale leaves no line, so that sales do not wait for each other here.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint, Column, Connection, Index, LargeBinary, Text, insert, select
from sqlalchemy import text as sql

from storage.audit_chain import GENESIS, line_sha256, text_bytes, time_bytes
from storage.engine import at_the_end
from storage.schema import table
from storage.types import Identifier, UtcTimestamp

TERMINAL_VARIABLE: Final = "METERHOUSE_TERMINAL"
_APPEND_LOCK: Final = 0x6D68_6175
"""The advisory lock of PostgreSQL under which lines are appended."""

audit_lines: Final = table(
    "audit_lines",
    Column("audit_id", Identifier, primary_key=True, autoincrement=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("from_where", Text, nullable=False, comment="host/terminal/process"),
    Column("previous_sha256", LargeBinary, nullable=False),
    Column("line_sha256", LargeBinary, nullable=False),
    CheckConstraint("audit_id > 0", name="audit_id"),
    CheckConstraint("length(previous_sha256) = 32", name="previous_sha256"),
    CheckConstraint("length(line_sha256) = 32", name="line_sha256"),
    Index("ix_audit_lines_action", "action", "audit_id"),
)
_HEAD: Final = (
    select(audit_lines.c.audit_id, audit_lines.c.line_sha256)
    .order_by(audit_lines.c.audit_id.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Head:
    """The last line of the chain.  Whoever has written it down can tell a cut or a new chain."""

    number: int
    """0 when there is no line yet."""
    sha256: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.sha256.hex()}"


def record(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    action: str,
    subject: str,
    detail: str = "",
    reason: str = "",
) -> None:
    """Add a line, in the transaction of the act that it tells of, and at its end.

    Args:
        connection: in a write transaction.
        at: when.
        actor: who; empty when nobody has signed in.
        action: what, as ``subject.verb``.
        subject: to what: a number or id.
        detail: what exactly.
        reason: why, in the actor's own words.
    """
    line = {
        "at": at,
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": detail,
        "reason": reason,
        "from_where": here(),
    }
    at_the_end(connection, lambda connection: _append(connection, line))


def head(connection: Connection) -> Head:
    """The last line's number and hash."""
    row = connection.execute(_HEAD).one_or_none()
    return Head(0, GENESIS) if row is None else Head(row.audit_id, bytes(row.line_sha256))


def here() -> str:
    """Where this program runs: host/terminal/process."""
    terminal = os.environ.get(TERMINAL_VARIABLE, "")
    return f"{_one_line(platform.node())}/{_one_line(terminal)}/{os.getpid()}"


def _append(connection: Connection, line: dict[str, object]) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sql(f"SELECT pg_advisory_xact_lock({_APPEND_LOCK})"))
    last = head(connection)
    at = line["at"]
    assert isinstance(at, datetime)
    texts = ("actor", "action", "subject", "detail", "reason", "from_where")
    fields = [time_bytes(at), *(text_bytes(str(line[name])) for name in texts)]
    linked = {
        "audit_id": last.number + 1,
        "previous_sha256": last.sha256,
        "line_sha256": line_sha256(last.number + 1, fields, last.sha256),
    }
    connection.execute(insert(audit_lines), {**line, **linked})


def _one_line(text: str) -> str:
    return "".join(letter for letter in text[:64] if letter.isprintable() and letter != "/")
