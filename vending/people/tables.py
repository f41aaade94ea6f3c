"""The tables of people.  Their invariants are held by the database itself.

==============  =====================================================================
`approvals`     two-person acts: asked for, decided once, used once, before they expire;
                who approves is never who asked (CHECK); nothing is ever taken back
==============  =====================================================================
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Text

from storage.schema import table
from storage.types import Identifier, UtcTimestamp

approvals: Final = table(
    "approvals",
    Column("approval_id", Identifier, primary_key=True),
    Column("act", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("essence", Text, nullable=False, comment="what is asked, as canonical JSON"),
    Column("essence_sha256", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", UtcTimestamp, nullable=False),
    Column("expires_at", UtcTimestamp, nullable=False),
    Column("decision", Text),
    Column("decided_by", Text),
    Column("decided_at", UtcTimestamp),
    Column("used_by", Text),
    Column("used_at", UtcTimestamp),
    CheckConstraint("length(essence_sha256) = 32", name="essence_sha256"),
    CheckConstraint("requested_by <> '' AND reason <> ''", name="asked"),
    CheckConstraint("expires_at > requested_at", name="expires_at"),
    CheckConstraint("decision IN ('approved', 'refused')", name="decision"),
    CheckConstraint(
        "(decision IS NULL) = (decided_by IS NULL) AND (decision IS NULL) = (decided_at IS NULL)",
        name="decided",
    ),
    CheckConstraint("decision <> 'approved' OR decided_by <> requested_by", name="two_people"),
    CheckConstraint("(used_by IS NULL) = (used_at IS NULL)", name="used"),
    CheckConstraint(
        "used_at IS NULL OR (coalesce(decision, '') = 'approved' AND used_at < expires_at)",
        name="used_in_time",
    ),
    Index("ix_approvals_essence_sha256", "essence_sha256"),
)
