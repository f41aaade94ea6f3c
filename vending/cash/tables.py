"""Vendors, their credit and their terminals, as the sale needs them.

================  ===================================================================
`vendors`         who sells on the utility's behalf; never deleted
`vendor_credit`   what a prepaid vendor may sell yet, in buckets, so that its terminals do
                  not wait for one row; no bucket ever falls below zero (CHECK)
`terminals`       tills and kiosks by the name that they put into their requests; one that
                  belongs to no vendor is the utility's own
================  ===================================================================
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

vendors: Final = table(
    "vendors",
    Column("vendor_id", Identifier, primary_key=True),
    Column("name", Text, nullable=False),
    Column(
        "prepaid",
        WholeNumber,
        nullable=False,
        server_default=sql("1"),
        comment="1: sells from credit; 0: settles afterwards",
    ),
    Column(
        "credit_limit_minor",
        WholeNumber,
        nullable=False,
        server_default=sql("0"),
        comment="how far below nothing credit may go",
    ),
    Column("blocked", Text, comment="why it may not sell; NULL when it may"),
    Column("added_at", UtcTimestamp, nullable=False),
    UniqueConstraint("name"),
    CheckConstraint("length(name) > 0", name="name"),
    CheckConstraint("prepaid IN (0, 1)", name="prepaid"),
    CheckConstraint("credit_limit_minor >= 0", name="credit_limit_minor"),
)

vendor_credit: Final = table(
    "vendor_credit",
    Column("vendor_id", Identifier, ForeignKey(vendors.c.vendor_id)),
    Column("bucket", WholeNumber),
    Column(
        "available_minor",
        WholeNumber,
        nullable=False,
        comment="what may be sold yet, the credit limit included",
    ),
    Column(
        "reserved_minor",
        WholeNumber,
        nullable=False,
        server_default=sql("0"),
        comment="set aside for tokens in the making",
    ),
    PrimaryKeyConstraint("vendor_id", "bucket"),
    CheckConstraint("bucket >= 0", name="bucket"),
    CheckConstraint("available_minor >= 0", name="available_minor"),
    CheckConstraint("reserved_minor >= 0", name="reserved_minor"),
    clustered=True,
)

terminals: Final = table(
    "terminals",
    Column("terminal_id", Identifier, primary_key=True),
    Column("name", Text, nullable=False),
    Column("vendor_id", Identifier, ForeignKey(vendors.c.vendor_id)),
    Column("blocked", Text, comment="why it may not sell; NULL when it may"),
    Column("added_at", UtcTimestamp, nullable=False),
    UniqueConstraint("name"),
    CheckConstraint("length(name) > 0", name="name"),
)
