"""Tariffs of the office and their versions.

A version is proposed by one person and approved by another.  Its definition never changes.  It is
withdrawn only before it begins (or when nobody has approved it); and once supplies are priced by
the tariff, a version begins after its approval, so that no day is priced by two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    text,
)

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

rates: Final = table(
    "rates",
    Column("code", Text, primary_key=True),
    Column("added_at", UtcTimestamp, nullable=False),
    CheckConstraint("length(code) > 0", name="code"),
)

rate_versions: Final = table(
    "rate_versions",
    Column("version_id", Identifier, primary_key=True),
    Column("code", Text, ForeignKey(rates.c.code), nullable=False),
    Column("version", WholeNumber, nullable=False, comment="1, 2, 3, ... of the tariff"),
    Column("since", UtcTimestamp, nullable=False),
    Column("definition", Text, nullable=False, comment="canonical JSON"),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("approved_at", UtcTimestamp),
    Column("approved_by", Text),
    Column("withdrawn_at", UtcTimestamp),
    Column("withdrawn_by", Text),
    Column("reason", Text, comment="of the withdrawal"),
    UniqueConstraint("code", "version"),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint("(approved_at IS NULL) = (approved_by IS NULL)", name="approved"),
    CheckConstraint("approved_by <> asked_by", name="two_persons"),
    CheckConstraint(
        "(withdrawn_at IS NULL) = (withdrawn_by IS NULL) "
        "AND (withdrawn_at IS NULL) = (reason IS NULL)",
        name="withdrawn",
    ),
    CheckConstraint("withdrawn_at < since OR approved_at IS NULL", name="withdrawn_before"),
    Index(
        "uq_rate_versions_since",
        "code",
        "since",
        unique=True,
        sqlite_where=text("withdrawn_at IS NULL"),
        postgresql_where=text("withdrawn_at IS NULL"),
    ),
)
