"""The audit trail: who did what, when and why.  Append-only, held by triggers.

Subjects are ids (a receipt's number, a meter's number), never names, keys or tokens.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Column, Connection, Text, insert

from storage.schema import table
from storage.types import Identifier, UtcTimestamp

audit_lines: Final = table(
    "audit_lines",
    Column("audit_id", Identifier, primary_key=True),
    Column("at", UtcTimestamp, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
)


def record(
    connection: Connection, at: datetime, *, actor: str, action: str, subject: str, detail: str = ""
) -> None:
    """Add a line, in the transaction of the act that it tells of."""
    connection.execute(
        insert(audit_lines),
        {"at": at, "actor": actor, "action": action, "subject": subject, "detail": detail},
    )
