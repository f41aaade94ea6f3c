"""Settlements.

A supply's settlements are a chain without gaps: each begins where the one before it ended, so
that no interval can be settled twice (trigger).  A correction is a reversing settlement and a new
one of the same span, never an edit.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    Text,
)

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

settlements: Final = table(
    "settlements",
    Column("supply_id", Identifier, ForeignKey("supplies.supply_id"), nullable=False),
    Column("seq", WholeNumber, nullable=False, comment="1, 2, 3, ... of the supply"),
    Column("account_id", Identifier, nullable=False, comment="the supply's, at that time"),
    Column("since", UtcTimestamp, nullable=False),
    Column("until", UtcTimestamp, nullable=False),
    Column("sign", WholeNumber, nullable=False, comment="1; -1: takes another one back"),
    Column("reverses_seq", WholeNumber, comment="of the same supply"),
    Column("replaces_seq", WholeNumber, comment="of the same supply: settles its span anew"),
    Column("energy_wh", WholeNumber, nullable=False, comment="total; below zero when reversing"),
    Column("amount_minor", WholeNumber, nullable=False, comment="below zero when reversing"),
    Column("tax_minor", WholeNumber, nullable=False),
    Column("lines", Text, nullable=False, comment="canonical JSON: explained to the line"),
    Column("readings", Text, nullable=False, comment="canonical JSON: what it rests on"),
    Column("carried", Text, nullable=False, comment="fraction of a minor unit, a decimal"),
    Column("settled_at", UtcTimestamp, nullable=False),
    Column("settled_by", Text, nullable=False),
    Column("reason", Text, comment="of a correction"),
    PrimaryKeyConstraint("supply_id", "seq"),
    CheckConstraint("seq > 0", name="seq"),
    CheckConstraint("until > since", name="span"),
    CheckConstraint("sign IN (1, -1)", name="sign"),
    CheckConstraint("(sign = -1) = (reverses_seq IS NOT NULL)", name="reverses"),
    CheckConstraint("reverses_seq < seq AND replaces_seq < seq", name="earlier"),
    CheckConstraint(
        "(reverses_seq IS NULL AND replaces_seq IS NULL) OR reason IS NOT NULL", name="reason"
    ),
    Index("ix_settlements_account_until", "account_id", "until"),
    clustered=True,
)
